//! No node has quorum; and the cluster is stopped and started as a whole.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::{NODES, PATIENCE};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Kernel, trial};
use longhaul_hwtests::until::within;

use crate::application::{is_mounted, runs};
use crate::house::{self, MOVER};

#[test]
fn r12_r24_runs_go_on_when_quorum_is_regained_and_when_all_nodes_start_again() -> Result<()> {
    let name = "r12_r24_runs_go_on_when_quorum_is_regained_and_when_all_nodes_start_again";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut cluster = house::start(trial, 1)?;
        let (run, node) = house::begin(&mut cluster)?;
        ensure!(node == "n1", "it runs on {node}");
        for node in [2, 3] {
            cluster.set_lan(node, false)?;
        }
        cluster.wait_for_status(1, "no quorum", |said| said.contains("WITHOUT quorum"))?;
        within(PATIENCE, "n1 lets go of the application", || {
            Ok((!is_mounted(&mut cluster, 1)?).then_some(()))
        })?;
        trial.say("nobody has quorum, and nothing runs");
        cluster.run(1, &format!("! pgrep -f {MOVER}"))?;
        for node in [2, 3] {
            cluster.set_lan(node, true)?;
        }
        cluster.wait_until_online(&NODES)?;
        trial.say("they are together again");
        goes_on(&mut cluster, &run)?;
        trial.say("the run is done");

        let (run, _) = house::begin(&mut cluster)?;
        cluster.stop_services(&NODES)?;
        trial.say("the cluster is stopped");
        for node in NODES {
            ensure!(!is_mounted(&mut cluster, node)?, "n{node} has not let go");
        }
        cluster.start_services(&NODES)?;
        cluster.wait_until_online(&NODES)?;
        trial.say("and is there again");
        goes_on(&mut cluster, &run)?;
        let asked = cluster.fencing().asked();
        ensure!(asked.is_empty(), "somebody was fenced: {asked:?}");
        let on = runs(&mut cluster, None)?;
        house::restores(&mut cluster, on)
    })
}

/// The run is done in the end, from a checkpoint of what was broken off.
pub fn goes_on(cluster: &mut Cluster<'_>, run: &str) -> Result<()> {
    let shown = house::is_done(cluster, run)?;
    let attempts = shown["attempts"].as_array().context("attempts")?;
    let resumes = &attempts[0]["row"]["resumes"];
    ensure!(attempts.len() > 1 && resumes.is_u64(), "{shown}");
    Ok(())
}
