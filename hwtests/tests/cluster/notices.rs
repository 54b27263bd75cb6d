//! What people are told, by a command of theirs.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::cluster::{Cluster, Plan, cluster};
use longhaul_hwtests::program::run;
use longhaul_hwtests::until::{PATIENCE, until};
use serde_json::{Value, json};

use crate::elsewhere::moved;

const MIDDLE: u64 = 3_000_000;
/// A run has to wait so long until people are told.
const WAITS: Duration = Duration::from_secs(60);

/// From now on notices are lines of this file.
fn tell(cluster: &mut Cluster) -> Result<std::path::PathBuf> {
    let heard = cluster.join("heard");
    let file = cluster.join("control/coordinator.toml");
    let text = fs::read_to_string(&file)?;
    fs::write(
        &file,
        format!("notify = \"cat >> {}\"\n{text}", heard.display()),
    )?;
    away(cluster, |_| Ok(()))?;
    Ok(heard)
}

/// The coordinator ends, and comes back.
fn away(cluster: &mut Cluster, meanwhile: impl FnOnce(&Cluster) -> Result<()>) -> Result<()> {
    let status = cluster.take_coordinator()?.end(PATIENCE)?;
    ensure!(status.success(), "the coordinator ended with {status}");
    meanwhile(cluster)?;
    cluster.start_coordinator()
}

/// Notices by their kinds.
fn heard(file: &std::path::Path) -> Result<BTreeMap<String, Value>> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let notices = text.lines().map(|line| {
        let notice: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let kind = notice["notice"].as_str().context("a kind")?.to_owned();
        Ok((kind, notice))
    });
    notices.collect()
}

/// The last time of the schedule lies an hour back, as if the coordinator had been
/// away since.
fn an_hour_ago(cluster: &Cluster) -> Result<()> {
    let update = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
                  db.execute(\"UPDATE schedules SET body = json_set(body, '$.next', \
                  json_extract(body, '$.next') - 3600000)\"); db.commit()";
    let mut python = Command::new("python3");
    python
        .args(["-c", update])
        .arg(cluster.join("control/operations.db"));
    run(&mut python)?.expect_success()?;
    Ok(())
}

#[test]
fn o4_people_are_told_all_that_they_want_to_know() -> Result<()> {
    let broken = "[[fault]]\nopcode = \"WRITE(6)\"\nnth = 100\ntimes = 1000000\n\
                  sense = { key = 4, asc = 0x44, ascq = 0 }\n";
    let plan = Plan {
        faults: [broken, ""],
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        let file = tell(cluster)?;
        // Its volume is nowhere, so it is an operator's.
        let nowhere = ["volume", "add", "LH0099", "--uuid"];
        let uuid = ["01234567-89ab-7def-8123-456789abcdef", "--pool", "gone"];
        cluster
            .control(&[&nowhere[..], &uuid].concat())?
            .expect_success()?;
        cluster.job("held", "a", json!({ "volumes": "gone" }))?;
        cluster.ends_with(&cluster.begin("held")?, 7)?;
        cluster.job(
            "failing",
            "a",
            json!({ "work": {"paths": [cluster.join("none")]} }),
        )?;
        cluster.ends_with(&cluster.begin("failing")?, 2)?;
        // A drive breaks, and a node is lost.
        cluster.job("docs", "b", json!({}))?;
        let docs = cluster.begin("docs")?;
        until("it goes on on the other drive", || {
            Ok((cluster.shown(&docs)?.attempts.len() > 1).then_some(()))
        })?;
        cluster.in_the_middle(&docs, 2, MIDDLE)?;
        cluster.take_service("b")?.kill()?;
        moved(cluster, "b", "a")?;
        cluster.is_done(&docs)?;
        let paths = json!([cluster.tree(), cluster.join("none")]);
        cluster.job("damaged", "a", json!({ "work": {"paths": paths} }))?;
        cluster.ends_with(&cluster.begin("damaged")?, 1)?;
        let often = ["--cron", "30 * * * *", "--catch-up", "none"];
        let often = [
            &["schedule", "add", "often", "--job", "failing"],
            &often[..],
        ]
        .concat();
        cluster.control(&often)?.expect_success()?;
        away(cluster, an_hour_ago)?;
        cluster.job("waiting", "a", json!({ "volumes": "empty" }))?;
        let waiting = cluster.begin("waiting")?;
        sleep(WAITS);
        until("all is told", || {
            Ok((heard(&file)?.len() == 7).then_some(()))
        })
        .with_context(|| fs::read_to_string(&file).unwrap_or_default())?;
        cluster
            .control(&["run", "stop", &waiting])?
            .expect_success()?;
        let heard = heard(&file)?;
        let serial = &cluster.serials()[0];
        for (kind, of, why) in [
            ("held", ("run", "held"), "LH0099"),
            ("failed", ("run", "failing"), "none"),
            ("drive-down", ("drive", serial), "HARDWARE ERROR"),
            ("failover", ("node", "b"), "docs@"),
            ("damaged", ("run", "damaged"), "none"),
            ("missed", ("schedule", "often"), "1 times"),
            ("waits", ("run", "waiting"), "no volume is in pool empty"),
        ] {
            let notice = heard.get(kind).with_context(|| kind.to_owned())?;
            let text = notice["text"].as_str().unwrap_or_default();
            let what = notice[of.0].to_string();
            ensure!(what.contains(of.1) && text.contains(why), "{notice}");
        }
        Ok(())
    })
}

#[test]
fn people_are_told_of_a_path_that_breaks_and_the_run_goes_on_in_another_drive() -> Result<()> {
    let breaks = "[[fault]]\nopcode = \"WRITE(6)\"\nnth = 100\ntimes = 20\n\
                  transport = \"no-connect\"\n";
    let plan = Plan {
        faults: [breaks, ""],
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        let file = tell(cluster)?;
        cluster.job("docs", "a", json!({}))?;
        let shown = cluster.is_done(&cluster.begin("docs")?)?;
        let [first, second] = &shown.attempts[..] else {
            anyhow::bail!("two attempts: {shown:#?}");
        };
        let serials = cluster.serials();
        let [broken, other] = &serials[..] else {
            anyhow::bail!("two drives: {serials:?}");
        };
        ensure!(
            first["drive"] == *broken && first["ended"]["faults"][0]["path"].is_string(),
            "{first}"
        );
        ensure!(
            second["drive"] == *other && second["resumes"] == 1,
            "{second}"
        );
        let told = until("it is told", || Ok(heard(&file)?.remove("drive-down")))?;
        let why = told["why"].as_str().unwrap_or_default();
        ensure!(why.starts_with("node a cannot use it: "), "{told}");
        // Its service has looked since, and found the drive.
        until("it is used again", || {
            let row = cluster.ask(&["drive", "show", broken])?["row"].take();
            ensure!(row["trouble"].is_null(), "{row}");
            Ok((row["unusable"] == json!({})).then_some(()))
        })
    })
}
