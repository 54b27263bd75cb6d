//! kill -9, of everybody in turn.

use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::cluster::{Cluster, Plan, cluster};
use longhaul_hwtests::daemon::children;
use longhaul_hwtests::moments::Moments;
use longhaul_hwtests::shown::Shown;
use longhaul_hwtests::until::until;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::elsewhere::by_its_journal;

/// Bytes of the source behind which something happens.
const MIDDLE: u64 = 6_000_000;
const SEED: u64 = 6;
/// Kills of the coordinator in one run.
const KILLS: usize = 6;

/// A file that is safe already is away while the run goes on, so it cannot be
/// read again.
struct Away {
    modified: SystemTime,
}

impl Away {
    fn begin(cluster: &Cluster) -> Result<Away> {
        let folder = cluster.tree().join("0");
        let modified = fs::metadata(&folder)?.modified()?;
        fs::rename(folder.join("first"), cluster.join("away"))?;
        Ok(Away { modified })
    }

    fn end(self, cluster: &Cluster) -> Result<()> {
        let folder = cluster.tree().join("0");
        fs::rename(cluster.join("away"), folder.join("first"))?;
        Ok(File::open(&folder)?.set_modified(self.modified)?)
    }
}

/// Of a run whose first attempt had reached this: the second one has gone on
/// from there, on this node, and done it.
fn gone_on(before: &Shown, after: &Shown, node: &str) -> Result<()> {
    ensure!(after.attempts.len() == 2, "two attempts: {after:#?}");
    let safe = before.attempts[0]["point"]["bytes"].as_u64();
    let known = after.attempts[0]["point"]["bytes"].as_u64();
    ensure!(safe.is_some() && known >= safe, "{safe:?}, then {known:?}");
    let second = &after.attempts[1];
    ensure!(second["resumes"] == 1 && second["node"] == node, "{second}");
    Ok(())
}

#[test]
fn r24_a_killed_attempt_is_followed_by_one_that_goes_on_from_its_checkpoint() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        let before = cluster.in_the_middle(&run, 1, MIDDLE)?;
        let away = Away::begin(cluster)?;
        kill_process(cluster.attempt_on("a")?, Signal::KILL)?;
        let shown = cluster.ends_with(&run, 0)?;
        away.end(cluster)?;
        shown.check()?;
        gone_on(&before, &shown, "a")?;
        by_its_journal(&cluster.log("a")?)?;
        cluster.restores(&shown)
    })
}

#[test]
fn r24_a_killed_service_is_started_again_and_its_run_goes_on() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        let before = cluster.in_the_middle(&run, 1, MIDDLE)?;
        let attempt = cluster.attempt_on("a")?;
        cluster.take_service("a")?.kill()?;
        let proc = format!("/proc/{}", attempt.as_raw_nonzero());
        until("the attempt has died with its service", || {
            Ok((!fs::exists(&proc)?).then_some(()))
        })?;
        cluster.start_service("a")?;
        let shown = cluster.is_done(&run)?;
        gone_on(&before, &shown, "a")
    })
}

#[test]
fn r3_a_killed_coordinator_finds_the_run_under_way_and_hears_its_end() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        cluster.in_the_middle(&run, 1, MIDDLE)?;
        let attempt = cluster.attempt_on("a")?;
        cluster.take_coordinator()?.kill()?;
        // It goes on with nobody there.
        let cartridge = cluster.cartridge("LH0001");
        let size = || -> Result<u64> {
            use std::os::unix::fs::MetadataExt;
            Ok(fs::metadata(&cartridge)?.blocks())
        };
        let then = size()?;
        until("more is written", || {
            // Or it has come to its end: the kill may have been late.
            let is_over = !Path::new(&format!("/proc/{attempt}")).exists();
            Ok((is_over || size()? > then + 2_000).then_some(()))
        })?;
        cluster.start_coordinator()?;
        if let Ok(now) = cluster.attempt_on("a") {
            ensure!(now == attempt, "it is begun again");
        }
        let shown = cluster.is_done(&run)?;
        shown.only()?;
        Ok(())
    })
}

#[test]
fn r3_an_end_that_no_coordinator_was_there_to_hear_is_heard_by_the_next() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        cluster.in_the_middle(&run, 1, 1)?;
        cluster.take_coordinator()?.kill()?;
        let row = format!("nodes/a/state/attempts/{run}#1/attempt.json");
        let row = cluster.join(row);
        until(
            "the attempt has ended, and its service has written it down",
            || {
                let row: Value = serde_json::from_slice(&fs::read(&row)?)?;
                Ok(row["stage"]["ended"].is_object().then_some(()))
            },
        )?;
        // Nor was the service there all the time.
        cluster.take_service("a")?.kill()?;
        cluster.start_service("a")?;
        cluster.start_coordinator()?;
        let shown = cluster.is_done(&run)?;
        shown.only()?;
        Ok(())
    })
}

#[test]
fn a_coordinator_is_killed_at_any_moment_of_a_run_and_nothing_is_begun_twice() -> Result<()> {
    let mut moments = Moments::of(SEED);
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        for _ in 0..KILLS {
            thread::sleep(moments.within(Duration::from_millis(800)));
            cluster.take_coordinator()?.kill()?;
            cluster.start_coordinator()?;
        }
        let shown = cluster.is_done(&run)?;
        shown.only()?;
        let epoch = cluster.ask(&["status"])?["epoch"].as_u64();
        ensure!(epoch == Some(KILLS as u64 + 1), "epoch {epoch:?}");
        Ok(())
    })
}

#[test]
fn whoever_is_killed_at_any_moment_the_run_is_done_in_the_end() -> Result<()> {
    let mut moments = Moments::of(SEED + 1);
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({ "retries": 20 }))?;
        let run = cluster.begin("docs")?;
        for round in 0..4 {
            thread::sleep(moments.within(Duration::from_millis(1_500)));
            match round % 3 {
                0 => {
                    // There may be none at the moment.
                    let service = cluster.service("a")?.pid();
                    for attempt in children(service)? {
                        let _ = kill_process(attempt, Signal::KILL);
                    }
                }
                1 => {
                    cluster.take_service("a")?.kill()?;
                    cluster.start_service("a")?;
                }
                _ => {
                    cluster.take_coordinator()?.kill()?;
                    cluster.start_coordinator()?;
                }
            }
        }
        let shown = cluster.is_done(&run)?;
        shown.attempts.last().context("an attempt")?;
        Ok(())
    })
}
