//! A set as a pax archive: members to stream offsets, and back.
//!
//! The archive is one stream of bytes, cut into records of a fixed size; the
//! byte at `offset` lies in record `offset / record_bytes`. What a member takes
//! of the stream:
//!
//! ```text
//!  [pad g]  x header, its records  ustar header  [sparse map]  file data  zeros
//!           ^ Placement::start                                 ^ data         ^ end
//!           |<----------------- headers ------------------->|
//! ```
//!
//! The rules, which [`Layout`] keeps and the tests check over whole streams:
//!
//! - Headers never straddle a record boundary; where they would, a pad comes
//!   first: a `g` header whose only record is a `comment`. Headers longer than
//!   a record start on a boundary. So every boundary lies in file data or at a
//!   member's start, and a volume may be cut there.
//! - A pad is never exactly one block: where a member would end one block
//!   before the boundary, a `comment` in its own `x` header moves its end.
//! - A member that stores [`LARGE`] bytes or more starts on a boundary, and its
//!   headers are a multiple of [`LARGE_ALIGN`] bytes, so that its data is
//!   aligned for direct I/O.
//! - A cut inserts one record at the head of the next volume, which is no part
//!   of the stream ([`continuation`]): who reads the stream leaves it out.
//! - No `g` header comes right before the archive's end. An archive that would
//!   end so gets an empty member in between, [`END_MEMBER`], which the parser
//!   skips.

mod continuation;
mod event;
mod headers;
mod layout;
mod parser;
mod parsing;
mod set_head;
mod sparse;

pub use continuation::{Cut, continuation};
pub use event::{Continuation, Event, ParsedMember};
pub use layout::{Layout, LayoutError, Part, Placement};
pub use parser::{Feed, Parser};
pub use parsing::ArchiveError;
pub use set_head::{SetHead, SetKind};

use crate::ustar::{BLOCK, Header};

/// The smallest record.
pub const RECORD_BYTES_MIN: u64 = 1024;
/// The largest record: a pad is up to a record long, and bsdtar refuses pads
/// above 1 MiB.
pub const RECORD_BYTES_MAX: u64 = 1 << 20;
/// The record size unless configured otherwise: `tar -b 1024`.
pub const RECORD_BYTES: u64 = 512 << 10;
/// Members that store as much as this start on a record boundary.
pub const LARGE: u64 = 64 << 20;
/// The headers of large members are a multiple of this.
pub const LARGE_ALIGN: u64 = 4096;
/// The headers of one member with its sparse map are never longer.
pub const HEADERS_MAX: u64 = 16 << 20;
/// Extended attributes of one member, at most: more than Linux can list (it
/// returns at most 64 KiB of names).
pub const XATTRS_MAX: usize = 16_384;
/// What the empty member is called, before its volume's number, that begins a
/// volume where a set was cut between two members.
pub const PART_MEMBER: &[u8] = b".longhaul/volume-";
/// The path of the empty member between a `g` header and the archive's end.
pub const END_MEMBER: &[u8] = b".longhaul/end-of-set";

const BLOCK_BYTES: u64 = BLOCK as u64;
/// Streams and files end here at the latest, so that no sum of offsets overflows.
const STREAM_MAX: u64 = 1 << 62;
const XATTR_KEY: &[u8] = b"SCHILY.xattr.";
const ACL_ACCESS_KEY: &[u8] = b"SCHILY.acl.access";
const ACL_DEFAULT_KEY: &[u8] = b"SCHILY.acl.default";

/// `bytes` rounded up to whole blocks; `bytes` is at most 2^63.
const fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES)
}

/// The whole header block of [`END_MEMBER`].
fn end_member() -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    Header {
        mode: 0o444,
        ..Header::new(b'0', END_MEMBER)
    }
    .write(&mut block);
    block
}
