//! Reads of file data into records: what they are of, and what became of them.

use std::fs::File;
use std::sync::Arc;

use longhaul_ffi::buffer::{ALIGNMENT, Span};
use longhaul_ffi::ring::Done;

use super::members::Members;

/// The content of the file that is being laid out.
pub(super) struct Content {
    pub(super) file: Arc<File>,
    pub(super) direct: Option<Arc<File>>,
}

impl Content {
    pub(super) fn of(file: Option<Arc<File>>, direct: Option<Arc<File>>) -> Option<Content> {
        file.map(|file| Content { file, direct })
    }

    /// How much of a read of `len` bytes at `offset`, to `at` in its record,
    /// can be direct: what is aligned on all sides.
    pub(super) fn direct_len(&self, offset: u64, at: usize, len: usize) -> usize {
        let aligned = offset.is_multiple_of(ALIGNMENT as u64) && at.is_multiple_of(ALIGNMENT);
        if self.direct.is_some() && aligned {
            len / ALIGNMENT * ALIGNMENT
        } else {
            0
        }
    }
}

/// What a read in flight is for.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) record: u64,
    pub(super) member: u64,
    pub(super) offset: u64,
    /// Where what a direct read leaves is read, if that is not the file itself.
    pub(super) through_cache: Option<Arc<File>>,
}

/// Takes note of a read that has ended; gives back what is still to be read.
pub(super) fn ended(
    done: Done<Tag>,
    members: &mut Members,
    record_done: impl FnOnce(u64),
) -> Option<(Arc<File>, Span, Tag)> {
    let Done {
        result,
        mut file,
        mut span,
        mut tag,
    } = done;
    let whole = matches!(result, Ok(len) if len == span.len());
    if let (false, Some(through_cache)) = (whole, tag.through_cache.take()) {
        // What direct I/O refuses, or leaves at a file's new end, is read as
        // everybody reads; what goes wrong then has gone wrong.
        file = through_cache;
        if result.is_err() {
            return Some((file, span, tag));
        }
    }
    match result {
        Ok(len) if len > 0 => {
            drop(span.split_to(len));
            tag.offset += len as u64;
        }
        Ok(_) => {
            let offset = tag.offset;
            members.damage(tag.member, || {
                format!("ended at byte {offset} while it was read; the rest is stored as zeros")
            });
            span.fill(0);
            span = span.split_to(0);
        }
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => {}
        Err(error) => {
            let offset = tag.offset;
            members.damage(tag.member, || {
                format!("could not be read at byte {offset}: {error}; stored as zeros there")
            });
            span.fill(0);
            span = span.split_to(0);
        }
    }
    if span.is_empty() {
        drop(file);
        members.read(tag.member);
        record_done(tag.record);
        return None;
    }
    Some((file, span, tag))
}
