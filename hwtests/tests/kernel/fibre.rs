//! A backup over Fibre Channel, whose link is lost.

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::fcoe::wwpn;
use longhaul_hwtests::rig::seen::{self, VOLUMES};
use longhaul_hwtests::rig::{Kernel, Net, Network, Part, trial};

use crate::fcoe::hosts;
use crate::san::wait_until_sent;
use crate::{data, mover};

fn link_loss(name: &'static str, kernel: Kernel) -> Result<()> {
    let parts = [Part::Kernel(kernel), Part::Root, Part::Fcoe(kernel)];
    trial(name, &parts, 2, |trial| {
        let network = Network::new(2)?;
        let (_target, mut host) = hosts(&network, trial, kernel)?;
        data::make(&mut host)?;

        let seen = seen::look(&mut host, 1)?;
        let drive = &seen.drives[0];
        let path = drive.report["paths"][0]["transport"].to_string();
        for port in [wwpn(1), wwpn(2)] {
            let digits = port.replace(':', "");
            ensure!(path.contains(&digits), "no port {digits} in {path}");
        }
        data::run(&mut host, &seen.load(VOLUMES[0], 0))?;
        let label = format!(
            "lh-mover label --drive {} --catalog /data/catalog",
            drive.serial
        );
        data::run(&mut host, &label)?;

        let job = host.start(&mover::back_up(&drive.serial))?;
        wait_until_sent(&network, 2, &[Net::San], 40_000_000)?;
        host.run("ip link set vec1 down; sleep 2; ip link set vec1 up")?;
        host.finish(&job, data::PATIENCE)?.expect_success()?;
        data::run(&mut host, &mover::verify_and_restore(&drive.serial))?;
        Ok(())
    })
}

#[test]
fn r7_o1_a_backup_over_fibre_channel_survives_a_link_loss_on_6_1() -> Result<()> {
    let name = "r7_o1_a_backup_over_fibre_channel_survives_a_link_loss_on_6_1";
    link_loss(name, Kernel::V6_1)
}

#[test]
fn r7_o1_a_backup_over_fibre_channel_survives_a_link_loss_on_7_2() -> Result<()> {
    let name = "r7_o1_a_backup_over_fibre_channel_survives_a_link_loss_on_7_2";
    link_loss(name, Kernel::V7)
}
