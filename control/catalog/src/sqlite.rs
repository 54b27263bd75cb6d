//! A database file of Longhaul's: opening, checking, bringing up to date.
//!
//! SQLite in WAL mode with full synchronisation: what was committed outlives a
//! power cut. What kind of database a file is stands in its header
//! (`application_id`), and so does its version (`user_version`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

/// How long a process waits for another's transaction. Transactions here take
/// milliseconds, so only a stopped process makes anybody wait that long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A kind of database.
#[derive(Debug)]
pub struct Kind {
    /// What marks the file as one of this kind in SQLite's header.
    pub application_id: i32,
    /// The steps from each version to the next. Never change one that was
    /// released; add another.
    pub migrations: &'static [&'static str],
    /// Tables that are not checked when the file is opened: large ones that
    /// nothing depends on.
    pub unchecked: &'static [&'static str],
}

/// Why a database cannot be used. Whoever has it open knows the file's name,
/// and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is damaged: how that shows.
    #[error("damaged: {0}")]
    Corrupt(String),
    /// It is of another kind.
    #[error("a database of another program")]
    Foreign,
    /// It was written by a newer Longhaul.
    #[error("version {found}, and versions up to {known} are known")]
    Newer {
        /// The version it has.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// SQLite failed, other than by finding damage.
    #[error("SQLite")]
    Sqlite(#[source] rusqlite::Error),
}

/// Tells damage from everything else that SQLite can report.
impl From<rusqlite::Error> for Fault {
    fn from(source: rusqlite::Error) -> Fault {
        let damaged = matches!(
            source.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ) || matches!(
            source,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..)
        );
        match damaged {
            true => Fault::Corrupt(source.to_string()),
            false => Fault::Sqlite(source),
        }
    }
}

/// An open database.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    kind: &'static Kind,
    connection: Connection,
}

impl Database {
    /// Opens a database, and creates an empty one if there is none. The caller
    /// sees to it that no other process opens it at the same moment, and calls
    /// [`migrate`](Database::migrate) next.
    ///
    /// # Errors
    /// Any [`Fault`], and nothing is changed in a file that is not ours.
    pub fn open(path: &Path, kind: &'static Kind) -> Result<Database, Fault> {
        let database = Database {
            path: path.to_owned(),
            kind,
            connection: Connection::open(path)?,
        };
        database.check()?;
        database.configure()?;
        Ok(database)
    }

    /// Refuses what is not ours, before anything is written.
    fn check(&self) -> Result<(), Fault> {
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        let found = self.version()?;
        let id: i32 = self
            .connection
            .pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables = self.tables()?;
        if id != self.kind.application_id && (id != 0 || found != 0 || !tables.is_empty()) {
            return Err(Fault::Foreign);
        }
        let known = self.kind.migrations.len() as u32;
        if found > known {
            return Err(Fault::Newer { found, known });
        }
        if self.kind.unchecked.is_empty() {
            return quick_check(&self.connection, None);
        }
        let mut checked = tables
            .iter()
            .filter(|table| !self.kind.unchecked.contains(&table.as_str()));
        checked.try_for_each(|table| quick_check(&self.connection, Some(table)))
    }

    fn tables(&self) -> rusqlite::Result<Vec<String>> {
        let query = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
        self.connection
            .prepare(query)?
            .query_map([], |row| row.get(0))?
            .collect()
    }

    fn configure(&self) -> Result<(), Fault> {
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        self.connection.pragma_update(None, "foreign_keys", true)?;
        // A statement is compiled once, and not again for what is bound to it.
        self.connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(())
    }

    /// Brings the database up to date.
    ///
    /// # Errors
    /// A [`Fault`], and then the database is as it was.
    pub fn migrate(&self) -> Result<(), Fault> {
        let (version, known) = (self.version()?, self.kind.migrations.len() as u32);
        if version == known {
            return Ok(());
        }
        self.write(|transaction| {
            let steps = (1u32..).zip(self.kind.migrations);
            for (step, sql) in steps.skip(version as usize) {
                transaction.execute_batch(sql)?;
                transaction.pragma_update(None, "user_version", step)?;
            }
            transaction.pragma_update(None, "application_id", self.kind.application_id)
        })
    }

    /// The version that the file has; 0 if it is empty.
    ///
    /// # Errors
    /// A [`Fault`], if it cannot be read.
    pub fn version(&self) -> Result<u32, Fault> {
        let version: i64 = self
            .connection
            .pragma_query_value(None, "user_version", |row| row.get(0))?;
        // A negative one is not ours either: "newer" says what to do.
        Ok(u32::try_from(version).unwrap_or(u32::MAX))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// What it failed with, as for the two that follow.
    pub fn run<T>(
        &self,
        statement: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Fault> {
        Ok(statement(&self.connection)?)
    }

    /// Runs several statements on one state of the database.
    ///
    /// # Errors
    /// As [`run`](Database::run).
    pub fn read<T>(
        &self,
        statements: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Fault> {
        self.run(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let value = statements(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
    }

    /// Runs statements that write: all of them, or none if one fails.
    ///
    /// # Errors
    /// As [`run`](Database::run).
    pub fn write<T>(
        &self,
        statements: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Fault> {
        self.run(|connection| {
            // Immediate: a transaction that begins to write only later may
            // find that another was faster, and waiting does not help it.
            let transaction =
                Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            let value = statements(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
    }
}

/// Opens, or makes, a file that is there to be locked, for its owner alone. The
/// kernel drops the lock when the file is closed, or the process dies.
///
/// # Errors
/// The kernel's.
pub fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Checks a table with its indexes, or the whole file.
///
/// # Errors
/// [`Fault::Corrupt`] with the first thing that is wrong.
pub fn quick_check(connection: &Connection, table: Option<&str>) -> Result<(), Fault> {
    // Without a table the argument is how much of what is wrong is said.
    let verdict: String = match table {
        Some(table) => connection.query_row(
            "SELECT quick_check FROM pragma_quick_check(?1)",
            [table],
            |row| row.get(0),
        )?,
        None => connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?,
    };
    match verdict.as_str() {
        "ok" => Ok(()),
        _ => Err(Fault::Corrupt(verdict)),
    }
}
