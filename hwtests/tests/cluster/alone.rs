//! Backups that begin while no coordinator is there.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::cluster::{Cluster, Plan, cluster};
use longhaul_hwtests::daemon::children;
use longhaul_hwtests::until::{until, within};
use serde_json::{Value, json};

/// A minute that has so much left, in seconds, is long enough to prepare for the
/// next one.
const LEFT_S: u64 = 15;
/// So soon it is due, and a coordinator is waited for.
const DUE: Duration = Duration::from_secs(60 + 30 + 20);
const ENDING: Duration = Duration::from_secs(60);

/// What a service was given to begin by itself.
fn given(cluster: &Cluster, node: &str) -> Result<Vec<Value>> {
    let seen = cluster.join(format!("nodes/{node}/state/seen.json"));
    let seen: Value = match fs::read(seen) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => return Ok(Vec::new()),
    };
    let occurrences = seen["occurrences"].as_array();
    Ok(occurrences.cloned().unwrap_or_default())
}

/// The next minute, and no other one of the day, as a cron expression: one that
/// does not begin at once.
fn next_minute() -> Result<String> {
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let left = 60 - clock()?.as_secs() % 60;
    if left < LEFT_S {
        sleep(Duration::from_secs(left));
    }
    let minute = clock()?.as_secs() / 60 + 1;
    Ok(format!("{} {} * * *", minute % 60, minute / 60 % 24))
}

#[test]
fn r11_services_begin_what_is_due_while_no_coordinator_is_there_and_tell_it_later() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        let [first, second] = &cluster.serials()[..] else {
            anyhow::bail!("two drives");
        };
        cluster.job("here", "a", json!({ "drive": {"serial": first} }))?;
        // This one is still under way when the coordinator is back.
        let slowly = json!({ "before": {"command": "sleep 15"} });
        let there = json!({ "drive": {"serial": second}, "work": slowly });
        cluster.job("there", "b", there)?;
        let when = next_minute()?;
        for job in ["here", "there"] {
            let add = ["schedule", "add", job, "--job", job, "--cron", &when];
            cluster.control(&add)?.expect_success()?;
        }
        let volumes = until("both are given", || {
            let given = [given(cluster, "a")?, given(cluster, "b")?];
            let volume = |given: &[Value]| given.first().map(|one| one["volumes"].clone());
            Ok(volume(&given[0]).zip(volume(&given[1])))
        })?;
        ensure!(volumes.0 != volumes.1, "one volume in two drives");
        cluster.take_coordinator()?.kill()?;

        for node in ["a", "b"] {
            within(DUE, "it begins by itself", || {
                let said = cluster.service(node)?.said();
                Ok(said.contains("begins without an order").then_some(()))
            })?;
        }
        within(ENDING, "the first one ends", || {
            let processes = children(cluster.service("a")?.pid())?;
            Ok(processes.is_empty().then_some(()))
        })?;
        within(DUE, "the other one has begun", || {
            let processes = children(cluster.service("b")?.pid())?;
            Ok((!processes.is_empty()).then_some(()))
        })?;
        cluster.start_coordinator()?;
        let due = |run: &str| run.rsplit('@').next().map(str::to_owned);
        let mut dues = Vec::new();
        for job in ["here", "there"] {
            let run = until("its run is known", || {
                let runs = cluster.ask(&["run", "list", "--job", job])?;
                Ok(runs[0]["key"].as_str().map(str::to_owned))
            })?;
            cluster.is_done(&run)?.only()?;
            dues.push(due(&run).context("a time")?);
        }
        ensure!(dues[0] == dues[1], "{dues:?}");
        Ok(())
    })
}
