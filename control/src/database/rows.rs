//! Rows as the tables have them: a key, and the rest as JSON.

use std::error::Error as StdError;

use longhaul_protocol::{AttemptId, Name, RunId, Time};
use rusqlite::types::Type;
use rusqlite::{Connection, Error, Params, Result, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::core::failover::FailoverId;
use crate::core::state::{Change, Key, State};

/// A table whose key is a text: its name, and the key's.
struct Table(&'static str, &'static str);

const NODES: Table = Table("nodes", "name");
const DRIVES: Table = Table("drives", "serial");
const VOLUMES: Table = Table("volumes", "uuid");
const JOBS: Table = Table("jobs", "name");
const SCHEDULES: Table = Table("schedules", "name");

/// A table whose key is two columns: its name, and theirs.
struct Pairs(&'static str, [&'static str; 2]);

const OCCURRENCES: Pairs = Pairs("occurrences", ["job", "due"]);
const RUNS: Pairs = Pairs("runs", ["job", "due"]);
const FAILOVERS: Pairs = Pairs("failovers", ["node", "lost"]);

/// Puts a row in its place.
pub(super) fn put(connection: &Connection, change: &Change) -> Result<()> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(sql)?.execute(values).map(drop)
    };
    match change {
        Change::Counters(row) => run(
            "INSERT INTO counters (one, body) VALUES (1, ?1)
             ON CONFLICT (one) DO UPDATE SET body = excluded.body",
            &[&json(row)?],
        ),
        Change::Node(name, row) => NODES.put(connection, name.as_str(), row),
        Change::Drive(serial, row) => DRIVES.put(connection, serial.as_str(), row),
        Change::Volume(uuid, row) => VOLUMES.put(connection, &uuid.to_string(), row),
        Change::Job(name, row) => JOBS.put(connection, name.as_str(), row),
        Change::Schedule(name, row) => SCHEDULES.put(connection, name.as_str(), row),
        Change::Occurrence(id, row) => OCCURRENCES.put(connection, &id.job, id.due, row),
        Change::Run(id, row) => RUNS.put(connection, &id.job, id.due, row),
        Change::Attempt(id, row) => run(
            "INSERT INTO attempts (job, due, number, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (job, due, number) DO UPDATE SET body = excluded.body",
            &[&id.run.job.as_str(), &id.run.due.0, &id.number, &json(row)?],
        ),
        Change::Failover(id, row) => FAILOVERS.put(connection, &id.node, id.lost, row),
        // Events have it.
        Change::Told(_) => Ok(()),
        Change::Removed(key) => remove(connection, key),
    }
}

fn remove(connection: &Connection, key: &Key) -> Result<()> {
    match key {
        Key::Node(name) => NODES.remove(connection, name.as_str()),
        Key::Drive(serial) => DRIVES.remove(connection, serial.as_str()),
        Key::Volume(uuid) => VOLUMES.remove(connection, &uuid.to_string()),
        Key::Job(name) => JOBS.remove(connection, name.as_str()),
        Key::Schedule(name) => SCHEDULES.remove(connection, name.as_str()),
        Key::Occurrence(id) => OCCURRENCES.remove(connection, &id.job, id.due),
        Key::Failover(id) => FAILOVERS.remove(connection, &id.node, id.lost),
        Key::Run(id) => RUNS.remove(connection, &id.job, id.due),
        Key::Attempt(id) => execute(
            connection,
            "DELETE FROM attempts WHERE job = ?1 AND due = ?2 AND number = ?3",
            (id.run.job.as_str(), id.run.due.0, id.number),
        ),
    }
}

/// All rows.
pub(super) fn all(connection: &Connection) -> Result<State> {
    let mut state = State::default();
    let mut each = |sql: &str, change: &dyn Fn(&Row<'_>) -> Result<Change>| {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            state.apply(change(row)?);
        }
        Ok::<(), Error>(())
    };
    each("SELECT body FROM counters", &|row| {
        Ok(Change::Counters(body(row, 0)?))
    })?;
    each(&NODES.query(), &|row| {
        Ok(Change::Node(key(row, 0)?, body(row, 1)?))
    })?;
    each(&DRIVES.query(), &|row| {
        Ok(Change::Drive(key(row, 0)?, body(row, 1)?))
    })?;
    each(&VOLUMES.query(), &|row| {
        Ok(Change::Volume(key(row, 0)?, body(row, 1)?))
    })?;
    each(&JOBS.query(), &|row| {
        Ok(Change::Job(key(row, 0)?, body(row, 1)?))
    })?;
    each(&SCHEDULES.query(), &|row| {
        Ok(Change::Schedule(key(row, 0)?, body(row, 1)?))
    })?;
    each(&OCCURRENCES.query(), &|row| {
        Ok(Change::Occurrence(run_id(row)?, body(row, 2)?))
    })?;
    each(&FAILOVERS.query(), &|row| {
        let (node, lost) = (key(row, 0)?, Time(row.get(1)?));
        Ok(Change::Failover(FailoverId { lost, node }, body(row, 2)?))
    })?;
    each(&RUNS.query(), &|row| {
        Ok(Change::Run(run_id(row)?, body(row, 2)?))
    })?;
    each("SELECT job, due, number, body FROM attempts", &|row| {
        let run = run_id(row)?;
        let number = row.get(2)?;
        Ok(Change::Attempt(AttemptId { run, number }, body(row, 3)?))
    })?;
    Ok(state)
}

impl Table {
    fn put(&self, connection: &Connection, key: &str, row: &impl Serialize) -> Result<()> {
        let Table(name, column) = self;
        execute(
            connection,
            &format!(
                "INSERT INTO {name} ({column}, body) VALUES (?1, ?2)
                 ON CONFLICT ({column}) DO UPDATE SET body = excluded.body"
            ),
            (key, json(row)?),
        )
    }

    fn remove(&self, connection: &Connection, key: &str) -> Result<()> {
        let Table(name, column) = self;
        let sql = format!("DELETE FROM {name} WHERE {column} = ?1");
        execute(connection, &sql, [key])
    }

    fn query(&self) -> String {
        let Table(name, column) = self;
        format!("SELECT {column}, body FROM {name}")
    }
}

impl Pairs {
    fn put(
        &self,
        connection: &Connection,
        key: &Name,
        time: Time,
        row: &impl Serialize,
    ) -> Result<()> {
        let Pairs(name, [of, at]) = self;
        execute(
            connection,
            &format!(
                "INSERT INTO {name} ({of}, {at}, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT ({of}, {at}) DO UPDATE SET body = excluded.body"
            ),
            (key.as_str(), time.0, json(row)?),
        )
    }

    fn remove(&self, connection: &Connection, key: &Name, time: Time) -> Result<()> {
        let Pairs(name, [of, at]) = self;
        let sql = format!("DELETE FROM {name} WHERE {of} = ?1 AND {at} = ?2");
        execute(connection, &sql, (key.as_str(), time.0))
    }

    fn query(&self) -> String {
        let Pairs(name, [of, at]) = self;
        format!("SELECT {of}, {at}, body FROM {name}")
    }
}

fn execute(connection: &Connection, sql: &str, values: impl Params) -> Result<()> {
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// A row as the tables and the events have it.
pub(super) fn json(row: &impl Serialize) -> Result<String> {
    serde_json::to_string(row).map_err(|error| Error::ToSqlConversionFailure(error.into()))
}

/// And back.
pub(super) fn body<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| unreadable(column, error))
}

fn key<T>(row: &Row<'_>, column: usize) -> Result<T>
where
    T: std::str::FromStr<Err: StdError + Send + Sync + 'static>,
{
    let text = row.get_ref(column)?.as_str()?;
    text.parse()
        .map_err(|error: T::Err| unreadable(column, error))
}

fn run_id(row: &Row<'_>) -> Result<RunId> {
    Ok(RunId {
        job: key::<Name>(row, 0)?,
        due: Time(row.get(1)?),
    })
}

fn unreadable(column: usize, error: impl StdError + Send + Sync + 'static) -> Error {
    Error::FromSqlConversionFailure(column, Type::Text, error.into())
}
