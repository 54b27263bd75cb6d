//! Commands that change what a medium is or allows: ERASE(6), FORMAT MEDIUM,
//! SET CAPACITY, ALLOW OVERWRITE.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::opcode;
use crate::cdb::{bit, command, is_set};
use crate::wire::{U16, U64};

/// ERASE(6) (SSC-5 7.2)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Erase6 {
    opcode: u8,
    flags: u8,
    reserved: [u8; 3],
    control: u8,
}
command!(Erase6, "ERASE(6)", opcode::ERASE_6, 6);

impl Erase6 {
    /// Writes end of data at the present position; with `long`, erases the
    /// rest of the partition, which takes hours.
    pub fn new(long: bool, immediate: bool) -> Erase6 {
        let flags = bit(0, long) | bit(1, immediate);
        Erase6 {
            opcode: opcode::ERASE_6,
            flags,
            reserved: [0; 3],
            control: 0,
        }
    }

    /// LONG
    pub fn long(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// IMMED
    pub fn immediate(&self) -> bool {
        is_set(self.flags, 1)
    }
}

/// FORMAT MEDIUM (SSC-5 7.3): all data is lost.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct FormatMedium {
    opcode: u8,
    flags: u8,
    format: u8,
    transfer_length: U16,
    control: u8,
}
command!(FormatMedium, "FORMAT MEDIUM", opcode::FORMAT_MEDIUM, 6);

impl FormatMedium {
    /// Formats with the default partition only (FORMAT 0h), as mode page 11h
    /// says (1h), or both in order (2h).
    pub fn new(format: u8, immediate: bool) -> FormatMedium {
        FormatMedium {
            opcode: opcode::FORMAT_MEDIUM,
            flags: bit(0, immediate),
            format: format & 0x0f,
            transfer_length: U16::new(0),
            control: 0,
        }
    }

    /// VERIFY
    pub fn verify(&self) -> bool {
        is_set(self.flags, 1)
    }

    /// IMMED
    pub fn immediate(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// FORMAT
    pub fn format(&self) -> u8 {
        self.format & 0x0f
    }
}

/// SET CAPACITY (SSC-5 7.21)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct SetCapacity {
    opcode: u8,
    flags: u8,
    reserved: u8,
    proportion: U16,
    control: u8,
}
command!(SetCapacity, "SET CAPACITY", opcode::SET_CAPACITY, 6);

impl SetCapacity {
    /// Makes that many 65,535ths of the medium usable; all data is lost.
    pub fn new(proportion: u16, immediate: bool) -> SetCapacity {
        SetCapacity {
            opcode: opcode::SET_CAPACITY,
            flags: bit(0, immediate),
            reserved: 0,
            proportion: U16::new(proportion),
            control: 0,
        }
    }

    /// IMMED
    pub fn immediate(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// CAPACITY PROPORTION VALUE in 65,535ths.
    pub fn proportion(&self) -> u16 {
        self.proportion.get()
    }
}

/// What ALLOW OVERWRITE permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// 0h: nothing; what was permitted is taken back.
    Never,
    /// 1h: a write at the present position, which must be the one named.
    Here,
    /// 2h: a FORMAT MEDIUM.
    Format,
}

/// ALLOW OVERWRITE (SSC-5 7.1): in append-only mode, one overwrite must be
/// permitted by it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct AllowOverwrite {
    opcode: u8,
    reserved_1: u8,
    allow: u8,
    partition: u8,
    object: U64,
    reserved_12: [u8; 3],
    control: u8,
}
command!(
    AllowOverwrite,
    "ALLOW OVERWRITE",
    opcode::ALLOW_OVERWRITE,
    16
);

impl AllowOverwrite {
    /// Permits an overwrite at that partition and logical object, where the
    /// tape must stand.
    pub fn new(overwrite: Overwrite, partition: u8, object: u64) -> AllowOverwrite {
        let allow = match overwrite {
            Overwrite::Never => 0,
            Overwrite::Here => 1,
            Overwrite::Format => 2,
        };
        AllowOverwrite {
            opcode: opcode::ALLOW_OVERWRITE,
            reserved_1: 0,
            allow,
            partition,
            object: U64::new(object),
            reserved_12: [0; 3],
            control: 0,
        }
    }

    /// ALLOW OVERWRITE; `None` for a value that is not known.
    pub fn overwrite(&self) -> Option<Overwrite> {
        match self.allow & 0x0f {
            0 => Some(Overwrite::Never),
            1 => Some(Overwrite::Here),
            2 => Some(Overwrite::Format),
            _ => None,
        }
    }

    /// PARTITION
    pub fn partition(&self) -> u8 {
        self.partition
    }

    /// LOGICAL OBJECT IDENTIFIER
    pub fn object(&self) -> u64 {
        self.object.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        assert_eq!(Erase6::new(false, false).as_bytes(), [0x19, 0, 0, 0, 0, 0]);
        assert_eq!(Erase6::new(true, true).as_bytes(), [0x19, 3, 0, 0, 0, 0]);
        assert_eq!(FormatMedium::new(2, true).as_bytes(), [4, 1, 2, 0, 0, 0]);
        assert_eq!(
            SetCapacity::new(0xffff, false).as_bytes(),
            [0x0b, 0, 0, 0xff, 0xff, 0]
        );
        let bytes = [0x82, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0];
        let allow = AllowOverwrite::new(Overwrite::Here, 0, 9);
        assert_eq!(allow.as_bytes(), bytes);
        assert_eq!(allow.overwrite(), Some(Overwrite::Here));
    }
}
