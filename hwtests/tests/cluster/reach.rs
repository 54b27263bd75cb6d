//! Volumes in drives that the node which wants them does not reach.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::cluster::{Cluster, Plan, cluster};
use longhaul_hwtests::shown::Shown;
use longhaul_hwtests::until::until;
use serde_json::json;

use crate::elsewhere::{by_its_journal, moved};

const MIDDLE: u64 = 6_000_000;

/// The first attempt was on node a's drive, the last one goes on from its checkpoint
/// on node b's, and in between b has said where the volume is.
fn goes_on_in_the_other_drive(cluster: &Cluster, shown: &Shown) -> Result<()> {
    let serials = cluster.serials();
    let [first, refused, last] = &shown.attempts[..] else {
        anyhow::bail!("three attempts: {shown:#?}");
    };
    ensure!(
        first["drive"] == serials[0] && last["drive"] == serials[1],
        "{shown:#?}"
    );
    let volume = &first["volumes"][0];
    let inside = json!([{ "elsewhere": [volume, serials[0]] }]);
    ensure!(refused["ended"]["faults"] == inside, "{refused}");
    ensure!(last["resumes"] == 1, "{last}");
    let parts = last["ended"]["set"]["parts"].as_array().context("parts")?;
    ensure!(parts.len() == 1 && parts[0]["volume"] == *volume, "{last}");
    by_its_journal(&cluster.log("b")?)
}

/// Node a is lost in the middle of a run, which node b is to go on with.
fn moved_in_the_middle(cluster: &mut Cluster) -> Result<String> {
    cluster.job("docs", "a", json!({}))?;
    let run = cluster.begin("docs")?;
    cluster.in_the_middle(&run, 1, MIDDLE)?;
    cluster.take_service("a")?.kill()?;
    moved(cluster, "a", "b")?;
    Ok(run)
}

#[test]
fn r24_a_volume_in_a_drive_that_the_new_node_does_not_reach_is_brought_out_by_a_third() -> Result<()>
{
    let plan = Plan {
        nodes: &["a", "b", "c"],
        only: &[("a", 0), ("b", 1), ("c", 0)],
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        let run = moved_in_the_middle(cluster)?;
        let shown = cluster.is_done(&run)?;
        goes_on_in_the_other_drive(cluster, &shown)?;
        let unloads = cluster.ask(&["run", "list", "--job", "unload"])?;
        let unload = unloads[0]["key"].as_str().context("a run")?;
        let unload = cluster.ends_with(unload, 0)?;
        let only = unload.only()?;
        ensure!(
            only["node"] == "c" && only["drive"] == cluster.serials()[0],
            "{only}"
        );
        // It has taken it from who was dead.
        ensure!(
            only["preempts"] == json!([shown.attempts[0]["token"]]),
            "{only}"
        );
        Ok(())
    })
}

#[test]
fn a_run_waits_for_a_volume_in_a_drive_that_nobody_reaches_and_says_so() -> Result<()> {
    let plan = Plan {
        only: &[("a", 0), ("b", 1)],
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        let run = moved_in_the_middle(cluster)?;
        until("it says what it waits for", || {
            let shown = cluster.shown(&run)?;
            let words = shown.status["words"].as_str().unwrap_or_default();
            Ok(words
                .contains("which no node that is connected reaches")
                .then_some(()))
        })?;
        cluster.start_service("a")?;
        let shown = cluster.is_done(&run)?;
        goes_on_in_the_other_drive(cluster, &shown)
    })
}
