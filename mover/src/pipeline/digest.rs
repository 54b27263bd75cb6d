//! The digest of every file, on cores of its own.
//!
//! Hashing is what costs most, so records are hashed by several threads
//! ([`hash`]), each whatever comes next; [`join`] brings the records back into
//! their order, and the parts of files together. The record's own CRC32C is
//! taken there too, while its bytes are in the cache.

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
    /// CRC32C (Castagnoli) of these bytes: the drive's protection of the block
    /// needs it, and so does who wants to know the record again.
    pub crc: u32,
}

/// A record whose file data is hashed.
#[derive(Debug)]
pub struct Hashed {
    record: Record,
    /// CRC32C of the whole record.
    crc: u32,
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
        let crc = crc32c::crc32c(&record.buffer[..record.len]);
        if out.send(Hashed { record, crc, parts }).is_err() {
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
        while let Some(Hashed { record, crc, parts }) = early.remove(&next) {
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
            if out.send(Ready { buffer, len, crc }).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_s_checksum_covers_it_and_nothing_behind_it() {
        let mut buffer = Buffer::zeroed(64);
        buffer[..9].copy_from_slice(b"123456789");
        buffer[9..].fill(0xee);
        let (send, records) = crossbeam_channel::unbounded();
        let record = Record {
            sequence: 0,
            buffer,
            len: 9,
            pieces: Vec::new(),
        };
        send.send(record).unwrap();
        drop(send);
        let (hashed, to_join) = crossbeam_channel::unbounded();
        hash(&records, &hashed);
        drop(hashed);
        let (out, ready) = crossbeam_channel::unbounded();
        join(&to_join, &out, |_| Ok(()), &Progress::default()).unwrap();
        let Ready { len, crc, .. } = ready.recv().unwrap();
        // The check value of CRC-32C: that of the digits 1 to 9.
        assert_eq!((len, crc), (9, 0xe306_9283));
    }
}
