//! A node that runs all dies while a backup is under way.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::{NODES, PATIENCE};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Fabric, Kernel, Part, trial};
use longhaul_hwtests::until::within;
use serde_json::Value;

use crate::application::runs;
use crate::house;
use crate::lan::Lan;
use crate::{failure, tapes};

/// Of a run that was hit once: its last attempt went on with the one before, with
/// a newer token, on another node.
pub fn went_on(shown: &Value, from: u8) -> Result<()> {
    let attempts = shown["attempts"].as_array().context("attempts")?;
    let [new, old] = &attempts[..] else {
        anyhow::bail!("two attempts: {shown}");
    };
    let (new, old) = (&new["row"], &old["row"]);
    ensure!(
        old["node"] == format!("n{from}") && new["node"] != old["node"],
        "{shown}"
    );
    ensure!(
        new["resumes"] == 1 && new["token"].as_u64() > old["token"].as_u64(),
        "{shown}"
    );
    ensure!(new["preempts"][0] == old["token"], "{shown}");
    Ok(())
}

/// All of it, with the tapes on this fabric.
fn all_on_one_node(name: &'static str, parts: &[Part], fabric: Fabric) -> Result<()> {
    trial(name, parts, 4, |trial| {
        let mut cluster = house::start_on(trial, 1, fabric)?;
        let lan = Lan::from_now(&cluster)?;
        let written = tapes::written(&mut cluster)?;
        let (run, node) = house::begin(&mut cluster)?;
        ensure!(node == "n1", "it runs on {node}");
        let drive = house::show(&mut cluster, &run)?["attempts"][0]["row"]["drive"].clone();
        trial.say("it is in the middle");

        cluster.cut_power(1)?;
        trial.say("n1 has no power");
        cluster.fencing().wait_until_asked(1, 0, PATIENCE)?;
        trial.say("it was fenced");
        let coordinator = house::coordinator(&mut cluster, None)?;
        trial.say("the coordinator runs elsewhere");
        let application = runs(&mut cluster, None)?;
        ensure!(coordinator != 1 && application != 1);
        let shown = house::is_done(&mut cluster, &run)?;
        trial.say("the run is done");
        let sent = lan.had_no_data(&cluster)?;
        let twice = tapes::written_twice(&mut cluster, &written, &shown)?;
        trial.figure(&format!(
            "{sent} bytes over the LAN, {twice} bytes written twice"
        ));
        went_on(&shown, 1)?;
        is_where_it_was(&shown, &drive, application)?;
        let told = failure::told(&mut cluster, trial, 1)?;
        failure::contains(
            &told,
            &[
                "the coordinator had run there, and was moved".into(),
                // The new coordinator's own cluster service, on a node that has survived.
                format!("the cluster service of n{coordinator} said: it was fenced"),
                // And of the other one, by its backup service.
                format!(
                    "the cluster service of n{} said: it is lost",
                    5 - coordinator
                ),
                format!("{run}#1 was under way on drive"),
                "it goes on from its checkpoint behind".into(),
                format!("{run}#2 was ordered on node n{application}, drive"),
                format!("{run}#2 has its first checkpoint"),
            ],
        )?;
        house::restores(&mut cluster, application)?;
        trial.say("restored");

        is_put_to_use_again(&mut cluster, &run)?;
        trial.say("n1 has backed up");
        Ok(())
    })
}

/// The run was carried out by the service of the node where its application is now, on
/// the drive that it was assigned before and on the volume that is in there.
fn is_where_it_was(shown: &Value, drive: &Value, on: u8) -> Result<()> {
    let attempts = shown["attempts"].as_array().context("attempts")?;
    let [new, old] = &attempts[..] else {
        anyhow::bail!("two attempts: {shown}");
    };
    let (new, old) = (&new["row"], &old["row"]);
    ensure!(new["node"] == format!("n{on}"), "{shown}");
    ensure!(new["drive"] == *drive && old["drive"] == *drive, "{shown}");
    let set = &new["ended"]["set"];
    ensure!(
        set["parts"][0]["volume"] == old["point"]["volume"],
        "{shown}"
    );
    Ok(())
}

/// n1, which was dead, joins the cluster with what it knew then: what it did there is
/// over to it too, and it does something new.
fn is_put_to_use_again(cluster: &mut Cluster<'_>, run: &str) -> Result<()> {
    cluster.boot(&[1])?;
    let old = format!("/own/longhaul/state/attempts/{run}#1");
    cluster.run(1, &format!("[ -e '{old}' ]"))?;
    house::start_service(cluster, 1)?;
    cluster.wait_until_online(&NODES)?;
    house::own_job(cluster, "own", 1, 1)?;
    let own = house::json(cluster, "job run own")?;
    let own = own["run"].as_str().context("a run")?;
    let shown = house::is_done(cluster, own)?;
    let attempts = shown["attempts"].as_array().context("attempts")?;
    ensure!(
        attempts.len() == 1 && attempts[0]["row"]["node"] == "n1",
        "{shown}"
    );
    within(PATIENCE, "n1 knows that it is over", || {
        let said = cluster.run(1, &format!("[ -e '{old}' ] || echo over"))?;
        Ok(said.contains("over").then_some(()))
    })?;
    within(PATIENCE, "the coordinator knows that it is back", || {
        let told = house::ask(cluster, "failover show n1")?;
        Ok(told.contains("it was there again").then_some(()))
    })
}

#[test]
fn r2b_r2c_r3_r4_r5_r6_r7_r8_r13_r14_r20_r21_r22_r23_r24_the_node_of_all_dies() -> Result<()> {
    let name = "r2b_r2c_r3_r4_r5_r6_r7_r8_r13_r14_r20_r21_r22_r23_r24_the_node_of_all_dies";
    let parts = plain(Kernel::chosen());
    all_on_one_node(name, &parts, Fabric::Iscsi)
}

#[test]
fn r2b_r7_r13_r14_r24_the_node_of_all_dies_where_tapes_are_on_fibre_channel() -> Result<()> {
    let name = "r2b_r7_r13_r14_r24_the_node_of_all_dies_where_tapes_are_on_fibre_channel";
    let kernel = Kernel::chosen();
    let parts = [Part::Kernel(kernel), Part::Root, Part::Fcoe(kernel)];
    all_on_one_node(name, &parts, Fabric::FibreChannel)
}
