//! What hosts back up: the tree with every kind of entry, on a file system of
//! the host's own.

use std::time::Duration;

use anyhow::Result;
use longhaul_hwtests::rig::{Ended, Host};

/// Backups and restores of the tree take seconds; this is for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// Where the tree is.
pub const SOURCE: &str = "/data/source";

/// Makes an ext4 at /data, since a tmpfs has no user attributes before 6.6 and
/// what is shared with the host has none at all, and the tree in it.
pub fn make(host: &mut Host) -> Result<()> {
    host.run_within(
        "truncate -s 900M /tmp/disk
         mkfs.ext4 -q /tmp/disk
         mkdir /data
         modprobe loop
         mount -o loop /tmp/disk /data
         lh-tree /data/source",
        PATIENCE,
    )?
    .expect_success()?;
    Ok(())
}

/// Runs commands for as long as a backup may take; they must end well.
pub fn run(host: &mut Host, script: &str) -> Result<Ended> {
    host.run_within(script, PATIENCE)?.expect_success()
}
