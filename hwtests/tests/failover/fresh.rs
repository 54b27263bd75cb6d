//! Runs that begin anew on another node: by their policy, and since they have to.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::PATIENCE;
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Kernel, Mode, trial};
use serde_json::Value;

use crate::application::{is_mounted, runs};
use crate::said_dead::slow_down;
use crate::{failure, house};

/// What is on a cartridge when it is damaged, in bytes of the archive, at least.
const MIDDLE: u64 = 10_000_000;

/// The volume on which a run has written that much: its name.
fn in_the_middle(cluster: &mut Cluster<'_>, run: &str) -> Result<String> {
    house::has_written(cluster, run, MIDDLE)?;
    let shown = house::show(cluster, run)?;
    let volume = &shown["attempts"][0]["row"]["point"]["volume"];
    let list = house::json(cluster, "volume list")?;
    let rows = list.as_array().context("a list")?;
    let row = rows.iter().find(|row| row["row"]["uuid"] == *volume);
    let name = row.and_then(|row| row["row"]["name"].as_str());
    let name = name.map(str::to_owned);
    name.with_context(|| format!("no {volume} in {list}"))
}

/// Damages all that a cartridge holds behind its label and the head of its first set:
/// a byte in each 4 KiB, and each block has a checksum.
fn damage(cluster: &mut Cluster<'_>, volume: &str) -> Result<()> {
    let script = format!(
        "python3 - /tmp/library/cartridges/{volume}L9.vtape <<'END'
import sys
with open(sys.argv[1], 'r+b') as tape:
    for at in range(1 << 20, tape.seek(0, 2), 4096):
        tape.seek(at)
        byte = tape.read(1)[0]
        tape.seek(at)
        tape.write(bytes([byte ^ 255]))
END"
    );
    cluster.san().host().run(&script)?;
    Ok(())
}

#[test]
fn r25_runs_of_a_dead_node_begin_anew_by_policy_and_where_the_medium_is_damaged() -> Result<()> {
    let name = "r25_runs_of_a_dead_node_begin_anew_by_policy_and_where_the_medium_is_damaged";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut cluster = house::start(trial, 3)?;
        let drive = house::drives(&mut cluster)?.remove(0);
        cluster.run(2, &house::label_command("LH0003", 2, &drive))?;
        house::follow(&mut cluster, "anew", "--restart fresh")?;
        let (run, node) = house::begin(&mut cluster)?;
        let (fresh, other) = house::begin_job(&mut cluster, "anew")?;
        slow_down(&mut cluster, "n1")?;
        ensure!((&*node, &*other) == ("n1", "n1"), "on {node} and {other}");
        let volume = in_the_middle(&mut cluster, &run)?;
        in_the_middle(&mut cluster, &fresh)?;
        trial.say("both are in the middle");

        // While nobody knows whether n1 is dead, nothing goes on.
        cluster.fencing().set_mode(Mode::Wait);
        cluster.cut_power(1)?;
        cluster.fencing().wait_until_asked(1, 0, PATIENCE)?;
        damage(&mut cluster, &volume)?;
        trial.say("the medium is damaged");
        for node in [2, 3] {
            ensure!(!is_mounted(&mut cluster, node)?, "n{node} took it");
        }
        cluster.fencing().set_mode(Mode::Kill);

        let shown = house::is_done(&mut cluster, &run)?;
        trial.say("the run is done");
        let rows = attempts(&shown)?;
        let [anew, between @ .., first] = &rows[..] else {
            anyhow::bail!("two attempts or more: {shown}");
        };
        ensure!(first["node"] == "n1" && anew["node"] != "n1", "{shown}");
        ensure!(
            between.iter().all(|row| row["resumes"] == 1)
                && between.iter().any(|row| row["ended"]["damaged"] == true),
            "{shown}"
        );
        ensure!(anew["resumes"].is_null(), "{shown}");
        ensure!(anew["volumes"][0] != first["volumes"][0], "{shown}");

        let by_policy = house::is_done(&mut cluster, &fresh)?;
        let [anew, first] = attempts(&by_policy)?[..] else {
            anyhow::bail!("two attempts: {by_policy}");
        };
        ensure!(
            first["node"] == "n1" && first["point"]["bytes"].as_u64() > Some(MIDDLE),
            "{by_policy}"
        );
        // It lies behind what the first one wrote, which is closed.
        let part = &anew["ended"]["set"]["parts"][0];
        ensure!(
            anew["node"] != "n1"
                && part["volume"] == first["point"]["volume"]
                && part["first_block"].as_u64() > first["point"]["block"].as_u64(),
            "{by_policy}"
        );
        ensure!(anew["preempts"][0] == first["token"], "{by_policy}");
        let told = failure::told(&mut cluster, trial, 1)?;
        let number = between.len() + 2;
        let words = [
            format!("{run}#2 has written nothing: "),
            format!("{run}#{number} has its first checkpoint"),
            "it begins afresh, as its job says".to_owned(),
        ];
        failure::contains(&told, &words)?;
        let on = runs(&mut cluster, None)?;
        house::restores_job(&mut cluster, "anew", on)?;
        house::restores(&mut cluster, on)
    })
}

/// The attempts of a run, the newest first.
fn attempts(shown: &Value) -> Result<Vec<&Value>> {
    let attempts = shown["attempts"].as_array().context("attempts")?;
    Ok(attempts.iter().map(|attempt| &attempt["row"]).collect())
}
