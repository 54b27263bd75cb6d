//! Vital product data (SPC-5 7.7): serial number, designators, and what SSC-5
//! adds (7.6 there).
//!
//! A drive is known by what these pages say, never by the number that a kernel
//! gave it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::inquiry::DeviceType;
use crate::cdb::{bit, is_set};
use crate::wire::{ParseError, Reader, U16, text};

/// Page codes.
pub mod page {
    /// Supported VPD Pages
    pub const SUPPORTED_PAGES: u8 = 0x00;
    /// Unit Serial Number
    pub const UNIT_SERIAL_NUMBER: u8 = 0x80;
    /// Device Identification
    pub const DEVICE_IDENTIFICATION: u8 = 0x83;
    /// Sequential-Access Device Capabilities (SSC-5)
    pub const SEQUENTIAL_ACCESS_CAPABILITIES: u8 = 0xb0;
    /// Manufacturer-Assigned Serial Number (SSC-5)
    pub const MANUFACTURER_SERIAL_NUMBER: u8 = 0xb1;
}

/// Any page: its code and what is behind its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VitalPage<'a> {
    /// Whose page it is.
    pub device_type: DeviceType,
    /// PAGE CODE
    pub code: u8,
    /// What follows the header, as far as it is there.
    pub body: &'a [u8],
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct Header {
    peripheral: u8,
    code: u8,
    length: U16,
}
const _: () = assert!(size_of::<Header>() == 4);

impl<'a> VitalPage<'a> {
    /// Reads a page's frame.
    ///
    /// # Errors
    /// If there is no header.
    pub fn parse(bytes: &'a [u8]) -> Result<VitalPage<'a>, ParseError> {
        let mut reader = Reader::new("vital product data", bytes);
        let header: Header = reader.pull()?;
        let body = reader.take_up_to(header.length.get().into());
        let device_type = DeviceType::from_low_bits(header.peripheral);
        Ok(VitalPage {
            device_type,
            code: header.code,
            body,
        })
    }

    /// Reads a page's frame, and holds it against the page asked for.
    fn expect(bytes: &'a [u8], code: u8) -> Result<VitalPage<'a>, ParseError> {
        let page = VitalPage::parse(bytes)?;
        if page.code == code {
            return Ok(page);
        }
        let (what, field) = ("vital product data", "PAGE CODE");
        Err(ParseError::Field {
            what,
            field,
            value: page.code.into(),
        })
    }

    /// The page's bytes.
    ///
    /// # Panics
    /// If the body has more than 65,535 bytes.
    pub fn encode(&self) -> Vec<u8> {
        let length = u16::try_from(self.body.len()).expect("a page is shorter than 64 KiB");
        let peripheral = self.device_type.code();
        let header = Header {
            peripheral,
            code: self.code,
            length: U16::new(length),
        };
        [header.as_bytes(), self.body].concat()
    }
}

/// Page 00h: the page codes that the device knows.
///
/// # Errors
/// If it is cut in its header, or is another page.
pub fn parse_supported_pages(bytes: &[u8]) -> Result<Vec<u8>, ParseError> {
    Ok(VitalPage::expect(bytes, page::SUPPORTED_PAGES)?
        .body
        .to_vec())
}

/// Page 80h: the unit's serial number, without padding.
///
/// # Errors
/// If it is cut in its header, or is another page.
pub fn parse_serial_number(bytes: &[u8]) -> Result<String, ParseError> {
    Ok(text(
        VitalPage::expect(bytes, page::UNIT_SERIAL_NUMBER)?.body,
    ))
}

/// Page B1h: the manufacturer's serial number, without padding.
///
/// # Errors
/// If it is cut in its header, or is another page.
pub fn parse_manufacturer_serial_number(bytes: &[u8]) -> Result<String, ParseError> {
    Ok(text(
        VitalPage::expect(bytes, page::MANUFACTURER_SERIAL_NUMBER)?.body,
    ))
}

/// Page B0h: what a sequential-access device can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SequentialAccessCapabilities {
    /// WORM: the drive supports write-once media.
    pub worm: bool,
    /// TSMC: tape stream mirroring (copying by the drive itself).
    pub tape_stream_mirroring: bool,
}

impl SequentialAccessCapabilities {
    /// Reads the page.
    ///
    /// # Errors
    /// If it is cut, or is another page.
    pub fn parse(bytes: &[u8]) -> Result<SequentialAccessCapabilities, ParseError> {
        let page = VitalPage::expect(bytes, page::SEQUENTIAL_ACCESS_CAPABILITIES)?;
        let flags: u8 = Reader::new("VPD page B0h", page.body).pull()?;
        let (worm, tape_stream_mirroring) = (is_set(flags, 0), is_set(flags, 1));
        Ok(SequentialAccessCapabilities {
            worm,
            tape_stream_mirroring,
        })
    }

    /// The page's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let body = [bit(0, self.worm) | bit(1, self.tape_stream_mirroring), 0];
        let device_type = DeviceType::SequentialAccess;
        let code = page::SEQUENTIAL_ACCESS_CAPABILITIES;
        VitalPage {
            device_type,
            code,
            body: &body,
        }
        .encode()
    }
}

/// What a designator names (ASSOCIATION).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Association {
    /// 00b: the logical unit, that is, the drive.
    LogicalUnit,
    /// 01b: the port that the command came in by.
    TargetPort,
    /// 10b: the device that contains the unit.
    TargetDevice,
    /// 11b
    Reserved,
}

/// One designation descriptor of page 83h.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Designator {
    /// What it names.
    pub association: Association,
    /// CODE SET: 1 binary, 2 ASCII, 3 UTF-8.
    pub code_set: u8,
    /// DESIGNATOR TYPE: 0 vendor, 1 T10, 2 EUI-64, 3 NAA, 4 relative port, …
    pub kind: u8,
    /// The designator.
    pub value: Vec<u8>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct DesignatorHeader {
    code_set: u8,
    kind: u8,
    reserved: u8,
    length: u8,
}
const _: () = assert!(size_of::<DesignatorHeader>() == 4);

/// DESIGNATOR TYPE of an NAA number.
const KIND_NAA: u8 = 3;
/// DESIGNATOR TYPE of vendor identification and vendor's text.
const KIND_T10: u8 = 1;

impl Designator {
    /// An NAA number of 8 bytes.
    pub fn naa(association: Association, number: u64) -> Designator {
        let value = number.to_be_bytes().to_vec();
        Designator {
            association,
            code_set: 1,
            kind: KIND_NAA,
            value,
        }
    }

    /// Vendor, product and serial number, in the usual widths.
    pub fn t10(vendor: &str, product: &str, serial: &str) -> Designator {
        let value = format!("{vendor:8.8}{product:16.16}{serial}").into_bytes();
        let association = Association::LogicalUnit;
        Designator {
            association,
            code_set: 2,
            kind: KIND_T10,
            value,
        }
    }

    /// The NAA number, if it is one of 8 bytes.
    pub fn as_naa(&self) -> Option<u64> {
        let number = self
            .value
            .as_slice()
            .try_into()
            .ok()
            .map(u64::from_be_bytes);
        number.filter(|_| self.kind == KIND_NAA)
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<String> {
        matches!(self.code_set, 2 | 3).then(|| text(&self.value))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Designator, ParseError> {
        let header: DesignatorHeader = reader.pull()?;
        let association = match header.kind >> 4 & 0b11 {
            0b00 => Association::LogicalUnit,
            0b01 => Association::TargetPort,
            0b10 => Association::TargetDevice,
            _ => Association::Reserved,
        };
        Ok(Designator {
            association,
            code_set: header.code_set & 0x0f,
            kind: header.kind & 0x0f,
            value: reader.take(header.length.into())?.to_vec(),
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let association = match self.association {
            Association::LogicalUnit => 0b00,
            Association::TargetPort => 0b01,
            Association::TargetDevice => 0b10,
            Association::Reserved => 0b11,
        };
        let value = &self.value[..self.value.len().min(255)];
        let kind = association << 4 | self.kind & 0x0f;
        let mut bytes = vec![self.code_set & 0x0f, kind, 0, value.len() as u8];
        bytes.extend(value);
        bytes
    }
}

/// Page 83h: all designators.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceIdentification(pub Vec<Designator>);

impl DeviceIdentification {
    /// Reads the page, as far as whole designators are there.
    ///
    /// # Errors
    /// If it is cut in its header, or is another page.
    pub fn parse(bytes: &[u8]) -> Result<DeviceIdentification, ParseError> {
        let page = VitalPage::expect(bytes, page::DEVICE_IDENTIFICATION)?;
        let mut reader = Reader::new("VPD page 83h", page.body);
        let mut designators = Vec::new();
        while let Ok(designator) = Designator::read(&mut reader) {
            designators.push(designator);
        }
        Ok(DeviceIdentification(designators))
    }

    /// The page's bytes.
    pub fn encode(&self, device_type: DeviceType) -> Vec<u8> {
        let body = self
            .0
            .iter()
            .flat_map(Designator::encode)
            .collect::<Vec<_>>();
        VitalPage {
            device_type,
            code: page::DEVICE_IDENTIFICATION,
            body: &body,
        }
        .encode()
    }

    /// The logical unit's NAA number, by which a drive is known on a SAN.
    pub fn unit_naa(&self) -> Option<u64> {
        let mut units = self
            .0
            .iter()
            .filter(|designator| designator.association == Association::LogicalUnit);
        units.find_map(Designator::as_naa)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn designators() -> impl Strategy<Value = Designator> {
        let value = proptest::collection::vec(any::<u8>(), 0..40);
        (0..3u8, 0..16u8, 0..16u8, value).prop_map(|(association, code_set, kind, value)| {
            let association = match association {
                0 => Association::LogicalUnit,
                1 => Association::TargetPort,
                _ => Association::TargetDevice,
            };
            Designator {
                association,
                code_set,
                kind,
                value,
            }
        })
    }

    #[test]
    fn serial_numbers_lose_their_padding() {
        let device_type = DeviceType::SequentialAccess;
        let body = b"  10WT015978\0";
        let bytes = VitalPage {
            device_type,
            code: 0x80,
            body,
        }
        .encode();
        assert_eq!(parse_serial_number(&bytes).unwrap(), "10WT015978");
        assert!(parse_manufacturer_serial_number(&bytes).is_err());
        let bytes = VitalPage {
            device_type,
            code: 0,
            body: &[0, 0x80, 0x83],
        }
        .encode();
        assert_eq!(parse_supported_pages(&bytes).unwrap(), [0, 0x80, 0x83]);
    }

    #[test]
    fn the_units_naa_is_not_the_ports() {
        let page = DeviceIdentification(vec![
            Designator::t10("IBM", "ULTRIUM-TD3", "1210173183"),
            Designator::naa(Association::TargetPort, 0x5140_2ec0_0141_d11c),
            Designator::naa(Association::LogicalUnit, 0x5140_2ec0_0141_d11e),
        ]);
        let page = DeviceIdentification::parse(&page.encode(DeviceType::SequentialAccess)).unwrap();
        assert_eq!(page.unit_naa(), Some(0x5140_2ec0_0141_d11e));
        let text = page.0[0].as_text().unwrap();
        assert_eq!(text, "IBM     ULTRIUM-TD3     1210173183");
    }

    #[test]
    fn worm_capability() {
        let capabilities = SequentialAccessCapabilities {
            worm: true,
            tape_stream_mirroring: false,
        };
        let bytes = capabilities.encode();
        assert_eq!(bytes, [1, 0xb0, 0, 2, 1, 0]);
        assert_eq!(
            SequentialAccessCapabilities::parse(&bytes).unwrap(),
            capabilities
        );
    }

    proptest! {
        #[test]
        fn round_trip(list in proptest::collection::vec(designators(), 0..6)) {
            let page = DeviceIdentification(list);
            let bytes = page.encode(DeviceType::MediumChanger);
            prop_assert_eq!(DeviceIdentification::parse(&bytes).unwrap(), page);
        }

        #[test]
        fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..80),
                                  code in prop::sample::select(vec![0, 0x80, 0x83, 0xb0, 0xb1])) {
            if let Some(byte) = bytes.get_mut(1) {
                *byte = code;
            }
            let _ = parse_supported_pages(&bytes);
            let _ = parse_serial_number(&bytes);
            let _ = parse_manufacturer_serial_number(&bytes);
            let _ = DeviceIdentification::parse(&bytes);
            let _ = SequentialAccessCapabilities::parse(&bytes);
        }
    }
}
