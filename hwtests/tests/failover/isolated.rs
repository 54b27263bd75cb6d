//! A node without the LAN, which still has the SAN.

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::cluster::PATIENCE;
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Kernel, Mode, trial};

use crate::dies::went_on;
use crate::house::{self, MOVER};
use crate::tapes;

/// Waits until a service has heard from its mover that the drive has refused what it
/// wrote, and has written that down: that the mover has gone is known before.
pub const REFUSED: &str =
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

#[test]
fn r8_r14_r24_an_isolated_mover_writes_not_one_record_more_once_its_drive_is_taken() -> Result<()> {
    let name = "r8_r14_r24_an_isolated_mover_writes_not_one_record_more_once_its_drive_is_taken";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut cluster = house::start(trial, 3)?;
        // Nobody is killed: only the drive's reservation protects.
        cluster.fencing().set_mode(Mode::Lie);
        // And nothing is stopped where there is no quorum: n1's own part of the cluster
        // would have the mover let go, perhaps before its drive is taken.
        cluster.configure("property no-quorum-policy=freeze")?;
        let (run, node) = house::begin(&mut cluster)?;
        ensure!(node == "n1", "it runs on {node}");
        let slowly = cluster.node(1)?.start(&write_slowly(1.0))?;
        cluster.set_lan(1, false)?;
        cluster.fencing().wait_until_asked(1, 0, PATIENCE)?;
        trial.say("n1 is said to be dead, and writes");
        ensure!(
            !slowly.has_ended(),
            "it has ended before its drive was taken"
        );

        let shown = house::is_done(&mut cluster, &run)?;
        trial.say("the run is done");
        went_on(&shown, 1)?;
        let before = tapes::digests(&mut cluster)?;
        // It was about to write, was refused, and has told its service why.
        cluster.node(1)?.finish(&slowly, PATIENCE)?;
        let noticed = cluster.node(1)?.run_within(REFUSED, PATIENCE)?;
        noticed.expect_success()?;
        trial.say("n1 has noticed");
        let after = tapes::digests(&mut cluster)?;
        ensure!(
            before == after,
            "the tapes have changed:\n{before}\n{after}"
        );
        house::restores_what_was(&mut cluster, "app", 2)
    })
}
