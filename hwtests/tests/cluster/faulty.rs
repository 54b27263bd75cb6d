//! Cartridges and drives that are bad.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::cluster::{Cluster, Plan, Shown, cluster};
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

#[test]
fn a_drive_that_asks_for_help_by_a_tapealert_is_not_used_again() -> Result<()> {
    let plan = Plan {
        files: 3,
        faults: [
            "[[fault]]\nopcode = \"WRITE(6)\"\nnth = 40\nalert = 30\n",
            "",
        ],
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let shown = cluster.is_done(&cluster.begin("docs")?)?;
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
    let plan = Plan {
        files: 3,
        faults: [
            "[[fault]]\nopcode = \"WRITE(6)\"\nnth = 40\nalert = 7\n",
            "",
        ],
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let shown = cluster.is_done(&cluster.begin("docs")?)?;
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
