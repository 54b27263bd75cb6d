//! What is waited for while nobody knows whether a node is dead.

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::cluster::PATIENCE;
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Kernel, Mode, trial};

use crate::application::runs;
use crate::dies::went_on;
use crate::house;

#[test]
fn r13_r15_without_fencing_nothing_is_taken_over_before_the_operators_word() -> Result<()> {
    let name = "r13_r15_without_fencing_nothing_is_taken_over_before_the_operators_word";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut cluster = house::start(trial, 3)?;
        cluster.fencing().set_mode(Mode::Fail);
        let (run, node) = house::begin(&mut cluster)?;
        ensure!(node == "n1", "it runs on {node}");
        cluster.cut_power(1)?;
        for before in 0..2 {
            cluster.fencing().wait_until_asked(1, before, PATIENCE)?;
        }
        trial.say("n1 could not be fenced, twice");
        let status = house::ask(&mut cluster, &format!("run show {run}"))?;
        ensure!(status.contains("confirm-fenced n1"), "{status}");
        one_attempt(&mut cluster, &run)?;

        // The coordinator takes the operator's word, but the application is Pacemaker's.
        house::ask(&mut cluster, "failover confirm-fenced n1")?;
        let status = house::ask(&mut cluster, &format!("run show {run}"))?;
        trial.say(&status);
        ensure!(!status.contains("confirm-fenced n1"), "{status}");
        cluster.run(2, "stonith_admin --confirm n1")?;
        let on = runs(&mut cluster, None)?;
        ensure!(on != 1, "it runs on a dead node");
        let shown = house::is_done(&mut cluster, &run)?;
        trial.say("the run is done");
        went_on(&shown, 1)?;
        let told = house::ask(&mut cluster, "failover show n1")?;
        trial.say(&told);
        house::restores(&mut cluster, on)
    })
}

/// Nothing was begun in the place of what is there.
fn one_attempt(cluster: &mut Cluster<'_>, run: &str) -> Result<()> {
    let shown = house::show(cluster, run)?;
    let attempts = shown["attempts"].as_array().map(Vec::len);
    ensure!(attempts == Some(1), "{shown}");
    Ok(())
}
