//! INQUIRY (SPC-5 6.7): what a device is. The vital product data pages are in
//! [`super::vpd`].

use std::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::opcode;
use crate::cdb::{bit, command, is_set};
use crate::wire::{ParseError, Reader, U16, padded, text};

/// INQUIRY
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Inquiry {
    opcode: u8,
    flags: u8,
    page: u8,
    allocation_length: U16,
    control: u8,
}
command!(Inquiry, "INQUIRY", opcode::INQUIRY, 6);

impl Inquiry {
    /// Asks for the standard data.
    pub fn standard(allocation_length: u16) -> Inquiry {
        Inquiry {
            opcode: opcode::INQUIRY,
            flags: 0,
            page: 0,
            allocation_length: U16::new(allocation_length),
            control: 0,
        }
    }

    /// Asks for a vital product data page.
    pub fn vital(page: u8, allocation_length: u16) -> Inquiry {
        Inquiry {
            flags: bit(0, true),
            page,
            ..Inquiry::standard(allocation_length)
        }
    }

    /// EVPD: a vital product data page is asked for.
    pub fn is_vital(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// PAGE CODE
    pub fn page(&self) -> u8 {
        self.page
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u16 {
        self.allocation_length.get()
    }
}

/// PERIPHERAL DEVICE TYPE, as far as it concerns tapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceType {
    /// 01h
    SequentialAccess,
    /// 08h
    MediumChanger,
    /// Any other.
    Other(u8),
}

impl DeviceType {
    /// The type in the low five bits of a byte.
    pub fn from_low_bits(byte: u8) -> DeviceType {
        match byte & 0x1f {
            0x01 => DeviceType::SequentialAccess,
            0x08 => DeviceType::MediumChanger,
            other => DeviceType::Other(other),
        }
    }

    /// Its number.
    pub fn code(self) -> u8 {
        match self {
            DeviceType::SequentialAccess => 0x01,
            DeviceType::MediumChanger => 0x08,
            DeviceType::Other(other) => other & 0x1f,
        }
    }
}

impl fmt::Display for DeviceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceType::SequentialAccess => f.write_str("tape drive"),
            DeviceType::MediumChanger => f.write_str("medium changer"),
            DeviceType::Other(code) => write!(f, "device of type {code:02X}h"),
        }
    }
}

/// Bytes up to the product revision level: what SCSI-2 and later must send.
pub const MANDATORY_BYTES: usize = 36;
/// Where the version descriptors start, and how many there are.
const VERSION_DESCRIPTORS: (usize, usize) = (58, 8);

/// The standard data, as far as a device sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandardInquiry {
    /// PERIPHERAL QUALIFIER: 0 for a device that is there.
    pub qualifier: u8,
    /// PERIPHERAL DEVICE TYPE
    pub device_type: DeviceType,
    /// RMB: the medium is removable.
    pub removable: bool,
    /// VERSION: 3 for SPC, 6 for SPC-4.
    pub version: u8,
    /// PROTECT (here: logical block protection may be possible).
    pub protect: bool,
    /// MULTIP: more than one port.
    pub multi_port: bool,
    /// MCHNGR or, in SPC-4, obsolete: attached to a medium changer.
    pub in_changer: bool,
    /// CMDQUE: commands can be queued.
    pub queues: bool,
    /// T10 VENDOR IDENTIFICATION
    pub vendor: String,
    /// PRODUCT IDENTIFICATION
    pub product: String,
    /// PRODUCT REVISION LEVEL, that is, the firmware.
    pub revision: String,
    /// VERSION DESCRIPTORS: the standards that the device claims.
    pub standards: Vec<u16>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct Wire {
    peripheral: u8,
    removable: u8,
    version: u8,
    format: u8,
    additional_length: u8,
    flags_5: u8,
    flags_6: u8,
    flags_7: u8,
    vendor: [u8; 8],
    product: [u8; 16],
    revision: [u8; 4],
}
const _: () = assert!(size_of::<Wire>() == MANDATORY_BYTES);

/// HISUP and RESPONSE DATA FORMAT 2: what everybody has sent since SCSI-2.
const FORMAT: u8 = 0x12;
const BYTES_BEFORE_LENGTH: usize = 5;

impl StandardInquiry {
    /// Reads the standard data; the additional length is believed only where
    /// it is shorter than what is there.
    ///
    /// # Errors
    /// If it ends before the revision level.
    pub fn parse(bytes: &[u8]) -> Result<StandardInquiry, ParseError> {
        let wire: Wire = Reader::new("INQUIRY", bytes).pull()?;
        let claimed = usize::from(wire.additional_length) + BYTES_BEFORE_LENGTH;
        let bytes = &bytes[..bytes.len().min(claimed)];
        let (start, count) = VERSION_DESCRIPTORS;
        let descriptors = bytes
            .get(start..)
            .unwrap_or(&[])
            .chunks_exact(2)
            .take(count);
        let standards = descriptors.map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        Ok(StandardInquiry {
            qualifier: wire.peripheral >> 5,
            device_type: DeviceType::from_low_bits(wire.peripheral),
            removable: is_set(wire.removable, 7),
            version: wire.version,
            protect: is_set(wire.flags_5, 0),
            multi_port: is_set(wire.flags_6, 4),
            in_changer: is_set(wire.flags_6, 3),
            queues: is_set(wire.flags_7, 1),
            vendor: text(&wire.vendor),
            product: text(&wire.product),
            revision: text(&wire.revision),
            standards: standards.filter(|&standard| standard != 0).collect(),
        })
    }

    /// The bytes of the standard data: 36, or 74 with version descriptors.
    pub fn encode(&self) -> Vec<u8> {
        let (start, count) = VERSION_DESCRIPTORS;
        let total = if self.standards.is_empty() {
            MANDATORY_BYTES
        } else {
            start + 2 * count
        };
        let wire = Wire {
            peripheral: self.qualifier << 5 | self.device_type.code(),
            removable: bit(7, self.removable),
            version: self.version,
            format: FORMAT,
            additional_length: (total - BYTES_BEFORE_LENGTH) as u8,
            flags_5: bit(0, self.protect),
            flags_6: bit(4, self.multi_port) | bit(3, self.in_changer),
            flags_7: bit(1, self.queues),
            vendor: padded(&self.vendor),
            product: padded(&self.product),
            revision: padded(&self.revision),
        };
        let mut bytes = wire.as_bytes().to_vec();
        bytes.resize(total, 0);
        let fields = bytes
            .get_mut(start..)
            .unwrap_or_default()
            .chunks_exact_mut(2);
        for (field, standard) in fields.zip(&self.standards) {
            field.copy_from_slice(&standard.to_be_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        assert_eq!(Inquiry::standard(96).as_bytes(), [0x12, 0, 0, 0, 0x60, 0]);
        assert_eq!(
            Inquiry::vital(0x83, 0x1000).as_bytes(),
            [0x12, 1, 0x83, 0x10, 0, 0]
        );
    }

    proptest! {
        #[test]
        fn round_trip(qualifier in 0..8u8, kind in 0..32u8, version: u8,
                      flags: (bool, bool, bool, bool, bool),
                      vendor in "[A-Z]{0,8}", product in "[A-Z0-9]{0,16}",
                      revision in "[A-Z0-9]{0,4}",
                      standards in proptest::collection::vec(1..=u16::MAX, 0..=8)) {
            let inquiry = StandardInquiry {
                qualifier,
                device_type: DeviceType::from_low_bits(kind),
                removable: flags.0,
                version,
                protect: flags.1,
                multi_port: flags.2,
                in_changer: flags.3,
                queues: flags.4,
                vendor,
                product,
                revision,
                standards,
            };
            prop_assert_eq!(StandardInquiry::parse(&inquiry.encode()).unwrap(), inquiry);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(StandardInquiry::parse(&bytes).is_ok(), bytes.len() >= 36);
        }
    }
}
