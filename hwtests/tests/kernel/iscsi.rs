//! A SAN over iSCSI: one host serves the library, others use it.

use anyhow::Result;
use longhaul_hwtests::rig::{Host, Kernel, Net, Network, Trial};

use crate::library;

/// The name by which a host logs in.
pub fn initiator(node: u8) -> String {
    format!("iqn.2026-01.example:n{node}")
}

/// The door to these initiators, on a target that listens on these networks.
pub fn door(nets: &[Net], initiators: &[u8]) -> String {
    let mut door = String::from("--iscsi iqn.2026-01.example:library");
    for net in nets {
        door += &format!(" --portal {}", net.address(1));
    }
    for &node in initiators {
        door += &format!(" --initiator {}", initiator(node));
    }
    door
}

/// Logs a host in to the target by each of these networks. A path that is gone
/// for five seconds is given up.
pub fn log_in(host: &mut Host, node: u8, nets: &[Net]) -> Result<()> {
    host.run(&format!(
        "modprobe -a iscsi_tcp sg st ch
         mkdir -p /run/lock/iscsi
         echo InitiatorName={} >/etc/iscsi/initiatorname.iscsi
         iscsid",
        initiator(node)
    ))?;
    for net in nets {
        host.run(&format!(
            "iscsiadm -m discovery -t st -p {}",
            net.address(1)
        ))?;
    }
    let settings = [
        ("node.session.timeo.replacement_timeout", 5),
        ("node.conn[0].timeo.noop_out_interval", 1),
        ("node.conn[0].timeo.noop_out_timeout", 2),
    ];
    for (name, value) in settings {
        host.run(&format!(
            "iscsiadm -m node -o update -n '{name}' -v {value}"
        ))?;
    }
    host.run("iscsiadm -m node -l")?;
    Ok(())
}

/// A target, host 1, and two hosts that are logged in, 2 and 3.
pub fn hosts(network: &Network, trial: &Trial, kernel: Kernel) -> Result<(Host, [Host; 2])> {
    let mut target = Host::boot_on(network, trial, kernel, 1)?;
    library::serve(&mut target, &door(&[Net::San], &[2, 3]))?;
    let user = |node| -> Result<Host> {
        let mut host = Host::boot_on(network, trial, kernel, node)?;
        log_in(&mut host, node, &[Net::San])?;
        Ok(host)
    };
    Ok((target, [user(2)?, user(3)?]))
}
