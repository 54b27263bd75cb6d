//! The main job through each door of the kernel's.

use anyhow::Result;
use longhaul_hwtests::rig::library;
use longhaul_hwtests::rig::seen::{self, VOLUMES};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Host, Kernel, trial};

use crate::{data, mover};

/// Labels, backs up, verifies, restores and compares on a drive by each of
/// these nodes, a volume each. The sg node comes alone: the st driver, of which
/// the mover would use the node, is not loaded.
fn main_job(name: &'static str, kernel: Kernel, nodes: &[&str]) -> Result<()> {
    trial(name, &plain(kernel), 1, |trial| {
        let mut host = Host::boot(trial, kernel, 1)?;
        data::make(&mut host)?;
        let server = library::serve(&mut host, "")?;
        let seen = seen::look(&mut host, 1)?;
        for (node, volume) in nodes.iter().zip(VOLUMES) {
            let path = seen.drives[0].node(node)?;
            if *node == "sg" {
                host.run("modprobe -r st")?;
            }
            data::run(&mut host, &seen.load(volume, 0))?;
            data::run(&mut host, &mover::label_and_back_up(&path))?;
            data::run(&mut host, &mover::verify_and_restore(&path))?;
            data::run(&mut host, &seen.unload(0))?;
            host.run("modprobe st")?;
        }
        library::stop(&mut host, &server)?;
        host.power_off()
    })
}

#[test]
fn o1_the_main_job_through_sg_and_nst_on_6_1() -> Result<()> {
    let name = "o1_the_main_job_through_sg_and_nst_on_6_1";
    main_job(name, Kernel::V6_1, &["nst", "sg"])
}

#[test]
fn o1_o2_the_main_job_through_sg_nst_and_bsg_on_7() -> Result<()> {
    let name = "o1_o2_the_main_job_through_sg_nst_and_bsg_on_7";
    main_job(name, Kernel::V7, &["bsg", "nst", "sg"])
}
