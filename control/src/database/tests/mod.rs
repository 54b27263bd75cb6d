//! The database against its rows in memory.
//!
//! | file | noun |
//! | --- | --- |
//! | `replay` | rows that come back, whatever came in between |
//! | `history` | events: what is kept, and for how long |
//! | `refusals` | databases that are refused |
//! | `going_back` | copies to go back to |
//! | `documented` | docs/database.md against the schema |

mod documented;
mod going_back;
mod history;
mod refusals;
mod replay;

use std::fs;
use std::iter;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use longhaul_protocol::job::{Job, Work};
use longhaul_protocol::order::Occurrence;
use longhaul_protocol::report::{Outcome, Point};
use longhaul_protocol::{AttemptId, ExitStatus, Name, RunId};
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::core::failover::FailoverId;
use crate::core::state::{
    Attempt, Drive, Given, Key, Node, Run, RunState, Scheduled, Told, Volume,
};
use crate::schedule::{CatchUp, Schedule};

const NOW: Time = Time(1_764_111_600_000);
const DAY: u64 = 24 * 3_600_000;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn job(job: &Name) -> Job {
    let json = format!(
        r#"{{"name": "{job}", "work": {{"paths": ["/srv"]}}, "place": {{"node": "n1"}},
            "drive": {{"pool": "drives"}}, "volumes": "daily"}}"#
    );
    serde_json::from_str(&json).expect("a job")
}

/// A run in this state.
pub(crate) fn run(id: RunId, state: RunState) -> Change {
    let row = Run {
        job: job(&id.job),
        state,
        attempts: 1,
        failures: 0,
        not_before: NOW,
        is_stopped: false,
    };
    Change::Run(id, Box::new(row))
}

/// An attempt that was ordered.
pub(crate) fn attempt(id: AttemptId) -> Change {
    let row = Attempt {
        node: name("n1"),
        drive: name("LH01"),
        token: Token(7),
        preempts: vec![Token(3)],
        volumes: vec![Uuid::from_u128(1)],
        resumes: None,
        ordered: NOW,
        journal_bytes: 0,
        set_bytes: 0,
        point: None,
        ended: None,
    };
    Change::Attempt(id, Box::new(row))
}

fn with(change: Change, change_row: impl FnOnce(&mut Attempt)) -> Change {
    match change {
        Change::Attempt(id, mut row) => {
            change_row(&mut row);
            Change::Attempt(id, row)
        }
        other => other,
    }
}

fn run_id(due: i64) -> RunId {
    RunId {
        job: name("daily"),
        due: Time(due),
    }
}

fn attempt_id(due: i64, number: u32) -> AttemptId {
    let run = run_id(due);
    AttemptId { run, number }
}

fn point(bytes: u64) -> Point {
    Point {
        taken: NOW,
        volume: Uuid::from_u128(1),
        block: bytes / 7,
        members: bytes / 9,
        bytes,
        journal_bytes: bytes,
    }
}

fn open(dir: &Path) -> (Database, State) {
    // What another test starts has the locks of all until it is its program.
    let tries = iter::repeat_with(|| {
        let opened = Database::open(dir, NOW);
        if matches!(opened, Err(DatabaseError::Held { .. })) {
            thread::sleep(Duration::from_millis(10));
        }
        opened
    });
    let mut tries = tries.take(500);
    let opened = tries.find(|opened| !matches!(opened, Err(DatabaseError::Held { .. })));
    opened.expect("nobody holds it").expect("a database")
}

fn scratch() -> (TempDir, Database) {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let (database, state) = open(dir.path());
    assert_eq!(state, State::default());
    (dir, database)
}

/// The database, closed, with its daily copy.
fn closed_with_copy(changes: &[Change]) -> TempDir {
    let (dir, mut database) = scratch();
    database.copies.end().expect("the copy of an empty one");
    database.commit(NOW, changes).expect("written");
    let later = NOW.after(DAY + 1);
    database.copy_if_due(later).expect("begun");
    database.copies.end().expect("copied");
    dir
}

fn sql(dir: &Path, query: &str) -> Vec<Vec<String>> {
    let connection = Connection::open(dir.join(FILE)).expect("opens");
    let mut statement = connection.prepare(query).expect(query);
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..columns)
            .map(|column| {
                let value: rusqlite::types::Value = row.get(column)?;
                Ok(match value {
                    rusqlite::types::Value::Null => "-".into(),
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    rusqlite::types::Value::Text(text) => text,
                    other => format!("{other:?}"),
                })
            })
            .collect()
    });
    rows.expect(query)
        .collect::<Result<_, _>>()
        .expect("readable")
}
