//! Reading: one thread commands the drive, the caller parses.

use std::ops::ControlFlow;

use crossbeam_channel::bounded;
use longhaul_ffi::buffer::{Buffer, Pool};

use crate::drive::{Drive, DriveError, Read};
use crate::progress::Progress;

/// Records read ahead. A few hide the parsing; more would only be read in vain
/// where a restore jumps on to the next file.
pub const AHEAD: usize = 4;

/// Why reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The caller had enough. The drive may stand some records further on.
    Enough,
    /// A filemark; the drive stands behind it.
    Filemark,
    /// The end of data.
    EndOfData,
    /// Early end: asked to stop.
    Stopped,
}

/// Reads blocks of at most `block_bytes` into the pool's buffers from where the
/// drive stands, and hands each to `each`, in order, until that breaks off, or a
/// filemark or the end of data comes. The pool needs more than [`AHEAD`] buffers,
/// and saves copying if they have a few bytes of room behind the block.
///
/// # Errors
/// The drive's, after the blocks before it have been handed over.
pub fn blocks(
    drive: &mut Drive,
    pool: &Pool,
    block_bytes: usize,
    progress: &Progress,
    mut each: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<End, DriveError> {
    let (out, blocks) = bounded::<(Buffer, usize)>(AHEAD);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || -> Result<End, DriveError> {
            loop {
                let (read, buffer) = drive.read(pool.take(), block_bytes);
                match read? {
                    Read::Block(len) => {
                        progress.written(len as u64);
                        if out.send((buffer, len)).is_err() {
                            return Ok(End::Enough);
                        }
                    }
                    Read::Filemark => return Ok(End::Filemark),
                    Read::EndOfData | Read::EndOfPartition => {
                        return Ok(End::EndOfData);
                    }
                }
            }
        });
        let mut ended = None;
        for (buffer, len) in &blocks {
            if progress.stopping() {
                ended = Some(End::Stopped);
                break;
            }
            if each(&buffer[..len]).is_break() {
                ended = Some(End::Enough);
                break;
            }
        }
        drop(blocks);
        let read = reader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match ended {
            Some(end) => Ok(end),
            None => read,
        }
    })
}
