//! The conformance suite through the kernels' drivers: against the library that
//! `lh-vtl` serves, and against the kernel's own simulated tape, which nobody
//! here wrote.

use std::time::Duration;

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::iscsi::{door, log_in};
use longhaul_hwtests::rig::library;
use longhaul_hwtests::rig::seen::{self, VOLUMES};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Host, Kernel, Net, Network, trial};

/// The cases take some seconds; a guest that shares its core takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Every case for one nexus, by each of the nodes.
fn served_drive(name: &'static str, kernel: Kernel, nodes: &[&str]) -> Result<()> {
    trial(name, &plain(kernel), 1, |trial| {
        let mut host = Host::boot(trial, kernel, 1)?;
        host.run("modprobe -a sg st ch; lh-vtl create /tmp/library --slots 4 --cartridges 2 --capacity 24MiB")?;
        let server = library::serve(&mut host, "")?;
        host.run("lh-tapelib --library /dev/sg0 load LH0001L9")?;
        for node in nodes {
            let run =
                format!("lh-acceptance --drive {node} --scratch-volume LH0001L9 --to-the-end");
            let report = host.run_within(&run, PATIENCE)?.expect_success()?.said;
            ensure!(report.contains(" 0 failed, 0 lacking"), "{node}: {report}");
            // Only the cartridge that was named is written over.
            let other = run.replace("LH0001L9", "LH0002L9");
            host.run_within(&other, PATIENCE)?.expect_code(4)?;
        }
        library::stop(&mut host, &server)?;
        host.power_off()
    })
}

#[test]
fn o1_a_served_drive_conforms_through_sg_on_6_1() -> Result<()> {
    let name = "o1_a_served_drive_conforms_through_sg_on_6_1";
    served_drive(name, Kernel::V6_1, &["/dev/nst0", "/dev/sg1"])
}

#[test]
fn o2_a_served_drive_conforms_through_sg_and_bsg_on_7() -> Result<()> {
    let name = "o2_a_served_drive_conforms_through_sg_and_bsg_on_7";
    served_drive(name, Kernel::V7, &["/dev/sg1", "/dev/bsg/0:0:1:1"])
}

/// The cases for several initiators, by the two paths of a host: to the target
/// each is a nexus of its own.
fn two_nexuses(name: &'static str, kernel: Kernel, kind: &str) -> Result<()> {
    const PATHS: [Net; 2] = [Net::San, Net::SecondSan];
    trial(name, &plain(kernel), 2, |trial| {
        let network = Network::new(2)?;
        let mut target = Host::boot_on(&network, trial, kernel, 1)?;
        library::serve(&mut target, &door(1, &PATHS, &[2]))?;
        let mut host = Host::boot_on(&network, trial, kernel, 2)?;
        log_in(&mut host, 2, 1, &PATHS)?;
        let seen = seen::look(&mut host, 2)?;
        host.run(&seen.load(VOLUMES[0], 0))?;
        let [one, other] = [0, 1].map(|path| {
            let node = seen.drives[0].report["paths"][path][kind].as_str();
            node.unwrap_or_default().to_owned()
        });
        let run = format!(
            "lh-acceptance --drive {one} --other-nexus {other} --scratch-volume {} \
             --groups nexuses",
            VOLUMES[0]
        );
        let report = host.run_within(&run, PATIENCE)?.expect_success()?.said;
        ensure!(report.contains("6 passed, 0 failed, 0 lacking"), "{report}");
        host.power_off()
    })
}

#[test]
fn o1_a_served_drive_conforms_by_two_nexuses_through_sg_on_6_1() -> Result<()> {
    let name = "o1_a_served_drive_conforms_by_two_nexuses_through_sg_on_6_1";
    two_nexuses(name, Kernel::V6_1, "sg")
}

#[test]
fn o2_a_served_drive_conforms_by_two_nexuses_through_bsg_on_7() -> Result<()> {
    let name = "o2_a_served_drive_conforms_by_two_nexuses_through_bsg_on_7";
    two_nexuses(name, Kernel::V7, "bsg")
}

/// What the kernel's tape does as the standard says. What it does not: blocks
/// of less than 512 bytes, LOCATE(16), the long and extended forms, modes, the
/// door; and it has quirks of its own where a motion meets an end.
const SHARED: [&str; 17] = [
    "TEST UNIT READY is GOOD and REQUEST SENSE has nothing to say",
    "a filemark ends a read, and the tape stands behind it",
    "a short block is told with ILI and the residual",
    "an over-long block is told with ILI, and the tape stands behind it",
    "SILI suppresses the report of a short block",
    "behind the last block is the end of data",
    "writing in the middle makes a new end of data",
    "several filemarks are several objects",
    "WRITE FILEMARKS of count 0 makes no object",
    "WRITE FILEMARKS with IMMED makes its object",
    "fixed blocks are counted, and a filemark leaves a residual in blocks",
    "LOCATE(10) finds every object",
    "SPACE over blocks, both ways",
    "SPACE over blocks stops behind a filemark, with the residual",
    "SPACE over filemarks, both ways",
    "SPACE to the end of data",
    "early warning comes with the block written",
];

#[test]
fn the_kernel_s_own_tape_agrees_on_positions_filemarks_and_sense() -> Result<()> {
    let name = "the_kernel_s_own_tape_agrees_on_positions_filemarks_and_sense";
    trial(name, &plain(Kernel::V7), 1, |trial| {
        let mut host = Host::boot(trial, Kernel::V7, 1)?;
        host.run("modprobe -a sg st; modprobe scsi_debug ptype=1 delay=0; ls /dev/nst0")?;
        let run = "lh-acceptance --drive /dev/nst0 --anonymous-scratch-medium --loses-data \
                   --groups identity,blocks,positions,ends";
        let report = host.run_within(run, PATIENCE)?.expect_code(1)?.said;
        for case in SHARED {
            ensure!(
                report.contains(&format!("passed   {case}")),
                "{case}:\n{report}"
            );
        }
        host.power_off()
    })
}
