//! `lh-control status`

use std::io::{IsTerminal, stdout};
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use longhaul_protocol::ask::{Certificate, DriveStatus, Lines, NodeStatus, RunStatus, Status};
use longhaul_protocol::{Answer, Ask, ExitStatus};
use longhaul_words::bytes;

use super::Failure;
use super::console::{Console, strange};
use super::run::ago;

/// Between two looks.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// A certificate that ends sooner is shown, in milliseconds: in 30 days.
const EXPIRY_SHOWN_MS: u64 = 30 * 24 * 3600 * 1000;
/// Clears a terminal (ECMA-48 CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Debug, Args)]
pub struct Watch {
    /// Show it again every two seconds, until interrupted
    #[arg(long)]
    watch: bool,
}

impl Watch {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        loop {
            let Answer::Status(status) = console.ask(&Ask::Status)? else {
                return Err(strange());
            };
            if self.watch && !console.json && stdout().is_terminal() {
                console.print(|out| out.write_all(CLEAR.as_bytes()))?;
            }
            if console.json {
                console.json(&status)?;
            } else {
                show(console, &status)?;
            }
            if !self.watch {
                return Ok(ExitStatus::Done);
            }
            sleep(WATCH_EVERY);
        }
    }
}

fn show(console: &mut Console, status: &Status) -> Result<(), Failure> {
    let since = console.time(status.since);
    let epoch = status.epoch.0;
    console.say(&format!("coordinator: epoch {epoch}, since {since}"))?;
    let now = status.now;
    section(
        console,
        "nodes",
        &["NODE", "SERVICE", "HEARD"],
        &status.nodes,
        |_, node| {
            let heard = node.heard.map(|heard| ago(now.since(heard)));
            vec![
                node.node.to_string(),
                service(node),
                heard.unwrap_or_else(|| "-".into()),
            ]
        },
    )?;
    section(
        console,
        "drives",
        &["DRIVE", "POOL", "STATE"],
        &status.drives,
        |_, drive| {
            let pool = drive.pool.as_ref().map_or("-", |pool| pool.as_str());
            vec![drive.drive.to_string(), pool.to_owned(), drive_state(drive)]
        },
    )?;
    let headings = ["RUN", "NODE", "DRIVE", "WRITTEN", "BLOCK", "CHECKPOINT"];
    section(console, "under way", &headings, &status.active, |_, run| {
        active(status, run)
    })?;
    for run in status
        .active
        .lines
        .iter()
        .filter(|run| !run.words.is_empty())
    {
        console.say(&format!("{}: {}", run.run, run.words))?;
    }
    for (title, runs) in [
        ("waiting", &status.waiting),
        ("held, for an operator", &status.held),
        ("failed in the last 24 hours", &status.failed),
    ] {
        section(
            console,
            title,
            &["RUN", "DUE", "WHY"],
            runs,
            |console, run| {
                vec![
                    run.run.to_string(),
                    console.time(run.run.due),
                    run.words.clone(),
                ]
            },
        )?;
    }
    let certificates = Lines {
        lines: expiring(status),
        more: status.certificates.more,
    };
    let headings = ["CERTIFICATE", "VALID UNTIL"];
    section(
        console,
        "certificates to be renewed",
        &headings,
        &certificates,
        |console, one| vec![one.whose.clone(), console.time(one.expires)],
    )
}

/// A list with its title; nothing if it is empty.
fn section<T>(
    console: &mut Console,
    title: &str,
    headings: &[&str],
    lines: &Lines<T>,
    cells: impl Fn(&Console, &T) -> Vec<String>,
) -> Result<(), Failure> {
    if lines.lines.is_empty() {
        return Ok(());
    }
    console.print(|out| writeln!(out, "\n{title}:"))?;
    let cells = lines.lines.iter().map(|line| cells(console, line));
    let cells = cells.collect();
    console.table(headings, cells)?;
    match lines.more {
        0 => Ok(()),
        more => console.say(&format!("and {more} more")),
    }
}

fn service(node: &NodeStatus) -> String {
    let mut text = String::from(match node.is_connected {
        true => "connected",
        false => "not connected",
    });
    if node.is_drained {
        text.push_str(", drained");
    }
    text
}

fn drive_state(drive: &DriveStatus) -> String {
    let mut state = match (&drive.trouble, &drive.holder, drive.is_disabled) {
        (Some(trouble), ..) => format!("in trouble: {trouble}"),
        (None, Some(holder), _) => format!("in use by {holder}"),
        (None, None, true) => "disabled".into(),
        (None, None, false) => "free".into(),
    };
    if !drive.notes.is_empty() {
        state.push_str("; ");
        state.push_str(&drive.notes);
    }
    state
}

fn active(status: &Status, run: &RunStatus) -> Vec<String> {
    let mut cells = vec![run.run.to_string()];
    let Some(attempt) = &run.attempt else {
        return cells;
    };
    cells.extend([attempt.node.to_string(), attempt.drive.to_string()]);
    match &attempt.point {
        Some(point) => cells.extend([
            bytes(point.bytes),
            point.block.to_string(),
            ago(status.now.since(point.taken)),
        ]),
        None => cells.extend(["-", "-", "none yet"].map(String::from)),
    }
    cells
}

fn expiring(status: &Status) -> Vec<Certificate> {
    let soon = status.now.after(EXPIRY_SHOWN_MS);
    let lines = status.certificates.lines.iter();
    lines.filter(|one| one.expires < soon).cloned().collect()
}
