//! The head of a cartridge file: what the cartridge is, and how far it is
//! written. Two copies, each with a checksum and a sequence number, so that a
//! process killed in the middle of one leaves the other.

use std::collections::BTreeMap;

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::attributes::{self, Attribute};

/// Bytes kept for one copy.
pub(super) const COPY_BYTES: usize = 16 << 10;

const MAGIC: [u8; 8] = *b"LHVTAPE\n";
const VERSION: u32 = 1;
const FLAG_DISCARD: u32 = 1;
const FLAG_WRITE_PROTECT: u32 = 2;

/// A copy's fixed part; the attributes follow it.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Wire {
    magic: [u8; 8],
    version: U32,
    /// CRC32C of fixed part (this field zero) and attributes.
    crc: U32,
    sequence: U64,
    uuid: [u8; 16],
    serial: [u8; 16],
    barcode: [u8; 32],
    created_s: U64,
    capacity: U64,
    flags: U32,
    attributes_bytes: U32,
    objects: U64,
    filemarks: U64,
    data_end: U64,
    stored_end: U64,
    load_count: U64,
    write_sessions: U64,
    bytes_written: U64,
    bytes_read: U64,
}

const WIRE_BYTES: usize = size_of::<Wire>();
const _: () = assert!(WIRE_BYTES == 176);

/// Most bytes of attributes, as they are kept in the file.
pub(super) const ATTRIBUTES_BYTES_MAX: usize = COPY_BYTES - WIRE_BYTES;

/// What a copy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Superblock {
    pub sequence: u64,
    pub uuid: [u8; 16],
    /// ASCII, zero-padded.
    pub serial: [u8; 16],
    /// ASCII, zero-padded; all zeros where there is no barcode.
    pub barcode: [u8; 32],
    pub created_s: u64,
    pub capacity: u64,
    pub discard: bool,
    pub write_protect: bool,
    pub extent: Extent,
    pub load_count: u64,
    /// Loads during which something was written: the volume change reference.
    pub write_sessions: u64,
    pub bytes_written: u64,
    pub bytes_read: u64,
    pub attributes: BTreeMap<u16, Attribute>,
}

/// How far the cartridge is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Logical objects; so the number of the one that EOD stands for.
    pub objects: u64,
    /// Filemarks among them.
    pub filemarks: u64,
    /// Bytes of block data, dropped or not.
    pub data_end: u64,
    /// End of the last data that was kept, counted as `data_end` is. The file
    /// is at least that long.
    pub stored_end: u64,
}

/// Why a copy cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    NotOurs,
    Version(u32),
    Checksum,
}

impl Superblock {
    /// The copy's bytes; at most [`COPY_BYTES`], as long as the attributes are
    /// within [`ATTRIBUTES_BYTES_MAX`].
    pub(super) fn encode(&self) -> Vec<u8> {
        let attributes = attributes::encode(&self.attributes);
        let mut flags = if self.discard { FLAG_DISCARD } else { 0 };
        flags |= if self.write_protect {
            FLAG_WRITE_PROTECT
        } else {
            0
        };
        let mut wire = Wire {
            magic: MAGIC,
            version: VERSION.into(),
            crc: 0.into(),
            sequence: self.sequence.into(),
            uuid: self.uuid,
            serial: self.serial,
            barcode: self.barcode,
            created_s: self.created_s.into(),
            capacity: self.capacity.into(),
            flags: flags.into(),
            attributes_bytes: u32::try_from(attributes.len())
                .expect("at most a copy")
                .into(),
            objects: self.extent.objects.into(),
            filemarks: self.extent.filemarks.into(),
            data_end: self.extent.data_end.into(),
            stored_end: self.extent.stored_end.into(),
            load_count: self.load_count.into(),
            write_sessions: self.write_sessions.into(),
            bytes_written: self.bytes_written.into(),
            bytes_read: self.bytes_read.into(),
        };
        wire.crc = checksum(&mut wire, &attributes).into();
        [wire.as_bytes(), &attributes].concat()
    }

    /// Reads a copy.
    pub(super) fn decode(bytes: &[u8]) -> Result<Superblock, Unusable> {
        let (mut wire, rest) = Wire::read_from_prefix(bytes).map_err(|_| Unusable::NotOurs)?;
        if wire.magic != MAGIC {
            return Err(Unusable::NotOurs);
        }
        if wire.version.get() != VERSION {
            return Err(Unusable::Version(wire.version.get()));
        }
        let length = wire.attributes_bytes.get() as usize;
        let packed = rest.get(..length).ok_or(Unusable::Checksum)?;
        let crc = wire.crc.get();
        if checksum(&mut wire, packed) != crc {
            return Err(Unusable::Checksum);
        }
        let attributes = attributes::decode(packed).ok_or(Unusable::Checksum)?;
        Ok(Superblock::from_wire(&wire, attributes))
    }

    fn from_wire(wire: &Wire, attributes: BTreeMap<u16, Attribute>) -> Superblock {
        Superblock {
            sequence: wire.sequence.get(),
            uuid: wire.uuid,
            serial: wire.serial,
            barcode: wire.barcode,
            created_s: wire.created_s.get(),
            capacity: wire.capacity.get(),
            discard: wire.flags.get() & FLAG_DISCARD != 0,
            write_protect: wire.flags.get() & FLAG_WRITE_PROTECT != 0,
            extent: Extent {
                objects: wire.objects.get(),
                filemarks: wire.filemarks.get(),
                data_end: wire.data_end.get(),
                stored_end: wire.stored_end.get(),
            },
            load_count: wire.load_count.get(),
            write_sessions: wire.write_sessions.get(),
            bytes_written: wire.bytes_written.get(),
            bytes_read: wire.bytes_read.get(),
            attributes,
        }
    }
}

fn checksum(wire: &mut Wire, attributes: &[u8]) -> u32 {
    wire.crc.zero();
    crc32c::crc32c_append(crc32c::crc32c(wire.as_bytes()), attributes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Superblock {
        Superblock {
            sequence: 7,
            uuid: [1; 16],
            serial: *b"LH12345678\0\0\0\0\0\0",
            barcode: [0; 32],
            created_s: 1,
            capacity: 1 << 30,
            discard: true,
            write_protect: false,
            extent: Extent {
                objects: 3,
                filemarks: 1,
                data_end: 99,
                stored_end: 80,
            },
            load_count: 2,
            write_sessions: 4,
            bytes_written: 5,
            bytes_read: 6,
            attributes: BTreeMap::from([(
                0x806,
                Attribute {
                    format: 1,
                    value: b"LH0001".to_vec(),
                },
            )]),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(Superblock::decode(&sample().encode()), Ok(sample()));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = sample().encode();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Superblock::decode(&bytes).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Superblock::decode(&bytes);
            let mut ours = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
            ours.extend(&bytes);
            let _ = Superblock::decode(&ours);
        }
    }
}
