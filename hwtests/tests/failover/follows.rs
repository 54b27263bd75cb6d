//! A backup that follows its application, and goes on without its coordinator.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::{NODES, PATIENCE};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Mode, Net, trial};

use crate::application::{APPLICATION, is_mounted, runs};
use crate::dies::went_on;
use crate::house::{self, MOVER};
use crate::kernel;

/// What a node says on the LAN while data goes over the SAN: of all that, so many
/// bytes a second, at most.
const CHATTER_BYTES: u64 = 20_000_000;

// Once of ten times, on a loaded machine, the last 15 of 180 files differed from what
// was restored, behind the second part, on the application's own file system. Whether a
// host's kernel or the backup is to blame is not known; that the SAN had no room is
// not so. Since then `restores` tells by a list of digests, and on a node's own disk.
#[test]
#[ignore = "a difference was seen once whose cause is not known"]
fn r4_r5_r7_r14_r16_a_backup_follows_a_move_and_a_death_and_outlives_its_coordinator() -> Result<()>
{
    let name = "r4_r5_r7_r14_r16_a_backup_follows_a_move_and_a_death_and_outlives_its_coordinator";
    trial(name, &plain(kernel()), 4, |trial| {
        let mut cluster = house::start(trial, 3)?;

        // It is moved: the backup lets go of the file system, and goes along.
        let lan = |cluster: &Cluster<'_>| -> Result<u64> {
            let sent = NODES.map(|node| cluster.network().carried(Net::Lan, node));
            sent.into_iter().map(|sent| Ok(sent?.sent_bytes)).sum()
        };
        let before = lan(&cluster)?;
        let (run, node) = house::begin(&mut cluster)?;
        ensure!(node == "n1", "it runs on {node}");
        cluster.run(2, &format!("crm resource move {APPLICATION} n2 force"))?;
        runs(&mut cluster, Some(2))?;
        trial.say("moved to n2");
        ensure!(!is_mounted(&mut cluster, 1)?, "n1 still has it");
        let shown = house::is_done(&mut cluster, &run)?;
        trial.say("the run is done");
        let attempts = shown["attempts"].as_array().context("attempts")?;
        ensure!(
            attempts.len() == 2 && attempts[0]["row"]["resumes"] == 1,
            "{shown}"
        );
        ensure!(attempts[0]["row"]["node"] == "n2", "{shown}");
        let sent = lan(&cluster)? - before;
        ensure!(sent < CHATTER_BYTES, "{sent} bytes went over the LAN");
        ensure!(
            cluster.fencing().asked().is_empty(),
            "{:?}",
            cluster.fencing().asked()
        );
        house::restores(&mut cluster, 2)?;
        cluster.run(2, &format!("crm resource clear {APPLICATION}"))?;
        trial.say("restored");

        // A node dies that has the backup alone; the coordinator stays where it is.
        let (run, node) = house::begin(&mut cluster)?;
        ensure!(node == "n2", "it runs on {node}");
        cluster.cut_power(2)?;
        cluster.fencing().wait_until_asked(2, 0, PATIENCE)?;
        let shown = house::is_done(&mut cluster, &run)?;
        trial.say("the run is done");
        went_on(&shown, 2)?;
        let on = runs(&mut cluster, None)?;
        house::restores(&mut cluster, on)?;
        let told = house::ask(&mut cluster, "failover show n2")?;
        trial.say(&told);
        // What the cluster services of others have told their backup services.
        ensure!(told.contains("it is lost"), "{told}");
        ensure!(!told.contains("the coordinator had run there"), "{told}");
        house::coordinator(&mut cluster, Some(3))?;
        cluster.boot(&[2])?;
        house::start_service(&mut cluster, 2)?;
        cluster.wait_until_online(&NODES)?;
        trial.say("n2 is there again");
        Ok(())
    })
}

#[test]
fn r2b_r16_two_backups_do_not_pause_when_the_coordinators_node_dies() -> Result<()> {
    let name = "r2b_r16_two_backups_do_not_pause_when_the_coordinators_node_dies";
    trial(name, &plain(kernel()), 4, |trial| {
        let mut cluster = house::start(trial, 3)?;
        house::own_job(&mut cluster, "own", 2)?;
        let (run, node) = house::begin(&mut cluster)?;
        let (own, other) = house::begin_job(&mut cluster, "own")?;
        ensure!((&*node, &*other) == ("n1", "n2"), "on {node} and {other}");
        trial.say("both are in the middle");
        cluster.cut_power(3)?;
        cluster.fencing().wait_until_asked(3, 0, PATIENCE)?;
        ensure!(house::coordinator(&mut cluster, None)? != 3);
        trial.say("the coordinator runs elsewhere");
        let mut drives = Vec::new();
        for run in [run, own] {
            let shown = house::is_done(&mut cluster, &run)?;
            let attempts = shown["attempts"].as_array().context("attempts")?;
            ensure!(attempts.len() == 1, "it was begun again: {shown}");
            drives.push(attempts[0]["row"]["drive"].to_string());
        }
        ensure!(drives[0] != drives[1], "both in drive {}", drives[0]);
        house::restores(&mut cluster, 1)?;
        let told = house::ask(&mut cluster, "failover show n3")?;
        ensure!(told.contains("the coordinator had run there"), "{told}");
        Ok(())
    })
}

#[test]
fn a_mover_that_is_said_to_be_dead_and_wakes_up_writes_not_one_record_more() -> Result<()> {
    let name = "a_mover_that_is_said_to_be_dead_and_wakes_up_writes_not_one_record_more";
    trial(name, &plain(kernel()), 4, |trial| {
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
        let tapes = "sha256sum /tmp/library/cartridges/*.vtape";
        let before = cluster.san().host().run(tapes)?;
        cluster.wake(1)?;
        // What it was about to write is refused, and it notices that.
        let noticed = format!("while pgrep -f {MOVER} >/dev/null; do sleep 0.1; done");
        cluster
            .node(1)?
            .run_within(&noticed, PATIENCE)?
            .expect_success()?;
        trial.say("n1 has noticed");
        let after = cluster.san().host().run(tapes)?;
        ensure!(
            before == after,
            "the tapes have changed:\n{before}\n{after}"
        );
        // Two nodes have mounted the source: what it is now says nothing.
        house::restores_what_was(&mut cluster, 2)
    })
}
