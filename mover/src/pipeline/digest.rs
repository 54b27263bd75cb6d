//! The digest of every file, on a core of its own.

use blake3::Hasher;
use crossbeam_channel::{Receiver, Sender};
use longhaul_ffi::buffer::Buffer;
use longhaul_format::index::{Entry, EntryType};

use super::record::{Piece, Record};
use crate::progress::Progress;

/// A record, ready to be written.
#[derive(Debug)]
pub struct Ready {
    /// Its bytes, from the buffer's start.
    pub buffer: Buffer,
    /// Bytes of the record.
    pub len: usize,
}

/// Hashes the files in the records, hands the entries of the members that end
/// in them to `each`, and passes the records on, in order, until no more come
/// or nobody takes them.
///
/// # Errors
/// What `each` answers.
pub fn run(
    records: &Receiver<Record>,
    out: &Sender<Ready>,
    mut each: impl FnMut(Box<Entry>) -> std::io::Result<()>,
    progress: &Progress,
) -> std::io::Result<()> {
    let mut hasher = Hasher::new();
    for Record {
        buffer,
        len,
        pieces,
    } in records
    {
        for Piece { range, ends } in pieces {
            hasher.update(&buffer[range]);
            let Some(mut entry) = ends else { continue };
            if entry.kind == EntryType::File {
                entry.blake3 = Some(*hasher.finalize().as_bytes());
                hasher.reset();
            }
            progress.member(entry.size);
            each(entry)?;
        }
        if out.send(Ready { buffer, len }).is_err() {
            break;
        }
    }
    Ok(())
}
