//! Nodes that do not reach all drives.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::PATIENCE;
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Kernel, trial};
use longhaul_hwtests::until::within;
use serde_json::{Value, json};

use crate::application::APPLICATION;
use crate::{failure, house};

/// The only drive that each node reaches: the others are gone from its kernel.
fn leave(cluster: &mut Cluster<'_>, only: &[(u8, &String)], drives: &[String]) -> Result<()> {
    for (node, kept) in only {
        for gone in drives.iter().filter(|drive| drive != kept) {
            let script = format!(
                "for sg in /sys/class/scsi_generic/*; do
                     ! grep -aqs {gone} $sg/device/vpd_pg80 || echo 1 >$sg/device/delete
                 done"
            );
            cluster.run(*node, &script)?;
        }
    }
    within(PATIENCE, "each node reaches one drive", || {
        let rows = house::json(cluster, "node list")?;
        let rows = rows.as_array().context("a list")?.clone();
        let is_so = |(node, kept): &(u8, &String)| {
            let key = format!("n{node}");
            let row = rows.iter().find(|row| row["key"] == *key);
            row.is_some_and(|row| row["row"]["reaches"] == json!([kept]))
        };
        Ok(only.iter().all(is_so).then_some(()))
    })
}

#[test]
fn r24_the_volume_is_brought_out_of_a_drive_that_the_new_node_does_not_reach() -> Result<()> {
    let name = "r24_the_volume_is_brought_out_of_a_drive_that_the_new_node_does_not_reach";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut cluster = house::start(trial, 3)?;
        let drives = house::drives(&mut cluster)?;
        let (first, second) = (&drives[0], &drives[1]);
        leave(
            &mut cluster,
            &[(1, first), (2, second), (3, first)],
            &drives,
        )?;
        cluster.configure(&format!("location not-on-n3 {APPLICATION} -inf: n3"))?;
        trial.say("n2 reaches another drive than n1 and n3");
        // The other volume is in the second drive: n1 could not have it.
        house::ask(&mut cluster, "volume close LH0002 --why spare")?;
        let (run, node) = house::begin(&mut cluster)?;
        ensure!(node == "n1", "it runs on {node}");
        house::is_fenced(&mut cluster, 1)?;
        trial.say("n1 was fenced");

        let shown = house::is_done(&mut cluster, &run)?;
        trial.say("the run is done");
        let attempts = shown["attempts"].as_array().context("attempts")?;
        let rows: Vec<&Value> = attempts.iter().map(|attempt| &attempt["row"]).collect();
        let [last, refused, began] = rows[..] else {
            anyhow::bail!("three attempts: {shown}");
        };
        ensure!(began["node"] == "n1" && began["drive"] == *first, "{shown}");
        ensure!(
            refused["ended"]["faults"][0]["elsewhere"][1] == *first,
            "{shown}"
        );
        ensure!(last["node"] == "n2" && last["drive"] == *second, "{shown}");
        ensure!(last["resumes"] == 1, "{shown}");
        let unloads = house::json(&mut cluster, "run list --job unload")?;
        let unload = unloads[0]["key"].as_str().context("a run")?.to_owned();
        let unload = house::show(&mut cluster, &unload)?;
        let unloaded = &unload["attempts"][0]["row"];
        ensure!(
            unloaded["node"] == "n3" && unloaded["drive"] == *first,
            "{unload}"
        );
        ensure!(unloaded["preempts"][0] == began["token"], "{unload}");
        let told = failure::told(&mut cluster, trial, 1)?;
        let words = [
            format!("{run}#2 has written nothing: "),
            format!("{run}#3 has its first checkpoint"),
        ];
        failure::contains(&told, &words)?;
        house::restores(&mut cluster, 2)
    })
}
