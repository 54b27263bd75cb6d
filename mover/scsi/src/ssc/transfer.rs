//! READ(6), WRITE(6), VERIFY(6) and WRITE FILEMARKS(6).
//!
//! With FIXED=0 a command moves one block of TRANSFER LENGTH bytes; with
//! FIXED=1 it moves TRANSFER LENGTH blocks of the length that the mode block
//! descriptor holds.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::opcode;
use crate::cdb::{bit, command, is_set};
use crate::wire::U24;

/// READ(6) (SSC-5 7.9)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Read6 {
    opcode: u8,
    flags: u8,
    transfer_length: U24,
    control: u8,
}
command!(Read6, "READ(6)", opcode::READ_6, 6);

impl Read6 {
    /// Reads one block of at most that many bytes. With `sili`, a shorter
    /// block is GOOD, and only the residual tells its length.
    ///
    /// # Panics
    /// If `bytes` needs more than 24 bits.
    pub fn variable(bytes: u32, sili: bool) -> Read6 {
        Read6 {
            opcode: opcode::READ_6,
            flags: bit(1, sili),
            transfer_length: U24::new(bytes),
            control: 0,
        }
    }

    /// Reads that many blocks of the fixed length.
    ///
    /// # Panics
    /// If `blocks` needs more than 24 bits.
    pub fn fixed_blocks(blocks: u32) -> Read6 {
        Read6 {
            flags: bit(0, true),
            ..Read6::variable(blocks, false)
        }
    }

    /// FIXED
    pub fn fixed(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// SILI: suppress incorrect-length indicator.
    pub fn sili(&self) -> bool {
        is_set(self.flags, 1)
    }

    /// TRANSFER LENGTH in bytes, or in blocks if [`fixed`](Self::fixed).
    pub fn transfer_length(&self) -> u32 {
        self.transfer_length.get()
    }
}

/// WRITE(6) (SSC-5 7.28)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Write6 {
    opcode: u8,
    flags: u8,
    transfer_length: U24,
    control: u8,
}
command!(Write6, "WRITE(6)", opcode::WRITE_6, 6);

impl Write6 {
    /// Writes one block of that many bytes.
    ///
    /// # Panics
    /// If `bytes` needs more than 24 bits.
    pub fn variable(bytes: u32) -> Write6 {
        let transfer_length = U24::new(bytes);
        Write6 {
            opcode: opcode::WRITE_6,
            flags: 0,
            transfer_length,
            control: 0,
        }
    }

    /// Writes that many blocks of the fixed length.
    ///
    /// # Panics
    /// If `blocks` needs more than 24 bits.
    pub fn fixed_blocks(blocks: u32) -> Write6 {
        Write6 {
            flags: bit(0, true),
            ..Write6::variable(blocks)
        }
    }

    /// FIXED
    pub fn fixed(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// TRANSFER LENGTH in bytes, or in blocks if [`fixed`](Self::fixed).
    pub fn transfer_length(&self) -> u32 {
        self.transfer_length.get()
    }
}

/// VERIFY(6) (SSC-5 7.25): the drive reads, and sends nothing.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Verify6 {
    opcode: u8,
    flags: u8,
    verification_length: U24,
    control: u8,
}
command!(Verify6, "VERIFY(6)", opcode::VERIFY_6, 6);

impl Verify6 {
    /// Verifies one block of at most that many bytes.
    ///
    /// # Panics
    /// If `bytes` needs more than 24 bits.
    pub fn variable(bytes: u32) -> Verify6 {
        let verification_length = U24::new(bytes);
        Verify6 {
            opcode: opcode::VERIFY_6,
            flags: 0,
            verification_length,
            control: 0,
        }
    }

    /// Verifies that many filemarks ahead, with the protection information of
    /// every block (VTE=1, VLBPM=1, VBF=1).
    ///
    /// # Panics
    /// If `filemarks` needs more than 24 bits.
    pub fn to_filemark(filemarks: u32) -> Verify6 {
        let flags = bit(5, true) | bit(4, true) | bit(3, true);
        Verify6 {
            flags,
            ..Verify6::variable(filemarks)
        }
    }

    /// The same, without waiting for the end.
    pub fn immediate(mut self) -> Verify6 {
        self.flags |= bit(2, true);
        self
    }

    /// VTE: verify to end of data.
    pub fn to_end_of_data(&self) -> bool {
        is_set(self.flags, 5)
    }

    /// VLBPM: verify logical block protection.
    pub fn verifies_protection(&self) -> bool {
        is_set(self.flags, 4)
    }

    /// VBF: the length counts filemarks.
    pub fn by_filemarks(&self) -> bool {
        is_set(self.flags, 3)
    }

    /// IMMED
    pub fn is_immediate(&self) -> bool {
        is_set(self.flags, 2)
    }

    /// BYTCMP: compare with data that is sent.
    pub fn compares(&self) -> bool {
        is_set(self.flags, 1)
    }

    /// FIXED
    pub fn fixed(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// VERIFICATION LENGTH: bytes, blocks or filemarks.
    pub fn verification_length(&self) -> u32 {
        self.verification_length.get()
    }
}

/// WRITE FILEMARKS(6) (SSC-5 7.29). Without IMMED it ends only when all data
/// before it is on the medium: with a count of 0 it is the flush.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct WriteFilemarks6 {
    opcode: u8,
    flags: u8,
    count: U24,
    control: u8,
}
command!(
    WriteFilemarks6,
    "WRITE FILEMARKS(6)",
    opcode::WRITE_FILEMARKS_6,
    6
);

impl WriteFilemarks6 {
    /// Writes that many filemarks; with `immediate`, GOOD says nothing about
    /// the medium.
    ///
    /// # Panics
    /// If `count` needs more than 24 bits.
    pub fn new(count: u32, immediate: bool) -> WriteFilemarks6 {
        WriteFilemarks6 {
            opcode: opcode::WRITE_FILEMARKS_6,
            flags: bit(0, immediate),
            count: U24::new(count),
            control: 0,
        }
    }

    /// Writes nothing, and ends when everything before is on the medium.
    pub fn synchronize() -> WriteFilemarks6 {
        WriteFilemarks6::new(0, false)
    }

    /// WSMK, which asked for setmarks in SSC-1; refused today.
    pub fn setmarks(&self) -> bool {
        is_set(self.flags, 1)
    }

    /// IMMED
    pub fn immediate(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// TRANSFER LENGTH: how many filemarks.
    pub fn count(&self) -> u32 {
        self.count.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdb::Command;

    #[test]
    fn golden_bytes() {
        let cdb = |bytes: &[u8]| crate::cdb::Cdb::new(bytes);
        assert_eq!(
            Write6::variable(0x08_0000).cdb(),
            cdb(&[0x0a, 0, 8, 0, 0, 0])
        );
        assert_eq!(Write6::fixed_blocks(2).cdb(), cdb(&[0x0a, 1, 0, 0, 2, 0]));
        assert_eq!(
            Read6::variable(80, true).cdb(),
            cdb(&[0x08, 2, 0, 0, 80, 0])
        );
        assert_eq!(Read6::fixed_blocks(3).cdb(), cdb(&[0x08, 1, 0, 0, 3, 0]));
        assert_eq!(
            WriteFilemarks6::synchronize().cdb(),
            cdb(&[0x10, 0, 0, 0, 0, 0])
        );
        assert_eq!(
            WriteFilemarks6::new(1, true).cdb(),
            cdb(&[0x10, 1, 0, 0, 1, 0])
        );
        assert_eq!(
            Verify6::to_filemark(1).immediate().cdb(),
            cdb(&[0x13, 0x3c, 0, 0, 1, 0])
        );
    }

    #[test]
    fn the_device_server_reads_what_the_initiator_built() {
        let read = Read6::parse(&[0x08, 2, 1, 0, 0, 0]).unwrap();
        assert!(read.sili() && !read.fixed());
        assert_eq!(read.transfer_length(), 65536);
        assert!(Read6::parse(&[0x0a, 2, 1, 0, 0, 0]).is_err());
        assert!(Read6::parse(&[0x08, 2, 1, 0, 0]).is_err());
    }
}
