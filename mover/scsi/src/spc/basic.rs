//! TEST UNIT READY, REQUEST SENSE, REPORT LUNS and PREVENT ALLOW MEDIUM
//! REMOVAL.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::opcode;
use crate::cdb::{bit, command, is_set};
use crate::wire::{ParseError, Reader, U32, U64};

/// TEST UNIT READY (SPC-5 6.47)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct TestUnitReady {
    opcode: u8,
    reserved: [u8; 4],
    control: u8,
}
command!(TestUnitReady, "TEST UNIT READY", opcode::TEST_UNIT_READY, 6);

impl TestUnitReady {
    /// Asks whether the medium is accessible.
    pub fn new() -> TestUnitReady {
        TestUnitReady {
            opcode: opcode::TEST_UNIT_READY,
            reserved: [0; 4],
            control: 0,
        }
    }
}

impl Default for TestUnitReady {
    fn default() -> TestUnitReady {
        TestUnitReady::new()
    }
}

/// REQUEST SENSE (SPC-5 6.39); answered by [`crate::sense::Sense`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct RequestSense {
    opcode: u8,
    flags: u8,
    reserved: [u8; 2],
    allocation_length: u8,
    control: u8,
}
command!(RequestSense, "REQUEST SENSE", opcode::REQUEST_SENSE, 6);

impl RequestSense {
    /// Asks for at most that many bytes, in fixed format unless
    /// `descriptors`.
    pub fn new(allocation_length: u8, descriptors: bool) -> RequestSense {
        RequestSense {
            opcode: opcode::REQUEST_SENSE,
            flags: bit(0, descriptors),
            reserved: [0; 2],
            allocation_length,
            control: 0,
        }
    }

    /// DESC
    pub fn descriptors(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u8 {
        self.allocation_length
    }
}

/// PREVENT ALLOW MEDIUM REMOVAL (SSC-5 7.8)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct PreventAllowMediumRemoval {
    opcode: u8,
    reserved: [u8; 3],
    prevent: u8,
    control: u8,
}
command!(
    PreventAllowMediumRemoval,
    "PREVENT ALLOW MEDIUM REMOVAL",
    opcode::PREVENT_ALLOW_MEDIUM_REMOVAL,
    6
);

impl PreventAllowMediumRemoval {
    /// Locks the cartridge in, or lets it go.
    pub fn new(prevent: bool) -> PreventAllowMediumRemoval {
        PreventAllowMediumRemoval {
            opcode: opcode::PREVENT_ALLOW_MEDIUM_REMOVAL,
            reserved: [0; 3],
            prevent: bit(0, prevent),
            control: 0,
        }
    }

    /// PREVENT, as far as the medium is meant (bit 0).
    pub fn prevent(&self) -> bool {
        is_set(self.prevent, 0)
    }
}

/// REPORT LUNS (SPC-5 6.33)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ReportLuns {
    opcode: u8,
    reserved_1: u8,
    select_report: u8,
    reserved_3: [u8; 3],
    allocation_length: U32,
    reserved_10: u8,
    control: u8,
}
command!(ReportLuns, "REPORT LUNS", opcode::REPORT_LUNS, 12);

impl ReportLuns {
    /// Asks for the logical units of all addressing methods but well-known
    /// ones (SELECT REPORT 00h). The standard wants 16 bytes at least.
    pub fn new(allocation_length: u32) -> ReportLuns {
        ReportLuns {
            opcode: opcode::REPORT_LUNS,
            reserved_1: 0,
            select_report: 0,
            reserved_3: [0; 3],
            allocation_length: U32::new(allocation_length),
            reserved_10: 0,
            control: 0,
        }
    }

    /// SELECT REPORT
    pub fn select_report(&self) -> u8 {
        self.select_report
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u32 {
        self.allocation_length.get()
    }
}

/// The answer to REPORT LUNS: the 8-byte LUNs, as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LunList(pub Vec<u64>);

impl LunList {
    /// Reads the answer, as far as it is there.
    ///
    /// # Errors
    /// If there is no header.
    pub fn parse(bytes: &[u8]) -> Result<LunList, ParseError> {
        let mut reader = Reader::new("REPORT LUNS", bytes);
        let length = reader.pull::<U32>()?.get();
        reader.take(4)?;
        let list = reader.take_up_to(length.try_into().unwrap_or(usize::MAX));
        Ok(LunList(
            list.chunks_exact(8)
                .flat_map(U64::read_from_bytes)
                .map(U64::get)
                .collect(),
        ))
    }

    /// The bytes of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = (8 * self.0.len() as u32).to_be_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(self.0.iter().flat_map(|lun| lun.to_be_bytes()));
        bytes
    }

    /// The LUN as Linux counts it, for single-level addresses below 16,384
    /// (peripheral and flat addressing, SAM-6 4.7).
    pub fn linux_numbers(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|lun| lun >> 48 & 0x3fff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        assert_eq!(TestUnitReady::new().as_bytes(), [0; 6]);
        assert_eq!(
            RequestSense::new(252, false).as_bytes(),
            [3, 0, 0, 0, 252, 0]
        );
        assert_eq!(
            PreventAllowMediumRemoval::new(true).as_bytes(),
            [0x1e, 0, 0, 0, 1, 0]
        );
        let bytes = [0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(ReportLuns::new(256).as_bytes(), bytes);
    }

    #[test]
    fn a_changer_on_lun_1() {
        let list = LunList(vec![0, 0x0001_0000_0000_0000]);
        let bytes = list.encode();
        assert_eq!(bytes[..8], [0, 0, 0, 16, 0, 0, 0, 0]);
        assert_eq!(LunList::parse(&bytes).unwrap(), list);
        assert_eq!(list.linux_numbers().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(LunList::parse(&bytes[..20]).unwrap(), LunList(vec![0]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = LunList::parse(&bytes);
        }
    }
}
