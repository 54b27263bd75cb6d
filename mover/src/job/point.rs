//! Where a set goes on.

use crate::checkpoint::{Checkpoint, Cursor};

/// What a set was gone on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A checkpoint.
    Checkpoint {
        /// When it was taken: milliseconds since 1970.
        taken_ms: i64,
        /// Members that were there.
        members: u64,
        /// Bytes of the archive that were there.
        bytes: u64,
    },
    /// What was read back from the tape.
    Tape {
        /// Members that were there.
        members: u64,
        /// Bytes of the archive that were there.
        bytes: u64,
    },
    /// Its end, which it had reached on the tape: only the catalog did not know it.
    End {
        /// Members that were there.
        members: u64,
        /// Bytes of the archive that were there.
        bytes: u64,
    },
    /// Nothing: all was backed up anew.
    Nothing,
}

impl Point {
    /// A checkpoint as a point, and its cursor.
    pub(super) fn of(checkpoint: Checkpoint) -> (Cursor, Point) {
        let Checkpoint {
            taken_ms, cursor, ..
        } = checkpoint;
        let point = Point::Checkpoint {
            taken_ms,
            members: cursor.entries,
            bytes: cursor.offset,
        };
        (cursor, point)
    }
}
