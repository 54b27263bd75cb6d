//! A node is lost, and its run goes on elsewhere.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::cluster::{Cluster, Plan, Shown, cluster};
use longhaul_hwtests::until::until;
use serde_json::{Value, json};

const MIDDLE: u64 = 6_000_000;

/// Says that a node is fenced, and that its job is another's from now on, once
/// the coordinator has noticed that it is silent.
pub fn moved(cluster: &Cluster, from: &str, to: &str) -> Result<()> {
    cluster
        .control(&["job", "change", "docs", "--node", to])?
        .expect_success()?;
    until("it is taken for fenced", || {
        let said = cluster.control(&["failover", "confirm-fenced", from])?;
        Ok((said.code() == Some(0)).then_some(()))
    })
}

/// The node is killed in the middle, and its run goes on on the other one, which
/// takes the drive from it.
fn lost(restart: &str, look: impl FnOnce(&Cluster, &Shown, &Shown) -> Result<()>) -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        let serial = cluster.serials()[0].clone();
        let more = json!({ "drive": {"serial": serial}, "restart": restart });
        cluster.job("docs", "a", more)?;
        let run = cluster.begin("docs")?;
        let before = cluster.in_the_middle(&run, 1, MIDDLE)?;
        cluster.take_service("a")?.kill()?;
        moved(cluster, "a", "b")?;
        let shown = cluster.is_done(&run)?;
        ensure!(shown.attempts.len() == 2, "{shown:#?}");
        let (first, second) = (&shown.attempts[0], &shown.attempts[1]);
        ensure!(
            second["node"] == "b" && second["drive"] == serial,
            "{second}"
        );
        // It was told to take the drive from the first one, and from nobody else.
        ensure!(second["preempts"] == json!([first["token"]]), "{second}");
        ensure!(second["resumes"] == 1, "{second}");
        look(cluster, &before, &shown)
    })
}

fn number(value: &Value) -> Result<u64> {
    value.as_u64().with_context(|| format!("{value}"))
}

#[test]
fn r22_r23_r24_on_another_service_a_run_goes_on_from_the_checkpoint_of_the_one_that_is_lost()
-> Result<()> {
    lost("checkpoint", |_, before, after| {
        let (first, set) = (&before.attempts[0], &after.attempts[1]["ended"]["set"]);
        // All of it lies in one part, which the first one began.
        let part = number(&set["parts"][0]["tape_file"])?;
        ensure!(part == 1, "{set}");
        let safe = number(&first["point"]["block"])?;
        ensure!(number(&set["parts"][0]["first_block"])? < safe, "{set}");
        Ok(())
    })
}

#[test]
fn r25_on_another_service_a_run_begins_anew_if_that_is_its_policy() -> Result<()> {
    lost("fresh", |_, before, after| {
        let (first, set) = (&before.attempts[0], &after.attempts[1]["ended"]["set"]);
        // It lies behind what the first one wrote, which is closed.
        let safe = number(&first["point"]["block"])?;
        ensure!(number(&set["parts"][0]["first_block"])? > safe, "{set}");
        Ok(())
    })
}

#[test]
fn r25_on_the_same_service_a_run_begins_anew_if_that_is_its_policy() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({ "restart": "fresh" }))?;
        let run = cluster.begin("docs")?;
        let before = cluster.in_the_middle(&run, 1, MIDDLE)?;
        cluster.take_service("a")?.kill()?;
        cluster.start_service("a")?;
        let shown = cluster.is_done(&run)?;
        ensure!(shown.attempts.len() == 2, "{shown:#?}");
        let safe = number(&before.attempts[0]["point"]["block"])?;
        let set = &shown.attempts[1]["ended"]["set"];
        ensure!(number(&set["parts"][0]["first_block"])? > safe, "{set}");
        Ok(())
    })
}

#[test]
fn a_node_that_talks_is_not_taken_for_fenced_and_nothing_goes_on_before() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        cluster.in_the_middle(&run, 1, MIDDLE)?;
        let refused = cluster.control(&["failover", "confirm-fenced", "a"])?;
        refused.expect_code(4)?;
        cluster.take_service("a")?.kill()?;
        cluster
            .control(&["job", "change", "docs", "--node", "b"])?
            .expect_success()?;
        // Much longer than a silent service stays connected.
        std::thread::sleep(Duration::from_secs(5));
        ensure!(cluster.shown(&run)?.status["stands"] == "active");
        moved(cluster, "a", "b")?;
        let shown = cluster.is_done(&run)?;
        ensure!(shown.attempts.len() == 2, "{shown:#?}");
        Ok(())
    })
}
