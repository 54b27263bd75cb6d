//! Fencing that does not do what it should.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::{NODES, PATIENCE};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Fabric, Kernel, Mode, trial};

use crate::application::{self, is_mounted, is_whole, runs};

#[test]
fn fencing_that_fails_moves_nothing_and_fencing_that_lies_moves_what_still_lives() -> Result<()> {
    let name = "fencing_that_fails_moves_nothing_and_fencing_that_lies_moves_what_still_lives";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut cluster = Cluster::start(trial, Kernel::chosen(), Fabric::Iscsi)?;
        trial.say("started");
        application::run_on(&mut cluster, 2)?;
        trial.say("runs on n2");
        application::write(&mut cluster, 2, "before all")?;

        // The isolated node cannot be fenced: the others wait for it.
        cluster.fencing().set_mode(Mode::Fail);
        cluster.set_lan(2, false)?;
        for before in 0..2 {
            let asked = cluster.fencing().wait_until_asked(2, before, PATIENCE)?;
            let answer = asked.answered.context("an answer")?.0;
            ensure!(answer == Mode::Fail, "{asked:?}");
        }
        trial.say("fencing has failed twice");
        expect_unmoved(&mut cluster, 2)?;
        cluster.set_lan(2, true)?;
        cluster.wait_until_online(&NODES)?;
        trial.say("n2 is back on the LAN");
        let node = runs(&mut cluster, None)?;

        // Fencing that takes its time: until it is done, all wait.
        cluster.fencing().set_mode(Mode::Wait);
        let before = questions(&cluster, node);
        cluster.freeze(node)?;
        cluster.fencing().wait_until_asked(node, before, PATIENCE)?;
        expect_unmoved(&mut cluster, node)?;
        trial.say("fencing is waited for");
        cluster.fencing().set_mode(Mode::Kill);
        let other = runs(&mut cluster, None)?;
        ensure!(other != node, "it did not move");
        let ended = cluster.node(node)?.power().ended()?;
        ensure!(ended.is_some(), "n{node} was not killed");
        is_whole(&mut cluster, other, "before all")?;
        trial.say("fencing has worked");
        cluster.boot(&[node])?;
        cluster.wait_until_online(&NODES)?;
        let node = other;
        trial.say("all are back");

        // A frozen node of which it is said that it is dead.
        cluster.fencing().set_mode(Mode::Lie);
        let before = questions(&cluster, node);
        cluster.freeze(node)?;
        let asked = cluster.fencing().wait_until_asked(node, before, PATIENCE)?;
        trial.say("fencing was lied about");
        let other = runs(&mut cluster, None)?;
        trial.say("runs elsewhere");
        ensure!(other != node, "it did not move: {asked:?}");
        ensure!(
            is_mounted(&mut cluster, other)?,
            "n{other} does not have it"
        );
        cluster.wake(node)?;
        ensure!(
            is_mounted(&mut cluster, node)?,
            "a node that nobody has killed does not have its file system any more"
        );
        Ok(())
    })
}

/// A node that is not there any more has the application to all others.
fn expect_unmoved(cluster: &mut Cluster<'_>, node: u8) -> Result<()> {
    for other in NODES.into_iter().filter(|other| *other != node) {
        let unclean = format!("Node n{node}: UNCLEAN (offline)");
        cluster.wait_for_status(other, &unclean, |said| said.contains(&unclean))?;
        ensure!(!is_mounted(cluster, other)?, "n{other} took it");
    }
    Ok(())
}

/// How often a node was to be fenced.
fn questions(cluster: &Cluster<'_>, node: u8) -> usize {
    let name = format!("n{node}");
    let asked = cluster.fencing().asked();
    asked.iter().filter(|asked| asked.node == name).count()
}
