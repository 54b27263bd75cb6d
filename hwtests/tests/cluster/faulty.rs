//! Cartridges and drives that are bad.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::cluster::{Cluster, Plan, cluster};
use longhaul_hwtests::compare::{below, expect_equal};
use longhaul_hwtests::shown::Shown;
use longhaul_hwtests::until::until;
use serde_json::{Value, json};

/// A write behind the middle fails, once: on this cartridge, in this drive.
const ONCE: &str = "[[fault]]\nblock = 150\nsense = { key = 3, asc = 0x0c, ascq = 0 }\n";

fn volume(cluster: &Cluster, name: &str) -> Result<Value> {
    Ok(cluster.ask(&["volume", "show", name])?["row"].take())
}

fn drive(cluster: &Cluster, number: usize) -> Result<Value> {
    let serial = cluster.serials()[number].clone();
    Ok(cluster.ask(&["drive", "show", &serial])?["row"].take())
}

/// The volumes on which a run's set lies.
fn parts(shown: &Shown) -> Result<Vec<&str>> {
    let last = shown.attempts.last().context("an attempt")?;
    let parts = last["ended"]["set"]["parts"].as_array().context("parts")?;
    Ok(parts
        .iter()
        .filter_map(|part| part["volume"].as_str())
        .collect())
}

#[test]
fn r24_a_set_whose_cartridge_is_bad_goes_on_on_another_and_no_drive_is_blamed() -> Result<()> {
    let plan = Plan {
        faults: [ONCE, ONCE],
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        let shown = cluster.is_done(&run)?;
        let [first, second, third] = &shown.attempts[..] else {
            anyhow::bail!("three attempts: {shown:#?}");
        };
        // The same cartridge, elsewhere; then another, from where it was safe.
        ensure!(first["volumes"] == second["volumes"], "{shown:#?}");
        ensure!(first["drive"] != second["drive"], "{shown:#?}");
        let bad = first["volumes"][0].as_str().context("a volume")?;
        let lies_on = parts(&shown)?;
        ensure!(lies_on.len() == 2 && lies_on[0] == bad, "{third}");
        for number in 0..2 {
            let row = drive(cluster, number)?;
            ensure!(row["trouble"].is_null() && row["doubt"].is_null(), "{row}");
        }
        let rows = [volume(cluster, "LH0001")?, volume(cluster, "LH0002")?];
        for row in rows {
            let why = row["closed"].as_str().unwrap_or_default();
            let is_closed = why.starts_with("twice, on ") && why.contains("MEDIUM ERROR");
            ensure!(is_closed == (row["uuid"] == *bad), "{row}");
        }
        Ok(())
    })
}

/// The first drive raises an alert in the middle of a backup, which is done all the
/// same.
fn alerted(alert: &'static str, look: impl FnOnce(&Cluster, &Shown) -> Result<()>) -> Result<()> {
    let plan = Plan {
        files: 3,
        faults: [alert, ""],
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let shown = cluster.is_done(&cluster.begin("docs")?)?;
        look(cluster, &shown)
    })
}

#[test]
fn a_drive_that_asks_for_help_by_a_tapealert_is_not_used_again() -> Result<()> {
    let alert = "[[fault]]\nopcode = \"WRITE(6)\"\nnth = 40\nalert = 30\n";
    alerted(alert, |cluster, shown| {
        // The set is whole.
        let first = shown.only()?;
        ensure!(first["drive"] == cluster.serials()[0], "{first}");
        let alerts = first["ended"]["alerts"].as_array().context("alerts")?;
        let hardware = |alert: &Value| {
            alert
                .as_str()
                .is_some_and(|alert| alert.contains("hardware A"))
        };
        ensure!(alerts.iter().any(hardware), "{first}");
        let row = drive(cluster, 0)?;
        let trouble = row["trouble"].as_str().unwrap_or_default();
        ensure!(trouble.contains("TapeAlert 30"), "{row}");
        let listed = cluster.control(&["drive", "list"])?.expect_success()?;
        ensure!(
            listed.text().contains("in trouble: TapeAlert 30"),
            "{}",
            listed.text()
        );
        let shown = cluster.is_done(&cluster.begin("docs")?)?;
        ensure!(shown.only()?["drive"] == cluster.serials()[1], "{shown:#?}");
        Ok(())
    })
}

#[test]
fn a_cartridge_that_is_worn_out_is_closed_and_its_drive_goes_on() -> Result<()> {
    let alert = "[[fault]]\nopcode = \"WRITE(6)\"\nnth = 40\nalert = 7\n";
    alerted(alert, |cluster, shown| {
        let worn = shown.only()?["volumes"][0].clone();
        let closed = [volume(cluster, "LH0001")?, volume(cluster, "LH0002")?];
        let closed: Vec<&Value> = closed
            .iter()
            .filter(|row| row["closed"].is_string())
            .collect();
        let [row] = closed[..] else {
            anyhow::bail!("one of two: {closed:?}");
        };
        ensure!(row["uuid"] == worn, "{row}");
        ensure!(
            row["closed"]
                .as_str()
                .is_some_and(|why| why.contains("medium life")),
            "{row}"
        );
        ensure!(drive(cluster, 0)?["trouble"].is_null());
        let shown = cluster.is_done(&cluster.begin("docs")?)?;
        let second = shown.only()?;
        ensure!(
            second["volumes"][0] != worn && second["drive"] == cluster.serials()[0],
            "{second}"
        );
        Ok(())
    })
}

#[test]
fn r9_r24_checkpoints_behind_a_closed_cartridge_are_gone_on_from() -> Result<()> {
    let plan = Plan {
        faults: [ONCE, ONCE],
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        until("the third attempt is under way", || {
            Ok((cluster.shown(&run)?.attempts.len() == 3).then_some(()))
        })?;
        let shown = cluster.in_the_middle(&run, 3, 1)?;
        let bad = &shown.attempts[0]["volumes"][0];
        let point = &shown.attempts[2]["point"];
        ensure!(point["volume"] != *bad, "{point}");
        cluster.take_service("a")?.kill()?;
        cluster.start_service("a")?;
        let shown = cluster.is_done(&run)?;
        let [.., last] = &shown.attempts[..] else {
            anyhow::bail!("four attempts: {shown:#?}");
        };
        ensure!(
            shown.attempts.len() == 4 && last["resumes"] == 3,
            "{shown:#?}"
        );
        ensure!(parts(&shown)?.len() == 2, "{last}");
        Ok(())
    })
}

#[test]
fn a_next_volume_that_is_not_there_is_passed_by_and_no_other_is_blamed() -> Result<()> {
    let plan = Plan {
        capacity: "16MiB",
        files: 22,
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        cluster.in_the_middle(&run, 1, 1_000_000)?;
        // The first to be taken next.
        let gone = "00000000-0000-4000-8000-000000000001";
        let add = ["volume", "add", "LH0099", "--uuid", gone, "--pool", "daily"];
        cluster.control(&add)?.expect_success()?;
        let shown = cluster.is_done(&run)?;
        let tried: Vec<&Value> = shown.attempts.iter().map(|one| &one["volumes"]).collect();
        ensure!(tried.len() == 3 && tried[1][1] == gone, "{tried:?}");
        ensure!(
            shown.attempts[1]["ended"]["faults"][0]["absent"][0] == gone,
            "{shown:#?}"
        );
        for (name, is_absent) in [("LH0001", false), ("LH0002", false), ("LH0099", true)] {
            let row = volume(cluster, name)?;
            ensure!(row["absent"].is_string() == is_absent, "{row}");
        }
        Ok(())
    })
}

#[test]
fn without_a_changer_the_next_volume_is_asked_of_an_operator_who_brings_it() -> Result<()> {
    let plan = Plan {
        capacity: "16MiB",
        files: 22,
        by_hand: true,
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        let serial = cluster.serials()[0].clone();
        let more = json!({ "drive": {"serial": serial} });
        cluster.job("docs", "a", more)?;
        cluster.tapelib(&["load", "LH0001", "--drive", &serial])?;
        let run = cluster.begin("docs")?;
        // One of both is in the drive: which is the coordinator's choice.
        let shown = cluster.ends_with(&run, 7)?;
        let words = shown.status["words"].as_str().unwrap_or_default();
        ensure!(words.contains("is needed in"), "{words}");
        for name in ["LH0001", "LH0002"] {
            let row = volume(cluster, name)?;
            ensure!(row["closed"].is_null() || row["closed"] == "full", "{row}");
        }
        cluster.tapelib(&["unload", "LH0001"])?;
        cluster.tapelib(&["load", "LH0002", "--drive", &serial])?;
        cluster
            .control(&["run", "resume", &run])?
            .expect_success()?;
        let shown = cluster.ends_with(&run, 0)?;
        ensure!(parts(&shown)?.len() == 2, "{shown:#?}");
        cluster.tapelib(&["unload", "LH0002"])?;
        cluster.restores(&shown)
    })
}

#[test]
fn a_cartridge_that_is_labelled_anew_under_its_name_is_in_the_catalog_with_its_new_sets()
-> Result<()> {
    let plan = Plan {
        files: 2,
        volumes: &["LH0001"],
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({}))?;
        cluster.is_done(&cluster.begin("docs")?)?;
        let serial = cluster.serials()[0].clone();
        let label = [
            "volume",
            "label",
            "LH0001",
            "--barcode",
            "LH0001L9",
            "--pool",
            "daily",
        ];
        let on = ["--node", "a", "--drive", &serial, "--overwrite", "LH0001"];
        cluster
            .control(&[&label[..], &on].concat())?
            .expect_success()?;
        let shown = cluster.ends_with(&cluster.begin("docs")?, 0)?;
        let new = &shown.only()?["ended"]["set"]["uuid"];
        let sets = cluster.ask(&["set", "list", "--job", "docs"])?;
        let sets = sets.to_string();
        ensure!(
            sets.contains(new.as_str().context("an identity")?),
            "{sets}"
        );
        let to = cluster.join("again");
        let restore = ["restore", "--job", "docs", "--wait", "--to"];
        cluster
            .control(&[&restore[..], &[to.to_str().context("UTF-8")?]].concat())?
            .expect_success()?;
        expect_equal(&cluster.tree(), &below(&to, &cluster.tree())?)
    })
}
