//! A mover that is stopped (SIGSTOP, the freezer) while commands are under way.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::library;
use longhaul_hwtests::rig::seen::{self, VOLUMES};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Host, Kernel, trial};

use crate::{data, mover};

/// Stops and continues the backup every few milliseconds, to its end.
fn stop_again_and_again(backup: &str) -> String {
    format!(
        "{backup} & mover=$!
         stops=0
         while kill -STOP $mover 2>/dev/null; do
             stops=$((stops + 1))
             kill -CONT $mover
             sleep 0.02
         done
         wait $mover
         echo \"stops: $stops\""
    )
}

/// By the sg driver's node, where the kernel starts an interrupted SG_IO again:
/// a record that was written twice would be found by the verification.
#[test]
fn a_mover_that_is_stopped_in_the_middle_of_writes_writes_none_of_them_twice() -> Result<()> {
    let name = "a_mover_that_is_stopped_in_the_middle_of_writes_writes_none_of_them_twice";
    trial(name, &plain(Kernel::V6_1), 1, |trial| {
        let mut host = Host::boot(trial, Kernel::V6_1, 1)?;
        data::make(&mut host)?;
        let server = library::serve(&mut host, "")?;
        let seen = seen::look(&mut host, 1)?;
        let sg = seen.drives[0].node("sg")?;
        host.run("modprobe -r st")?;
        data::run(&mut host, &seen.load(VOLUMES[0], 0))?;
        host.run(&format!(
            "lh-mover label --drive {sg} --catalog /data/catalog"
        ))?;
        let backup = stop_again_and_again(&mover::back_up(&sg));
        let said = data::run(&mut host, &backup)?.said;
        let stops = said.rsplit("stops: ").next().map(str::trim);
        let stops: u32 = stops.and_then(|n| n.parse().ok()).context("no count")?;
        ensure!(stops >= 5, "it was stopped {stops} times only");
        data::run(&mut host, &mover::verify_and_restore(&sg))?;
        library::stop(&mut host, &server)?;
        host.power_off()
    })
}
