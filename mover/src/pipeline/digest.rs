//! The digest of every file, on cores of its own.
//!
//! Hashing is what costs most, so records are hashed by several threads
//! ([`hash`]), each whatever comes next; [`join`] brings the records back into
//! their order, and the parts of files together.

use std::collections::BTreeMap;

use crossbeam_channel::{Receiver, Sender};
use longhaul_ffi::buffer::Buffer;
use longhaul_format::index::{Entry, EntryType};

use super::record::{Piece, Record};
use super::tree::{Joined, Part};
use crate::progress::Progress;

/// Most threads that hash: a drive is kept busy by fewer.
const THREADS_MAX: usize = 8;

/// A record, ready to be written.
#[derive(Debug)]
pub struct Ready {
    /// Its bytes, from the buffer's start.
    pub buffer: Buffer,
    /// Bytes of the record.
    pub len: usize,
}

/// A record whose file data is hashed.
#[derive(Debug)]
pub struct Hashed {
    record: Record,
    /// One for each piece.
    parts: Vec<Part>,
}

/// How many threads should hash on this machine.
pub fn threads() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(THREADS_MAX)
}

/// Hashes the file data in records, until no more come or nobody takes them.
pub fn hash(records: &Receiver<Record>, out: &Sender<Hashed>) {
    for record in records {
        let part = |piece: &Piece| {
            Part::of(
                &record.buffer[piece.range.clone()],
                piece.start,
                piece.total,
            )
        };
        let parts = record.pieces.iter().map(part).collect();
        if out.send(Hashed { record, parts }).is_err() {
            break;
        }
    }
}

/// Takes records in any order and passes them on in theirs; hands the entries
/// of the members that end in them, digest and all, to `each`.
///
/// # Errors
/// What `each` answers.
pub fn join(
    hashed: &Receiver<Hashed>,
    out: &Sender<Ready>,
    mut each: impl FnMut(Box<Entry>) -> std::io::Result<()>,
    progress: &Progress,
) -> std::io::Result<()> {
    let mut joined = Joined::default();
    // Never more than the pool has buffers.
    let mut early = BTreeMap::new();
    let mut next = 0;
    for record in hashed {
        early.insert(record.record.sequence, record);
        while let Some(Hashed { record, parts }) = early.remove(&next) {
            next += 1;
            let Record {
                buffer,
                len,
                pieces,
                ..
            } = record;
            for (
                Piece {
                    total, ends, range, ..
                },
                part,
            ) in pieces.into_iter().zip(parts)
            {
                if !range.is_empty() {
                    joined.push(part, total);
                }
                let Some(mut entry) = ends else { continue };
                if entry.kind == EntryType::File {
                    let digest = joined.finish().expect("a file's parts come before its end");
                    entry.blake3 = Some(*digest.as_bytes());
                }
                progress.member(entry.size);
                each(entry)?;
            }
            if out.send(Ready { buffer, len }).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
