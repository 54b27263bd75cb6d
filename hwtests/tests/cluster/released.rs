//! A file system that is to leave its node, as the cluster's agent asks for it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::cluster::{Cluster, Plan, cluster};
use longhaul_hwtests::program::{Finished, ours, run};
use longhaul_hwtests::until::until;
use serde_json::json;

const MIDDLE: u64 = 6_000_000;
/// The agent waits no longer.
const RELEASED: Duration = Duration::from_secs(20);

/// What the agent says to the service of a node.
fn tells(cluster: &Cluster, node: &str, what: &str, mount: &Path) -> Result<Finished> {
    let mut mover = Command::new(ours("lh-mover")?);
    mover.arg(what).arg(mount).arg("--config");
    run(mover.arg(cluster.join(format!("nodes/{node}/mover.toml"))))
}

/// What processes of the mover have open below a folder.
fn open_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut open = Vec::new();
    for process in fs::read_dir("/proc")? {
        let process = process?.path();
        // It may be gone meanwhile.
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let Ok(files) = fs::read_dir(process.join("fd")) else {
            continue;
        };
        let links = files.flatten().map(|file| file.path());
        let links = links.chain(["cwd", "root"].map(|link| process.join(link)));
        let files = links.filter_map(|link| fs::read_link(link).ok());
        let is_ours = name.trim_end() == "lh-mover";
        open.extend(files.filter(|file| is_ours && file.starts_with(folder)));
    }
    Ok(open)
}

/// Another source, whose backup is to go on.
fn other_source(cluster: &Cluster) -> Result<PathBuf> {
    let other = cluster.join("other");
    fs::create_dir(&other)?;
    for entry in fs::read_dir(cluster.tree())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::hard_link(entry.path(), other.join(entry.file_name()))?;
        }
    }
    Ok(other)
}

#[test]
fn r14_a_backup_lets_go_of_a_file_system_at_a_checkpoint_and_goes_on_when_it_is_back() -> Result<()>
{
    // It still reads when the first of it is on the tape.
    let plan = Plan {
        files: 40,
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        let folder = cluster.tree();
        cluster.job("docs", "a", json!({}))?;
        let other = other_source(cluster)?;
        cluster.job("other", "a", json!({ "work": {"paths": [other]} }))?;
        let run = cluster.begin("docs")?;
        let others = cluster.begin("other")?;
        cluster.in_the_middle(&run, 1, MIDDLE)?;
        cluster.in_the_middle(&others, 1, 1)?;
        until("it reads there", || {
            Ok((!open_below(&folder)?.is_empty()).then_some(()))
        })?;

        // By another name, as mount points are given.
        let link = cluster.join("link");
        symlink(&folder, &link)?;
        let begun = Instant::now();
        tells(cluster, "a", "release", &link)?.expect_success()?;
        let took = begun.elapsed();
        ensure!(took < RELEASED, "it took {took:?}");
        let open = open_below(&folder)?;
        ensure!(open.is_empty(), "still open: {open:?}");
        let is_refused = |attempt: &serde_json::Value| {
            let error = attempt["ended"]["error"].as_str().unwrap_or_default();
            attempt["ended"]["exit"] == 6
                && error.contains(&format!("the cluster takes {}", folder.display()))
        };
        // What is ordered meanwhile is refused.
        let between = until("it is tried again", || {
            let shown = cluster.shown(&run)?;
            let refused = shown.attempts.iter().filter(|it| is_refused(it));
            Ok((refused.count() > 1).then_some(shown))
        })?;
        let reached = between.attempts[0]["point"]["bytes"].as_u64();
        ensure!(reached >= Some(MIDDLE), "{between:#?}");
        ensure!(between.attempts[1]["point"].is_null(), "{between:#?}");
        ensure!(open_below(&folder)?.is_empty(), "it is open again");
        tells(cluster, "a", "admit", &folder)?.expect_success()?;
        let shown = cluster.is_done(&run)?;
        let last = shown.attempts.last().context("an attempt")?;
        ensure!(last["resumes"] == 1, "{shown:#?}");
        // Nobody else was disturbed.
        cluster.ends_with(&others, 0)?.only()?;
        Ok(())
    })
}
