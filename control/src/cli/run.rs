//! `lh-control run`

use std::time::Duration;

use clap::Subcommand;
use longhaul_protocol::ask::{ROWS_MAX, Row, Rows, RunStatus, Stands, Table};
use longhaul_protocol::{Answer, Ask, Command, ExitStatus, Name, RunId};
use longhaul_words::{bytes, duration};
use serde::Deserialize;

use super::Failure;
use super::console::{Console, strange};
use crate::core::state::{self, RunState};

/// How long an answer is waited for, in milliseconds: after that it is seen
/// whether the coordinator is still there.
const WAIT_MS: u64 = 10_000;

#[derive(Debug, Subcommand)]
pub enum Run {
    /// List runs, the newest first
    List {
        /// Only runs of this job
        #[arg(long, value_name = "JOB")]
        job: Option<Name>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50,
              value_parser = clap::value_parser!(u32).range(1..=100_000))]
        newest: u32,
    },
    /// Show a run, why it waits, and its attempts
    Show {
        /// The run, as `run list` shows it
        run: RunId,
    },
    /// Wait for a run's end, and end with its exit code; with 7 if it needs an
    /// operator
    Wait {
        /// The run
        run: RunId,
    },
    /// Stop a run: if it is under way, at a checkpoint
    Stop {
        /// The run
        run: RunId,
    },
    /// Go on with a run that is held, has failed, or was stopped
    Resume {
        /// The run
        run: RunId,
    },
    /// Forget a run that is over. Nothing is appended any more to a volume that
    /// ends in what it had begun
    Remove {
        /// The run
        run: RunId,
    },
}

impl Run {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        match self {
            Run::List { job, newest } => list(console, job, newest),
            Run::Show { run } => show(console, run),
            Run::Wait { run } => follow(console, run),
            Run::Stop { run } => {
                let words = format!("run {run} is to end");
                console.order(Command::Stop { run }, &words)
            }
            Run::Resume { run } => resume(console, run),
            Run::Remove { run } => {
                let words = format!("run {run} is no more");
                console.order(Command::RemoveRun { run }, &words)
            }
        }
    }
}

pub(super) fn resume(console: &mut Console, run: RunId) -> Result<ExitStatus, Failure> {
    let words = format!("run {run} goes on");
    console.order(Command::Resume { run }, &words)
}

fn query(job: Option<&Name>) -> Rows {
    Rows {
        of: job.map(Name::to_string),
        ..Rows::all(Table::Run)
    }
}

/// Runs, the newest first.
pub(super) fn rows(
    console: &mut Console,
    job: Option<&Name>,
    most: u32,
) -> Result<Vec<(RunId, state::Run)>, Failure> {
    let read = |row: Row| {
        let id = row.key.parse().map_err(|_| strange())?;
        let run = state::Run::deserialize(row.row).map_err(|_| strange())?;
        Ok((id, run))
    };
    let rows = console.rows(query(job), most)?;
    rows.into_iter().map(read).collect()
}

fn list(console: &mut Console, job: Option<Name>, newest: u32) -> Result<ExitStatus, Failure> {
    let rows = console.rows(query(job.as_ref()), newest)?;
    let headings = ["RUN", "DUE", "ATTEMPTS", "STATE"];
    console.list(&rows, headings, |console, key, run: state::Run| {
        let due = key.parse().map(|id: RunId| console.time(id.due));
        let due = due.unwrap_or_else(|_| "?".into());
        [
            key.to_owned(),
            due,
            run.attempts.to_string(),
            state(&run.state),
        ]
    })
}

fn state(state: &RunState) -> String {
    match state {
        RunState::Waiting => "waiting".into(),
        RunState::Active => "active".into(),
        RunState::Held(why) => format!("held: {why}"),
        RunState::Done(ExitStatus::Done) => "done".into(),
        RunState::Done(_) => "done, but for some files".into(),
        RunState::Failed(why) => format!("failed: {why}"),
    }
}

fn show(console: &mut Console, run: RunId) -> Result<ExitStatus, Failure> {
    let status = status(console, &run, 0)?;
    let row = console.row(Rows::one(Table::Run, &run))?;
    let query = Rows {
        of: Some(run.to_string()),
        ..Rows::all(Table::Attempt)
    };
    let attempts = console.rows(query, ROWS_MAX)?;
    if console.json {
        let all = serde_json::json!({ "run": row, "status": status, "attempts": attempts });
        console.json(&all)?;
        return Ok(ExitStatus::Done);
    }
    console.say(&line(&status))?;
    console.show(&row)?;
    let headings = ["ATTEMPT", "NODE", "DRIVE", "ORDERED", "WRITTEN", "END"];
    console.list(&attempts, headings, |console, key, row: state::Attempt| {
        let written = row.point.map(|point| bytes(point.bytes));
        let end = row.ended.map(|ended| {
            let exit = u8::from(ended.exit);
            format!("{exit} {}", ended.error.unwrap_or_default())
        });
        [
            key.to_owned(),
            row.node.into(),
            row.drive.into(),
            console.time(row.ordered),
            written.unwrap_or_else(|| "-".into()),
            end.unwrap_or_else(|| "-".into()),
        ]
    })
}

fn status(console: &mut Console, run: &RunId, wait_ms: u64) -> Result<RunStatus, Failure> {
    let run = run.clone();
    match console.ask(&Ask::Run { run, wait_ms })? {
        Answer::Run(status) => Ok(*status),
        _ => Err(strange()),
    }
}

/// Waits for a run's end, and says on standard error meanwhile how it stands.
pub(super) fn follow(console: &mut Console, run: RunId) -> Result<ExitStatus, Failure> {
    let mut said = String::new();
    // What there is now is said at once.
    let mut wait_ms = 0;
    loop {
        let status = status(console, &run, wait_ms)?;
        wait_ms = WAIT_MS;
        let line = line(&status);
        if let Some(exit) = status.exit {
            if console.json {
                console.json(&status)?;
            } else {
                console.say(&line)?;
            }
            if status.stands == Stands::Held {
                console.note(&format!(
                    "once that is seen to: lh-control run resume {run}"
                ));
            }
            return Ok(exit);
        }
        if line != said {
            console.note(&line);
            said = line;
        }
    }
}

/// How a run stands, on a line.
pub(super) fn line(status: &RunStatus) -> String {
    let RunStatus { run, words, .. } = status;
    let stands = match status.stands {
        Stands::Waiting => "waits",
        Stands::Active => "is under way",
        Stands::Held => "is held",
        Stands::Done if status.exit == Some(ExitStatus::Done) => "is done",
        Stands::Done => "is done, but for some files",
        Stands::Failed => "has failed",
    };
    let mut line = format!("run {run} {stands}");
    if !words.is_empty() {
        line.push_str(&format!(": {words}"));
    }
    if status.stands == Stands::Active
        && let Some(attempt) = &status.attempt
    {
        line.push_str(&format!(
            " on node {}, drive {}",
            attempt.node, attempt.drive
        ));
        if let Some(point) = &attempt.point {
            let written = bytes(point.bytes);
            line.push_str(&format!(": {written}, up to block {}", point.block));
        }
    }
    line
}

/// How long ago something was, in words.
pub(super) fn ago(ms: u64) -> String {
    format!("{} ago", duration(Duration::from_millis(ms)))
}
