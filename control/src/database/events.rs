//! What rows became, and when.

use std::collections::BTreeMap;

use longhaul_protocol::Time;
use rusqlite::{Connection, OptionalExtension, Result, Row};
use serde::Serialize;

use super::rows::{body, json};
use crate::core::state::{Attempt, Change, Key};

/// Events that are kept.
pub const EVENTS_MAX: u64 = 500_000;
/// For how long events are kept, in milliseconds: 400 days.
pub const EVENTS_MS: u64 = 400 * 24 * 3_600_000;
/// Of what is too old, at most so many go for each event that comes.
const STEP: u64 = 4;

/// A row that became what it is, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its place in the order of events.
    pub number: i64,
    /// When it was written down.
    pub time: Time,
    /// The row.
    #[serde(flatten)]
    pub change: Change,
}

/// The changes without progress that a later one of them says, too: it would be
/// written only to be written over.
pub(super) fn telling(changes: &[Change]) -> impl Iterator<Item = &Change> {
    let mut last = BTreeMap::new();
    for (number, change) in changes.iter().enumerate() {
        if let Change::Attempt(id, _) = change {
            last.insert(id, number);
        }
    }
    changes
        .iter()
        .enumerate()
        .filter_map(move |(number, change)| {
            let is_said_again = match change {
                Change::Attempt(id, attempt) => {
                    is_progress(attempt) && last.get(id) != Some(&number)
                }
                _ => false,
            };
            (!is_said_again).then_some(change)
        })
}

fn is_progress(attempt: &Attempt) -> bool {
    attempt.ended.is_none() && attempt.journal_bytes > 0
}

/// Adds an event. How many more there are then.
pub(super) fn add(connection: &Connection, now: Time, change: &Change) -> Result<i64> {
    let (kind, key) = of(change);
    let mut gone = 0;
    let mut progresses = false;
    if let Change::Attempt(_, attempt) = change {
        // What comes next says all that progress said; and there is so much of
        // it that nothing else would be left.
        gone = connection
            .prepare_cached("DELETE FROM events WHERE is_progress = 1 AND key = ?1")?
            .execute([&key])?;
        progresses = is_progress(attempt);
    }
    connection
        .prepare_cached(
            "INSERT INTO events (time, kind, key, is_progress, change)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((now.0, kind, key, progresses, json(change)?))?;
    Ok(1 - gone as i64)
}

/// Removes some of the oldest events, if they are too old or too many. How many
/// are left of `count`.
pub(super) fn remove_old(
    connection: &Connection,
    now: Time,
    count: u64,
    added: usize,
) -> Result<u64> {
    let surplus = count.saturating_sub(EVENTS_MAX);
    let step = STEP.saturating_mul(added as u64);
    let before = now.0.saturating_sub_unsigned(EVENTS_MS);
    let oldest: Option<i64> = connection
        .prepare_cached("SELECT time FROM events ORDER BY number LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if surplus == 0 && oldest.is_none_or(|oldest| oldest >= before) {
        return Ok(count);
    }
    let gone = connection
        .prepare_cached(
            "DELETE FROM events WHERE number IN
             (SELECT number FROM
              (SELECT number, time, row_number() OVER (ORDER BY number) AS place
               FROM (SELECT number, time FROM events ORDER BY number LIMIT ?1))
              WHERE place <= ?2 OR time < ?3)",
        )?
        .execute((signed(step), signed(surplus), before))?;
    Ok(count.saturating_sub(gone as u64))
}

/// Number and time of the newest. One that says more of an attempt's progress may have
/// the number of the one that it replaces.
pub(super) fn last(connection: &Connection) -> Result<Option<(i64, i64)>> {
    connection
        .prepare_cached("SELECT number, time FROM events ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// How many there are.
pub(super) fn count(connection: &Connection) -> Result<u64> {
    let count: i64 = connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The newest before that number, the newest first. To a run's belong those of
/// its attempts.
pub(super) fn newest(
    connection: &Connection,
    of: Option<&str>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Event>> {
    let before = before.unwrap_or(i64::MAX);
    match of {
        // `$` is what comes behind `#`.
        Some(key) => connection
            .prepare_cached(
                "SELECT number, time, change FROM events
                 WHERE (key = ?1 OR (key > ?1 || '#' AND key < ?1 || '$')) AND number < ?2
                 ORDER BY number DESC LIMIT ?3",
            )?
            .query_map((key, before, limit), event)?
            .collect(),
        None => connection
            .prepare_cached(
                "SELECT number, time, change FROM events WHERE number < ?1
                 ORDER BY number DESC LIMIT ?2",
            )?
            .query_map((before, limit), event)?
            .collect(),
    }
}

fn event(row: &Row<'_>) -> Result<Event> {
    Ok(Event {
        number: row.get(0)?,
        time: Time(row.get(1)?),
        change: body(row, 2)?,
    })
}

/// The kind of a row, and its key as text.
fn of(change: &Change) -> (&'static str, String) {
    match change {
        Change::Counters(_) => ("counters", String::new()),
        Change::Node(name, _) => ("node", name.to_string()),
        Change::Drive(serial, _) => ("drive", serial.to_string()),
        Change::Volume(uuid, _) => ("volume", uuid.to_string()),
        Change::Job(name, _) => ("job", name.to_string()),
        Change::Schedule(name, _) => ("schedule", name.to_string()),
        Change::Occurrence(id, _) => ("occurrence", id.to_string()),
        Change::Run(id, _) => ("run", id.to_string()),
        Change::Attempt(id, _) => ("attempt", id.to_string()),
        Change::Failover(id, _) => ("failover", id.to_string()),
        Change::Told(told) => ("told", told.of.clone()),
        Change::Removed(key) => match key {
            Key::Node(name) => ("node", name.to_string()),
            Key::Drive(serial) => ("drive", serial.to_string()),
            Key::Volume(uuid) => ("volume", uuid.to_string()),
            Key::Job(name) => ("job", name.to_string()),
            Key::Schedule(name) => ("schedule", name.to_string()),
            Key::Occurrence(id) => ("occurrence", id.to_string()),
            Key::Run(id) => ("run", id.to_string()),
            Key::Attempt(id) => ("attempt", id.to_string()),
            Key::Failover(id) => ("failover", id.to_string()),
        },
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
