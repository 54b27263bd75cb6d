//! The record that a cut inserts at the head of the next volume.
//!
//! It says which set goes on there, and lets GNU tar go on: `tar -M` over all
//! volumes, and any reader on one volume alone. Where the cut lies in a file's
//! data, GNU tar wants a `g` header that names the file and then a header for
//! the rest of it. Where it lies between two members, a `g` header would cost
//! the next member (GNU tar takes what follows one for that rest): there the
//! record is an empty member of its own.

use super::headers::{extended_header, push_header};
use super::{LayoutError, PART_MEMBER, SetHead};
use crate::pax::{push_decimal, push_record};
use crate::ustar::{BLOCK, Header, NAME_MAX};

/// The folder that GNU tar puts the rest of a file into, where a volume is read
/// alone.
const PARTS_FOLDER: &[u8] = b"GNUFileParts/";

/// Where a set was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut<'a> {
    /// Between two members.
    Between,
    /// In a file's data; of a sparse file not before the first byte of it, where
    /// GNU tar would count wrong.
    Inside {
        /// The member's path.
        path: &'a [u8],
        /// Its length in bytes; of a sparse file: with the holes.
        size: u64,
        /// Bytes of data that are still to come, without padding.
        left: u64,
    },
}

/// The record that begins the volume `head.part` of a set that was cut at the
/// stream offset `head.offset`: exactly `record_bytes` bytes.
///
/// # Errors
/// [`LayoutError::Continuation`] if it does not fit in one record: it always
/// does where a record has 1,536 bytes more than the member's path, and at
/// least 2,048.
pub fn continuation(
    head: &SetHead,
    record_bytes: u64,
    cut: Cut<'_>,
) -> Result<Vec<u8>, LayoutError> {
    let total = record_bytes as usize;
    let room = total.saturating_sub(2 * BLOCK);
    let mut body = Vec::new();
    let (typeflag, name, left) = match cut {
        Cut::Between => {
            let mut name = PART_MEMBER.to_vec();
            push_decimal(&mut name, head.part.into());
            (b'x', name, 0)
        }
        Cut::Inside { path, size, left } => {
            volume_records(&mut body, path, size, left);
            (b'g', part_name(path, head.part), left)
        }
    };
    body.extend(head.body(room.saturating_sub(body.len())));
    if body.len() > room {
        let bytes = (body.len() + 2 * BLOCK) as u64;
        return Err(LayoutError::Continuation {
            bytes,
            record_bytes,
        });
    }
    let mut out = Vec::with_capacity(total);
    push_header(&mut out, &extended_header(typeflag, body.len()));
    out.extend_from_slice(&body);
    out.resize(total - BLOCK, 0);
    let header = Header {
        mode: 0o444,
        size: left,
        mtime: head.started,
        ..Header::new(b'0', &name)
    };
    push_header(&mut out, &header);
    Ok(out)
}

fn volume_records(body: &mut Vec<u8>, path: &[u8], size: u64, left: u64) {
    let decimal = |number| {
        let mut digits = Vec::new();
        push_decimal(&mut digits, number);
        digits
    };
    push_record(body, b"GNU.volume.filename", path);
    push_record(body, b"GNU.volume.size", &decimal(left));
    let done = size.saturating_sub(left);
    push_record(body, b"GNU.volume.offset", &decimal(done));
}

/// `GNUFileParts/base.N`, or as much of the base as fits.
fn part_name(path: &[u8], part: u32) -> Vec<u8> {
    let base = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let mut tail = vec![b'.'];
    push_decimal(&mut tail, part.into());
    let room = NAME_MAX - PARTS_FOLDER.len() - tail.len();
    let base = &base[..base.len().min(room)];
    [PARTS_FOLDER, base, &tail].concat()
}
