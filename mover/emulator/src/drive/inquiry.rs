//! INQUIRY: who the drive is (SPC-5 6.6, 7.7; SSC-5 8.6).

use super::bytes::{be16, padded};
use super::response::{Checked, invalid_cdb};
use super::{Command, Drive, PRODUCT, VENDOR};

/// PERIPHERAL DEVICE TYPE of a sequential-access device.
const SEQUENTIAL_ACCESS: u8 = 0x01;
const EVPD: u8 = 0x01;

const PAGES: [u8; 5] = [0x00, 0x80, 0x83, 0xb0, 0xb1];

impl Drive {
    pub(super) fn inquiry(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let page = command.cdb[2];
        let allocation = usize::from(be16(&command.cdb[3..]));
        let reply = match (command.cdb[1] & EVPD != 0, page) {
            (false, 0) => standard(),
            (false, _) => return Err(invalid_cdb(2).into()),
            (true, 0x00) => vital(page, &PAGES),
            (true, 0x80) => vital(page, self.serial.as_bytes()),
            (true, 0x83) => vital(page, &self.designators()),
            // WORM capable: no.
            (true, 0xb0) => vital(page, &[0, 0]),
            (true, 0xb1) => vital(page, self.serial.as_bytes()),
            (true, _) => return Err(invalid_cdb(2).into()),
        };
        Ok(command.reply(&reply, allocation))
    }

    /// Of the logical unit: T10 vendor identification, and a locally assigned
    /// NAA. Of the port: its relative number.
    fn designators(&self) -> Vec<u8> {
        const ASCII: u8 = 2;
        const BINARY: u8 = 1;
        const T10: u8 = 1;
        const NAA: u8 = 3;
        const RELATIVE_PORT: u8 = 4;
        const OF_PORT: u8 = 0x10;
        let mut name = padded::<8>(VENDOR).to_vec();
        name.extend(padded::<16>(PRODUCT));
        name.extend(self.serial.as_bytes());
        let naa = self.naa().to_be_bytes();
        let mut list = vec![ASCII, T10, 0, name.len() as u8];
        list.extend(name);
        list.extend([BINARY, NAA, 0, 8]);
        list.extend(naa);
        list.extend([BINARY, 0x80 | OF_PORT | RELATIVE_PORT, 0, 4, 0, 0, 0, 1]);
        list
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
}

fn standard() -> Vec<u8> {
    const REMOVABLE: u8 = 0x80;
    const SPC_4: u8 = 0x06;
    const HISUP_FORMAT_2: u8 = 0x12;
    const CMDQUE: u8 = 0x02;
    const BYTES: u8 = 70;
    let mut reply = vec![
        SEQUENTIAL_ACCESS,
        REMOVABLE,
        SPC_4,
        HISUP_FORMAT_2,
        BYTES - 5,
        0,
        0,
        CMDQUE,
    ];
    reply.extend(padded::<8>(VENDOR));
    reply.extend(padded::<16>(PRODUCT));
    reply.extend(padded::<4>("0001"));
    reply.resize(58, 0);
    // Version descriptors: SAM-5, SPC-4, SSC-4, none of a transport.
    for version in [0x00a0_u16, 0x0460, 0x0520, 0, 0, 0] {
        reply.extend(version.to_be_bytes());
    }
    reply
}

fn vital(page: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u16;
    let mut reply = vec![SEQUENTIAL_ACCESS, page];
    reply.extend(length.to_be_bytes());
    reply.extend(content);
    reply
}
