//! What is waited for while nobody knows whether a node is dead; and lies about that.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::PATIENCE;
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Kernel, Mode, trial};
use longhaul_hwtests::until::within;
use serde_json::Value;

use crate::application::{is_mounted, runs};
use crate::dies::went_on;
use crate::{failure, house, said_dead};

#[test]
fn r8_r14_r15_r24_nothing_is_taken_over_where_fencing_fails_and_nobody_overwrites_where_it_lies()
-> Result<()> {
    let name = "r8_r14_r15_r24_nothing_is_taken_over_where_fencing_fails_and_nobody_overwrites_where_it_lies";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut cluster = house::start(trial, 3)?;
        cluster.fencing().set_mode(Mode::Fail);
        let (run, node) = house::begin(&mut cluster)?;
        ensure!(node == "n1", "it runs on {node}");
        cluster.cut_power(1)?;
        for before in 0..2 {
            let asked = cluster.fencing().wait_until_asked(1, before, PATIENCE)?;
            let answer = asked.answered.context("an answer")?.0;
            ensure!(answer == Mode::Fail, "{asked:?}");
        }
        trial.say("n1 could not be fenced, twice");
        for ask in ["status".to_owned(), format!("run show {run}")] {
            within(PATIENCE, "it is said what is waited for", || {
                let said = house::ask(&mut cluster, &ask)?;
                Ok(said.contains("confirm-fenced n1").then_some(()))
            })?;
        }
        let row = only_attempt(&mut cluster, &run)?;
        ensure!(row["ended"].is_null(), "it has ended: {row}");

        // The coordinator takes the operator's word, but the application is Pacemaker's.
        house::ask(&mut cluster, "failover confirm-fenced n1")?;
        let status = house::ask(&mut cluster, &format!("run show {run}"))?;
        trial.say(&status);
        ensure!(!status.contains("confirm-fenced n1"), "{status}");
        let row = only_attempt(&mut cluster, &run)?;
        let why = row["ended"]["error"].as_str().context("it has ended")?;
        ensure!(why.contains("n1 is dead"), "{row}");
        for node in [2, 3] {
            ensure!(!is_mounted(&mut cluster, node)?, "n{node} took it");
        }
        trial.say("n1's attempt is over, and no other has begun");
        cluster.run(2, "stonith_admin --confirm n1")?;
        let on = runs(&mut cluster, None)?;
        ensure!(on != 1, "it runs on a dead node");
        let shown = house::is_done(&mut cluster, &run)?;
        trial.say("the run is done");
        went_on(&shown, 1)?;
        let told = failure::told(&mut cluster, trial, 1)?;
        failure::contains(
            &told,
            &[
                "an operator said: it does nothing any more".into(),
                "the cluster service of n2 said: it is lost".into(),
            ],
        )?;
        house::restores(&mut cluster, on)?;

        cluster.fencing().set_mode(Mode::Kill);
        house::rejoin(&mut cluster, &[1])?;
        trial.say("n1 is there again");
        // On n3 the coordinator would be cut off with it.
        ensure!(on == 2, "the application went where the coordinator is");
        said_dead::is_cut_off(&mut cluster, trial)
    })
}

/// The attempt that there is: nothing was begun in its place.
fn only_attempt(cluster: &mut Cluster<'_>, run: &str) -> Result<Value> {
    let shown = house::show(cluster, run)?;
    let attempts = shown["attempts"].as_array().context("attempts")?;
    let [attempt] = &attempts[..] else {
        anyhow::bail!("one attempt: {shown}");
    };
    Ok(attempt["row"].clone())
}
