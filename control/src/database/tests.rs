//! The database against its rows in memory.

use std::fs;
use std::path::Path;
use std::process::Command;

use longhaul_protocol::job::Job;
use longhaul_protocol::report::{Outcome, Point};
use longhaul_protocol::{AttemptId, ExitStatus, Name, RunId};
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::core::state::{Attempt, Drive, Key, Node, Run, RunState, Scheduled, Told, Volume};
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
    Database::open(dir, NOW).expect("a database")
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

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..9, Just(u64::MAX), Just(1 << 63)]
}

fn any_attempt() -> impl Strategy<Value = Change> {
    let ids = (1i64..4, 1u32..3, any_number());
    let ends = proptest::option::of((0u8..8, ".{0,9}"));
    (ids, ends, any::<bool>()).prop_map(|((due, number, bytes), end, has_point)| {
        with(attempt(attempt_id(due, number)), |row| {
            row.journal_bytes = bytes;
            row.point = has_point.then(|| point(bytes));
            row.ended = end.map(|(exit, error)| {
                let exit = ExitStatus::try_from(exit).expect("a status");
                Outcome::without_set(exit, error, Time(bytes as i64))
            });
        })
    })
}

fn any_run() -> impl Strategy<Value = Change> {
    let state = prop_oneof![
        Just(RunState::Waiting),
        Just(RunState::Active),
        ".{0,9}".prop_map(RunState::Held),
        ".{0,9}".prop_map(RunState::Failed),
        Just(RunState::Done(ExitStatus::Incomplete)),
    ];
    (1i64..4, state).prop_map(|(due, state)| run(run_id(due), state))
}

fn any_small() -> impl Strategy<Value = Change> {
    let key = proptest::sample::select(vec!["a", "b", "c-1.example"]).prop_map(name);
    (0u8..7, key, any::<bool>(), ".{0,9}", any_number()).prop_map(
        |(kind, key, is, text, number)| match kind {
            0 => Change::Counters(Counters {
                epoch: Epoch(number),
                token: Token(number as u32),
            }),
            1 => {
                let mut node = Node {
                    is_drained: is,
                    ..Node::default()
                };
                node.reaches.push(key.clone());
                Change::Node(key, node)
            }
            2 => {
                let drive = Drive {
                    product: text.clone(),
                    trouble: is.then_some(text),
                    holder: is.then(|| attempt_id(1, 1)),
                    ..Drive::default()
                };
                Change::Drive(key, drive)
            }
            3 => {
                let volume = Volume {
                    name: key.clone(),
                    pool: key,
                    closed: is.then_some(text),
                    writer: (!is).then(|| attempt_id(1, 1)),
                    unfinished: is.then(|| run_id(2)),
                };
                Change::Volume(Uuid::from_u128(u128::from(number)), volume)
            }
            4 if is => Change::Job(key.clone(), Box::new(job(&key))),
            4 => Change::Removed(Key::Job(key)),
            5 => Change::Removed(match number % 4 {
                0 => Key::Node(key),
                1 => Key::Drive(key),
                2 => Key::Volume(Uuid::from_u128(u128::from(number))),
                _ => Key::Schedule(key),
            }),
            _ => {
                let schedule = Schedule {
                    name: key.clone(),
                    job: key.clone(),
                    cron: text,
                    zone: "UTC".into(),
                    catch_up: CatchUp::One,
                    is_disabled: is,
                };
                let next = (number > 3).then_some(Time(number as i64));
                let row = Box::new(Scheduled { schedule, next });
                Change::Schedule(key, row)
            }
        },
    )
}

fn any_commits() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = prop_oneof![any_attempt(), any_run(), any_small()];
    let commit = proptest::collection::vec(change, 0..8);
    proptest::collection::vec(commit, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_database_is_the_replay_of_all_changes_and_of_its_events(
        commits in any_commits(), reopen_after in 0usize..8
    ) {
        let (dir, mut database) = scratch();
        let mut rows = State::default();
        for (number, mut changes) in commits.into_iter().enumerate() {
            // An attempt without its run is refused; another test says so.
            changes.retain(|change| match change {
                Change::Attempt(id, _) => rows.runs.contains_key(&id.run),
                _ => true,
            });
            database.commit(NOW, &changes).expect("written");
            for change in changes {
                rows.apply(change);
            }
            if number == reopen_after {
                drop(database);
                let (again, read) = open(dir.path());
                prop_assert_eq!(&read, &rows);
                database = again;
            }
        }
        let mut replayed = State::default();
        let events = database.events(None, None, u32::MAX).expect("events");
        prop_assert_eq!(database.events, events.len() as u64);
        for event in events.into_iter().rev() {
            replayed.apply(event.change);
        }
        prop_assert_eq!(&replayed, &rows);
        drop(database);
        prop_assert_eq!(&open(dir.path()).1, &rows);
    }
}

#[test]
fn whatever_a_crash_leaves_is_what_some_commit_made() {
    let (dir, mut database) = scratch();
    database.copies.end().expect("copied");
    let mut rows = State::default();
    let mut states = vec![rows.clone()];
    for number in 1..=6 {
        let changes = [
            run(run_id(number), RunState::Active),
            attempt(attempt_id(number, 1)),
        ];
        database.commit(NOW, &changes).expect("written");
        changes.into_iter().for_each(|change| rows.apply(change));
        states.push(rows.clone());
    }
    // The process is there still: nothing was closed.
    let log = fs::read(dir.path().join("operations.db-wal")).expect("a log");
    let mut reached = 0;
    for cut in (0..=log.len()).step_by(5_000).chain([log.len()]) {
        let crashed = tempfile::tempdir().expect("a scratch folder");
        fs::copy(dir.path().join(FILE), crashed.path().join(FILE)).expect("copied");
        fs::write(crashed.path().join("operations.db-wal"), &log[..cut]).expect("written");
        let (_, read) = open(crashed.path());
        let found = states.iter().position(|state| *state == read);
        let found = found.expect("the rows behind some commit");
        assert!(found >= reached, "cut at {cut}");
        reached = found;
    }
    assert_eq!(reached, states.len() - 1, "what was committed is there");
}

#[test]
fn two_coordinators_are_never_on_one_database() {
    let (dir, database) = scratch();
    let error = Database::open(dir.path(), NOW).expect_err("held");
    assert!(matches!(error, DatabaseError::Held { .. }), "{error}");
    let lock = dir.path().join("lock").display().to_string();
    assert!(error.to_string().contains(&lock), "{error}");
    drop(database);
    open(dir.path());
}

#[test]
fn an_attempt_needs_its_run_and_all_of_a_commit_is_written_or_nothing() {
    let (dir, mut database) = scratch();
    let node = Change::Node(name("n1"), Node::default());
    let changes = [node, attempt(attempt_id(1, 1))];
    database.commit(NOW, &changes).expect_err("no such run");
    assert_eq!(database.events(None, None, 9).expect("events"), []);
    // Within a transaction the run may come behind.
    let changes = [attempt(attempt_id(1, 1)), run(run_id(1), RunState::Active)];
    database.commit(NOW, &changes).expect("written");
    drop(database);
    let (_, state) = open(dir.path());
    assert_eq!((state.nodes.len(), state.attempts.len()), (0, 1));
}

#[test]
fn progress_that_is_said_again_at_once_is_written_once() {
    let (_dir, mut database) = scratch();
    let id = attempt_id(1, 1);
    let progress = |bytes| with(attempt(id.clone()), |row| row.journal_bytes = bytes);
    let changes = [
        run(run_id(1), RunState::Active),
        attempt(id.clone()),
        progress(1),
        progress(2),
    ];
    assert_eq!(events::telling(&changes).count(), 3);
    database.commit(NOW, &changes).expect("written");
    let events = database.events(Some(&id.to_string()), None, 9);
    let changes: Vec<Change> = events
        .expect("events")
        .into_iter()
        .map(|e| e.change)
        .collect();
    assert_eq!(changes, [progress(2), attempt(id.clone())]);
}

#[test]
fn what_people_were_told_is_an_event_and_no_row() {
    let (dir, mut database) = scratch();
    let told = Change::Told(Told {
        of: "LH01".into(),
        notice: "drive LH01 cannot be used: MEDIUM ERROR".into(),
        failed: Some("exit status: 1".into()),
    });
    database
        .commit(NOW, std::slice::from_ref(&told))
        .expect("written");
    let events = database.events(Some("LH01"), None, 9).expect("events");
    assert_eq!(
        events.into_iter().map(|e| e.change).collect::<Vec<_>>(),
        [told]
    );
    drop(database);
    assert_eq!(open(dir.path()).1, State::default());
}

#[test]
fn of_progress_the_newest_event_is_kept() {
    let (_dir, mut database) = scratch();
    let id = attempt_id(1, 1);
    let progress = |bytes| with(attempt(id.clone()), |row| row.journal_bytes = bytes);
    database
        .commit(
            NOW,
            &[run(run_id(1), RunState::Active), attempt(id.clone())],
        )
        .expect("written");
    for bytes in 1..50 {
        database.commit(NOW, &[progress(bytes)]).expect("written");
    }
    let key = id.to_string();
    let events = database.events(Some(&key), None, 99).expect("events");
    let changes: Vec<Change> = events.into_iter().map(|event| event.change).collect();
    assert_eq!(changes, [progress(49), attempt(id.clone())]);
    let ended = with(progress(50), |row| {
        row.ended = Some(Outcome::without_set(ExitStatus::Device, "dead", NOW));
    });
    database
        .commit(NOW, std::slice::from_ref(&ended))
        .expect("written");
    let events = database.events(Some(&key), None, 1).expect("events");
    assert_eq!(events[0].change, ended);
    assert_eq!(database.events, 3);
}

#[test]
fn the_oldest_events_go_in_small_steps() {
    let (_dir, mut database) = scratch();
    let change = |number: u64| {
        Change::Counters(Counters {
            epoch: Epoch(number),
            token: Token(0),
        })
    };
    for number in 1..=20 {
        database.commit(NOW, &[change(number)]).expect("written");
    }
    let oldest = |database: &Database| {
        let events = database.events(None, None, u32::MAX).expect("events");
        assert_eq!(events.len() as u64, database.events);
        events.last().map_or(0, |event| event.number)
    };
    let later = NOW.after(EVENTS_MS + 1);
    database.commit(later, &[change(21)]).expect("written");
    assert_eq!((oldest(&database), database.events), (5, 17));
    // As if there were so many.
    database.events = EVENTS_MAX + 1;
    database.commit(NOW, &[change(22)]).expect("written");
    assert_eq!(database.events, EVENTS_MAX);
    database.events = 16;
    assert_eq!(oldest(&database), 7);
}

#[test]
fn a_newer_version_and_another_program_are_refused() {
    let dir = closed_with_copy(&[]);
    let set = |pragma: &str| {
        let connection = Connection::open(dir.path().join(FILE)).expect("opens");
        connection.execute_batch(pragma).expect(pragma);
    };
    set("PRAGMA user_version = 99");
    let error = Database::open(dir.path(), NOW).expect_err("newer");
    assert!(
        matches!(
            error,
            DatabaseError::Newer {
                found: 99,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
    // The daily copy may be of that version, too.
    assert!(error.to_string().contains("no copy"), "{error}");
    set("PRAGMA user_version = 1; PRAGMA application_id = 5");
    let error = Database::open(dir.path(), NOW).expect_err("foreign");
    assert!(matches!(error, DatabaseError::Foreign { .. }), "{error}");
}

/// Writes rubbish over the middle of the file.
fn damage(dir: &Path) {
    let path = dir.join(FILE);
    let mut bytes = fs::read(&path).expect("readable");
    let middle = bytes.len() / 4;
    bytes[middle..middle + 20_000].fill(0xa5);
    fs::write(&path, bytes).expect("writable");
}

#[test]
fn what_the_error_of_a_damaged_database_says_brings_the_last_copy_back() {
    let counters = Counters {
        epoch: Epoch(9),
        token: Token(40),
    };
    let changes = [Change::Counters(counters), run(run_id(1), RunState::Active)];
    let dir = closed_with_copy(&changes);
    damage(dir.path());
    let error = Database::open(dir.path(), NOW).expect_err("damaged");
    assert!(matches!(error, DatabaseError::Corrupt { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("2025-11-26 23:00:00 UTC"), "{text}");
    let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(commands[0], "  systemctl stop lh-control");
    for command in &commands[1..] {
        let status = Command::new("sh").args(["-c", command]).status();
        assert!(status.expect("sh").success(), "{command}");
    }
    let seconds = NOW.0 as u64 / 1000;
    let (database, state) = open(dir.path());
    assert!(state.runs.contains_key(&run_id(1)));
    // What was given since the copy was made must not be given again.
    assert_eq!(state.counters.epoch, Epoch(seconds));
    assert_eq!(state.counters.token, Token(seconds as u32));
    drop(database);
    let (mut database, again) = open(dir.path());
    assert_eq!(again, state, "once");
    database.commit(NOW, &changes).expect("written");
}

#[test]
fn damage_where_no_row_is_read_from_is_noticed() {
    let dir = closed_with_copy(&[run(run_id(1), RunState::Active)]);
    let pages = sql(
        dir.path(),
        "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size
         WHERE name = 'sqlite_autoindex_runs_1'",
    );
    let number = |column: usize| pages[0][column].parse::<usize>().expect("a number");
    let (page, page_bytes) = (number(0), number(1));
    let path = dir.path().join(FILE);
    let mut bytes = fs::read(&path).expect("readable");
    bytes[(page - 1) * page_bytes..page * page_bytes].fill(0xa5);
    fs::write(&path, bytes).expect("writable");
    let error = Database::open(dir.path(), NOW).expect_err("damaged");
    assert!(matches!(error, DatabaseError::Corrupt { .. }), "{error}");
}

#[test]
fn a_row_that_cannot_be_read_is_damage() {
    let dir = closed_with_copy(&[run(run_id(1), RunState::Active)]);
    let connection = Connection::open(dir.path().join(FILE)).expect("opens");
    connection
        .execute("UPDATE runs SET body = '{\"state\":\"waiting\"}'", [])
        .expect("written");
    drop(connection);
    let error = Database::open(dir.path(), NOW).expect_err("damaged");
    assert!(matches!(error, DatabaseError::Corrupt { .. }), "{error}");
}

fn copies(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("copies")).expect("a folder");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).into_string().expect("a name"))
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_copy_is_made_a_day_and_seven_are_kept() {
    let (dir, mut database) = scratch();
    database.copies.end().expect("copied");
    assert_eq!(copies(dir.path()), ["daily-2025-11-25T230000Z.db"]);
    database
        .copy_if_due(NOW.after(DAY - 1))
        .expect("none is due");
    assert!(database.copies.work.is_none());
    for day in 1..10 {
        let now = NOW.after(DAY * day);
        database
            .commit(now, &[run(run_id(day as i64), RunState::Waiting)])
            .expect("written");
        database.copy_if_due(now).expect("begun");
        database.copies.end().expect("copied");
    }
    let names = copies(dir.path());
    assert_eq!(names.len(), DAILY_MAX);
    assert_eq!(names[0], "daily-2025-11-28T230000Z.db");
    assert_eq!(names[6], "daily-2025-12-04T230000Z.db");
    let copy = Connection::open(dir.path().join("copies").join(&names[0])).expect("opens");
    let runs: i64 = copy
        .query_row("SELECT count(*) FROM runs", [], |row| row.get(0))
        .expect("a copy of three days");
    assert_eq!(runs, 3);
}

#[test]
fn why_a_copy_failed_is_said_and_it_is_tried_again_an_hour_later() {
    let (dir, mut database) = scratch();
    database.copies.end().expect("copied");
    let away = dir.path().join("copies");
    fs::remove_dir_all(&away).expect("removed");
    fs::create_dir(&away).expect("made");
    // Where the copy is to be written something else is.
    let part = "daily-2025-11-26T230000Z.db.part";
    fs::create_dir(away.join(part)).expect("made");
    let now = NOW.after(DAY);
    database.copy_if_due(now).expect("begun");
    let error = database.copies.end().expect_err("no file");
    assert!(
        error.to_string().contains("daily-2025-11-26T230000Z.db"),
        "{error}"
    );
    database.copy_if_due(now.after(3_599_999)).expect("not yet");
    assert!(database.copies.work.is_none());
    database.copy_if_due(now.after(3_600_000)).expect("begun");
    database.copies.end().expect("copied");
}

#[test]
fn an_older_version_is_copied_before_it_is_brought_up_to_date() {
    const NEXT: Kind = Kind {
        migrations: &[
            include_str!("schema/1.sql"),
            "CREATE TABLE more (one INTEGER) STRICT",
        ],
        ..KIND
    };
    let dir = closed_with_copy(&[run(run_id(1), RunState::Active)]);
    let (database, state) = super::open(dir.path(), NOW, &NEXT).expect("brought up to date");
    assert!(state.runs.contains_key(&run_id(1)));
    drop(database);
    let kept = copies(dir.path());
    assert_eq!(
        kept.last().expect("a copy"),
        "version-1-2025-11-25T230000Z.db"
    );
    assert_eq!(sql(dir.path(), "SELECT count(*) FROM more"), [["0"]]);
    // Who goes back to the older program is told what to go back to.
    let error = Database::open(dir.path(), NOW)
        .expect_err("newer")
        .to_string();
    assert!(error.contains("version-1-2025-11-25T230000Z.db"), "{error}");
    drop(super::open(dir.path(), NOW, &NEXT).expect("opened again"));
    assert_eq!(copies(dir.path()), kept, "no other copy of that version");
}

#[test]
fn the_tables_can_be_read_by_people() {
    let (dir, mut database) = scratch();
    let first = with(attempt(attempt_id(NOW.0, 1)), |row| {
        row.point = Some(point(u64::MAX));
        row.ended = Some(Outcome::without_set(
            ExitStatus::Unfinished,
            "n1 is dead",
            NOW,
        ));
    });
    let second = with(attempt(attempt_id(NOW.0, 2)), |row| {
        row.node = name("n2");
        row.token = Token(8);
        row.resumes = Some(1);
    });
    let drive = Drive {
        pool: Some(name("fast")),
        holder: Some(attempt_id(NOW.0, 2)),
        ..Drive::default()
    };
    let volume = Volume {
        name: name("LH0001"),
        pool: name("daily"),
        closed: None,
        writer: None,
        unfinished: None,
    };
    let changes = [
        run(run_id(NOW.0), RunState::Active),
        run(run_id(0), RunState::Held("no volume".into())),
        first,
        second,
        Change::Drive(name("LH01"), drive),
        Change::Volume(Uuid::from_u128(1), volume),
    ];
    database.commit(NOW, &changes).expect("written");
    for (query, expected) in [
        (
            "SELECT job, due_utc, state, why FROM runs ORDER BY due",
            vec![
                vec!["daily", "1970-01-01 00:00:00", "held", "no volume"],
                vec!["daily", "2025-11-25 23:00:00", "active", "-"],
            ],
        ),
        (
            "SELECT number, node, token, bytes, ended_utc, exit FROM attempts",
            vec![
                vec![
                    "1",
                    "n1",
                    "7",
                    "9223372036854775807",
                    "2025-11-25 23:00:00",
                    "6",
                ],
                vec!["2", "n2", "8", "-", "-", "-"],
            ],
        ),
        (
            "SELECT holder FROM drives",
            vec![vec!["daily@1764111600000#2"]],
        ),
        (
            "SELECT name, drives, volumes, open_volumes FROM pools",
            vec![vec!["daily", "0", "1", "1"], vec!["fast", "1", "0", "0"]],
        ),
        (
            "SELECT from_node, why, to_node, resumes FROM failovers",
            vec![vec!["n1", "n1 is dead", "n2", "1"]],
        ),
        (
            "SELECT token, node FROM assignments",
            vec![vec!["7", "n1"], vec!["8", "n2"]],
        ),
        (
            "SELECT number, taken_utc FROM checkpoints",
            vec![vec!["1", "2025-11-25 23:00:00"]],
        ),
        (
            "SELECT kind, key, time_utc FROM events WHERE kind = 'drive'",
            vec![vec!["drive", "LH01", "2025-11-25 23:00:00"]],
        ),
    ] {
        assert_eq!(sql(dir.path(), query), expected, "{query}");
    }
}
