//! Backups of nodes that die, while the coordinator is on another one.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::PATIENCE;
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Kernel, Trial, trial};
use longhaul_hwtests::until::within;
use serde_json::Value;

use crate::application::runs;
use crate::dies::went_on;
use crate::house::{self, MOVER};
use crate::{failure, tapes};

/// What a run has written at least when its node dies: more than may be written twice,
/// so to begin at the beginning would be too much.
const MIDDLE: u64 = 10_000_000;
/// Between a checkpoint that is known and the node's death: where checkpoints are ten
/// times as rare as here, the next one is still to come then.
const LATER: Duration = Duration::from_millis(900);

#[test]
fn r5_r14_r15_r21_r22_r24_a_backup_moves_when_its_node_dies_and_when_the_next_one_does()
-> Result<()> {
    let name =
        "r5_r14_r15_r21_r22_r24_a_backup_moves_when_its_node_dies_and_when_the_next_one_does";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut cluster = house::start(trial, 3)?;
        let written = tapes::written(&mut cluster)?;
        let (run, node) = house::begin(&mut cluster)?;
        ensure!(node == "n1", "it runs on {node}");
        house::has_written(&mut cluster, &run, MIDDLE)?;
        thread::sleep(LATER);
        house::is_fenced(&mut cluster, 1)?;
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
        house::rejoin(&mut cluster, &[1])?;
        trial.say("n1 is there again");
        outlives_two(&mut cluster, trial)
    })
}

/// Has a run stay in the middle of its second attempt, once a checkpoint of that is
/// known: the node.
fn stays(cluster: &mut Cluster<'_>, run: &str) -> Result<u8> {
    let node = within(PATIENCE, "it goes on elsewhere", || {
        let (shown, _) = house::shown(cluster, run)?;
        let attempts = shown
            .as_ref()
            .and_then(|shown| shown["attempts"].as_array());
        let [newest, _] = attempts.map_or(&[][..], Vec::as_slice) else {
            return Ok(None);
        };
        let row = Some(&newest["row"]).filter(|row| row["point"].is_object());
        Ok(row.and_then(|row| row["node"].as_str().map(str::to_owned)))
    })?;
    let node = house::number(&node)?;
    cluster.run(node, &format!("pkill -STOP -f {MOVER}"))?;
    Ok(node)
}

/// A node dies, and the one that took its run over too, when the first is there again.
fn outlives_two(cluster: &mut Cluster<'_>, trial: &Trial) -> Result<()> {
    let (run, first) = house::begin(cluster)?;
    let node = house::number(&first)?;
    house::is_fenced(cluster, node)?;
    // Whoever takes it over stays in the middle, until the first is there again.
    let second = stays(cluster, &run)?;
    trial.say("in the middle on the second");
    house::rejoin(cluster, &[node])?;
    trial.say(&format!("{first} is there again"));
    house::is_fenced(cluster, second)?;
    let shown = house::is_done(cluster, &run)?;
    trial.say("the run is done");
    let attempts = shown["attempts"].as_array().context("attempts")?;
    let rows: Vec<&Value> = attempts.iter().map(|attempt| &attempt["row"]).collect();
    ensure!(rows.len() == 3, "{shown}");
    let second = format!("n{second}");
    ensure!(
        rows[2]["node"] == *first && rows[1]["node"] == *second,
        "{shown}"
    );
    ensure!(rows[0]["node"] != *second, "{shown}");
    ensure!(
        (&rows[1]["resumes"], &rows[0]["resumes"]) == (&1.into(), &2.into()),
        "{shown}"
    );
    let on = runs(cluster, None)?;
    house::restores(cluster, on)
}
