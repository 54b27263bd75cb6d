//! Backups of an application that is moved, by an administrator's word or since the
//! whole house went dark.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::{NODES, PATIENCE};
use longhaul_hwtests::rig::{Cluster, Trial};
use longhaul_hwtests::until::within;
use serde_json::Value;

use crate::application::{APPLICATION, is_mounted, runs};
use crate::house::{self, GROUP};
use crate::lan::Lan;
use crate::said_dead::slow_down;

/// By an administrator's word, and by a node's standing by.
pub fn by_word(cluster: &mut Cluster<'_>, trial: &Trial) -> Result<()> {
    // A node that is to stand by has the coordinator too.
    cluster.run(1, &format!("crm resource move {GROUP} n2 force"))?;
    house::coordinator(cluster, Some(2))?;
    cluster.run(1, &format!("crm resource clear {GROUP}"))?;
    let lan = Lan::from_now(cluster)?;
    let (run, node) = house::begin(cluster)?;
    ensure!(node == "n1", "it runs on {node}");
    slow_down(cluster, &node)?;
    cluster.run(2, &format!("crm resource move {APPLICATION} n2 force"))?;
    runs(cluster, Some(2))?;
    trial.say("moved to n2");
    ensure!(!is_mounted(cluster, 1)?, "n1 still has it");
    went_along(cluster, &run, "n2")?;
    trial.say("the run is done");
    let sent = lan.had_no_data(cluster)?;
    trial.figure(&format!("{sent} bytes over the LAN"));
    cluster.run(2, &format!("crm resource clear {APPLICATION}"))?;

    let (run, node) = house::begin(cluster)?;
    ensure!(node == "n2", "it runs on {node}");
    slow_down(cluster, &node)?;
    cluster.run(2, "crm node standby n2")?;
    let third = within(PATIENCE, "it leaves a node in standby", || {
        let third = runs(cluster, None)?;
        Ok((third != 2).then_some(third))
    })?;
    ensure!(house::coordinator(cluster, None)? != 2);
    trial.say("n2 is in standby");
    went_along(cluster, &run, &format!("n{third}"))?;
    trial.say("the run is done");
    cluster.run(2, "crm node online n2")?;
    let asked = cluster.fencing().asked();
    ensure!(asked.is_empty(), "somebody was fenced: {asked:?}");
    Ok(())
}

/// All nodes lose their power in the middle of a backup, and boot again.
pub fn in_the_dark(cluster: &mut Cluster<'_>, trial: &Trial) -> Result<()> {
    let (run, _) = house::begin(cluster)?;
    for node in NODES {
        cluster.cut_power(node)?;
    }
    trial.say("nobody has power");
    house::rejoin(cluster, &NODES)?;
    trial.say("all have joined again");
    goes_on(cluster, &run)?;
    trial.say("the run is done");
    let on = runs(cluster, None)?;
    house::restores(cluster, on)
}

/// The run went on from its checkpoint, on this node. Before the cluster says that the
/// application moves, it may have been tried where it was, in vain.
fn went_along(cluster: &mut Cluster<'_>, run: &str, to: &str) -> Result<()> {
    let shown = house::is_done(cluster, run)?;
    let attempts = shown["attempts"].as_array().context("attempts")?;
    let [newest, between @ .., first] = &attempts[..] else {
        anyhow::bail!("two attempts or more: {shown}");
    };
    let (newest, first) = (&newest["row"], &first["row"]);
    let is_refused = |one: &Value| one["row"]["ended"]["left_off"] == true;
    let is_in_vain = |one: &Value| is_refused(one) && one["row"]["ended"]["wrote_nothing"] == true;
    ensure!(between.iter().all(is_in_vain), "{shown}");
    ensure!(newest["resumes"] == 1 && newest["node"] == to, "{shown}");
    // Nobody had to kill it.
    let why = first["ended"]["error"].as_str().context("an error")?;
    ensure!(why.contains("interrupted"), "{first}");
    Ok(())
}

/// The run is done in the end, from a checkpoint of what was broken off: its first
/// attempt.
pub fn goes_on(cluster: &mut Cluster<'_>, run: &str) -> Result<Value> {
    let shown = house::is_done(cluster, run)?;
    let attempts = shown["attempts"].as_array().context("attempts")?;
    let resumes = &attempts[0]["row"]["resumes"];
    ensure!(attempts.len() > 1 && resumes.is_u64(), "{shown}");
    Ok(attempts[attempts.len() - 1]["row"].clone())
}
