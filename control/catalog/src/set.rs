//! Backup sets: what was written in one run of a backup.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, Transaction, params};
use uuid::Uuid;

use crate::database::{Database, from_column, to_column, uuid};
use crate::error::{Error, Result};

/// A backup set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetRecord {
    /// Its identity, as its index has it.
    pub uuid: Uuid,
    /// Where it lies: one part on each volume, in order.
    pub parts: Vec<SetPart>,
    /// When it was begun, in milliseconds since 1970.
    pub started_ms: i64,
    /// When it was ended.
    pub ended_ms: Option<i64>,
    /// The host whose files these are.
    pub host: String,
    /// The sources, as they were named, in raw bytes.
    pub paths: Vec<Vec<u8>>,
    /// Members stored.
    pub members: u64,
    /// Length of the archive in bytes.
    pub bytes: u64,
    /// Members that are damaged or could not be read.
    pub errors: u64,
    /// How it ended.
    pub state: SetState,
}

/// The part of a set that lies on one volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPart {
    /// The volume.
    pub volume: Uuid,
    /// Number of the tape file: of filemarks between the volume's beginning
    /// and it; 0 where nobody has looked.
    pub tape_file: u64,
    /// Logical object identifier of its first block.
    pub first_block: u64,
    /// Offset in the archive of what comes first on this volume, in bytes.
    pub stream_offset: u64,
}

/// How a set ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetState {
    /// It holds all that was asked for, and its index stands behind it.
    Finished,
    /// It was closed early: its index holds what it has.
    Partial,
    /// It has no index yet: it is being written, or its writer died.
    Unfinished,
}

impl SetState {
    /// The state's name, as the database and the index write it.
    pub fn name(self) -> &'static str {
        match self {
            SetState::Finished => "finished",
            SetState::Partial => "partial",
            SetState::Unfinished => "unfinished",
        }
    }

    fn from_name(name: &str) -> Option<SetState> {
        [SetState::Finished, SetState::Partial, SetState::Unfinished]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// Which sets to show: all that meet every condition that is given.
#[derive(Debug, Clone, Default)]
pub struct SetFilter {
    /// Sets of this host.
    pub host: Option<String>,
    /// Sets that ended so.
    pub state: Option<SetState>,
    /// Sets that were begun at this time or later, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Sets that were begun before this time.
    pub until_ms: Option<i64>,
    /// Sets that lie on this volume, in whole or in part.
    pub volume: Option<Uuid>,
}

impl Database {
    /// The sets, oldest first.
    pub(crate) fn sets(&self, filter: &SetFilter) -> Result<Vec<SetRecord>> {
        self.read_sets(
            "(?1 IS NULL OR host = ?1) AND (?2 IS NULL OR state = ?2)
             AND (?3 IS NULL OR started_ms >= ?3) AND (?4 IS NULL OR started_ms < ?4)
             AND (?5 IS NULL OR uuid IN
                  (SELECT set_uuid FROM set_parts WHERE volume_uuid = ?5))",
            params![
                filter.host,
                filter.state.map(SetState::name),
                filter.since_ms,
                filter.until_ms,
                filter.volume.map(|volume| volume.to_string()),
            ],
        )
    }

    pub(crate) fn set(&self, set: Uuid) -> Result<Option<SetRecord>> {
        Ok(self.read_sets("uuid = ?1", params![set.to_string()])?.pop())
    }

    fn read_sets(
        &self,
        condition: &str,
        values: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<SetRecord>> {
        self.read(|connection| {
            let query = format!(
                "SELECT uuid, started_ms, ended_ms, host, members, bytes, errors, state
                 FROM sets WHERE {condition} ORDER BY started_ms, uuid"
            );
            let mut sets: Vec<SetRecord> = connection
                .prepare(&query)?
                .query_map(values, read)?
                .collect::<rusqlite::Result<_>>()?;
            for set in &mut sets {
                set.parts = read_parts(connection, set.uuid)?;
                set.paths = read_paths(connection, set.uuid)?;
            }
            Ok(sets)
        })
    }

    pub(crate) fn put_set(&self, set: &SetRecord) -> Result<()> {
        let members = to_column("members", set.members)?;
        let bytes = to_column("bytes", set.bytes)?;
        let errors = to_column("errors", set.errors)?;
        let parts = set
            .parts
            .iter()
            .map(part_columns)
            .collect::<Result<Vec<_>>>()?;
        let unknown = self.write(|transaction| {
            for part in &set.parts {
                let known = transaction
                    .prepare_cached("SELECT 1 FROM volumes WHERE uuid = ?1")?
                    .exists([part.volume.to_string()])?;
                if !known {
                    return Ok(Some(part.volume));
                }
            }
            transaction.execute(
                "INSERT INTO sets (uuid, started_ms, ended_ms, host, members, bytes, errors, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (uuid) DO UPDATE SET started_ms = ?2, ended_ms = ?3, host = ?4,
                 members = ?5, bytes = ?6, errors = ?7, state = ?8",
                params![
                    set.uuid.to_string(),
                    set.started_ms,
                    set.ended_ms,
                    set.host,
                    members,
                    bytes,
                    errors,
                    set.state.name()
                ],
            )?;
            write_lists(transaction, set, &parts)?;
            Ok(None)
        })?;
        match unknown {
            None => Ok(()),
            Some(volume) => Err(Error::UnknownVolume {
                set: set.uuid,
                volume,
            }),
        }
    }

    pub(crate) fn remove_set(&self, set: Uuid) -> Result<bool> {
        let removed = self.write(|transaction| {
            transaction.execute("DELETE FROM sets WHERE uuid = ?1", [set.to_string()])
        })?;
        Ok(removed > 0)
    }
}

/// A part's volume, tape file, first block and stream offset.
type PartColumns = (String, i64, i64, i64);

fn part_columns(part: &SetPart) -> Result<PartColumns> {
    let tape_file = to_column("tape_file", part.tape_file)?;
    Ok((
        part.volume.to_string(),
        tape_file,
        to_column("first_block", part.first_block)?,
        to_column("stream_offset", part.stream_offset)?,
    ))
}

fn write_lists(
    transaction: &Transaction<'_>,
    set: &SetRecord,
    parts: &[PartColumns],
) -> rusqlite::Result<()> {
    let id = set.uuid.to_string();
    transaction.execute("DELETE FROM set_parts WHERE set_uuid = ?1", [&id])?;
    transaction.execute("DELETE FROM set_paths WHERE set_uuid = ?1", [&id])?;
    for (sequence, (volume, tape_file, first_block, stream_offset)) in (1..).zip(parts) {
        transaction.execute(
            "INSERT INTO set_parts
             (set_uuid, sequence, volume_uuid, tape_file, first_block, stream_offset)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                id,
                sequence as i64,
                volume,
                tape_file,
                first_block,
                stream_offset
            ],
        )?;
    }
    for (position, path) in (1..).zip(&set.paths) {
        transaction.execute(
            "INSERT INTO set_paths (set_uuid, position, path) VALUES (?1, ?2, ?3)",
            params![id, position as i64, path],
        )?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<SetRecord> {
    let state: String = row.get(7)?;
    let state = SetState::from_name(&state).ok_or_else(|| {
        let why = format!("a set's state is {state:?}").into();
        rusqlite::Error::FromSqlConversionFailure(7, Type::Text, why)
    })?;
    Ok(SetRecord {
        uuid: uuid(row, 0)?,
        parts: Vec::new(),
        started_ms: row.get(1)?,
        ended_ms: row.get(2)?,
        host: row.get(3)?,
        paths: Vec::new(),
        members: from_column(row, 4)?,
        bytes: from_column(row, 5)?,
        errors: from_column(row, 6)?,
        state,
    })
}

fn read_parts(connection: &Connection, set: Uuid) -> rusqlite::Result<Vec<SetPart>> {
    connection
        .prepare_cached(
            "SELECT volume_uuid, tape_file, first_block, stream_offset FROM set_parts
             WHERE set_uuid = ?1 ORDER BY sequence",
        )?
        .query_map([set.to_string()], |row| {
            Ok(SetPart {
                volume: uuid(row, 0)?,
                tape_file: from_column(row, 1)?,
                first_block: from_column(row, 2)?,
                stream_offset: from_column(row, 3)?,
            })
        })?
        .collect()
}

fn read_paths(connection: &Connection, set: Uuid) -> rusqlite::Result<Vec<Vec<u8>>> {
    connection
        .prepare_cached("SELECT path FROM set_paths WHERE set_uuid = ?1 ORDER BY position")?
        .query_map([set.to_string()], |row| row.get(0))?
        .collect()
}
