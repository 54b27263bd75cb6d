//! The digest of every file, on cores of its own.
//!
//! Hashing is what costs most, so records are hashed by several threads
//! ([`hash`]), each whatever comes next; [`join`] brings the records back into
//! their order, and the parts of files together.

use std::collections::BTreeMap;

use crossbeam_channel::{Receiver, Sender};
use longhaul_ffi::buffer::Buffer;
use longhaul_format::index::{Entry, EntryType};

use super::record::{Cut, Ended, Piece, Record};
use super::tree::{Joined, Part};
use crate::checkpoint::{Cursor, Inside, Place};
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
    /// Where the archive goes on behind it, if it can.
    pub cursor: Option<Cursor>,
}

/// A record whose file data is hashed.
#[derive(Debug)]
pub struct Hashed {
    record: Record,
    /// One for each piece.
    parts: Vec<Part>,
    crc: u32,
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
        if out.send(Hashed { record, parts, crc }).is_err() {
            break;
        }
    }
}

/// Takes records in any order and passes them on in theirs; hands the entries
/// of the members that end in them, digest and all, to `each`. `from` is where
/// the archive goes on.
///
/// # Errors
/// What `each` answers.
pub fn join<E>(
    hashed: &Receiver<Hashed>,
    out: &Sender<Ready>,
    from: &Cursor,
    mut each: impl FnMut(Box<Entry>) -> Result<(), E>,
    progress: &Progress,
) -> Result<(), E> {
    let mut so_far = SoFar::new(from);
    // Never more than the pool has buffers.
    let mut early = BTreeMap::new();
    let mut next = 0;
    for record in hashed {
        early.insert(record.record.sequence, record);
        while let Some(Hashed { record, parts, crc }) = early.remove(&next) {
            next += 1;
            let Record {
                buffer,
                len,
                pieces,
                end,
                cut,
                ..
            } = record;
            so_far.take(pieces, parts, |entry| {
                progress.member(entry.size);
                each(entry)
            })?;
            let ready = Ready {
                buffer,
                len,
                crc,
                cursor: so_far.cursor(end, &cut),
            };
            if out.send(ready).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What the records up to here hold.
struct SoFar {
    joined: Joined,
    entries: u64,
    /// Where the source goes on behind the last member that ended.
    place: Place,
}

impl SoFar {
    fn new(from: &Cursor) -> SoFar {
        let (joined, place) = match &from.place {
            Place::Inside(inside) => {
                let path = inside.whole.entry.path.clone();
                (inside.joined.clone(), Place::At(path))
            }
            place => (Joined::default(), place.clone()),
        };
        SoFar {
            joined,
            entries: from.entries,
            place,
        }
    }

    /// Takes what is in the next record.
    fn take<E>(
        &mut self,
        pieces: Vec<Piece>,
        parts: Vec<Part>,
        mut each: impl FnMut(Box<Entry>) -> Result<(), E>,
    ) -> Result<(), E> {
        let last = pieces.iter().rposition(|piece| piece.ends.is_some());
        for (place, (piece, part)) in pieces.into_iter().zip(parts).enumerate() {
            if !piece.range.is_empty() {
                self.joined.push(part, piece.total);
            }
            let Some(Ended {
                mut entry,
                given_up,
            }) = piece.ends
            else {
                continue;
            };
            if given_up {
                self.joined = Joined::default();
            } else if entry.kind == EntryType::File {
                let digest = self.joined.finish();
                let digest = digest.expect("a file's parts come before its end");
                entry.blake3 = Some(*digest.as_bytes());
            }
            self.entries += 1;
            if last == Some(place) {
                let path = entry.path.clone();
                self.place = if given_up {
                    Place::At(path)
                } else {
                    Place::Behind(path)
                };
            }
            each(entry)?;
        }
        Ok(())
    }

    /// Where the archive goes on behind the stream offset `end`.
    fn cursor(&self, end: u64, cut: &Cut) -> Option<Cursor> {
        let place = match cut {
            Cut::No => return None,
            Cut::Between => self.place.clone(),
            Cut::Inside(whole) => Place::Inside(Box::new(Inside {
                whole: (**whole).clone(),
                joined: self.joined.clone(),
            })),
        };
        Some(Cursor {
            offset: end,
            entries: self.entries,
            place,
        })
    }
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
            end: 9,
            cut: Cut::No,
        };
        send.send(record).unwrap();
        drop(send);
        let (hashed, to_join) = crossbeam_channel::unbounded();
        hash(&records, &hashed);
        drop(hashed);
        let (out, ready) = crossbeam_channel::unbounded();
        let from = Cursor::beginning();
        join::<()>(&to_join, &out, &from, |_| Ok(()), &Progress::default()).unwrap();
        let Ready { len, crc, .. } = ready.recv().unwrap();
        // The check value of CRC-32C: that of the digits 1 to 9.
        assert_eq!((len, crc), (9, 0xe306_9283));
    }
}
