//! Rows for operators, in pages that fit into a message.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use longhaul_protocol::ask::{ROWS_MAX, Row, Rows, Table};
use longhaul_protocol::frame::MESSAGE_BYTES_MAX;
use longhaul_protocol::job::DriveChoice;
use longhaul_protocol::{Answer, AttemptId, Name, RunId};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::commands::{CommandError, unknown};
use super::state::State;

/// What an answer's rows may take: room is left for what is around them.
pub(crate) const ROWS_BYTES_MAX: usize = MESSAGE_BYTES_MAX - (16 << 10);
/// What is around one row beside its key, at most.
const ROW_BYTES: usize = 64;

/// The rows that are asked for.
pub(super) fn rows(state: &State, query: &Rows) -> Result<Answer, CommandError> {
    let view = View::new(state, query.table);
    let keys = match &query.key {
        Some(key) => vec![key.clone()],
        None => view.keys(query).map_err(CommandError::Senseless)?,
    };
    let most = query.most.clamp(1, ROWS_MAX) as usize;
    let (mut rows, mut bytes, mut more) = (Vec::new(), 0, None);
    for key in keys {
        let Some(row) = view.row(query.table, &key) else {
            return Err(unknown(kind(query.table), &key));
        };
        let (row, row_bytes) = bounded(row, &key);
        bytes += row_bytes;
        if rows.len() >= most || bytes > ROWS_BYTES_MAX {
            more = rows.last().map(|row: &Row| row.key.clone());
            break;
        }
        rows.push(Row { key, row });
    }
    Ok(Answer::Rows { rows, more })
}

/// A row, or how long it is; and what it takes of an answer.
fn bounded(row: Value, key: &str) -> (Value, usize) {
    let around = key.len() + ROW_BYTES;
    let bytes = serde_json::to_string(&row).map_or(usize::MAX / 2, |json| json.len());
    if bytes + around > ROWS_BYTES_MAX {
        return (json!({ "too_long": bytes }), around);
    }
    (row, bytes + around)
}

fn kind(table: Table) -> &'static str {
    match table {
        Table::Node => "node",
        Table::Drive => "drive",
        Table::Volume => "volume",
        Table::Pool => "pool",
        Table::Job => "job",
        Table::Schedule => "schedule",
        Table::Run => "run",
        Table::Attempt => "attempt",
        Table::Failover => "failover",
    }
}

/// The rows, and what is found by another key than the one that they have.
struct View<'a> {
    state: &'a State,
    volumes: BTreeMap<&'a Name, Uuid>,
    pools: BTreeMap<&'a Name, Pool<'a>>,
}

/// What is in a pool, and who wants something of it.
#[derive(Default, Serialize)]
struct Pool<'a> {
    volumes: usize,
    /// Volumes that can be written to now.
    writable: usize,
    drives: BTreeSet<&'a Name>,
    jobs: BTreeSet<&'a Name>,
}

impl<'a> View<'a> {
    fn new(state: &'a State, table: Table) -> View<'a> {
        let mut view = View {
            state,
            volumes: BTreeMap::new(),
            pools: BTreeMap::new(),
        };
        match table {
            Table::Volume => {
                let volumes = state.volumes.iter();
                view.volumes = volumes
                    .map(|(uuid, volume)| (&volume.name, *uuid))
                    .collect();
            }
            Table::Pool => view.pools = pools(state),
            _ => {}
        }
        view
    }

    /// The keys of a page, in order; one more than asked for if there are more.
    fn keys(&self, query: &Rows) -> Result<Vec<String>, String> {
        let most = query.most.clamp(1, ROWS_MAX) as usize + 1;
        let state = self.state;
        match query.table {
            Table::Node => named(state.nodes.keys(), query, most),
            Table::Drive => named(state.drives.keys(), query, most),
            Table::Volume => named(self.volumes.keys().copied(), query, most),
            Table::Pool => named(self.pools.keys().copied(), query, most),
            Table::Job => named(state.jobs.keys(), query, most),
            Table::Schedule => named(state.schedules.keys(), query, most),
            Table::Run => {
                let job: Option<Name> = parsed(query.of.as_ref())?;
                let runs = state.runs.keys();
                let runs = runs.filter(|run| job.as_ref().is_none_or(|job| run.job == *job));
                first(runs, by_due, query, most)
            }
            Table::Failover => first(state.failovers.keys(), |a, b| b.cmp(a), query, most),
            Table::Attempt => match parsed::<RunId>(query.of.as_ref())? {
                Some(run) => {
                    let attempts = state.attempts_of(&run).map(|(id, _)| id);
                    first(attempts, by_number, query, most)
                }
                None => first(state.attempts.keys(), by_number, query, most),
            },
        }
    }

    fn row(&self, table: Table, key: &str) -> Option<Value> {
        let state = self.state;
        match table {
            Table::Node => value(state.nodes.get(&key.parse().ok()?)),
            Table::Drive => value(state.drives.get(&key.parse().ok()?)),
            Table::Pool => value(self.pools.get(&key.parse::<Name>().ok()?)),
            Table::Job => value(state.jobs.get(&key.parse().ok()?)),
            Table::Schedule => value(state.schedules.get(&key.parse().ok()?)),
            Table::Run => value(state.runs.get(&key.parse().ok()?)),
            Table::Attempt => value(state.attempts.get(&key.parse().ok()?)),
            Table::Failover => value(state.failovers.get(&key.parse().ok()?)),
            Table::Volume => {
                let uuid = self.volumes.get(&key.parse::<Name>().ok()?)?;
                let mut row = value(state.volumes.get(uuid))?;
                row.as_object_mut()?.insert("uuid".into(), json!(uuid));
                Some(row)
            }
        }
    }
}

fn value<T: Serialize>(row: Option<&T>) -> Option<Value> {
    serde_json::to_value(row?).ok()
}

fn parsed<T: FromStr<Err: ToString>>(text: Option<&String>) -> Result<Option<T>, String> {
    let parsed = text.map(|text| text.parse());
    parsed
        .transpose()
        .map_err(|error: T::Err| error.to_string())
}

fn named<'a>(
    names: impl Iterator<Item = &'a Name>,
    query: &Rows,
    most: usize,
) -> Result<Vec<String>, String> {
    if query.of.is_some() {
        return Err("only runs are of a job, and attempts of a run".into());
    }
    let after: Option<Name> = parsed(query.after.as_ref())?;
    let behind = names.filter(|name| after.as_ref().is_none_or(|after| *name > after));
    Ok(behind.take(most).map(Name::to_string).collect())
}

/// Runs that were due last come first.
fn by_due(a: &RunId, b: &RunId) -> Ordering {
    b.due.cmp(&a.due).then_with(|| a.job.cmp(&b.job))
}

fn by_number(a: &AttemptId, b: &AttemptId) -> Ordering {
    by_due(&a.run, &b.run).then_with(|| b.number.cmp(&a.number))
}

/// The first of these, without sorting all of them.
fn first<'a, T: FromStr<Err: ToString> + ToString + 'a>(
    all: impl Iterator<Item = &'a T>,
    order: impl Fn(&T, &T) -> Ordering,
    query: &Rows,
    most: usize,
) -> Result<Vec<String>, String> {
    let after: Option<T> = parsed(query.after.as_ref())?;
    let is_behind = |id: &T| {
        let after = after.as_ref();
        after.is_none_or(|after| order(id, after).is_gt())
    };
    let mut behind: Vec<&T> = all.filter(|id| is_behind(id)).collect();
    if behind.len() > most {
        behind.select_nth_unstable_by(most, |a, b| order(a, b));
        behind.truncate(most);
    }
    behind.sort_unstable_by(|a, b| order(a, b));
    Ok(behind.into_iter().map(T::to_string).collect())
}

fn pools(state: &State) -> BTreeMap<&Name, Pool<'_>> {
    let mut pools: BTreeMap<&Name, Pool> = BTreeMap::new();
    for volume in state.volumes.values() {
        let pool = pools.entry(&volume.pool).or_default();
        pool.volumes += 1;
        let is_writable =
            volume.closed.is_none() && volume.writer.is_none() && volume.unfinished.is_none();
        pool.writable += usize::from(is_writable);
    }
    for (serial, drive) in &state.drives {
        if let Some(pool) = &drive.pool {
            pools.entry(pool).or_default().drives.insert(serial);
        }
    }
    for (name, job) in &state.jobs {
        pools.entry(&job.volumes).or_default().jobs.insert(name);
        if let DriveChoice::Pool(pool) = &job.drive {
            pools.entry(pool).or_default().jobs.insert(name);
        }
    }
    pools
}

#[cfg(test)]
mod tests {
    use longhaul_protocol::Time;
    use longhaul_protocol::frame::encode;
    use longhaul_protocol::job::Job;

    use super::*;
    use crate::core::state::{Change, Node, Run, RunState};

    fn job(name: &str, text_bytes: usize) -> Box<Job> {
        let json = json!({
            "name": name, "work": { "paths": ["/srv"], "excludes": ["x".repeat(text_bytes)] },
            "place": { "node": "n1" }, "drive": { "pool": "fast" }, "volumes": "daily",
        });
        Box::new(serde_json::from_value(json).expect("a job"))
    }

    fn run(job_name: &str, due: i64, text_bytes: usize) -> Change {
        let id = RunId {
            job: job_name.parse().expect("a name"),
            due: Time(due),
        };
        let run = Run {
            job: *job(job_name, text_bytes),
            state: RunState::Waiting,
            attempts: 0,
            failures: 0,
            not_before: Time(due),
            is_stopped: false,
        };
        Change::Run(id, Box::new(run))
    }

    /// All pages' keys, and how many pages they were. Each page is a message.
    fn all(state: &State, mut query: Rows) -> (Vec<String>, usize) {
        let (mut keys, mut pages) = (Vec::new(), 0);
        loop {
            let answer = rows(state, &query).expect("rows");
            encode(&answer).expect("a message");
            let Answer::Rows { rows, more } = answer else {
                panic!("{answer:?}");
            };
            assert!(rows.len() <= query.most as usize);
            assert!(!rows.is_empty() || more.is_none());
            keys.extend(rows.into_iter().map(|row| row.key));
            pages += 1;
            query.after = more;
            if query.after.is_none() {
                return (keys, pages);
            }
        }
    }

    #[test]
    fn all_rows_come_in_pages_that_are_messages() {
        let mut state = State::default();
        for number in 0..2500 {
            let node = format!("n{number:04}").parse().expect("a name");
            state.apply(Change::Node(node, Node::default()));
        }
        let (keys, pages) = all(&state, Rows::all(Table::Node));
        let wanted: Vec<String> = (0..2500).map(|number| format!("n{number:04}")).collect();
        assert_eq!((keys, pages), (wanted.clone(), 3));
        let few = Rows {
            most: 7,
            ..Rows::all(Table::Node)
        };
        assert_eq!(all(&state, few).0, wanted);
        // Whoever wants none is given one at a time, and nobody more than that.
        for (most, rows_given) in [(0, 1), (u32::MAX, 1000)] {
            let query = Rows {
                most,
                ..Rows::all(Table::Node)
            };
            let answer = rows(&state, &query).expect("rows");
            assert!(matches!(answer, Answer::Rows { rows, .. } if rows.len() == rows_given));
        }
    }

    #[test]
    fn runs_come_the_newest_first_whatever_their_jobs() {
        let mut state = State::default();
        for due in 0..1500 {
            state.apply(run(if due % 3 == 0 { "a" } else { "b" }, due, 0));
        }
        state.apply(run("b", 0, 0));
        let due = |key: &String| key.split_once('@').expect("a run").1.parse().expect("due");
        let dues = |keys: &[String]| keys.iter().map(due).collect::<Vec<i64>>();
        let (keys, _) = all(&state, Rows::all(Table::Run));
        let mut wanted: Vec<i64> = (0..1500).rev().collect();
        wanted.push(0);
        assert_eq!(dues(&keys), wanted);
        assert_eq!(keys[1499..], ["a@0", "b@0"]);
        let of_a = Rows {
            of: Some("a".into()),
            most: 100,
            ..Rows::all(Table::Run)
        };
        let (keys, pages) = all(&state, of_a);
        assert!(keys.iter().all(|key| key.starts_with("a@")));
        assert_eq!((keys.len(), pages), (500, 5));
    }

    #[test]
    fn rows_that_are_long_come_fewer_at_a_time_and_what_is_too_long_says_so() {
        let mut state = State::default();
        for due in 0..30 {
            state.apply(run("a", due, 200_000));
        }
        state.apply(run("a", 30, MESSAGE_BYTES_MAX));
        let (keys, pages) = all(&state, Rows::all(Table::Run));
        assert_eq!(keys.len(), 31);
        assert!((6..=8).contains(&pages), "{pages}");
        let one = rows(&state, &Rows::one(Table::Run, "a@30")).expect("rows");
        let Answer::Rows { rows, .. } = one else {
            panic!("{one:?}");
        };
        assert!(rows[0].row["too_long"].as_u64() > Some(MESSAGE_BYTES_MAX as u64));
    }

    #[test]
    fn what_names_nothing_is_no_query() {
        let mut state = State::default();
        state.apply(run("a", 5, 0));
        let wrong = |query: Rows| rows(&state, &query).expect_err("no rows").to_string();
        let query = |of: Option<&str>, after: Option<&str>, table| Rows {
            of: of.map(String::from),
            after: after.map(String::from),
            ..Rows::all(table)
        };
        assert!(wrong(query(Some("a"), None, Table::Node)).contains("only runs"));
        assert!(wrong(query(Some("../a"), None, Table::Run)).contains("no name"));
        assert!(wrong(query(None, Some("a"), Table::Run)).contains("no run"));
        assert!(wrong(query(Some("a"), None, Table::Attempt)).contains("no run"));
        assert!(wrong(Rows::one(Table::Run, "a")).contains("there is no run a"));
        assert!(wrong(Rows::one(Table::Volume, "\x1b")).contains("there is no volume"));
        let none = all(&state, query(Some("b"), None, Table::Run));
        assert_eq!(none, (vec![], 1));
    }
}
