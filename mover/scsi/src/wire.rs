//! Big-endian fields, ASCII fields, and a reader that never runs off the end.

use thiserror::Error;
use zerocopy::byteorder::BigEndian;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A big-endian field of 2 bytes.
pub type U16 = zerocopy::byteorder::U16<BigEndian>;
/// A big-endian field of 4 bytes.
pub type U32 = zerocopy::byteorder::U32<BigEndian>;
/// A big-endian field of 8 bytes.
pub type U64 = zerocopy::byteorder::U64<BigEndian>;

/// A big-endian field of 3 bytes.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct U24([u8; 3]);

/// The largest value that a 3-byte field holds.
pub const U24_MAX: u32 = 0x00ff_ffff;

impl U24 {
    /// A field of that value.
    ///
    /// # Panics
    /// If the value needs more than 24 bits.
    pub fn new(value: u32) -> U24 {
        assert!(value <= U24_MAX, "{value} does not fit in 24 bits");
        let [_, bytes @ ..] = value.to_be_bytes();
        U24(bytes)
    }

    /// The value.
    pub fn get(self) -> u32 {
        let [a, b, c] = self.0;
        u32::from_be_bytes([0, a, b, c])
    }

    /// A field of that two's complement value.
    ///
    /// # Panics
    /// If the value needs more than 24 bits with its sign.
    pub fn new_signed(value: i32) -> U24 {
        assert!(
            (-0x0080_0000..0x0080_0000).contains(&value),
            "{value} does not fit in 24 bits"
        );
        let [_, bytes @ ..] = value.to_be_bytes();
        U24(bytes)
    }

    /// The value as a two's complement number.
    pub fn get_signed(self) -> i32 {
        // The shift back copies the sign into the top byte.
        ((self.get() << 8) as i32) >> 8
    }
}

/// Why bytes from a device (or, in the emulator, from an initiator) could not
/// be read as what they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// The data ends before a field that it must have.
    #[error("{what}: the data ends after {have} bytes where {need} are needed")]
    TooShort {
        /// The command or page.
        what: &'static str,
        /// Bytes that are there.
        have: usize,
        /// Bytes that are needed at least.
        need: usize,
    },
    /// A field has a value that the rest cannot be read with.
    #[error("{what}: {field} is {value:#x}, which cannot be right here")]
    Field {
        /// The command or page.
        what: &'static str,
        /// The field, as the standard names it.
        field: &'static str,
        /// Its value.
        value: u64,
    },
}

/// Walks over bytes from outside. Every step is checked.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    what: &'static str,
    all: usize,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first of the bytes; `what` names them in errors.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Reader<'a> {
        Reader {
            what,
            all: bytes.len(),
            rest: bytes,
        }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`ParseError::TooShort`] if they are not there.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ParseError> {
        let Some((head, rest)) = self.rest.split_at_checked(count) else {
            let at = self.all - self.rest.len();
            return Err(self.too_short(at.saturating_add(count)));
        };
        self.rest = rest;
        Ok(head)
    }

    /// At most the next `count` bytes: where a length lies, what is there.
    pub fn take_up_to(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        head
    }

    /// The next structure.
    ///
    /// # Errors
    /// [`ParseError::TooShort`] if it is not there as a whole.
    pub fn pull<T>(&mut self) -> Result<T, ParseError>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned,
    {
        let Ok((value, rest)) = T::read_from_prefix(self.rest) else {
            let at = self.all - self.rest.len();
            return Err(self.too_short(at + size_of::<T>()));
        };
        self.rest = rest;
        Ok(value)
    }

    /// An error about a field.
    pub fn field(&self, field: &'static str, value: impl Into<u64>) -> ParseError {
        ParseError::Field {
            what: self.what,
            field,
            value: value.into(),
        }
    }

    fn too_short(&self, need: usize) -> ParseError {
        ParseError::TooShort {
            what: self.what,
            have: self.all,
            need,
        }
    }
}

/// The text of an ASCII field: without the padding (spaces and NULs) at its
/// end and the spaces at its start; bytes that are not printable ASCII become
/// `?`, so that a terminal is safe from them.
pub fn text(field: &[u8]) -> String {
    let is_padding = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field
        .iter()
        .position(|byte| !is_padding(byte))
        .unwrap_or(field.len());
    let end = field
        .iter()
        .rposition(|byte| !is_padding(byte))
        .map_or(start, |last| last + 1);
    field[start..end]
        .iter()
        .map(|&byte| {
            if matches!(byte, b' '..=b'~') {
                char::from(byte)
            } else {
                '?'
            }
        })
        .collect()
}

/// An ASCII field: left-aligned, padded with spaces, cut where it is too long.
pub fn padded<const BYTES: usize>(text: &str) -> [u8; BYTES] {
    let mut field = [b' '; BYTES];
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    field
}

/// A big-endian number of 0 to 8 bytes, as log parameters and MAM attributes
/// hold them. `None` where it is longer and does not fit.
pub fn number(bytes: &[u8]) -> Option<u64> {
    let zeros = bytes.len().saturating_sub(8);
    let (high, low) = bytes.split_at(zeros);
    if high.iter().any(|&byte| byte != 0) {
        return None;
    }
    Some(
        low.iter()
            .fold(0, |value, &byte| value << 8 | u64::from(byte)),
    )
}

/// Cuts data to what an initiator left room for (SPC-5 4.2.5.6: the allocation
/// length truncates, and that is no error).
pub fn truncate(mut data: Vec<u8>, allocation_length: usize) -> Vec<u8> {
    data.truncate(allocation_length);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_bytes_hold_both_kinds_of_number() {
        assert_eq!(U24::new(0x12_3456).as_bytes(), [0x12, 0x34, 0x56]);
        assert_eq!(U24::new(U24_MAX).get(), U24_MAX);
        assert_eq!(U24::new_signed(-1).get_signed(), -1);
        assert_eq!(U24::new_signed(-0x80_0000).get_signed(), -0x80_0000);
        assert_eq!(U24::new_signed(0x7f_ffff).get_signed(), 0x7f_ffff);
    }

    #[test]
    fn text_loses_padding_and_keeps_terminals_safe() {
        assert_eq!(text(b"  HP LTO\0  "), "HP LTO");
        assert_eq!(text(b"\x1b[2J"), "?[2J");
        assert_eq!(text(b"   "), "");
        assert_eq!(&padded::<8>("IBM"), b"IBM     ");
        assert_eq!(&padded::<2>("IBM"), b"IB");
    }

    #[test]
    fn numbers_of_any_width() {
        assert_eq!(number(&[]), Some(0));
        assert_eq!(number(&[1, 0]), Some(256));
        assert_eq!(number(&[0xff; 8]), Some(u64::MAX));
        assert_eq!(number(&[0, 0xff, 0, 0, 0, 0, 0, 0, 0]), Some(0xff << 56));
        assert_eq!(number(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn a_reader_says_how_much_was_missing() {
        let mut reader = Reader::new("page", &[1, 2, 3]);
        assert_eq!(reader.take(2), Ok(&[1, 2][..]));
        let error = ParseError::TooShort {
            what: "page",
            have: 3,
            need: 4,
        };
        assert_eq!(reader.pull::<U16>(), Err(error));
        assert_eq!(reader.take_up_to(9), [3]);
        assert!(reader.is_empty());
    }
}
