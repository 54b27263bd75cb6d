//! MODE SENSE and MODE SELECT, of 6 and of 10 bytes.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::super::opcode;
use crate::cdb::{bit, command, is_set};
use crate::wire::U16;

/// Which values of a page are asked for (PC; SPC-5 6.14). LOG SENSE has a
/// field of the same place and other meanings: [`super::super::log`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageControl {
    /// 00b
    Current,
    /// 01b: a mask of what MODE SELECT can change.
    Changeable,
    /// 10b
    Default,
    /// 11b
    Saved,
}

impl PageControl {
    fn from_bits(byte: u8) -> PageControl {
        match byte >> 6 {
            0b00 => PageControl::Current,
            0b01 => PageControl::Changeable,
            0b10 => PageControl::Default,
            _ => PageControl::Saved,
        }
    }

    fn bits(self) -> u8 {
        match self {
            PageControl::Current => 0b00 << 6,
            PageControl::Changeable => 0b01 << 6,
            PageControl::Default => 0b10 << 6,
            PageControl::Saved => 0b11 << 6,
        }
    }
}

/// MODE SENSE(6) (SPC-5 6.14)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ModeSense6 {
    opcode: u8,
    flags: u8,
    page: u8,
    subpage: u8,
    allocation_length: u8,
    control: u8,
}
command!(ModeSense6, "MODE SENSE(6)", opcode::MODE_SENSE_6, 6);

impl ModeSense6 {
    /// Asks for the current values of a page, with the block descriptor.
    pub fn new(page: u8, subpage: u8, allocation_length: u8) -> ModeSense6 {
        let page = page & 0x3f;
        let opcode = opcode::MODE_SENSE_6;
        ModeSense6 {
            opcode,
            flags: 0,
            page,
            subpage,
            allocation_length,
            control: 0,
        }
    }

    /// The same, without block descriptors (DBD).
    pub fn without_block_descriptors(mut self) -> ModeSense6 {
        self.flags |= bit(3, true);
        self
    }

    /// The same, for other values than the current ones.
    pub fn with_control(mut self, control: PageControl) -> ModeSense6 {
        self.page = self.page & 0x3f | control.bits();
        self
    }

    /// DBD: no block descriptors, please.
    pub fn disables_block_descriptors(&self) -> bool {
        is_set(self.flags, 3)
    }

    /// PC
    pub fn page_control(&self) -> PageControl {
        PageControl::from_bits(self.page)
    }

    /// PAGE CODE
    pub fn page(&self) -> u8 {
        self.page & 0x3f
    }

    /// SUBPAGE CODE
    pub fn subpage(&self) -> u8 {
        self.subpage
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u8 {
        self.allocation_length
    }
}

/// MODE SENSE(10) (SPC-5 6.15)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ModeSense10 {
    opcode: u8,
    flags: u8,
    page: u8,
    subpage: u8,
    reserved: [u8; 3],
    allocation_length: U16,
    control: u8,
}
command!(ModeSense10, "MODE SENSE(10)", opcode::MODE_SENSE_10, 10);

impl ModeSense10 {
    /// Asks for the current values of a page, with the block descriptor.
    pub fn new(page: u8, subpage: u8, allocation_length: u16) -> ModeSense10 {
        ModeSense10 {
            opcode: opcode::MODE_SENSE_10,
            flags: 0,
            page: page & 0x3f,
            subpage,
            reserved: [0; 3],
            allocation_length: U16::new(allocation_length),
            control: 0,
        }
    }

    /// The same, without block descriptors (DBD).
    pub fn without_block_descriptors(mut self) -> ModeSense10 {
        self.flags |= bit(3, true);
        self
    }

    /// The same, for other values than the current ones.
    pub fn with_control(mut self, control: PageControl) -> ModeSense10 {
        self.page = self.page & 0x3f | control.bits();
        self
    }

    /// DBD: no block descriptors, please.
    pub fn disables_block_descriptors(&self) -> bool {
        is_set(self.flags, 3)
    }

    /// PC
    pub fn page_control(&self) -> PageControl {
        PageControl::from_bits(self.page)
    }

    /// PAGE CODE
    pub fn page(&self) -> u8 {
        self.page & 0x3f
    }

    /// SUBPAGE CODE
    pub fn subpage(&self) -> u8 {
        self.subpage
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u16 {
        self.allocation_length.get()
    }
}

/// MODE SELECT(6) (SPC-5 6.12)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ModeSelect6 {
    opcode: u8,
    flags: u8,
    reserved: [u8; 2],
    parameter_list_length: u8,
    control: u8,
}
command!(ModeSelect6, "MODE SELECT(6)", opcode::MODE_SELECT_6, 6);

impl ModeSelect6 {
    /// Sends that many bytes of pages (PF=1); with `save`, for good.
    pub fn new(parameter_list_length: u8, save: bool) -> ModeSelect6 {
        let flags = bit(4, true) | bit(0, save);
        let opcode = opcode::MODE_SELECT_6;
        ModeSelect6 {
            opcode,
            flags,
            reserved: [0; 2],
            parameter_list_length,
            control: 0,
        }
    }

    /// PF: what follows the header is as in the standard.
    pub fn page_format(&self) -> bool {
        is_set(self.flags, 4)
    }

    /// SP: save.
    pub fn save(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// PARAMETER LIST LENGTH in bytes.
    pub fn parameter_list_length(&self) -> u8 {
        self.parameter_list_length
    }
}

/// MODE SELECT(10) (SPC-5 6.13)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ModeSelect10 {
    opcode: u8,
    flags: u8,
    reserved: [u8; 5],
    parameter_list_length: U16,
    control: u8,
}
command!(ModeSelect10, "MODE SELECT(10)", opcode::MODE_SELECT_10, 10);

impl ModeSelect10 {
    /// Sends that many bytes of pages (PF=1); with `save`, for good.
    pub fn new(parameter_list_length: u16, save: bool) -> ModeSelect10 {
        ModeSelect10 {
            opcode: opcode::MODE_SELECT_10,
            flags: bit(4, true) | bit(0, save),
            reserved: [0; 5],
            parameter_list_length: U16::new(parameter_list_length),
            control: 0,
        }
    }

    /// PF: what follows the header is as in the standard.
    pub fn page_format(&self) -> bool {
        is_set(self.flags, 4)
    }

    /// SP: save.
    pub fn save(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// PARAMETER LIST LENGTH in bytes.
    pub fn parameter_list_length(&self) -> u16 {
        self.parameter_list_length.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdb::Command;

    #[test]
    fn golden_bytes() {
        let sense = ModeSense10::new(0x10, 0x01, 48);
        assert_eq!(sense.as_bytes(), [0x5a, 0, 0x10, 1, 0, 0, 0, 0, 48, 0]);
        let sense = ModeSense6::new(0x1d, 0, 255).without_block_descriptors();
        assert_eq!(sense.as_bytes(), [0x1a, 8, 0x1d, 0, 255, 0]);
        assert_eq!(
            ModeSelect6::new(12, false).as_bytes(),
            [0x15, 0x10, 0, 0, 12, 0]
        );
        let select = ModeSelect10::new(16, true);
        assert_eq!(select.as_bytes(), [0x55, 0x11, 0, 0, 0, 0, 0, 0, 16, 0]);
    }

    #[test]
    fn page_control_and_page_share_a_byte() {
        for control in [
            PageControl::Current,
            PageControl::Changeable,
            PageControl::Default,
            PageControl::Saved,
        ] {
            let sense = ModeSense10::new(0x3f, 0xff, 255).with_control(control);
            let sense = ModeSense10::parse(sense.cdb().as_bytes()).unwrap();
            assert_eq!((sense.page_control(), sense.page()), (control, 0x3f));
        }
    }
}
