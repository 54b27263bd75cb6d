//! A record on its way to the tape.

use std::ops::Range;

use longhaul_ffi::buffer::Buffer;
use longhaul_format::index::Entry;

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
    /// The member's index entry, if the member ends here; its digest is still
    /// to be filled in.
    pub ends: Option<Box<Entry>>,
}
