//! Other people's programs on the same drives and volumes.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::library;
use longhaul_hwtests::rig::seen::{self, Seen, VOLUMES};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Host, Kernel, trial};

use crate::{data, mover};

/// A host that serves a library to itself, with a volume in its first drive,
/// and the tree.
fn with_library(
    name: &'static str,
    body: impl FnOnce(&mut Host, &Seen) -> Result<()>,
) -> Result<()> {
    trial(name, &plain(Kernel::V6_1), 1, |trial| {
        let mut host = Host::boot(trial, Kernel::V6_1, 1)?;
        data::make(&mut host)?;
        library::serve(&mut host, "")?;
        let seen = seen::look(&mut host, 1)?;
        data::run(&mut host, &seen.load(VOLUMES[0], 0))?;
        body(&mut host, &seen)?;
        host.power_off()
    })
}

#[test]
fn mt_and_tar_read_what_the_mover_wrote() -> Result<()> {
    with_library("mt_and_tar_read_what_the_mover_wrote", |host, seen| {
        let drive = &seen.drives[0];
        let nst = drive.node("nst")?;
        data::run(host, &mover::label_and_back_up(&drive.serial))?;
        // The recipe that stands on the volume's label.
        data::run(
            host,
            &format!(
                "mt -f {nst} rewind
                 dd if={nst} bs=80 count=1 status=none | grep ^VOL1
                 mt -f {nst} rewind
                 mt -f {nst} fsf 1
                 mkdir /data/tar
                 cd /data/tar
                 LC_ALL=C tar -b 1024 --acls --xattrs --xattrs-include='*' --numeric-owner \\
                    --warning=no-unknown-keyword -xpf {nst}
                 {}",
                mover::compare("/data/tar/data/source")
            ),
        )?;
        Ok(())
    })
}

#[test]
fn what_tar_wrote_is_foreign_and_left_alone() -> Result<()> {
    with_library("what_tar_wrote_is_foreign_and_left_alone", |host, seen| {
        let drive = &seen.drives[0];
        let nst = drive.node("nst")?;
        host.run(&format!(
            "mt -f {nst} setblk 0
             tar -b 1024 -cf {nst} -C /data/source sizes many
             mt -f {nst} rewind"
        ))?;
        for command in [
            mover::back_up(&drive.serial),
            format!(
                "lh-mover label --drive {} --catalog /data/catalog",
                drive.serial
            ),
        ] {
            let refused = host.run_within(&command, data::PATIENCE)?;
            refused.expect_code(4)?;
        }
        host.run(&format!(
            "mt -f {nst} rewind
             tar -b 1024 -df {nst} -C /data/source"
        ))?;
        Ok(())
    })
}

#[test]
fn mtx_sees_and_moves_what_we_do() -> Result<()> {
    with_library("mtx_sees_and_moves_what_we_do", |host, seen| {
        let sg = host.run("lsscsi -g | awk '$2 == \"mediumx\" { print $NF }'")?;
        let mtx = format!("mtx -f {}", sg.trim());
        let status = host.run(&format!("{mtx} status"))?;
        let first = line(&status, "Data Transfer Element 0:")?;
        ensure!(first.contains(VOLUMES[0]), "{status}");
        let second = line(&status, "Data Transfer Element 1:")?;
        ensure!(second.contains("Empty"), "{status}");
        let slot = line(&status, "Storage Element 2:")?;
        ensure!(slot.contains(VOLUMES[1]), "{status}");

        // It moves, we see.
        host.run(&format!("{mtx} load 2 1"))?;
        ensure!(in_drive(host, seen, 1)?.as_deref() == Some(VOLUMES[1]));
        host.run(&format!("{mtx} unload 2 1"))?;
        ensure!(in_drive(host, seen, 1)?.is_none());

        // We move, it sees.
        data::run(host, &seen.load(VOLUMES[2], 1))?;
        let status = host.run(&format!("{mtx} status"))?;
        let second = line(&status, "Data Transfer Element 1:")?;
        ensure!(second.contains(VOLUMES[2]), "{status}");
        data::run(host, &seen.unload(1))?;
        let status = host.run(&format!("{mtx} status"))?;
        let slot = line(&status, "Storage Element 3:")?;
        ensure!(slot.contains(VOLUMES[2]), "{status}");
        Ok(())
    })
}

/// The barcode of what we say that a drive holds.
fn in_drive(host: &mut Host, seen: &Seen, drive: usize) -> Result<Option<String>> {
    let said = host.run(&format!(
        "lh-tapelib --library {} --state /tmp/state --json inventory",
        seen.changer
    ))?;
    let inventory: serde_json::Value = serde_json::from_str(&said)?;
    let serial = seen.drives[drive].serial.as_str();
    let elements = inventory["elements"].as_array().context("no elements")?;
    let element = elements
        .iter()
        .find(|element| element["drive"] == serial)
        .with_context(|| format!("no drive {serial} in {said}"))?;
    Ok(element["volume"].as_str().map(str::to_owned))
}

fn line<'a>(text: &'a str, part: &str) -> Result<&'a str> {
    let mut lines = text.lines();
    lines
        .find(|line| line.contains(part))
        .with_context(|| format!("no {part:?} in\n{text}"))
}
