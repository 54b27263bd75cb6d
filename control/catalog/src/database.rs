//! The database of volumes and sets: opening, checking, bringing up to date.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, Row, Transaction, TransactionBehavior};
use uuid::Uuid;

use crate::error::{Error, Result};

/// How long a process waits for another's transaction. Transactions here take
/// milliseconds, so only a stopped process makes anybody wait that long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// What marks the file as ours in SQLite's header: "LHct".
const APPLICATION_ID: i32 = 0x4c48_6374;
/// The steps from each version to the next. Never change one that was
/// released; add another.
const MIGRATIONS: [&str; 2] = [include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// The database of volumes and sets.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    connection: Connection,
}

impl Database {
    /// Opens the database, and creates it if there is none. The caller sees to
    /// it that no other process opens it at the same moment.
    pub(crate) fn open(path: &Path) -> Result<Database> {
        let connection = Connection::open(path).map_err(|source| database(path, source))?;
        let mut database = Database {
            path: path.to_owned(),
            connection,
        };
        database.check()?;
        database.configure()?;
        database.migrate()?;
        Ok(database)
    }

    /// Refuses what is not ours, before anything is written.
    fn check(&self) -> Result<()> {
        self.run(|connection| connection.busy_timeout(BUSY_TIMEOUT))?;
        let version = self.version()?;
        let (id, objects): (i32, i64) = self.run(|connection| {
            let id = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
            let query = "SELECT count(*) FROM sqlite_schema";
            Ok((id, connection.query_row(query, [], |row| row.get(0))?))
        })?;
        if id != APPLICATION_ID && (id != 0 || version != 0 || objects != 0) {
            return Err(Error::NotACatalog {
                path: self.path.clone(),
            });
        }
        let known = MIGRATIONS.len() as u32;
        if version > known {
            return Err(Error::NewerVersion {
                path: self.path.clone(),
                found: version,
                known,
            });
        }
        let verdict: String = self.run(|connection| {
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        })?;
        if verdict != "ok" {
            return Err(Error::corrupt(&self.path, verdict));
        }
        Ok(())
    }

    fn configure(&self) -> Result<()> {
        self.run(|connection| {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)
        })
    }

    fn migrate(&mut self) -> Result<()> {
        let version = self.version()? as usize;
        if version == MIGRATIONS.len() {
            return Ok(());
        }
        self.write(|transaction| {
            for (step, sql) in (1u32..).zip(MIGRATIONS).skip(version) {
                transaction.execute_batch(sql)?;
                transaction.pragma_update(None, "user_version", step)?;
            }
            transaction.pragma_update(None, "application_id", APPLICATION_ID)
        })
    }

    fn version(&self) -> Result<u32> {
        let version: i64 = self.run(|connection| {
            connection.pragma_query_value(None, "user_version", |row| row.get(0))
        })?;
        // A negative one is not ours either: "newer" says what to do.
        Ok(u32::try_from(version).unwrap_or(u32::MAX))
    }

    /// Runs one statement.
    pub(crate) fn run<T>(
        &self,
        statement: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        statement(&self.connection).map_err(|source| database(&self.path, source))
    }

    /// Runs several statements on one state of the database.
    pub(crate) fn read<T>(
        &self,
        statements: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.run(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let value = statements(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
    }

    /// Runs statements that write: all of them, or none if one fails.
    pub(crate) fn write<T>(
        &self,
        statements: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
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

/// Tells damage from everything else that SQLite can report.
fn database(path: &Path, source: rusqlite::Error) -> Error {
    let damaged = matches!(
        source.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    ) || matches!(
        source,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
    );
    match damaged {
        true => Error::corrupt(path, source.to_string()),
        false => Error::Database {
            path: path.to_owned(),
            source,
        },
    }
}

/// A number as SQLite keeps it.
pub(crate) fn to_column(field: &'static str, value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::TooLarge { field, value })
}

/// And back.
pub(crate) fn from_column(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// A UUID, kept as text so that `sqlite3` shows it as everything else does.
pub(crate) fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: uuid::Error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}
