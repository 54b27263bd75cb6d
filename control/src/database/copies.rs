//! Copies of the database, to go back to when it is damaged.
//!
//! A copy is made beside, checked, and renamed into place. The daily one is made
//! by a thread of its own, which reads what is there when it begins while the
//! coordinator goes on writing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use longhaul_catalog::sqlite::{Fault, quick_check};
use longhaul_protocol::Time;
use rusqlite::{Connection, InterruptHandle, OpenFlags};

use super::error::DatabaseError;

/// Daily copies that are kept.
pub const DAILY_MAX: usize = 7;
/// Copies of older versions that are kept.
pub const VERSIONS_MAX: usize = 3;
const DAY_MS: u64 = 24 * 3_600_000;
/// After a copy has failed, the next one is not tried before, in milliseconds.
const RETRY_MS: u64 = 3_600_000;
const STAMP: &str = "%Y-%m-%dT%H%M%SZ";
const ENDING: &str = ".db";
/// A copy that is not whole yet.
const PART: &str = ".part";

/// Why a copy is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Daily,
    /// The next start brings it to another version than this.
    Version(u32),
}

/// A copy that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    reason: Reason,
    time: Time,
    pub(super) path: PathBuf,
}

/// All copies of a database, and the one that is being made.
#[derive(Debug)]
pub(super) struct Copies {
    database: PathBuf,
    dir: PathBuf,
    tried: Option<Time>,
    pub(super) work: Option<Work>,
}

pub(super) struct Work {
    thread: JoinHandle<Result<(), DatabaseError>>,
    interrupt: InterruptHandle,
}

impl Copies {
    /// The copies of this database, in the folder beside it.
    pub(super) fn open(dir: &Path, database: &Path) -> Result<Copies, DatabaseError> {
        let dir = Copies::dir(dir);
        fs::create_dir_all(&dir).map_err(DatabaseError::io("create", &dir))?;
        for path in paths(&dir).map_err(DatabaseError::io("read", &dir))? {
            if path.extension().is_some_and(|ending| ending == &PART[1..]) {
                fs::remove_file(&path).map_err(DatabaseError::io("remove", &path))?;
            }
        }
        Ok(Copies {
            database: database.to_owned(),
            dir,
            tried: None,
            work: None,
        })
    }

    /// The folder of copies beside the database in `dir`.
    pub(super) fn dir(dir: &Path) -> PathBuf {
        dir.join("copies")
    }

    /// The newest copy; or the newest of those that were made of a version up
    /// to `known`.
    pub(super) fn newest(dir: &Path, known: Option<u32>) -> Option<Copy> {
        let mut copies = all(&Copies::dir(dir)).unwrap_or_default();
        copies.retain(|copy| match (known, copy.reason) {
            (Some(known), Reason::Version(version)) => version <= known,
            (Some(_), Reason::Daily) => false,
            (None, _) => true,
        });
        copies.pop()
    }

    /// Makes a copy now.
    pub(super) fn make(&self, now: Time, reason: Reason) -> Result<(), DatabaseError> {
        self.order(now, reason).and_then(Order::carry_out)
    }

    /// Sees to it that there is a copy of the last day, or soon will be.
    ///
    /// # Errors
    /// What the last one failed with.
    pub(super) fn make_if_due(&mut self, now: Time) -> Result<(), DatabaseError> {
        if let Some(work) = &self.work {
            if !work.thread.is_finished() {
                return Ok(());
            }
            return self.end();
        }
        let is_within = |time: Time, ms| time <= now && now.since(time) < ms;
        let made = all(&self.dir).map_err(DatabaseError::io("read", &self.dir))?;
        let is_there = made
            .iter()
            .any(|copy| copy.reason == Reason::Daily && is_within(copy.time, DAY_MS));
        if is_there || self.tried.is_some_and(|time| is_within(time, RETRY_MS)) {
            return Ok(());
        }
        self.tried = Some(now);
        let order = self.order(now, Reason::Daily)?;
        let interrupt = order.source.get_interrupt_handle();
        let thread = thread::Builder::new()
            .name("copy".into())
            .spawn(|| order.carry_out())
            .map_err(DatabaseError::io("make a thread for", &self.dir))?;
        self.work = Some(Work { thread, interrupt });
        Ok(())
    }

    /// Waits for the copy that is being made.
    pub(super) fn end(&mut self) -> Result<(), DatabaseError> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        work.thread.join().unwrap_or_else(|_| {
            let source = io::Error::other("its thread panicked");
            Err(DatabaseError::io("copy to", &self.dir)(source))
        })
    }

    fn order(&self, now: Time, reason: Reason) -> Result<Order, DatabaseError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let source = Connection::open_with_flags(&self.database, flags);
        let name = match reason {
            Reason::Daily => format!("daily-{}{ENDING}", stamp(now)),
            Reason::Version(version) => format!("version-{version}-{}{ENDING}", stamp(now)),
        };
        Ok(Order {
            source: source.map_err(|source| DatabaseError::Sqlite {
                path: self.database.clone(),
                source,
            })?,
            dir: self.dir.clone(),
            name,
            now,
        })
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        if let Some(work) = &self.work {
            work.interrupt.interrupt();
        }
        // It was given up; the next start makes another.
        let _ = self.end();
    }
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a copy being made")
    }
}

/// A copy that is to be made.
struct Order {
    source: Connection,
    dir: PathBuf,
    name: String,
    now: Time,
}

impl Order {
    fn carry_out(self) -> Result<(), DatabaseError> {
        let whole = self.dir.join(&self.name);
        let part = self.dir.join(format!("{}{PART}", self.name));
        let made = self.write(&part).map_err(|fault| match fault {
            Fault::Sqlite(source) => DatabaseError::Sqlite {
                path: whole.clone(),
                source,
            },
            fault => DatabaseError::Io {
                action: "copy to",
                path: whole.clone(),
                source: io::Error::other(fault),
            },
        });
        if made.is_err() {
            let _ = fs::remove_file(&part);
            return made;
        }
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        sync(&part).map_err(DatabaseError::io("sync", &part))?;
        fs::rename(&part, &whole).map_err(DatabaseError::io("rename", &part))?;
        sync(&self.dir).map_err(DatabaseError::io("sync", &self.dir))?;
        remove_surplus(&self.dir).map_err(DatabaseError::io("clear", &self.dir))
    }

    fn write(&self, part: &Path) -> Result<(), Fault> {
        let text = part.to_string_lossy();
        // SQLite writes into no file that is there.
        let _ = fs::remove_file(part);
        self.source.execute("VACUUM INTO ?1", [&text])?;
        let copy = Connection::open(part)?;
        quick_check(&copy, None)?;
        copy.execute(
            "INSERT INTO copied (one, time) VALUES (1, ?1)",
            [self.now.0],
        )?;
        copy.close().map_err(|(_, error)| error)?;
        Ok(())
    }
}

fn remove_surplus(dir: &Path) -> io::Result<()> {
    let (daily, versions): (Vec<Copy>, Vec<Copy>) = all(dir)?
        .into_iter()
        .partition(|copy| copy.reason == Reason::Daily);
    for (copies, most) in [(daily, DAILY_MAX), (versions, VERSIONS_MAX)] {
        for copy in copies.iter().rev().skip(most) {
            fs::remove_file(&copy.path)?;
        }
    }
    Ok(())
}

/// The copies in this folder, oldest first.
fn all(dir: &Path) -> io::Result<Vec<Copy>> {
    let mut copies: Vec<Copy> = paths(dir)?
        .into_iter()
        .filter_map(|path| {
            let (reason, time) = parse(path.file_name()?.to_str()?)?;
            Some(Copy { reason, time, path })
        })
        .collect();
    copies.sort_by_key(|copy| copy.time);
    Ok(copies)
}

fn paths(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

fn parse(name: &str) -> Option<(Reason, Time)> {
    let name = name.strip_suffix(ENDING)?;
    let (reason, stamp) = match name.strip_prefix("daily-") {
        Some(stamp) => (Reason::Daily, stamp),
        None => {
            let (version, stamp) = name.strip_prefix("version-")?.split_once('-')?;
            (Reason::Version(version.parse().ok()?), stamp)
        }
    };
    let utc = DateTime::strptime(STAMP, stamp).ok()?;
    let utc = utc.to_zoned(TimeZone::UTC).ok()?;
    Some((reason, Time(utc.timestamp().as_millisecond())))
}

fn stamp(time: Time) -> String {
    let timestamp = Timestamp::from_millisecond(time.0).unwrap_or_default();
    timestamp.strftime(STAMP).to_string()
}

impl Copy {
    pub(super) fn time_text(&self) -> String {
        let timestamp = Timestamp::from_millisecond(self.time.0).unwrap_or_default();
        timestamp.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}
