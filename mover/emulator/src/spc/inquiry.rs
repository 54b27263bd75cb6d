//! INQUIRY: who the device is (SPC-5 6.6, 7.7).

use super::bytes::{be16, padded};
use super::response::{Checked, invalid_cdb};
use super::{Command, SERIAL_BYTES_MAX};

/// VENDOR IDENTIFICATION of all our devices.
pub(crate) const VENDOR: &str = "LONGHAUL";

const EVPD: u8 = 0x01;
/// Bytes of the standard data.
const STANDARD_BYTES: u8 = 70;
/// Where the vendor specific bytes of the standard data begin.
const VENDOR_SPECIFIC: usize = 36;
const VERSION_DESCRIPTORS: usize = 58;

/// What INQUIRY tells.
#[derive(Debug)]
pub(crate) struct Identity {
    /// PERIPHERAL DEVICE TYPE.
    pub device_type: u8,
    /// PRODUCT IDENTIFICATION.
    pub product: &'static str,
    /// UNIT SERIAL NUMBER.
    pub serial: String,
    /// The version descriptor of the device type's own standard.
    pub standard: u16,
    /// PROTECT: it knows protection information.
    pub protects: bool,
    /// Bytes 36 to 55 of the standard data.
    pub vendor_specific: [u8; 20],
    /// Vital product data pages that the device type adds, in order.
    pub pages: Vec<(u8, Vec<u8>)>,
}

/// As much of a serial number as is used.
pub(crate) fn serial(text: &str) -> String {
    text.chars().take(SERIAL_BYTES_MAX).collect()
}

impl Identity {
    pub(super) fn inquiry(&self, command: &mut Command<'_>) -> Checked<usize> {
        let page = command.cdb[2];
        let allocation = usize::from(be16(&command.cdb[3..]));
        let reply = match (command.cdb[1] & EVPD != 0, page) {
            (false, 0) => self.standard(),
            (false, _) => return Err(invalid_cdb(2).into()),
            (true, 0x00) => self.vital(page, &self.page_codes()),
            (true, 0x80) => self.vital(page, self.serial.as_bytes()),
            (true, 0x83) => self.vital(page, &self.designators()),
            (true, _) => {
                let own = self.pages.iter().find(|(code, _)| *code == page);
                let (_, content) = own.ok_or_else(|| invalid_cdb(2))?;
                self.vital(page, content)
            }
        };
        Ok(command.reply(&reply, allocation))
    }

    fn page_codes(&self) -> Vec<u8> {
        let own = self.pages.iter().map(|(code, _)| *code);
        [0x00, 0x80, 0x83].into_iter().chain(own).collect()
    }

    /// Of the logical unit: T10 vendor identification, and a locally assigned
    /// NAA. Of the port: its relative number.
    fn designators(&self) -> Vec<u8> {
        const BINARY: u8 = 1;
        const NAA: u8 = 3;
        const RELATIVE_PORT: u8 = 4;
        const OF_PORT: u8 = 0x10;
        let mut list = self.designator();
        list.extend([BINARY, NAA, 0, 8]);
        list.extend(self.naa().to_be_bytes());
        list.extend([BINARY, 0x80 | OF_PORT | RELATIVE_PORT, 0, 4, 0, 0, 0, 1]);
        list
    }

    /// The T10 vendor identification: vendor, product and serial number.
    pub(crate) fn designator(&self) -> Vec<u8> {
        const ASCII: u8 = 2;
        const T10: u8 = 1;
        let mut name = padded::<8>(VENDOR).to_vec();
        name.extend(padded::<16>(self.product));
        name.extend(self.serial.as_bytes());
        let mut designator = vec![ASCII, T10, 0, name.len() as u8];
        designator.extend(name);
        designator
    }

    /// NAA 3h, locally assigned: the same for the same serial number (FNV-1a).
    fn naa(&self) -> u64 {
        const LOCALLY_ASSIGNED: u64 = 3 << 60;
        let hash = self
            .serial
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        LOCALLY_ASSIGNED | hash >> 4
    }

    fn standard(&self) -> Vec<u8> {
        const REMOVABLE: u8 = 0x80;
        const SPC_4: u8 = 0x06;
        const HISUP_FORMAT_2: u8 = 0x12;
        const CMDQUE: u8 = 0x02;
        let length = STANDARD_BYTES - 5;
        let mut reply = vec![self.device_type, REMOVABLE, SPC_4, HISUP_FORMAT_2, length];
        reply.extend([u8::from(self.protects), 0, CMDQUE]);
        reply.extend(padded::<8>(VENDOR));
        reply.extend(padded::<16>(self.product));
        reply.extend(padded::<4>("0001"));
        debug_assert_eq!(reply.len(), VENDOR_SPECIFIC);
        reply.extend(self.vendor_specific);
        reply.resize(VERSION_DESCRIPTORS, 0);
        // SAM-5, SPC-4, the device type's own; none of a transport.
        for version in [0x00a0, 0x0460, self.standard, 0, 0, 0_u16] {
            reply.extend(version.to_be_bytes());
        }
        reply
    }

    fn vital(&self, page: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len() as u16;
        let mut reply = vec![self.device_type, page];
        reply.extend(length.to_be_bytes());
        reply.extend(content);
        reply
    }
}
