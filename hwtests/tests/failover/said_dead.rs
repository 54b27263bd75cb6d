//! Nodes that are said to be dead, and live: only the drive's reservation protects.

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::cluster::PATIENCE;
use longhaul_hwtests::rig::{Cluster, Mode, Trial};

use crate::application::is_mounted;
use crate::dies::went_on;
use crate::house::{self, MOVER};
use crate::tapes;

/// Waits until a service has heard from its mover that the drive has refused what it
/// wrote, and has written that down: that the mover has gone is known before.
const REFUSED: &str =
    "until grep -rl 'taken from this job' /own/longhaul/state; do sleep 0.1; done";

/// Has the mover write slowly, to its end, with pauses of so many seconds: so it is still
/// under way when something happens, however long the cluster takes to make that happen.
/// It is the mover itself that writes, again and again.
pub fn write_slowly(pause: f32) -> String {
    format!(
        "while pkill -STOP -f {MOVER}; do
             sleep {pause}
             pkill -CONT -f {MOVER}
             sleep 0.1
         done"
    )
}

/// Has what is under way on a node take four times as long, so that it is still under way
/// when the cluster comes to it. What it has read and not written when it is told to end,
/// it writes in some seconds all the same.
pub fn slow_down(cluster: &mut Cluster<'_>, node: &str) -> Result<()> {
    cluster
        .node(house::number(node)?)?
        .start(&write_slowly(0.3))?;
    Ok(())
}

/// The application's node, which is not the coordinator's, loses the LAN in the middle of
/// a backup, and keeps the SAN.
pub fn is_cut_off(cluster: &mut Cluster<'_>, trial: &Trial) -> Result<()> {
    cluster.fencing().set_mode(Mode::Lie);
    // And nothing is stopped where there is no quorum: the node's own part of the cluster
    // would have the mover let go, perhaps before its drive is taken.
    cluster.configure("property no-quorum-policy=freeze")?;
    let (run, name) = house::begin(cluster)?;
    let node = house::number(&name)?;
    let slowly = cluster.node(node)?.start(&write_slowly(1.0))?;
    let before = cluster.fencing().count(node);
    cluster.set_lan(node, false)?;
    cluster.fencing().wait_until_asked(node, before, PATIENCE)?;
    trial.say(&format!("{name} is said to be dead, and writes"));
    ensure!(
        !slowly.has_ended(),
        "it has ended before its drive was taken"
    );

    let shown = house::is_done(cluster, &run)?;
    trial.say("the run is done");
    went_on(&shown, node)?;
    let before = tapes::digests(cluster)?;
    // It was about to write, was refused, and has told its service why.
    cluster.node(node)?.finish(&slowly, PATIENCE)?;
    ensure!(is_mounted(cluster, node)?, "{name} has let go by itself");
    was_refused(cluster, trial, node, &before)
}

/// The application's node is frozen in the middle of a backup, and wakes up when another
/// has taken all over.
pub fn wakes_up(cluster: &mut Cluster<'_>, trial: &Trial) -> Result<()> {
    cluster.fencing().set_mode(Mode::Lie);
    let (run, name) = house::begin(cluster)?;
    let node = house::number(&name)?;
    let before = cluster.fencing().count(node);
    cluster.freeze(node)?;
    trial.say(&format!("{name} is frozen in the middle"));
    cluster.fencing().wait_until_asked(node, before, PATIENCE)?;
    let shown = house::is_done(cluster, &run)?;
    trial.say("the run is done");
    went_on(&shown, node)?;
    let before = tapes::digests(cluster)?;
    // Nobody tells it that it is dead: it goes on writing, the drive refuses that,
    // and it tells its service why.
    cluster.set_lan(node, false)?;
    cluster.wake(node)?;
    cluster.set_lan(node, false)?;
    was_refused(cluster, trial, node, &before)
}

/// What it wrote has been refused, and it knows: the tapes are what they were.
fn was_refused(cluster: &mut Cluster<'_>, trial: &Trial, node: u8, before: &str) -> Result<()> {
    let noticed = cluster.node(node)?.run_within(REFUSED, PATIENCE)?;
    noticed.expect_success()?;
    cluster.run(node, &format!("! pgrep -f {MOVER}"))?;
    trial.say(&format!("n{node} has noticed"));
    let after = tapes::digests(cluster)?;
    ensure!(
        before == after,
        "the tapes have changed:\n{before}\n{after}"
    );
    // Two nodes have mounted the source: what it is now says nothing.
    let other = cluster.any()?;
    house::restores_what_was(cluster, "app", other)
}
