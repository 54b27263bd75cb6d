//! READ POSITION (SSC-5 7.14): where the tape stands, in three forms.
//!
//! The *short* form has 32-bit numbers and tells which logical object is the
//! next to leave the buffer for the medium; the *long* form has 64-bit numbers
//! and the filemark count, and knows nothing of the buffer; the *extended* form
//! has both the 64 bits and the buffer. The position is always the host's: what
//! the next READ or WRITE would touch.
//!
//! A number whose "unknown" flag is set must not be used. The types here make
//! that hard: such a number is `None`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::opcode;
use crate::cdb::{bit, command, is_set};
use crate::wire::{ParseError, Reader, U16, U24, U32, U64};

/// The form of the answer (SERVICE ACTION).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// 00h: 20 bytes.
    Short,
    /// 01h: as 00h, with the vendor's own block addresses.
    ShortVendor,
    /// 06h: 32 bytes.
    Long,
    /// 08h: 32 bytes.
    Extended,
}

/// READ POSITION
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ReadPosition {
    opcode: u8,
    service_action: u8,
    reserved: [u8; 5],
    allocation_length: U16,
    control: u8,
}
command!(ReadPosition, "READ POSITION", opcode::READ_POSITION, 10);

impl ReadPosition {
    /// Asks for a form. The allocation length is 0 but for the extended form,
    /// as the standard says, and some drives insist.
    pub fn new(form: Form) -> ReadPosition {
        let (service_action, allocation_length) = match form {
            Form::Short => (0x00, 0),
            Form::ShortVendor => (0x01, 0),
            Form::Long => (0x06, 0),
            Form::Extended => (0x08, LONG_BYTES as u16),
        };
        ReadPosition {
            opcode: opcode::READ_POSITION,
            service_action,
            reserved: [0; 5],
            allocation_length: U16::new(allocation_length),
            control: 0,
        }
    }

    /// SERVICE ACTION; `None` for a form that is not known.
    pub fn form(&self) -> Option<Form> {
        match self.service_action & 0x1f {
            0x00 => Some(Form::Short),
            0x01 => Some(Form::ShortVendor),
            0x06 => Some(Form::Long),
            0x08 => Some(Form::Extended),
            _ => None,
        }
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u16 {
        self.allocation_length.get()
    }
}

/// Bytes of the short form.
pub const SHORT_BYTES: usize = 20;
/// Bytes of the long and the extended form.
pub const LONG_BYTES: usize = 32;

/// BOP, EOP and BPEW, which all forms have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edge {
    /// BOP: at beginning of partition.
    pub beginning: bool,
    /// EOP: between early warning and end of partition.
    pub early_warning: bool,
    /// BPEW: beyond programmable early warning.
    pub programmable_early_warning: bool,
}

impl Edge {
    fn from_flags(flags: u8) -> Edge {
        Edge {
            beginning: is_set(flags, 7),
            early_warning: is_set(flags, 6),
            programmable_early_warning: is_set(flags, 0),
        }
    }

    fn flags(self) -> u8 {
        bit(7, self.beginning)
            | bit(6, self.early_warning)
            | bit(0, self.programmable_early_warning)
    }
}

/// What the buffer holds that is not on the medium yet: `None` where the drive
/// does not say (LOCU, BYCU).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InBuffer {
    /// NUMBER OF LOGICAL OBJECTS IN OBJECT BUFFER
    pub objects: Option<u32>,
    /// NUMBER OF BYTES IN OBJECT BUFFER
    pub bytes: Option<u64>,
}

/// The short form, and the extended one, which says the same in wider fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The flags on the edges of the partition.
    pub edge: Edge,
    /// PERR: a number overflowed its field.
    pub overflow: bool,
    /// PARTITION NUMBER
    pub partition: u32,
    /// FIRST LOGICAL OBJECT LOCATION: the next one towards the host. `None`
    /// if the drive does not know (LOLU) or it does not fit (PERR).
    pub first: Option<u64>,
    /// LAST LOGICAL OBJECT LOCATION: the next one towards the medium; all
    /// before it are on tape. Equal to `first` where the buffer is empty.
    pub last: Option<u64>,
    /// What lies between the two.
    pub in_buffer: InBuffer,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct Short {
    flags: u8,
    partition: u8,
    reserved_2: [u8; 2],
    first: U32,
    last: U32,
    reserved_12: u8,
    objects: U24,
    bytes: U32,
}
const _: () = assert!(size_of::<Short>() == SHORT_BYTES);

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct Extended {
    flags: u8,
    partition: u8,
    additional_length: U16,
    reserved_4: u8,
    objects: U24,
    first: U64,
    last: U64,
    bytes: U64,
}
const _: () = assert!(size_of::<Extended>() == LONG_BYTES);

/// Flag bits of the short and the extended form.
mod flag {
    pub const LOCU: u8 = 5;
    pub const BYCU: u8 = 4;
    pub const LOLU: u8 = 2;
    pub const PERR: u8 = 1;
}

impl Position {
    /// Reads the short form.
    ///
    /// # Errors
    /// If it is cut.
    pub fn parse_short(bytes: &[u8]) -> Result<Position, ParseError> {
        let wire: Short = Reader::new("READ POSITION, short form", bytes).pull()?;
        let (first, last) = (wire.first.get().into(), wire.last.get().into());
        let in_buffer = (wire.objects.get(), wire.bytes.get().into());
        Ok(Position::from_wire(
            wire.flags,
            wire.partition,
            (first, last),
            in_buffer,
        ))
    }

    /// Reads the extended form.
    ///
    /// # Errors
    /// If it is cut.
    pub fn parse_extended(bytes: &[u8]) -> Result<Position, ParseError> {
        let wire: Extended = Reader::new("READ POSITION, extended form", bytes).pull()?;
        let objects = (wire.first.get(), wire.last.get());
        let in_buffer = (wire.objects.get(), wire.bytes.get());
        Ok(Position::from_wire(
            wire.flags,
            wire.partition,
            objects,
            in_buffer,
        ))
    }

    fn from_wire(
        flags: u8,
        partition: u8,
        (first, last): (u64, u64),
        (objects, bytes): (u32, u64),
    ) -> Position {
        let overflow = is_set(flags, flag::PERR);
        let known = !is_set(flags, flag::LOLU) && !overflow;
        Position {
            edge: Edge::from_flags(flags),
            overflow,
            partition: partition.into(),
            first: known.then_some(first),
            last: known.then_some(last),
            in_buffer: InBuffer {
                objects: (!is_set(flags, flag::LOCU)).then_some(objects),
                bytes: (!is_set(flags, flag::BYCU)).then_some(bytes),
            },
        }
    }

    /// The bytes of the short form. What does not fit its fields is marked:
    /// PERR for locations, LOCU and BYCU for the counts.
    pub fn encode_short(&self) -> [u8; SHORT_BYTES] {
        let narrow = |value: Option<u64>| value.map(u32::try_from).transpose();
        let locations = narrow(self.first).and_then(|first| Ok((first, narrow(self.last)?)));
        let overflow = locations.is_err();
        let (first, last) = locations.unwrap_or_default();
        let objects = self
            .in_buffer
            .objects
            .filter(|&count| count <= crate::wire::U24_MAX);
        let bytes = self
            .in_buffer
            .bytes
            .and_then(|count| u32::try_from(count).ok());
        let known = overflow || first.is_some() && last.is_some();
        zerocopy::transmute!(Short {
            flags: self.wire_flags(known, overflow, objects.is_some(), bytes.is_some()),
            partition: self.partition as u8,
            reserved_2: [0; 2],
            first: U32::new(first.unwrap_or(0)),
            last: U32::new(last.unwrap_or(0)),
            reserved_12: 0,
            objects: U24::new(objects.unwrap_or(0)),
            bytes: U32::new(bytes.unwrap_or(0)),
        })
    }

    /// The bytes of the extended form.
    pub fn encode_extended(&self) -> [u8; LONG_BYTES] {
        let objects = self
            .in_buffer
            .objects
            .filter(|&count| count <= crate::wire::U24_MAX);
        let bytes = self.in_buffer.bytes;
        let known = self.first.is_some() && self.last.is_some();
        zerocopy::transmute!(Extended {
            flags: self.wire_flags(known, false, objects.is_some(), bytes.is_some()),
            partition: self.partition as u8,
            additional_length: U16::new(LONG_BYTES as u16 - 4),
            reserved_4: 0,
            objects: U24::new(objects.unwrap_or(0)),
            first: U64::new(self.first.unwrap_or(0)),
            last: U64::new(self.last.unwrap_or(0)),
            bytes: U64::new(bytes.unwrap_or(0)),
        })
    }

    fn wire_flags(&self, known: bool, overflow: bool, objects: bool, bytes: bool) -> u8 {
        self.edge.flags()
            | bit(flag::LOCU, !objects)
            | bit(flag::BYCU, !bytes)
            | bit(flag::LOLU, !known)
            | bit(flag::PERR, self.overflow || overflow)
    }
}

/// The long form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LongPosition {
    /// The flags on the edges of the partition.
    pub edge: Edge,
    /// PARTITION NUMBER and LOGICAL OBJECT NUMBER; `None` if the drive does
    /// not know (LONU).
    pub object: Option<(u32, u64)>,
    /// LOGICAL FILE IDENTIFIER: filemarks between the beginning of the
    /// partition and here; `None` if the drive does not know (MPU).
    pub file: Option<u64>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct Long {
    flags: u8,
    reserved_1: [u8; 3],
    partition: U32,
    object: U64,
    file: U64,
    obsolete: U64,
}
const _: () = assert!(size_of::<Long>() == LONG_BYTES);

/// Flag bits of the long form.
mod long_flag {
    pub const MPU: u8 = 3;
    pub const LONU: u8 = 2;
}

impl LongPosition {
    /// Reads the long form.
    ///
    /// # Errors
    /// If it is cut.
    pub fn parse(bytes: &[u8]) -> Result<LongPosition, ParseError> {
        let wire: Long = Reader::new("READ POSITION, long form", bytes).pull()?;
        let object = (wire.partition.get(), wire.object.get());
        Ok(LongPosition {
            edge: Edge::from_flags(wire.flags),
            object: (!is_set(wire.flags, long_flag::LONU)).then_some(object),
            file: (!is_set(wire.flags, long_flag::MPU)).then_some(wire.file.get()),
        })
    }

    /// The bytes of the long form.
    pub fn encode(&self) -> [u8; LONG_BYTES] {
        let (partition, object) = self.object.unwrap_or_default();
        let unknown =
            bit(long_flag::LONU, self.object.is_none()) | bit(long_flag::MPU, self.file.is_none());
        zerocopy::transmute!(Long {
            flags: self.edge.flags() | unknown,
            reserved_1: [0; 3],
            partition: U32::new(partition),
            object: U64::new(object),
            file: U64::new(self.file.unwrap_or(0)),
            obsolete: U64::new(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        let cdb = ReadPosition::new(Form::Long);
        assert_eq!(cdb.as_bytes(), [0x34, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
        let cdb = ReadPosition::new(Form::Extended);
        assert_eq!(cdb.as_bytes(), [0x34, 8, 0, 0, 0, 0, 0, 0, 32, 0]);
        let cdb = ReadPosition::new(Form::Short);
        assert_eq!(cdb.as_bytes(), [0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let position = LongPosition {
            object: Some((1, 8)),
            file: Some(4),
            ..Default::default()
        };
        let bytes = position.encode();
        assert_eq!(bytes[..8], [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(
            bytes[8..24],
            [0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 4]
        );
    }

    #[test]
    fn what_the_drive_does_not_know_is_none() {
        let mut bytes = Position::default().encode_extended();
        bytes[0] = 0b0011_0100;
        let position = Position::parse_extended(&bytes).unwrap();
        assert_eq!((position.first, position.last), (None, None));
        assert_eq!(
            position.in_buffer,
            InBuffer {
                objects: None,
                bytes: None
            }
        );
        let mut bytes = LongPosition::default().encode();
        bytes[0] = 0b0000_1100;
        let position = LongPosition::parse(&bytes).unwrap();
        assert_eq!((position.object, position.file), (None, None));
        bytes[0] = 0b1100_0001;
        let edge = LongPosition::parse(&bytes).unwrap().edge;
        assert!(edge.beginning && edge.early_warning && edge.programmable_early_warning);
    }

    #[test]
    fn the_short_form_says_when_a_location_does_not_fit() {
        let (first, last) = (Some(1 << 32), Some(7));
        let in_buffer = InBuffer {
            objects: Some(1 << 24),
            bytes: Some(1 << 32),
        };
        let position = Position {
            first,
            last,
            in_buffer,
            ..Position::default()
        };
        let short = Position::parse_short(&position.encode_short()).unwrap();
        assert!(short.overflow);
        assert_eq!((short.first, short.last), (None, None));
        assert_eq!(
            short.in_buffer,
            InBuffer {
                objects: None,
                bytes: None
            }
        );
    }

    fn edges() -> impl Strategy<Value = Edge> {
        any::<(bool, bool, bool)>().prop_map(|(beginning, early_warning, pew)| Edge {
            beginning,
            early_warning,
            programmable_early_warning: pew,
        })
    }

    proptest! {
        #[test]
        fn round_trips(edge in edges(), partition: u8, locations: Option<(u32, u32)>,
                       objects in proptest::option::of(0..1u32 << 24), bytes: Option<u32>) {
            let position = Position {
                edge,
                overflow: false,
                partition: partition.into(),
                first: locations.map(|(first, _)| first.into()),
                last: locations.map(|(_, last)| last.into()),
                in_buffer: InBuffer { objects, bytes: bytes.map(u64::from) },
            };
            let short = Position::parse_short(&position.encode_short());
            prop_assert_eq!(short.unwrap(), position);
            let extended = Position::parse_extended(&position.encode_extended());
            prop_assert_eq!(extended.unwrap(), position);
        }

        #[test]
        fn the_long_form_round_trips(edge in edges(), object: Option<(u32, u64)>,
                                     file: Option<u64>) {
            let position = LongPosition { edge, object, file };
            prop_assert_eq!(LongPosition::parse(&position.encode()).unwrap(), position);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(Position::parse_short(&bytes).is_ok(), bytes.len() >= 20);
            prop_assert_eq!(Position::parse_extended(&bytes).is_ok(), bytes.len() >= 32);
            prop_assert_eq!(LongPosition::parse(&bytes).is_ok(), bytes.len() >= 32);
        }
    }
}
