//! SIGTERM: an orderly end.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use longhaul_hwtests::cluster::{Plan, cluster};
use longhaul_hwtests::until::PATIENCE;
use serde_json::json;

const MIDDLE: u64 = 6_000_000;

#[test]
fn a_service_that_is_told_to_end_takes_its_attempt_to_a_checkpoint_first() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        let before = cluster.in_the_middle(&run, 1, MIDDLE)?;
        let status = cluster.take_service("a")?.end(PATIENCE)?;
        ensure!(status.success(), "it ended with {status}");
        // All is known already: nobody has to wait for the service's next start.
        let between = cluster.shown(&run)?;
        let first = &between.attempts[0];
        ensure!(first["ended"]["exit"] == 6, "{first}");
        let (old, new) = (&before.attempts[0]["point"], &first["point"]);
        ensure!(new["bytes"].as_u64() > old["bytes"].as_u64(), "{new}");
        cluster.start_service("a")?;
        let shown = cluster.is_done(&run)?;
        ensure!(shown.attempts.len() == 2, "{shown:#?}");
        ensure!(shown.attempts[0] == *first, "{shown:#?}");
        Ok(())
    })
}

#[test]
fn a_coordinator_that_is_told_to_end_waits_for_no_mover() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        cluster.in_the_middle(&run, 1, MIDDLE)?;
        let attempt = cluster.attempt_on("a")?;
        let begun = Instant::now();
        let status = cluster.take_coordinator()?.end(PATIENCE)?;
        ensure!(status.success(), "it ended with {status}");
        let took = begun.elapsed();
        ensure!(took < Duration::from_secs(10), "it took {took:?}");
        ensure!(cluster.attempt_on("a")? == attempt, "the attempt goes on");
        cluster.start_coordinator()?;
        cluster.is_done(&run)?.only()?;
        Ok(())
    })
}

#[test]
fn a_run_that_is_stopped_has_a_checkpoint_and_is_gone_on_with_when_that_is_wanted() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        cluster.in_the_middle(&run, 1, MIDDLE)?;
        cluster.control(&["run", "stop", &run])?.expect_success()?;
        let stopped = cluster.ends_with(&run, 6)?;
        ensure!(stopped.only()?["ended"]["exit"] == 6, "{stopped:#?}");
        cluster
            .control(&["run", "resume", &run])?
            .expect_success()?;
        let shown = cluster.is_done(&run)?;
        ensure!(shown.attempts.len() == 2, "{shown:#?}");
        Ok(())
    })
}
