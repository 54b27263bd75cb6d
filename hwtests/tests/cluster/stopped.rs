//! SIGSTOP: somebody seems dead, and is not.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use longhaul_hwtests::cluster::{Cluster, Plan, cluster};
use longhaul_hwtests::until::until;
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::elsewhere::moved;

const MIDDLE: u64 = 6_000_000;
/// Longer than a service may be silent.
const LONG: Duration = Duration::from_secs(5);

#[test]
fn an_attempt_that_is_stopped_for_a_while_is_still_the_only_one() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        cluster.in_the_middle(&run, 1, MIDDLE)?;
        let attempt = cluster.attempt_on("a")?;
        kill_process(attempt, Signal::STOP)?;
        thread::sleep(LONG);
        kill_process(attempt, Signal::CONT)?;
        cluster.is_done(&run)?.only()?;
        Ok(())
    })
}

#[test]
fn a_service_that_is_stopped_for_a_while_comes_back_and_its_attempt_was_not_disturbed() -> Result<()>
{
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        cluster.in_the_middle(&run, 1, MIDDLE)?;
        cluster.service("a")?.signal(Signal::STOP)?;
        until("it is taken for gone", || {
            let nodes = cluster.ask(&["status"])?;
            let is_there = &nodes["nodes"]["lines"][0]["is_connected"];
            Ok((*is_there == false).then_some(()))
        })?;
        cluster.service("a")?.signal(Signal::CONT)?;
        cluster.is_done(&run)?.only()?;
        Ok(())
    })
}

/// All of a node stands still, is declared dead, and wakes up when its run was
/// gone on with elsewhere.
fn wakes_up(drive: impl FnOnce(&Cluster) -> serde_json::Value) -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        let drive = drive(cluster);
        cluster.job("docs", "a", json!({ "drive": drive }))?;
        let run = cluster.begin("docs")?;
        cluster.in_the_middle(&run, 1, MIDDLE)?;
        let service = cluster.service("a")?.pid();
        let attempt = cluster.attempt_on("a")?;
        kill_process(service, Signal::STOP)?;
        kill_process(attempt, Signal::STOP)?;
        moved(cluster, "a", "b")?;
        let shown = cluster.is_done(&run)?;
        ensure!(shown.attempts.len() == 2, "{shown:#?}");
        ensure!(shown.attempts[1]["node"] == "b", "{shown:#?}");

        let tape = cluster.cartridge("LH0001");
        let before = fs::read(&tape)?;
        kill_process(attempt, Signal::CONT)?;
        let proc = format!("/proc/{}", attempt.as_raw_nonzero());
        until("the attempt ends by itself", || {
            let stat = fs::read_to_string(format!("{proc}/stat")).unwrap_or_default();
            Ok((stat.is_empty() || stat.contains(") Z ")).then_some(()))
        })?;
        kill_process(service, Signal::CONT)?;
        until("its service has said so", || {
            let said = cluster.service("a")?.said();
            Ok(said.contains("taken from this job").then_some(()))
        })?;
        ensure!(fs::read(&tape)? == before, "it wrote to the volume");
        // What it says of the attempt changes nothing; it is a service like any
        // other.
        let after = cluster.is_done(&run)?;
        ensure!(after.attempts == shown.attempts, "{after:#?}");
        cluster
            .control(&["job", "change", "docs", "--node", "a"])?
            .expect_success()?;
        let run = cluster.begin("docs")?;
        cluster.is_done(&run)?.only()?;
        Ok(())
    })
}

#[test]
fn a_node_that_comes_back_from_the_dead_writes_nothing_to_its_drive() -> Result<()> {
    wakes_up(|cluster| json!({ "serial": cluster.serials()[0] }))
}

#[test]
fn a_coordinator_that_was_stopped_disturbs_nobody() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        cluster.in_the_middle(&run, 1, MIDDLE)?;
        cluster.coordinator()?.signal(Signal::STOP)?;
        thread::sleep(LONG);
        cluster.coordinator()?.signal(Signal::CONT)?;
        cluster.is_done(&run)?.only()?;
        Ok(())
    })
}
