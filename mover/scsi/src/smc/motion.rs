//! MOVE MEDIUM, EXCHANGE MEDIUM, POSITION TO ELEMENT, INITIALIZE ELEMENT
//! STATUS (WITH RANGE), OPEN/CLOSE IMPORT/EXPORT ELEMENT.
//!
//! A changer's places are *elements* with 16-bit addresses. Element address 0
//! as the transport means the changer's default one.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::opcode;
use crate::cdb::{bit, command, is_set};
use crate::wire::U16;

/// MOVE MEDIUM (SMC-3 6.6)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct MoveMedium {
    opcode: u8,
    reserved_1: u8,
    transport: U16,
    source: U16,
    destination: U16,
    reserved_8: [u8; 2],
    flags: u8,
    control: u8,
}
command!(MoveMedium, "MOVE MEDIUM", opcode::MOVE_MEDIUM, 12);

impl MoveMedium {
    /// Moves the volume at `source` to `destination`.
    pub fn new(transport: u16, source: u16, destination: u16) -> MoveMedium {
        MoveMedium {
            opcode: opcode::MOVE_MEDIUM,
            reserved_1: 0,
            transport: U16::new(transport),
            source: U16::new(source),
            destination: U16::new(destination),
            reserved_8: [0; 2],
            flags: 0,
            control: 0,
        }
    }

    /// MEDIUM TRANSPORT ADDRESS
    pub fn transport(&self) -> u16 {
        self.transport.get()
    }

    /// SOURCE ADDRESS
    pub fn source(&self) -> u16 {
        self.source.get()
    }

    /// DESTINATION ADDRESS
    pub fn destination(&self) -> u16 {
        self.destination.get()
    }

    /// INVERT: turn the medium over.
    pub fn invert(&self) -> bool {
        is_set(self.flags, 0)
    }
}

/// EXCHANGE MEDIUM (SMC-3 6.2)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ExchangeMedium {
    opcode: u8,
    reserved_1: u8,
    transport: U16,
    source: U16,
    first_destination: U16,
    second_destination: U16,
    flags: u8,
    control: u8,
}
command!(
    ExchangeMedium,
    "EXCHANGE MEDIUM",
    opcode::EXCHANGE_MEDIUM,
    12
);

impl ExchangeMedium {
    /// Moves the volume at `source` to `first_destination`, and the one that
    /// was there to `second_destination`.
    pub fn new(transport: u16, source: u16, first: u16, second: u16) -> ExchangeMedium {
        ExchangeMedium {
            opcode: opcode::EXCHANGE_MEDIUM,
            reserved_1: 0,
            transport: U16::new(transport),
            source: U16::new(source),
            first_destination: U16::new(first),
            second_destination: U16::new(second),
            flags: 0,
            control: 0,
        }
    }

    /// MEDIUM TRANSPORT ADDRESS
    pub fn transport(&self) -> u16 {
        self.transport.get()
    }

    /// SOURCE ADDRESS
    pub fn source(&self) -> u16 {
        self.source.get()
    }

    /// FIRST DESTINATION ADDRESS
    pub fn first_destination(&self) -> u16 {
        self.first_destination.get()
    }

    /// SECOND DESTINATION ADDRESS
    pub fn second_destination(&self) -> u16 {
        self.second_destination.get()
    }
}

/// POSITION TO ELEMENT (SMC-3 6.9)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct PositionToElement {
    opcode: u8,
    reserved_1: u8,
    transport: U16,
    destination: U16,
    reserved_6: [u8; 2],
    flags: u8,
    control: u8,
}
command!(
    PositionToElement,
    "POSITION TO ELEMENT",
    opcode::POSITION_TO_ELEMENT,
    10
);

impl PositionToElement {
    /// Sends the transport in front of an element.
    pub fn new(transport: u16, destination: u16) -> PositionToElement {
        PositionToElement {
            opcode: opcode::POSITION_TO_ELEMENT,
            reserved_1: 0,
            transport: U16::new(transport),
            destination: U16::new(destination),
            reserved_6: [0; 2],
            flags: 0,
            control: 0,
        }
    }

    /// MEDIUM TRANSPORT ADDRESS
    pub fn transport(&self) -> u16 {
        self.transport.get()
    }

    /// DESTINATION ADDRESS
    pub fn destination(&self) -> u16 {
        self.destination.get()
    }
}

/// INITIALIZE ELEMENT STATUS (SMC-3 6.3): takes the inventory anew.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct InitializeElementStatus {
    opcode: u8,
    reserved: [u8; 4],
    control: u8,
}
command!(
    InitializeElementStatus,
    "INITIALIZE ELEMENT STATUS",
    opcode::INITIALIZE_ELEMENT_STATUS,
    6
);

impl InitializeElementStatus {
    /// Has all elements looked at; may take half an hour.
    pub fn new() -> InitializeElementStatus {
        let opcode = opcode::INITIALIZE_ELEMENT_STATUS;
        InitializeElementStatus {
            opcode,
            reserved: [0; 4],
            control: 0,
        }
    }
}

impl Default for InitializeElementStatus {
    fn default() -> InitializeElementStatus {
        InitializeElementStatus::new()
    }
}

/// INITIALIZE ELEMENT STATUS WITH RANGE (SMC-3 6.4)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct InitializeElementStatusWithRange {
    opcode: u8,
    flags: u8,
    start: U16,
    reserved_4: [u8; 2],
    count: U16,
    reserved_8: u8,
    control: u8,
}
command!(
    InitializeElementStatusWithRange,
    "INITIALIZE ELEMENT STATUS WITH RANGE",
    opcode::INITIALIZE_ELEMENT_STATUS_WITH_RANGE,
    10
);

impl InitializeElementStatusWithRange {
    /// Has `count` elements from `start` looked at.
    pub fn new(start: u16, count: u16) -> InitializeElementStatusWithRange {
        InitializeElementStatusWithRange {
            opcode: opcode::INITIALIZE_ELEMENT_STATUS_WITH_RANGE,
            flags: bit(0, true),
            start: U16::new(start),
            reserved_4: [0; 2],
            count: U16::new(count),
            reserved_8: 0,
            control: 0,
        }
    }

    /// FAST: do not read volume tags.
    pub fn fast(&self) -> bool {
        is_set(self.flags, 1)
    }

    /// The first element and the number of elements; `None` for all (RANGE=0).
    pub fn range(&self) -> Option<(u16, u16)> {
        is_set(self.flags, 0).then(|| (self.start.get(), self.count.get()))
    }
}

/// OPEN/CLOSE IMPORT/EXPORT ELEMENT (SMC-3 6.8)
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct OpenCloseImportExportElement {
    opcode: u8,
    reserved_1: u8,
    element: U16,
    action: u8,
    control: u8,
}
command!(
    OpenCloseImportExportElement,
    "OPEN/CLOSE IMPORT/EXPORT ELEMENT",
    opcode::OPEN_CLOSE_IMPORT_EXPORT_ELEMENT,
    6
);

impl OpenCloseImportExportElement {
    /// Opens the mail slot at that address, or closes it.
    pub fn new(element: u16, open: bool) -> OpenCloseImportExportElement {
        OpenCloseImportExportElement {
            opcode: opcode::OPEN_CLOSE_IMPORT_EXPORT_ELEMENT,
            reserved_1: 0,
            element: U16::new(element),
            action: u8::from(!open),
            control: 0,
        }
    }

    /// ELEMENT ADDRESS
    pub fn element(&self) -> u16 {
        self.element.get()
    }

    /// ACTION CODE: 0 opens, 1 closes.
    pub fn action(&self) -> u8 {
        self.action & 0x1f
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let bytes = [0xa5, 0, 0, 0, 0x10, 0x01, 0x01, 0x00, 0, 0, 0, 0];
        assert_eq!(MoveMedium::new(0, 0x1001, 0x0100).as_bytes(), bytes);
        let bytes = [0xa6, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 0];
        assert_eq!(ExchangeMedium::new(1, 2, 3, 4).as_bytes(), bytes);
        let bytes = [0x2b, 0, 0, 1, 0, 2, 0, 0, 0, 0];
        assert_eq!(PositionToElement::new(1, 2).as_bytes(), bytes);
        assert_eq!(
            InitializeElementStatus::new().as_bytes(),
            [7, 0, 0, 0, 0, 0]
        );
        let bytes = [0x37, 1, 0x01, 0xf4, 0, 0, 0, 4, 0, 0];
        assert_eq!(
            InitializeElementStatusWithRange::new(500, 4).as_bytes(),
            bytes
        );
        let bytes = [0x1b, 0, 0, 16, 1, 0];
        assert_eq!(
            OpenCloseImportExportElement::new(16, false).as_bytes(),
            bytes
        );
    }
}
