//! A SAN over iSCSI: one host serves the library, others use it.

use anyhow::Result;
use longhaul_hwtests::rig::iscsi::{door, log_in};
use longhaul_hwtests::rig::{Host, Kernel, Net, Network, Trial, library};

/// A target, host 1, and two hosts that are logged in, 2 and 3.
pub fn hosts(network: &Network, trial: &Trial, kernel: Kernel) -> Result<(Host, [Host; 2])> {
    let mut target = Host::boot_on(network, trial, kernel, 1)?;
    library::serve(&mut target, &door(1, &[Net::San], &[2, 3]))?;
    let user = |node| -> Result<Host> {
        let mut host = Host::boot_on(network, trial, kernel, node)?;
        log_in(&mut host, node, 1, &[Net::San])?;
        Ok(host)
    };
    Ok((target, [user(2)?, user(3)?]))
}
