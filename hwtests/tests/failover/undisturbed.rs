//! Backups that go on without a coordinator.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::PATIENCE;
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Kernel, Mode, trial};
use serde_json::Value;

use crate::{house, said_dead, tapes};

/// What goes to each tape at least while there is no coordinator: more than a drive had
/// accepted before.
const GROWTH: u64 = 8_000_000;
/// The coordinator's process, to `pkill -f`.
const CONTROL: &str = "'lh-control.* serve'";

/// The run had one attempt.
fn is_undisturbed(shown: &Value) -> Result<()> {
    let attempts = shown["attempts"].as_array().context("attempts")?;
    ensure!(attempts.len() == 1, "it was begun again: {shown}");
    Ok(())
}

/// Both tapes have: by so many bytes.
fn have_grown(before: &[u64], after: &[u64]) -> Result<Vec<u64>> {
    let grown = before
        .iter()
        .zip(after)
        .map(|(before, after)| after - before);
    let grown: Vec<u64> = grown.filter(|grown| *grown > GROWTH).collect();
    ensure!(grown.len() == 2, "from {before:?} to {after:?}");
    Ok(grown)
}

#[test]
fn r2b_r8_r13_r14_r16_r24_backups_outlive_their_coordinator_and_a_frozen_mover_writes_no_more()
-> Result<()> {
    let name = "r2b_r8_r13_r14_r16_r24_backups_outlive_their_coordinator_and_a_frozen_mover_writes_no_more";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut cluster = house::start(trial, 3)?;
        let (run, _) = house::begin(&mut cluster)?;
        cluster.run(3, &format!("pkill -9 -f {CONTROL}"))?;
        is_undisturbed(&house::is_done(&mut cluster, &run)?)?;
        trial.say("the run is done, and the coordinator there again");
        house::coordinator(&mut cluster, Some(3))?;

        house::own_job(&mut cluster, "own", 2, house::SIZE * 3 / 2)?;
        // The greater one first, so that both are in the middle for long enough.
        let (own, other) = house::begin_job(&mut cluster, "own")?;
        let (run, node) = house::begin(&mut cluster)?;
        ensure!((&*node, &*other) == ("n1", "n2"), "on {node} and {other}");
        trial.say("both are in the middle");
        // Nobody takes the coordinator over before n3 is known to be dead.
        cluster.fencing().set_mode(Mode::Wait);
        cluster.cut_power(3)?;
        let before = tapes::written(&mut cluster)?;
        cluster.fencing().wait_until_asked(3, 0, PATIENCE)?;
        let grown = have_grown(&before, &tapes::written(&mut cluster)?)?;
        trial.say(&format!(
            "nobody coordinates, and the tapes have grown: {grown:?}"
        ));
        cluster.fencing().set_mode(Mode::Kill);
        // It goes where less is: not where the application is.
        house::coordinator(&mut cluster, Some(2))?;
        trial.say("the coordinator runs elsewhere");
        let mut drives = Vec::new();
        for run in [run, own] {
            let shown = house::is_done(&mut cluster, &run)?;
            is_undisturbed(&shown)?;
            drives.push(shown["attempts"][0]["row"]["drive"].to_string());
        }
        ensure!(drives[0] != drives[1], "both in drive {}", drives[0]);
        house::restores(&mut cluster, 1)?;
        let told = house::ask(&mut cluster, "failover show n3")?;
        ensure!(told.contains("the coordinator had run there"), "{told}");

        house::rejoin(&mut cluster, &[3])?;
        trial.say("n3 is there again");
        said_dead::wakes_up(&mut cluster, trial)
    })
}
