//! What the parser says: members, their data, and the archive's end.

use super::SetHead;
use crate::member::Member;

/// What an archive consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'r> {
    /// The head of one of Longhaul's archives.
    Set(SetHead),
    /// A member begins; its data follows, then [`Event::MemberEnd`].
    Member(Box<ParsedMember>),
    /// The data of a member goes on that an earlier volume began; then
    /// [`Event::MemberEnd`].
    Continued(Continuation),
    /// Some of the member's data.
    Data {
        /// Offset in the file (in a sparse file: with the holes).
        offset: u64,
        /// The data.
        bytes: &'r [u8],
    },
    /// The member is whole.
    MemberEnd {
        /// Stream offset behind it, whole blocks.
        end: u64,
    },
    /// The archive's end; anything behind it is skipped.
    End,
}

/// A member, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedMember {
    /// The member.
    pub member: Member,
    /// Stream offset of its first own header.
    pub start: u64,
    /// Stream offset of its file data.
    pub data: u64,
    /// Bytes of file data in the archive, without padding and sparse map.
    pub stored: u64,
}

/// The rest of a member whose headers are on an earlier volume (GNU tar's
/// multi-volume format).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    /// The member's path.
    pub path: Vec<u8>,
    /// Bytes of file data on earlier volumes; of a sparse file, its size with
    /// holes less what is to come. [`Event::Data`] counts on from here, so for
    /// a sparse file its offsets need the map that the first volume has.
    pub offset: u64,
    /// Stream offset of the data.
    pub data: u64,
    /// Bytes of data to come.
    pub stored: u64,
}
