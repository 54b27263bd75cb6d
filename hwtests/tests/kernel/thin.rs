//! A restore to a disk that has less room than it says.

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Host, Kernel, trial};

use crate::data;

/// The file system has room, so every write is taken; what is below it has not, so
/// some never come to be on the disk.
const MAKE: &str = "modprobe loop
     mkdir /thin /mnt/restored
     mount -t tmpfs -o size=24M tmpfs /thin
     truncate -s 200M /thin/disk
     mkfs.ext4 -q /thin/disk
     mount -o loop /thin/disk /mnt/restored
     mkdir /tmp/source
     for number in 1 2 3 4; do
         head -c 10000000 /dev/urandom >/tmp/source/$number
     done
     lh-mover label --drive vtape:/tmp/tape --catalog /tmp/catalog --name THIN01
     lh-mover backup --drive vtape:/tmp/tape --catalog /tmp/catalog /tmp/source";
const RESTORE: &str = "lh-mover restore --drive vtape:/tmp/tape --catalog /tmp/catalog";

#[test]
fn a_restore_to_a_disk_that_loses_what_it_was_given_says_so() -> Result<()> {
    let name = "a_restore_to_a_disk_that_loses_what_it_was_given_says_so";
    trial(name, &plain(Kernel::V6_1), 1, |trial| {
        let mut host = Host::boot(trial, Kernel::V6_1, 1)?;
        data::run(&mut host, MAKE)?;
        let lost = format!("{RESTORE} --to /mnt/restored");
        let lost = host.run_within(&lost, data::PATIENCE)?.expect_code(7)?;
        ensure!(lost.said.contains("has not kept all"), "{}", lost.said);
        data::run(&mut host, &format!("{RESTORE} --to /tmp/whole"))?;
        host.power_off()
    })
}
