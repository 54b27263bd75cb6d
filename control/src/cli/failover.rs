//! `lh-control failover`

use clap::Subcommand;
use longhaul_protocol::ask::{Rows, Table};
use longhaul_protocol::{Command, ExitStatus, Name, Time};

use super::Failure;
use super::console::{Console, LIST_MAX};
use crate::core::failover::{self, FailoverId, Hit};

#[derive(Debug, Subcommand)]
pub enum Failover {
    /// List nodes that have failed, the newest first
    List,
    /// Tell what happened when a node failed: what was said of it, what was under
    /// way there, what was decided and why, and how long each step took
    Show {
        /// The failure, as `failover list` has it; or a node: its newest
        #[arg(value_name = "NODE[@TIME]")]
        failover: String,
    },
    /// Say that a node does nothing any more: it is switched off, or has been
    /// restarted. What it did is gone on with elsewhere
    ///
    /// If that is not true, two may write at a time. A node whose service is
    /// connected is not taken for fenced.
    ConfirmFenced {
        /// The node
        node: Name,
    },
}

impl Failover {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        match self {
            Failover::List => {
                let rows = console.rows(Rows::all(Table::Failover), LIST_MAX)?;
                let headings = ["FAILOVER", "LOST", "STATE", "HIT"];
                console.list(&rows, headings, |console, key, row: failover::Failover| {
                    let lost = key.parse::<FailoverId>().map(|id| id.lost);
                    let lost = lost.map(|lost| console.time(lost)).unwrap_or_default();
                    let state = state(&row).to_owned();
                    [key.to_owned(), lost, state, row.hit.len().to_string()]
                })
            }
            Failover::Show { failover } => show(console, &failover),
            Failover::ConfirmFenced { node } => {
                let words = format!("node {node} does nothing any more");
                console.order(Command::ConfirmFenced { node }, &words)
            }
        }
    }
}

fn state(row: &failover::Failover) -> &'static str {
    match (row.confirmed, row.back) {
        (_, Some(_)) => "back",
        (Some(_), None) => "dead",
        (None, None) => "lost",
    }
}

fn show(console: &mut Console, failover: &str) -> Result<ExitStatus, Failure> {
    let mut key = failover.to_owned();
    if !key.contains('@') {
        let rows = console.rows(Rows::all(Table::Failover), LIST_MAX)?;
        let of_node = |id: &FailoverId| id.node.as_str() == failover;
        let newest = rows
            .iter()
            .find(|row| row.key.parse().is_ok_and(|id| of_node(&id)));
        if let Some(newest) = newest {
            key.clone_from(&newest.key);
        }
    }
    let found = console.row(Rows::one(Table::Failover, &key))?;
    let lost = key.parse::<FailoverId>().map_or(Time(0), |id| id.lost);
    console.tell(&found, ["AFTER", "WHAT"], |row| story(row, lost))
}

/// What happened, line by line, each with the seconds since the node was lost.
fn story(row: &failover::Failover, lost: Time) -> Vec<[String; 2]> {
    let mut lines: Vec<(Time, String)> = Vec::new();
    if row.was_coordinator {
        lines.push((lost, "the coordinator had run there, and was moved".into()));
    }
    for said in &row.said {
        lines.push((said.heard, format!("{} said: {}", said.by, said.words)));
    }
    if let Some(confirmed) = row.confirmed {
        lines.push((confirmed, "it is known to do nothing any more".into()));
    }
    for hit in &row.hit {
        lines.extend(fate(hit));
    }
    if let Some(back) = row.back {
        lines.push((back, "it was there again".into()));
    }
    lines.sort_by_key(|(at, _)| *at);
    let line = |(at, words): (Time, String)| {
        let seconds = at.0.saturating_sub(lost.0) as f64 / 1000.0;
        [format!("{seconds:+.1} s"), words]
    };
    lines.into_iter().map(line).collect()
}

fn fate(hit: &Hit) -> Vec<(Time, String)> {
    let volumes: Vec<&str> = hit.volumes.iter().map(Name::as_str).collect();
    let what = format!(
        "{} was under way on drive {} with volume {}: {}",
        hit.attempt,
        hit.drive,
        volumes.join(", "),
        hit.decision
    );
    let mut lines = vec![(hit.decided, what)];
    if let Some(next) = &hit.next {
        let what = format!(
            "{} was ordered on node {}, drive {}",
            next.attempt, next.node, next.drive
        );
        lines.push((next.ordered, what));
        if let Some(wrote) = next.wrote {
            lines.push((wrote, format!("{} has its first checkpoint", next.attempt)));
        }
    }
    lines
}
