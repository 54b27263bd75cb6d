//! A record on its way to the tape.

use std::ops::Range;

use std::sync::Arc;

use longhaul_ffi::buffer::Buffer;
use longhaul_format::index::Entry;

use crate::checkpoint::Whole;

/// One record of the archive, complete.
#[derive(Debug)]
pub struct Record {
    /// Its running number in the archive's order, from 0.
    pub sequence: u64,
    /// Its bytes. The buffer may be longer (a tail for protection bytes).
    pub buffer: Buffer,
    /// Bytes of the record.
    pub len: usize,
    /// The file data in it and the members that end in it, in order.
    pub pieces: Vec<Piece>,
    /// Stream offset behind it.
    pub end: u64,
    /// What lies on both sides of that.
    pub cut: Cut,
}

/// What lies on both sides of a record boundary.
#[derive(Debug, Clone)]
pub enum Cut {
    /// Nothing: a member ends before it, the next one begins behind it.
    Between,
    /// A member's data.
    Inside(Arc<Whole>),
    /// What must not be cut: headers longer than a record, the archive's end.
    No,
}

/// A run of one member's file data in a record.
#[derive(Debug)]
pub struct Piece {
    /// Where it lies in the record; may be empty.
    pub range: Range<usize>,
    /// Where it lies in the data that is stored of the member.
    pub start: u64,
    /// Bytes that are stored of the member.
    pub total: u64,
    /// The member that ends here, if one does.
    pub ends: Option<Ended>,
}

/// A member that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its index entry; its digest is still to be filled in.
    pub entry: Box<Entry>,
    /// Whether it was given up, and only filled up: the source has still to be
    /// asked for it.
    pub given_up: bool,
}
