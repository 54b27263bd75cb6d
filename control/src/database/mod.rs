//! The backup operations database: all that the coordinator remembers.
//!
//! ```text
//! DIR/operations.db  the rows of `core::state` and what they were, in SQLite
//! DIR/lock           held as long as a coordinator is on the database
//! DIR/copies/        copies to go back to: daily, and before each migration
//! ```
//!
//! The coordinator has all rows in memory, and writes each one that changes;
//! they are read once, at the start. A table's row is its key and its body, JSON
//! as the coordinator has it, and beside them columns that SQLite derives for
//! whoever looks with `sqlite3`. Every change is a row of `events`, too: the
//! database is their replay. docs/database.md has the tables.
//!
//! A coordinator that went back to a copy does not know what it has given since
//! then, and must not give it twice: its epochs and tokens go on from where no
//! other can have come. [`Database::open`] sees to that, since a copy says that
//! it is one.
//!
//! | file | noun |
//! | --- | --- |
//! | `rows` | rows as the tables have them |
//! | `events` | what rows became |
//! | `copies` | copies to go back to |
//! | `error` | what can go wrong, and what to do |

mod copies;
mod error;
mod events;
mod rows;

use std::fs::{DirBuilder, File, TryLockError};
use std::num::NonZeroU64;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use longhaul_catalog::sqlite::{self, Fault, Kind};
use longhaul_protocol::Time;
use longhaul_protocol::run::{Epoch, Token};
use rusqlite::{OptionalExtension, Transaction};
use rustix::fs::{Advice, fadvise};

use crate::core::state::{Change, Counters, State};
use copies::{Copies, Reason};

pub use copies::{DAILY_MAX, VERSIONS_MAX};
pub use error::{Back, DatabaseError};
pub use events::{EVENTS_MAX, EVENTS_MS, Event};

/// The database's file.
pub const FILE: &str = "operations.db";

const KIND: Kind = Kind {
    // "LHop".
    application_id: 0x4c48_6f70,
    migrations: &[include_str!("schema/1.sql")],
    // By far the largest, and nothing is decided by it. The daily copy reads it.
    unchecked: &["events"],
};

/// Bytes that the kernel is asked to fetch at once: it takes no wish that is
/// much larger.
const AHEAD_STEP: u64 = 1 << 20;
/// Bytes that are fetched before they are asked for.
const AHEAD_BYTES_MAX: u64 = 1 << 30;

/// The backup operations database of the one coordinator that is on it.
#[derive(Debug)]
pub struct Database {
    dir: PathBuf,
    file: sqlite::Database,
    events: Events,
    copies: Copies,
    /// The kernel drops the lock when the process dies.
    _lock: File,
}

/// The events that there are.
#[derive(Debug, Clone, Copy)]
struct Events {
    count: u64,
    /// Which is the newest: its number, and its time.
    last: Option<(i64, i64)>,
}

impl Database {
    /// Opens the database in folder `dir` and reads all rows. What is missing
    /// is created, the folder (and those above it) for its owner alone. An older
    /// version is copied and brought up to date.
    ///
    /// # Errors
    /// [`DatabaseError::Held`] if another coordinator is on it;
    /// [`DatabaseError::Corrupt`], [`DatabaseError::Newer`] or
    /// [`DatabaseError::Foreign`] by what it is, and nothing is changed in it;
    /// [`DatabaseError::Io`] or [`DatabaseError::Sqlite`] if it cannot be used.
    pub fn open(dir: &Path, now: Time) -> Result<(Database, State), DatabaseError> {
        open(dir, now, &KIND)
    }

    /// Makes all changes durable, or none of them.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Corrupt`], as for all that
    /// follow; [`DatabaseError::Superseded`] if another coordinator was here. What is
    /// in memory and what is written differ then: the coordinator has to stop.
    pub fn commit(&mut self, now: Time, changes: &[Change]) -> Result<(), DatabaseError> {
        if changes.is_empty() {
            return Ok(());
        }
        let before = self.events;
        let written =
            self.file.write(
                |transaction| match events::last(transaction)? == before.last {
                    true => write(transaction, now, changes, before).map(Some),
                    false => Ok(None),
                },
            );
        let written = written.map_err(|fault| self.error(fault))?;
        self.events = written.ok_or_else(|| self.superseded())?;
        Ok(())
    }

    /// That nobody else has written to it: the lock is a node's kernel's, and tells
    /// nothing of other nodes.
    ///
    /// # Errors
    /// As [`commit`](Database::commit).
    pub fn is_ours(&self) -> Result<(), DatabaseError> {
        let last = self.file.run(events::last);
        match last.map_err(|fault| self.error(fault))? == self.events.last {
            true => Ok(()),
            false => Err(self.superseded()),
        }
    }

    fn superseded(&self) -> DatabaseError {
        DatabaseError::Superseded {
            path: self.dir.join(FILE),
        }
    }

    /// The newest events before event number `before`, at most `limit`, the newest
    /// first: of all rows, or of those with this key as text.
    ///
    /// # Errors
    /// As [`commit`](Database::commit).
    pub fn events(
        &self,
        of: Option<&str>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Event>, DatabaseError> {
        let events = self
            .file
            .run(|connection| events::newest(connection, of, before, limit));
        events.map_err(|fault| self.error(fault))
    }

    /// Begins the daily copy, in a thread of its own, if there is none of the
    /// last 24 hours.
    ///
    /// # Errors
    /// Why the last one failed. It is tried again after an hour.
    pub fn copy_if_due(&mut self, now: Time) -> Result<(), DatabaseError> {
        self.copies.make_if_due(now)
    }

    fn error(&self, fault: Fault) -> DatabaseError {
        DatabaseError::of(&self.dir, fault)
    }
}

fn open(dir: &Path, now: Time, kind: &'static Kind) -> Result<(Database, State), DatabaseError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(DatabaseError::io("create", dir))?;
    let lock = lock(dir)?;
    let path = dir.join(FILE);
    let error = |fault| DatabaseError::of(dir, fault);
    if !path.exists() && Copies::newest(dir, None).is_some() {
        let what = "it is not there, though copies of it are";
        return Err(error(Fault::Corrupt(what.into())));
    }
    read_ahead(&path);
    let file = sqlite::Database::open(&path, kind).map_err(error)?;
    let mut copies = Copies::open(dir, &path)?;
    let version = file.version().map_err(error)?;
    if (1..kind.migrations.len() as u32).contains(&version) {
        copies.make(now, Reason::Version(version))?;
    }
    file.migrate().map_err(error)?;
    let read = || {
        // What another one writes from here on is noticed.
        let last = file.read(events::last)?;
        let mut state = file.read(rows::all)?;
        let count = file.read(events::count)?;
        let events = Events { count, last };
        let events = file.write(|transaction| go_on(transaction, now, &mut state, events))?;
        Ok((state, events))
    };
    let (state, events) = read().map_err(error)?;
    copies.make_if_due(now)?;
    let database = Database {
        dir: dir.to_owned(),
        file,
        events,
        copies,
        _lock: lock,
    };
    Ok((database, state))
}

/// Has the kernel fetch the file in one sweep: the rows that are read next lie
/// all over it, and fetching each one by itself takes several times as long.
fn read_ahead(path: &Path) {
    let Ok(file) = File::open(path) else {
        return;
    };
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    for offset in (0..bytes.min(AHEAD_BYTES_MAX)).step_by(AHEAD_STEP as usize) {
        // It is a wish, and may not be granted.
        let _ = fadvise(&file, offset, NonZeroU64::new(AHEAD_STEP), Advice::WillNeed);
    }
}

/// Keeps other coordinators from the database as long as the file lives.
fn lock(dir: &Path) -> Result<File, DatabaseError> {
    let path = dir.join("lock");
    let file = sqlite::lock_file(&path).map_err(DatabaseError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DatabaseError::Held { lock: path }),
        Err(TryLockError::Error(source)) => Err(DatabaseError::io("lock", &path)(source)),
    }
}

/// Writes changes and their events. How many events there are then.
fn write(
    transaction: &Transaction<'_>,
    now: Time,
    changes: &[Change],
    events: Events,
) -> rusqlite::Result<Events> {
    let mut count = events.count;
    for change in events::telling(changes) {
        rows::put(transaction, change)?;
        let more = events::add(transaction, now, change)?;
        count = count.saturating_add_signed(more);
    }
    let count = events::remove_old(transaction, now, count, changes.len())?;
    let last = events::last(transaction)?;
    Ok(Events { count, last })
}

/// If this was a copy until now, goes on with epochs and tokens that were never
/// given: there were fewer of them than seconds since 1970.
fn go_on(
    transaction: &Transaction<'_>,
    now: Time,
    state: &mut State,
    events: Events,
) -> rusqlite::Result<Events> {
    let copied: Option<i64> = transaction
        .query_row("SELECT time FROM copied", [], |row| row.get(0))
        .optional()?;
    if copied.is_none() {
        return Ok(events);
    }
    transaction.execute("DELETE FROM copied", [])?;
    let seconds = u64::try_from(now.0 / 1000).unwrap_or(0);
    let Counters { epoch, token, host } = state.counters.clone();
    let counters = Counters {
        epoch: Epoch(epoch.0.max(seconds)),
        token: Token(token.0.max(u32::try_from(seconds).unwrap_or(0))),
        host,
    };
    let change = Change::Counters(counters);
    state.apply(change.clone());
    write(transaction, now, &[change], events)
}

#[cfg(test)]
pub(crate) mod tests;
