//! Volumes: the cartridges that were labelled.

use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use crate::database::{Database, from_column, to_column};
use crate::error::{Error, Result};

/// A labelled cartridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its identity, as its label has it.
    pub uuid: Uuid,
    /// Its name: the first six characters of the barcode, or what the operator
    /// chose. No two volumes of a catalog have the same.
    pub name: String,
    /// The barcode with its media suffix, where the cartridge has one.
    pub barcode: Option<String>,
    /// Bytes of a record.
    pub record_bytes: u32,
    /// When it was labelled, in milliseconds since 1970.
    pub created_ms: i64,
    /// Native capacity in bytes, where the drive told it.
    pub capacity_bytes: Option<u64>,
}

const COLUMNS: &str = "uuid, name, barcode, record_bytes, created_ms, capacity_bytes";

impl Database {
    /// All volumes, by name.
    pub(crate) fn volumes(&self) -> Result<Vec<Volume>> {
        self.run(|connection| {
            connection
                .prepare(&format!("SELECT {COLUMNS} FROM volumes ORDER BY name"))?
                .query_map([], read)?
                .collect()
        })
    }

    pub(crate) fn volume(&self, column: &'static str, value: &str) -> Result<Option<Volume>> {
        self.run(|connection| {
            let query = format!("SELECT {COLUMNS} FROM volumes WHERE {column} = ?1");
            connection.query_row(&query, [value], read).optional()
        })
    }

    pub(crate) fn put_volume(&self, volume: &Volume) -> Result<()> {
        let capacity = volume
            .capacity_bytes
            .map(|bytes| to_column("capacity_bytes", bytes))
            .transpose()?;
        let taken = self.write(|transaction| {
            let other: Option<String> = transaction
                .query_row(
                    "SELECT uuid FROM volumes WHERE name = ?1 AND uuid <> ?2",
                    params![volume.name, volume.uuid.to_string()],
                    |row| row.get(0),
                )
                .optional()?;
            if other.is_some() {
                return Ok(other);
            }
            transaction.execute(
                "INSERT INTO volumes (uuid, name, barcode, record_bytes, created_ms, capacity_bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (uuid) DO UPDATE SET name = ?2, barcode = ?3, record_bytes = ?4,
                 created_ms = ?5, capacity_bytes = ?6",
                params![
                    volume.uuid.to_string(),
                    volume.name,
                    volume.barcode,
                    volume.record_bytes,
                    volume.created_ms,
                    capacity
                ],
            )?;
            Ok(None)
        })?;
        match taken {
            None => Ok(()),
            Some(other) => Err(Error::VolumeNameTaken {
                name: volume.name.clone(),
                other: other.parse().unwrap_or_default(),
            }),
        }
    }

    pub(crate) fn remove_volume(&self, uuid: Uuid) -> Result<bool> {
        let (sets, removed) = self.write(|transaction| {
            let id = uuid.to_string();
            let sets: i64 = transaction.query_row(
                "SELECT count(DISTINCT set_uuid) FROM set_parts WHERE volume_uuid = ?1",
                [&id],
                |row| row.get(0),
            )?;
            if sets > 0 {
                return Ok((sets, 0));
            }
            Ok((
                0,
                transaction.execute("DELETE FROM volumes WHERE uuid = ?1", [&id])?,
            ))
        })?;
        match sets {
            0 => Ok(removed > 0),
            sets => Err(Error::VolumeInUse {
                volume: uuid,
                sets: sets.unsigned_abs(),
            }),
        }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Volume> {
    Ok(Volume {
        uuid: crate::database::uuid(row, 0)?,
        name: row.get(1)?,
        barcode: row.get(2)?,
        record_bytes: row.get(3)?,
        created_ms: row.get(4)?,
        capacity_bytes: match row.get_ref(5)? {
            rusqlite::types::ValueRef::Null => None,
            _ => Some(from_column(row, 5)?),
        },
    })
}
