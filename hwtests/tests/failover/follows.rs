//! Coordinator and backup on different nodes, of which one dies or only seems to.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::PATIENCE;
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Kernel, Mode, trial};
use serde_json::Value;

use crate::application::runs;
use crate::dies::went_on;
use crate::house::{self, MOVER};
use crate::isolated::REFUSED;
use crate::{failure, tapes};

/// What a run has written at least when its node dies: more than may be written twice,
/// so to begin at the beginning would be too much.
const MIDDLE: u64 = 20_000_000;
/// Between a checkpoint that is known and the node's death: where checkpoints are ten
/// times as rare as here, the next one is still to come then.
const LATER: Duration = Duration::from_millis(900);
/// What goes to each tape at least while there is no coordinator: more than a drive had
/// accepted before.
const GROWTH: u64 = 8_000_000;
/// The coordinator's process, to `pkill -f`.
const CONTROL: &str = "'lh-control.* serve'";

#[test]
fn r5_r14_r15_r21_r24_a_backup_moves_when_the_node_that_it_alone_is_on_dies() -> Result<()> {
    let name = "r5_r14_r15_r21_r24_a_backup_moves_when_the_node_that_it_alone_is_on_dies";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut cluster = house::start(trial, 3)?;
        let written = tapes::written(&mut cluster)?;
        let (run, node) = house::begin(&mut cluster)?;
        ensure!(node == "n1", "it runs on {node}");
        house::has_written(&mut cluster, &run, MIDDLE)?;
        thread::sleep(LATER);
        cluster.cut_power(1)?;
        cluster.fencing().wait_until_asked(1, 0, PATIENCE)?;
        trial.say("n1 was fenced");
        let shown = house::is_done(&mut cluster, &run)?;
        trial.say("the run is done");
        went_on(&shown, 1)?;
        let twice = tapes::written_twice(&mut cluster, &written, &shown)?;
        trial.figure(&format!("{twice} bytes written twice"));
        let on = runs(&mut cluster, None)?;
        house::restores(&mut cluster, on)?;
        let told = failure::told(&mut cluster, trial, 1)?;
        // What the coordinator's own cluster service says, and what that of another node
        // has told its backup service.
        failure::contains(
            &told,
            &[
                "the cluster service of n3 said: it was fenced".into(),
                "the cluster service of n2 said: it is lost".into(),
            ],
        )?;
        ensure!(!told.contains("the coordinator had run there"), "{told}");
        house::coordinator(&mut cluster, Some(3))?;
        Ok(())
    })
}

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
fn r2b_r13_r16_backups_do_not_pause_when_the_coordinator_dies_or_its_node() -> Result<()> {
    let name = "r2b_r13_r16_backups_do_not_pause_when_the_coordinator_dies_or_its_node";
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
        ensure!(house::coordinator(&mut cluster, None)? != 3);
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
        Ok(())
    })
}

#[test]
fn r8_r14_r24_a_mover_said_to_be_dead_that_wakes_up_writes_not_one_record_more() -> Result<()> {
    let name = "r8_r14_r24_a_mover_said_to_be_dead_that_wakes_up_writes_not_one_record_more";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut cluster = house::start(trial, 3)?;
        // Only the drive's reservation protects: nobody is killed.
        cluster.fencing().set_mode(Mode::Lie);
        let (run, _) = house::begin(&mut cluster)?;
        cluster.freeze(1)?;
        trial.say("n1 is frozen in the middle");
        cluster.fencing().wait_until_asked(1, 0, PATIENCE)?;
        let shown = house::is_done(&mut cluster, &run)?;
        trial.say("the run is done");
        went_on(&shown, 1)?;
        let before = tapes::digests(&mut cluster)?;
        // Nobody tells it that it is dead: it goes on writing, the drive refuses that,
        // and it tells its service why.
        cluster.set_lan(1, false)?;
        cluster.wake(1)?;
        cluster.set_lan(1, false)?;
        let noticed = cluster.node(1)?.run_within(REFUSED, PATIENCE)?;
        noticed.expect_success()?;
        cluster.run(1, &format!("! pgrep -f {MOVER}"))?;
        trial.say("n1 has noticed");
        let after = tapes::digests(&mut cluster)?;
        ensure!(
            before == after,
            "the tapes have changed:\n{before}\n{after}"
        );
        // Two nodes have mounted the source: what it is now says nothing.
        house::restores_what_was(&mut cluster, "app", 2)
    })
}
