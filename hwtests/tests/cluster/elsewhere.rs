//! A node is lost, and its run goes on elsewhere.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::cluster::{Cluster, Plan, cluster};
use longhaul_hwtests::shown::Shown;
use longhaul_hwtests::until::until;
use serde_json::{Value, json};

const MIDDLE: u64 = 6_000_000;
/// More than a record, which has the set's head.
const BEHIND_HEAD: usize = 200_000;

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
    lost("checkpoint", |cluster, before, after| {
        by_its_journal(&cluster.log("b")?)?;
        let (first, set) = (&before.attempts[0], &after.attempts[1]["ended"]["set"]);
        // All of it lies in one part, which the first one began.
        let part = number(&set["parts"][0]["tape_file"])?;
        ensure!(part == 1, "{set}");
        let safe = number(&first["point"]["block"])?;
        ensure!(number(&set["parts"][0]["first_block"])? < safe, "{set}");
        Ok(())
    })
}

/// Nothing was read back: the journal that was carried there said it all.
pub fn by_its_journal(log: &str) -> Result<()> {
    ensure!(!log.contains("is read back"), "{log}");
    Ok(())
}

/// Damages all that lies behind the beginning of the first file on the cartridge that
/// has it: a byte in each 4 KiB, and each block has a checksum. The set's head stays.
fn damage(cluster: &Cluster) -> Result<()> {
    let content = fs::read(cluster.tree().join("0/first"))?;
    let content = content.get(..4096).context("a file of 4 KiB")?;
    for entry in fs::read_dir(cluster.join("lib/cartridges"))? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        let mut windows = bytes.windows(content.len());
        let Some(begin) = windows.position(|window| window == content) else {
            continue;
        };
        let file = OpenOptions::new().write(true).open(&path)?;
        for at in (begin + BEHIND_HEAD..bytes.len()).step_by(4096) {
            file.write_all_at(&[!bytes[at]], at as u64)?;
        }
        return Ok(());
    }
    anyhow::bail!("no cartridge has it")
}

#[test]
fn r25_a_run_begins_anew_on_another_volume_if_its_checkpoints_are_damaged() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        cluster.in_the_middle(&run, 1, MIDDLE)?;
        cluster.take_service("a")?.kill()?;
        damage(cluster)?;
        cluster.start_service("a")?;
        let shown = cluster.is_done(&run)?;
        let [first, damaged, anew] = &shown.attempts[..] else {
            anyhow::bail!("three attempts: {shown:#?}");
        };
        ensure!(
            damaged["resumes"] == 1 && damaged["ended"]["damaged"] == true,
            "{damaged}"
        );
        ensure!(anew["resumes"].is_null(), "{anew}");
        let volume = &first["volumes"][0];
        ensure!(anew["volumes"][0] != *volume, "{anew}");
        let rows = cluster.ask(&["volume", "list"])?;
        let rows = rows.as_array().context("a list")?;
        let closed: Vec<&str> = rows
            .iter()
            .filter_map(|row| row["row"]["closed"].as_str())
            .collect();
        ensure!(
            closed.len() == 1 && closed[0].contains("MEDIUM ERROR"),
            "{rows:?}"
        );
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
