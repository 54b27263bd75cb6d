//! Commands that move the tape without data: REWIND, LOCATE, SPACE, LOAD
//! UNLOAD.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::opcode;
use crate::cdb::{bit, command, is_set};
use crate::wire::{U16, U24, U32, U64};

/// REWIND (SSC-5 7.22)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Rewind {
    opcode: u8,
    flags: u8,
    reserved: [u8; 3],
    control: u8,
}
command!(Rewind, "REWIND", opcode::REWIND, 6);

impl Rewind {
    /// Goes to the beginning of the default partition; with `immediate`,
    /// without waiting for it.
    pub fn new(immediate: bool) -> Rewind {
        let flags = bit(0, immediate);
        Rewind {
            opcode: opcode::REWIND,
            flags,
            reserved: [0; 3],
            control: 0,
        }
    }

    /// IMMED
    pub fn immediate(&self) -> bool {
        is_set(self.flags, 0)
    }
}

/// LOAD UNLOAD (SSC-5 7.5)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LoadUnload {
    opcode: u8,
    flags: u8,
    reserved: [u8; 2],
    options: u8,
    control: u8,
}
command!(LoadUnload, "LOAD UNLOAD", opcode::LOAD_UNLOAD, 6);

impl LoadUnload {
    /// Loads the cartridge in the drive, and positions at its beginning.
    pub fn load(immediate: bool) -> LoadUnload {
        LoadUnload::new(immediate, bit(0, true))
    }

    /// Unloads: flushes the buffer, unthreads, and ejects where nothing
    /// prevents it.
    pub fn unload(immediate: bool) -> LoadUnload {
        LoadUnload::new(immediate, 0)
    }

    fn new(immediate: bool, options: u8) -> LoadUnload {
        LoadUnload {
            opcode: opcode::LOAD_UNLOAD,
            flags: bit(0, immediate),
            reserved: [0; 2],
            options,
            control: 0,
        }
    }

    /// IMMED
    pub fn immediate(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// HOLD: stay between the two states, with the cartridge memory readable.
    pub fn hold(&self) -> bool {
        is_set(self.options, 3)
    }

    /// EOT: position at the end before unloading.
    pub fn end_of_tape(&self) -> bool {
        is_set(self.options, 2)
    }

    /// RETEN: retension the medium.
    pub fn retension(&self) -> bool {
        is_set(self.options, 1)
    }

    /// LOAD; else unload.
    pub fn is_load(&self) -> bool {
        is_set(self.options, 0)
    }
}

/// LOCATE(10) (SSC-5 7.6)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Locate10 {
    opcode: u8,
    flags: u8,
    reserved_2: u8,
    object: U32,
    reserved_7: u8,
    partition: u8,
    control: u8,
}
command!(Locate10, "LOCATE(10)", opcode::LOCATE_10, 10);

impl Locate10 {
    /// Goes to a logical object of the present partition.
    pub fn new(object: u32) -> Locate10 {
        Locate10 {
            opcode: opcode::LOCATE_10,
            flags: 0,
            reserved_2: 0,
            object: U32::new(object),
            reserved_7: 0,
            partition: 0,
            control: 0,
        }
    }

    /// The same, in that partition.
    pub fn in_partition(mut self, partition: u8) -> Locate10 {
        self.flags |= bit(1, true);
        self.partition = partition;
        self
    }

    /// The same, without waiting for the end.
    pub fn immediate(mut self) -> Locate10 {
        self.flags |= bit(0, true);
        self
    }

    /// BT: the address is the vendor's own.
    pub fn block_type(&self) -> bool {
        is_set(self.flags, 2)
    }

    /// PARTITION, where CP asks for a change of partition.
    pub fn partition(&self) -> Option<u8> {
        is_set(self.flags, 1).then_some(self.partition)
    }

    /// IMMED
    pub fn is_immediate(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// LOGICAL OBJECT IDENTIFIER
    pub fn object(&self) -> u32 {
        self.object.get()
    }
}

/// What a LOCATE(16) counts (DEST_TYPE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// 00b: a logical object identifier.
    Object(u64),
    /// 01b: a logical file identifier: behind that many filemarks. Vendors
    /// differ by one in what they do: use objects.
    File(u64),
    /// 11b: end of data.
    EndOfData,
}

/// LOCATE(16) (SSC-5 7.7)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Locate16 {
    opcode: u8,
    flags: u8,
    reserved_2: u8,
    partition: u8,
    identifier: U64,
    reserved_12: [u8; 3],
    control: u8,
}
command!(Locate16, "LOCATE(16)", opcode::LOCATE_16, 16);

impl Locate16 {
    /// Goes to a destination in the present partition.
    pub fn new(destination: Destination) -> Locate16 {
        let (kind, identifier) = match destination {
            Destination::Object(object) => (0b00, object),
            Destination::File(file) => (0b01, file),
            Destination::EndOfData => (0b11, 0),
        };
        Locate16 {
            opcode: opcode::LOCATE_16,
            flags: kind << 3,
            reserved_2: 0,
            partition: 0,
            identifier: U64::new(identifier),
            reserved_12: [0; 3],
            control: 0,
        }
    }

    /// The same, in that partition.
    pub fn in_partition(mut self, partition: u8) -> Locate16 {
        self.flags |= bit(1, true);
        self.partition = partition;
        self
    }

    /// The same, without waiting for the end.
    pub fn immediate(mut self) -> Locate16 {
        self.flags |= bit(0, true);
        self
    }

    /// DEST_TYPE and LOGICAL IDENTIFIER; `None` for the obsolete type 10b.
    pub fn destination(&self) -> Option<Destination> {
        let identifier = self.identifier.get();
        match self.flags >> 3 & 0b11 {
            0b00 => Some(Destination::Object(identifier)),
            0b01 => Some(Destination::File(identifier)),
            0b11 => Some(Destination::EndOfData),
            _ => None,
        }
    }

    /// PARTITION, where CP asks for a change of partition.
    pub fn partition(&self) -> Option<u8> {
        is_set(self.flags, 1).then_some(self.partition)
    }

    /// IMMED
    pub fn is_immediate(&self) -> bool {
        is_set(self.flags, 0)
    }
}

/// What a SPACE counts (CODE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpaceOver {
    /// 0h: logical blocks; stops at a filemark.
    Blocks,
    /// 1h: filemarks.
    Filemarks,
    /// 2h: so many filemarks in a row.
    SequentialFilemarks,
    /// 3h: to end of data; the count is ignored.
    EndOfData,
}

impl SpaceOver {
    fn code(self) -> u8 {
        match self {
            SpaceOver::Blocks => 0,
            SpaceOver::Filemarks => 1,
            SpaceOver::SequentialFilemarks => 2,
            SpaceOver::EndOfData => 3,
        }
    }

    fn from_code(byte: u8) -> Option<SpaceOver> {
        match byte & 0x0f {
            0 => Some(SpaceOver::Blocks),
            1 => Some(SpaceOver::Filemarks),
            2 => Some(SpaceOver::SequentialFilemarks),
            3 => Some(SpaceOver::EndOfData),
            _ => None,
        }
    }
}

/// SPACE(6) (SSC-5 7.23)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Space6 {
    opcode: u8,
    code: u8,
    count: U24,
    control: u8,
}
command!(Space6, "SPACE(6)", opcode::SPACE_6, 6);

impl Space6 {
    /// Spaces forwards, or backwards if `count` is negative.
    ///
    /// # Panics
    /// If `count` needs more than 24 bits with its sign.
    pub fn new(over: SpaceOver, count: i32) -> Space6 {
        let count = U24::new_signed(count);
        Space6 {
            opcode: opcode::SPACE_6,
            code: over.code(),
            count,
            control: 0,
        }
    }

    /// CODE; `None` for one that is not known.
    pub fn over(&self) -> Option<SpaceOver> {
        SpaceOver::from_code(self.code)
    }

    /// COUNT, negative for backwards.
    pub fn count(&self) -> i32 {
        self.count.get_signed()
    }
}

/// SPACE(16) (SSC-5 7.24)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Space16 {
    opcode: u8,
    code: u8,
    reserved_2: [u8; 2],
    count: U64,
    parameter_length: U16,
    reserved_14: u8,
    control: u8,
}
command!(Space16, "SPACE(16)", opcode::SPACE_16, 16);

impl Space16 {
    /// Spaces forwards, or backwards if `count` is negative.
    pub fn new(over: SpaceOver, count: i64) -> Space16 {
        Space16 {
            opcode: opcode::SPACE_16,
            code: over.code(),
            reserved_2: [0; 2],
            count: U64::new(count as u64),
            parameter_length: U16::new(0),
            reserved_14: 0,
            control: 0,
        }
    }

    /// CODE; `None` for one that is not known.
    pub fn over(&self) -> Option<SpaceOver> {
        SpaceOver::from_code(self.code)
    }

    /// COUNT, negative for backwards.
    pub fn count(&self) -> i64 {
        self.count.get() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdb::Command;

    #[test]
    fn golden_bytes() {
        assert_eq!(Rewind::new(true).as_bytes(), [1, 1, 0, 0, 0, 0]);
        assert_eq!(LoadUnload::load(false).as_bytes(), [0x1b, 0, 0, 0, 1, 0]);
        assert_eq!(LoadUnload::unload(true).as_bytes(), [0x1b, 1, 0, 0, 0, 0]);
        let bytes = [0x2b, 3, 0, 0, 1, 0, 0, 0, 2, 0];
        assert_eq!(
            Locate10::new(65536).in_partition(2).immediate().as_bytes(),
            bytes
        );
        let bytes = [0x92, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            Locate16::new(Destination::Object(1 << 32)).as_bytes(),
            bytes
        );
        let bytes = [0x92, 0x1b, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let locate = Locate16::new(Destination::EndOfData)
            .in_partition(1)
            .immediate();
        assert_eq!(locate.as_bytes(), bytes);
        let bytes = [0x11, 1, 0xff, 0xff, 0xfe, 0];
        assert_eq!(Space6::new(SpaceOver::Filemarks, -2).as_bytes(), bytes);
        let space = Space16::new(SpaceOver::Blocks, -1);
        assert_eq!(space.as_bytes()[..4], [0x91, 0, 0, 0]);
        assert_eq!(space.as_bytes()[4..12], [0xff; 8]);
    }

    #[test]
    fn the_device_server_reads_what_the_initiator_built() {
        let locate = Locate16::new(Destination::File(7)).in_partition(3);
        let locate = Locate16::parse(locate.cdb().as_bytes()).unwrap();
        assert_eq!(locate.destination(), Some(Destination::File(7)));
        assert_eq!(locate.partition(), Some(3));
        let obsolete = Locate16 {
            flags: 0b10 << 3,
            ..locate
        };
        assert_eq!(obsolete.destination(), None);
        let space = Space6::parse(&[0x11, 3, 0, 0, 0, 0]).unwrap();
        assert_eq!(space.over(), Some(SpaceOver::EndOfData));
        assert_eq!(Space6::parse(&[0x11, 9, 0, 0, 0, 0]).unwrap().over(), None);
        assert_eq!(Space16::new(SpaceOver::Blocks, i64::MIN).count(), i64::MIN);
    }
}
