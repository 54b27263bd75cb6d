//! A SAN over Fibre Channel: FCoE, two ports without a switch.

use anyhow::Result;
use longhaul_hwtests::rig::library;
use longhaul_hwtests::rig::{Host, Kernel, Net, Network, Trial};

/// The name of a host's port: FCoE makes it of the MAC address.
pub fn wwpn(node: u8) -> String {
    format!("20:00:{}", Net::San.mac(node))
}

/// Makes a port of the host's interface on the SAN.
fn port(host: &mut Host, drivers: &str) -> Result<()> {
    host.run(&format!(
        "modprobe -a libfc libfcoe {drivers}
         insmod /lib/modules/$(uname -r)/extra/fcoe.ko
         echo vec1 >/sys/module/libfcoe/parameters/create_vn2vn"
    ))?;
    Ok(())
}

/// A target, host 1, and a host that sees it, 2, each with a port.
pub fn hosts(network: &Network, trial: &Trial, kernel: Kernel) -> Result<(Host, Host)> {
    let mut target = Host::boot_on(network, trial, kernel, 1)?;
    port(&mut target, "tcm_fc")?;
    let door = format!("--fc {} --initiator {}", wwpn(1), wwpn(2));
    library::serve(&mut target, &door)?;
    let mut host = Host::boot_on(network, trial, kernel, 2)?;
    port(&mut host, "sg st ch")?;
    Ok((target, host))
}
