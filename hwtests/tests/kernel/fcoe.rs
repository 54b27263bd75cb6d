//! A SAN over Fibre Channel: FCoE, two ports without a switch.

use anyhow::Result;
use longhaul_hwtests::rig::fcoe::{door, initiator_script, port_script};
use longhaul_hwtests::rig::library;
use longhaul_hwtests::rig::{Host, Kernel, Network, Trial};

/// A target, host 1, and a host that sees it, 2, each with a port.
pub fn hosts(network: &Network, trial: &Trial, kernel: Kernel) -> Result<(Host, Host)> {
    let mut target = Host::boot_on(network, trial, kernel, 1)?;
    target.run(&port_script("tcm_fc"))?;
    library::serve(&mut target, &door(1, &[2]))?;
    let mut host = Host::boot_on(network, trial, kernel, 2)?;
    host.run(&initiator_script())?;
    Ok((target, host))
}
