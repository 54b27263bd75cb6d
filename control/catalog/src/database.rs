//! The database of volumes and sets.

use std::path::Path;

use rusqlite::types::Type;
use rusqlite::{Connection, Row, Transaction};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::sqlite::{self, Fault, Kind};

const KIND: Kind = Kind {
    // "LHct".
    application_id: 0x4c48_6374,
    migrations: &[include_str!("schema/1.sql"), include_str!("schema/2.sql")],
    unchecked: &[],
};

/// The database of volumes and sets.
#[derive(Debug)]
pub(crate) struct Database(sqlite::Database);

impl Database {
    /// Opens the database, and creates it if there is none. The caller sees to
    /// it that no other process opens it at the same moment.
    pub(crate) fn open(path: &Path) -> Result<Database> {
        let opened = sqlite::Database::open(path, &KIND).and_then(|database| {
            database.migrate()?;
            Ok(database)
        });
        opened.map(Database).map_err(|fault| error(path, fault))
    }

    /// Runs one statement.
    pub(crate) fn run<T>(
        &self,
        statement: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let done = self.0.run(statement);
        done.map_err(|fault| error(self.0.path(), fault))
    }

    /// Runs several statements on one state of the database.
    pub(crate) fn read<T>(
        &self,
        statements: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let done = self.0.read(statements);
        done.map_err(|fault| error(self.0.path(), fault))
    }

    /// Runs statements that write: all of them, or none if one fails.
    pub(crate) fn write<T>(
        &self,
        statements: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let done = self.0.write(statements);
        done.map_err(|fault| error(self.0.path(), fault))
    }
}

fn error(path: &Path, fault: Fault) -> Error {
    let path = path.to_owned();
    match fault {
        Fault::Corrupt(what) => Error::Corrupt { path, what },
        Fault::Foreign => Error::NotACatalog { path },
        Fault::Newer { found, known } => Error::NewerVersion { path, found, known },
        Fault::Sqlite(source) => Error::Database { path, source },
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
