//! No node has quorum; the cluster is stopped and started as a whole; and what comes
//! then to the same nodes in `moves`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::{NODES, PATIENCE};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Kernel, trial};
use longhaul_hwtests::until::within;

use crate::application::{is_mounted, runs};
use crate::house::{self, MOVER};
use crate::moves::{self, goes_on};
use crate::said_dead::{slow_down, write_slowly};

/// How long a node that has lost quorum goes on with what it does.
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn r4_r5_r7_r12_r14_r24_backups_outlive_a_lost_quorum_planned_moves_and_the_whole_house()
-> Result<()> {
    let name =
        "r4_r5_r7_r12_r14_r24_backups_outlive_a_lost_quorum_planned_moves_and_the_whole_house";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut cluster = house::start(trial, 1)?;
        house::own_job(&mut cluster, "own", 2, house::SIZE)?;
        // The third is down in order: so whoever sees another one again has quorum with
        // it, and there is nobody left whom the two would have to fence.
        cluster.stop_services(&[3])?;
        cluster.wait_until_online(&[1, 2])?;
        trial.say("n3 has left");
        let (own, node) = house::begin_job(&mut cluster, "own")?;
        ensure!(node == "n2", "it runs on {node}");
        // What it writes between two pauses is not a fortieth of it.
        let slowly = cluster.node(2)?.start(&write_slowly(3.0))?;
        let (run, node) = house::begin(&mut cluster)?;
        ensure!(node == "n1", "it runs on {node}");
        slow_down(&mut cluster, &node)?;
        let lost = Instant::now();
        cluster.set_lan(2, false)?;
        cluster.wait_for_status(1, "no quorum", |said| said.contains("WITHOUT quorum"))?;
        within(PATIENCE, "n1 lets go of the application", || {
            Ok((!is_mounted(&mut cluster, 1)?).then_some(()))
        })?;
        trial.say("nobody has quorum, and nothing runs");
        cluster.run(1, &format!("! pgrep -f {MOVER}"))?;
        // What needs nobody else waits for quorum to come back, for a minute.
        cluster.run(2, &format!("pgrep -f {MOVER}"))?;
        cluster.node(2)?.finish(&slowly, PATIENCE)?;
        ensure!(lost.elapsed() >= MINUTE, "it has not waited for so long");
        trial.say("n2 has paused");
        cluster.set_lan(2, true)?;
        cluster.wait_until_online(&[1, 2])?;
        trial.say("they are together again");
        cluster.start_services(&[3])?;
        cluster.wait_until_online(&NODES)?;
        trial.say("and n3 with them");
        goes_on(&mut cluster, &run)?;
        let paused = goes_on(&mut cluster, &own)?;
        let why = paused["ended"]["error"].as_str().context("an error")?;
        ensure!(why.contains("the node has no quorum"), "{paused}");
        trial.say("both runs are done");

        let (run, node) = house::begin(&mut cluster)?;
        slow_down(&mut cluster, &node)?;
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
        house::restores(&mut cluster, on)?;

        moves::by_word(&mut cluster, trial)?;
        moves::in_the_dark(&mut cluster, trial)
    })
}
