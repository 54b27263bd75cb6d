//! Fencing that does not do what it should.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::{NODES, PATIENCE};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Kernel, Mode, trial};

use crate::application::{self, is_mounted, runs};

const KERNEL: Kernel = Kernel::V6_1;

#[test]
fn fencing_that_fails_moves_nothing_and_fencing_that_lies_moves_what_still_lives() -> Result<()> {
    let name = "fencing_that_fails_moves_nothing_and_fencing_that_lies_moves_what_still_lives";
    trial(name, &plain(KERNEL), 4, |trial| {
        let mut cluster = Cluster::start(trial, KERNEL)?;
        trial.say("started");
        application::run_on(&mut cluster, 2)?;
        trial.say("runs on n2");

        // The isolated node cannot be fenced: the others wait for it.
        cluster.fencing().set_mode(Mode::Fail);
        cluster.set_lan(2, false)?;
        for before in 0..2 {
            let asked = cluster.fencing().wait_until_asked(2, before, PATIENCE)?;
            let answer = asked.answered.context("an answer")?.0;
            ensure!(answer == Mode::Fail, "{asked:?}");
        }
        trial.say("fencing has failed twice");
        let status = cluster.status(1)?;
        ensure!(status.contains("Node n2: UNCLEAN (offline)"), "{status}");
        for node in [1, 3] {
            ensure!(!is_mounted(&mut cluster, node)?, "n{node} took it");
        }
        cluster.set_lan(2, true)?;
        cluster.wait_until_online(&NODES)?;
        trial.say("n2 is back on the LAN");
        let node = runs(&mut cluster, None)?;

        // A frozen node of which it is said that it is dead.
        cluster.fencing().set_mode(Mode::Lie);
        let before = questions(&cluster, node);
        cluster.freeze(node)?;
        let asked = cluster.fencing().wait_until_asked(node, before, PATIENCE)?;
        trial.say("fencing was lied about");
        let other = runs(&mut cluster, None)?;
        trial.say("runs elsewhere");
        ensure!(other != node, "it did not move: {asked:?}");
        cluster.wake(node)?;
        ensure!(
            is_mounted(&mut cluster, node)? && is_mounted(&mut cluster, other)?,
            "a node that nobody has killed does not have its file system any more"
        );
        Ok(())
    })
}

/// How often a node was to be fenced.
fn questions(cluster: &Cluster<'_>, node: u8) -> usize {
    let name = format!("n{node}");
    let asked = cluster.fencing().asked();
    asked.iter().filter(|asked| asked.node == name).count()
}
