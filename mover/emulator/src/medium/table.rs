//! Entries of the two tables: one an object, one a filemark.

use super::MediumError;

/// Bytes of an object's entry.
pub(super) const ENTRY_BYTES: usize = 16;
/// Bytes of a filemark's entry.
pub(super) const FILEMARK_BYTES: usize = 8;

/// Longest block, in bytes.
pub const BLOCK_BYTES_MAX: u32 = 8 << 20;

const OFFSET_MASK: u64 = (1 << 48) - 1;

/// What a logical object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A block whose data was kept, with the data's CRC32C.
    Block { length: u32, crc: u32 },
    /// A block whose data was dropped.
    Dropped { length: u32 },
    /// A filemark, and how many lie before it.
    Filemark { ordinal: u32 },
}

/// Where a logical object lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub kind: Kind,
    /// Bytes of block data before it.
    pub offset: u64,
}

impl Entry {
    /// Bytes of block data that the object has.
    pub(crate) fn length(&self) -> u32 {
        match self.kind {
            Kind::Block { length, .. } | Kind::Dropped { length } => length,
            Kind::Filemark { .. } => 0,
        }
    }

    /// offset (6 bytes), kind (1), length (3), check (2), data CRC or the
    /// filemark's ordinal (4); all little-endian. The check covers the rest
    /// and the object's number, so an entry out of place is noticed too.
    pub(super) fn encode(&self, object: u64) -> [u8; ENTRY_BYTES] {
        let (kind, length, last) = match self.kind {
            Kind::Block { length, crc } => (1, length, crc),
            Kind::Dropped { length } => (2, length, 0),
            Kind::Filemark { ordinal } => (3, 0, ordinal),
        };
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..6].copy_from_slice(&self.offset.to_le_bytes()[..6]);
        bytes[6] = kind;
        bytes[7..10].copy_from_slice(&length.to_le_bytes()[..3]);
        bytes[12..].copy_from_slice(&last.to_le_bytes());
        let check = check_of(&bytes, object);
        bytes[10..12].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: [u8; ENTRY_BYTES], object: u64) -> Result<Entry, MediumError> {
        let damaged = MediumError::Damaged {
            object,
            what: "its table entry",
        };
        let check = u16::from_le_bytes([bytes[10], bytes[11]]);
        if check_of(&bytes, object) != check {
            return Err(damaged);
        }
        let [a, b, c, d, e, f, kind, x, y, z, ..] = bytes;
        let offset = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        let length = u32::from_le_bytes([x, y, z, 0]);
        let last = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
        let block = (1..=BLOCK_BYTES_MAX).contains(&length);
        let kind = match kind {
            1 if block => Kind::Block { length, crc: last },
            2 if block => Kind::Dropped { length },
            3 if length == 0 => Kind::Filemark { ordinal: last },
            _ => return Err(damaged),
        };
        Ok(Entry { kind, offset })
    }
}

fn check_of(entry: &[u8; ENTRY_BYTES], object: u64) -> u16 {
    let crc = crc32c::crc32c(&object.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &entry[..10]);
    let crc = crc32c::crc32c_append(crc, &entry[12..]);
    fold(crc)
}

/// The object's number (6 bytes) and a check (2).
pub(super) fn encode_filemark(ordinal: u64, object: u64) -> [u8; FILEMARK_BYTES] {
    let check = u64::from(filemark_check(ordinal, object));
    ((object & OFFSET_MASK) | check << 48).to_le_bytes()
}

/// `None` if the check fails.
pub(super) fn decode_filemark(bytes: [u8; FILEMARK_BYTES], ordinal: u64) -> Option<u64> {
    let word = u64::from_le_bytes(bytes);
    let object = word & OFFSET_MASK;
    (word >> 48 == u64::from(filemark_check(ordinal, object))).then_some(object)
}

fn filemark_check(ordinal: u64, object: u64) -> u16 {
    let crc = crc32c::crc32c(&ordinal.to_le_bytes());
    fold(crc32c::crc32c_append(crc, &object.to_le_bytes()))
}

/// 16 bits of 32, and never of all zeros for zeros: an entry in a hole of the
/// file must not look like one that was written.
fn fold(crc: u32) -> u16 {
    ((crc >> 16) as u16) ^ (crc as u16) ^ 0x5a5a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![
            (1..=BLOCK_BYTES_MAX, any::<u32>())
                .prop_map(|(length, crc)| Kind::Block { length, crc }),
            (1..=BLOCK_BYTES_MAX).prop_map(|length| Kind::Dropped { length }),
            any::<u32>().prop_map(|ordinal| Kind::Filemark { ordinal }),
        ]
    }

    #[test]
    fn a_hole_is_no_entry() {
        assert!(Entry::decode([0; ENTRY_BYTES], 0).is_err());
        assert_eq!(decode_filemark([0; FILEMARK_BYTES], 0), None);
    }

    proptest! {
        #[test]
        fn entries_come_back(kind in kinds(), offset in 0..=OFFSET_MASK, object: u64) {
            let entry = Entry { kind, offset };
            prop_assert_eq!(Entry::decode(entry.encode(object), object).ok(), Some(entry));
        }

        #[test]
        fn a_flipped_bit_is_noticed(kind in kinds(), object: u64, bit in 0usize..128) {
            let mut bytes = Entry { kind, offset: 5 }.encode(object);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Entry::decode(bytes, object).is_err());
        }

        #[test]
        fn filemarks_come_back(ordinal: u64, object in 0..=OFFSET_MASK) {
            prop_assert_eq!(decode_filemark(encode_filemark(ordinal, object), ordinal), Some(object));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: [u8; ENTRY_BYTES], object: u64) {
            let _ = Entry::decode(bytes, object);
        }
    }
}
