//! The form of a journal: a line that says what it is, then frames.
//!
//! ```text
//!  LONGHAUL JOURNAL 1\n
//!  kind (1)  length (4)  CRC32C (4)  payload (length)      numbers little-endian;
//!  kind (1)  …                                             the checksum is of kind,
//!                                                          length and payload
//! ```
//!
//! Whatever is behind the first frame that is not whole was not yet said to be
//! safe, and is ignored.

use std::io::{self, Read, Write};

/// The first line of every journal.
pub(super) const MAGIC: &[u8] = b"LONGHAUL JOURNAL 1\n";

/// The longest payload: entries are gathered to less, and nothing else comes
/// near it.
pub(super) const PAYLOAD_MAX: usize = 16 << 20;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// JSON: what is being backed up. First, and once.
    Head,
    /// JSON: a volume of the set.
    Volume,
    /// Index entries: their number (4 bytes), then a Zstandard frame of JSON
    /// lines.
    Entries,
    /// JSON: something that could not be read.
    Problem,
    /// JSON: a checkpoint.
    Checkpoint,
}

impl Kind {
    const ALL: [(Kind, u8); 5] = [
        (Kind::Head, b'H'),
        (Kind::Volume, b'V'),
        (Kind::Entries, b'E'),
        (Kind::Problem, b'P'),
        (Kind::Checkpoint, b'C'),
    ];

    fn code(self) -> u8 {
        let pair = Kind::ALL.iter().find(|(kind, _)| *kind == self);
        pair.expect("every kind has a code").1
    }

    fn from_code(code: u8) -> Option<Kind> {
        let pair = Kind::ALL.iter().find(|(_, known)| *known == code);
        pair.map(|(kind, _)| *kind)
    }
}

/// Appends a frame.
pub(super) fn write(out: &mut impl Write, kind: Kind, payload: &[u8]) -> io::Result<()> {
    if payload.len() > PAYLOAD_MAX {
        let what = format!("a frame of {} bytes", payload.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut start = [0; 9];
    start[0] = kind.code();
    start[1..5].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&start[..5]), payload);
    start[5..].copy_from_slice(&sum.to_le_bytes());
    out.write_all(&start)?;
    out.write_all(payload)
}

/// Reads the next frame into `payload`; `None` where no whole frame follows.
///
/// # Errors
/// Only if the file cannot be read.
pub(super) fn read(from: &mut impl Read, payload: &mut Vec<u8>) -> io::Result<Option<Kind>> {
    let mut start = [0; 9];
    if !read_whole(from, &mut start)? {
        return Ok(None);
    }
    let field = |range: std::ops::Range<usize>| {
        u32::from_le_bytes(start[range].try_into().expect("four bytes"))
    };
    let (len, sum) = (field(1..5) as usize, field(5..9));
    let Some(kind) = Kind::from_code(start[0]) else {
        return Ok(None);
    };
    if len > PAYLOAD_MAX {
        return Ok(None);
    }
    payload.resize(len, 0);
    if !read_whole(from, payload)? {
        return Ok(None);
    }
    let found = crc32c::crc32c_append(crc32c::crc32c(&start[..5]), payload);
    Ok((found == sum).then_some(kind))
}

/// Fills the buffer; false if the file ends before.
pub(super) fn read_whole(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(bytes: &[u8]) -> Vec<(Kind, Vec<u8>)> {
        let (mut rest, mut payload) = (bytes, Vec::new());
        let mut found = Vec::new();
        while let Some(kind) = read(&mut rest, &mut payload).unwrap() {
            found.push((kind, payload.clone()));
        }
        found
    }

    proptest! {
        /// Whatever happens to the file, no frame is made up: those before the
        /// damage are there, and at most one that holds it is not.
        #[test]
        fn a_torn_or_corrupt_tail_is_ignored(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6),
            cut in any::<prop::sample::Index>(),
            flip in proptest::option::of(0u8..8),
        ) {
            let (mut bytes, mut ends) = (Vec::new(), Vec::new());
            for payload in &payloads {
                write(&mut bytes, Kind::Entries, payload).unwrap();
                ends.push(bytes.len());
            }
            let at = cut.index(bytes.len());
            match flip {
                Some(bit) => bytes[at] ^= 1 << bit,
                None => bytes.truncate(at),
            }
            let whole = ends.iter().filter(|&&end| end <= at).count();
            let found = kinds(&bytes);
            prop_assert_eq!(found.len(), whole);
            for ((kind, payload), expected) in found.iter().zip(&payloads) {
                prop_assert_eq!((*kind, payload), (Kind::Entries, expected));
            }
        }
    }
}
