//! LOG SENSE and LOG SELECT.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::super::opcode;
use crate::cdb::{bit, command, is_set};
use crate::wire::U16;

/// PC of the cumulative values, which are what counters hold (SPC-5 6.8).
const CUMULATIVE: u8 = 0b01 << 6;

/// LOG SENSE (SPC-5 6.8)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LogSense {
    opcode: u8,
    flags: u8,
    page: u8,
    subpage: u8,
    reserved: u8,
    parameter_pointer: U16,
    allocation_length: U16,
    control: u8,
}
command!(LogSense, "LOG SENSE", opcode::LOG_SENSE, 10);

impl LogSense {
    /// Asks for the cumulative values of a page.
    pub fn new(page: u8, allocation_length: u16) -> LogSense {
        LogSense {
            opcode: opcode::LOG_SENSE,
            flags: 0,
            page: CUMULATIVE | page & 0x3f,
            subpage: 0,
            reserved: 0,
            parameter_pointer: U16::new(0),
            allocation_length: U16::new(allocation_length),
            control: 0,
        }
    }

    /// The same, from that parameter code on.
    pub fn from_parameter(mut self, code: u16) -> LogSense {
        self.parameter_pointer = U16::new(code);
        self
    }

    /// SP: save parameters.
    pub fn save(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// PC: 0 thresholds, 1 cumulative, 2 default thresholds, 3 defaults.
    pub fn page_control(&self) -> u8 {
        self.page >> 6
    }

    /// PAGE CODE
    pub fn page(&self) -> u8 {
        self.page & 0x3f
    }

    /// SUBPAGE CODE
    pub fn subpage(&self) -> u8 {
        self.subpage
    }

    /// PARAMETER POINTER: the first parameter code wanted.
    pub fn parameter_pointer(&self) -> u16 {
        self.parameter_pointer.get()
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u16 {
        self.allocation_length.get()
    }
}

/// LOG SELECT (SPC-5 6.7): resets counters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LogSelect {
    opcode: u8,
    flags: u8,
    page: u8,
    subpage: u8,
    reserved: [u8; 3],
    parameter_list_length: U16,
    control: u8,
}
command!(LogSelect, "LOG SELECT", opcode::LOG_SELECT, 10);

impl LogSelect {
    /// Resets the counters of a page (PCR=1), or of all for page 0.
    pub fn reset(page: u8) -> LogSelect {
        LogSelect {
            opcode: opcode::LOG_SELECT,
            flags: bit(1, true),
            page: CUMULATIVE | page & 0x3f,
            subpage: 0,
            reserved: [0; 3],
            parameter_list_length: U16::new(0),
            control: 0,
        }
    }

    /// PCR: parameter code reset.
    pub fn resets(&self) -> bool {
        is_set(self.flags, 1)
    }

    /// SP: save parameters.
    pub fn save(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// PAGE CODE
    pub fn page(&self) -> u8 {
        self.page & 0x3f
    }

    /// PARAMETER LIST LENGTH in bytes.
    pub fn parameter_list_length(&self) -> u16 {
        self.parameter_list_length.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        // As traced on a real host: page 31h, cumulative, 1 KiB.
        let sense = LogSense::new(0x31, 0x0400);
        assert_eq!(sense.as_bytes(), [0x4d, 0, 0x71, 0, 0, 0, 0, 4, 0, 0]);
        assert_eq!(sense.page_control(), 1);
        assert_eq!(
            LogSelect::reset(0).as_bytes(),
            [0x4c, 2, 0x40, 0, 0, 0, 0, 0, 0, 0]
        );
    }
}
