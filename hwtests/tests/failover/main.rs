//! The programs on clusters: real Corosync and Pacemaker, with fencing that
//! cuts the power, and a SAN.
//!
//! Names of tests begin with the requirements that they show.

use std::env;

use longhaul_hwtests::rig::Kernel;

mod application;
mod dies;
mod follows;
mod house;
mod isolated;
mod liars;
mod moves;
mod quorum;
mod reach;
mod waits;

/// The kernel of all nodes. `LONGHAUL_KERNEL=6.1` is the other one, on which
/// programs start at a tenth of the speed.
fn kernel() -> Kernel {
    match env::var("LONGHAUL_KERNEL").as_deref() {
        Ok("6.1") => Kernel::V6_1,
        _ => Kernel::V7,
    }
}
