//! Two paths to one drive.

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::iscsi::{door, log_in};
use longhaul_hwtests::rig::library;
use longhaul_hwtests::rig::seen::{self, VOLUMES};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Host, Kernel, Net, Network, trial};

use crate::devices::{hear_attentions, is_conflict, write_a_block};
use crate::san::wait_until_sent;
use crate::{data, mover};

const PATHS: [Net; 2] = [Net::San, Net::SecondSan];

fn cut_path(name: &'static str, kernel: Kernel) -> Result<()> {
    trial(name, &plain(kernel), 3, |trial| {
        let network = Network::new(3)?;
        let mut target = Host::boot_on(&network, trial, kernel, 1)?;
        library::serve(&mut target, &door(1, &PATHS, &[2, 3]))?;
        let mut host = Host::boot_on(&network, trial, kernel, 2)?;
        data::make(&mut host)?;
        log_in(&mut host, 2, 1, &PATHS)?;
        let mut other = Host::boot_on(&network, trial, kernel, 3)?;
        log_in(&mut other, 3, 1, &[Net::SecondSan])?;

        // One drive, not two.
        let seen = seen::look(&mut host, 2)?;
        let serial = &seen.drives[0].serial;
        data::run(&mut host, &seen.load(VOLUMES[0], 0))?;
        let label = format!("lh-mover label --drive {serial} --catalog /data/catalog");
        data::run(&mut host, &label)?;

        let job = host.start(&mover::back_up(serial))?;
        let cut = wait_until_sent(&network, 2, &PATHS, 40_000_000)?;
        network.set_link(cut, 2, false)?;
        let other_path = if cut == PATHS[0] { PATHS[1] } else { PATHS[0] };
        let before = network.carried(other_path, 2)?.sent_bytes;

        // Who has merely registered cannot write.
        let theirs = seen::look(&mut other, 1)?;
        let sg = theirs.drives[0].node("sg")?;
        let raw = other.run_within(
            &format!(
                "{}
                 sg_persist --out --register-ignore --param-sark=0xb3 {sg}
                 {}",
                hear_attentions(&sg),
                write_a_block(&sg)
            ),
            data::PATIENCE,
        )?;
        ensure!(is_conflict(&raw.said), "the drive took it: {}", raw.said);

        host.finish(&job, data::PATIENCE)?.expect_success()?;
        let sent = network.carried(other_path, 2)?.sent_bytes - before;
        ensure!(sent > 10_000_000, "{sent} bytes took the other path");
        data::run(&mut host, &mover::verify_and_restore(serial))?;
        Ok(())
    })
}

#[test]
fn a_cut_path_is_replaced_and_the_reservation_holds_on_both_on_6_1() -> Result<()> {
    let name = "a_cut_path_is_replaced_and_the_reservation_holds_on_both_on_6_1";
    cut_path(name, Kernel::V6_1)
}

#[test]
fn a_cut_path_is_replaced_and_the_reservation_holds_on_both_on_7_2() -> Result<()> {
    let name = "a_cut_path_is_replaced_and_the_reservation_holds_on_both_on_7_2";
    cut_path(name, Kernel::V7)
}
