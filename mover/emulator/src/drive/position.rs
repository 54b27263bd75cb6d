//! READ POSITION in its three forms (SSC-5 7.7): where the host is, and what
//! of its writes is still in the buffer.

use super::write::Zone;
use super::{Command, Drive};
use crate::spc::bytes::be16;
use crate::spc::response::{Checked, invalid_cdb};

const BOP: u8 = 0x80;
const EOP: u8 = 0x40;
const LOLU: u8 = 0x04;
const PERR: u8 = 0x02;
const BPEW: u8 = 0x01;

impl Drive {
    pub(super) fn read_position(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const SHORT: u8 = 0x00;
        // Vendor-specific block addresses, that the kernel's st driver asks
        // for: here they are the logical object identifiers too.
        const SHORT_VENDOR: u8 = 0x01;
        const LONG: u8 = 0x06;
        const EXTENDED: u8 = 0x08;
        let allocation = usize::from(be16(&command.cdb[7..]));
        let action = command.cdb[1] & 0x1f;
        self.ready()?;
        // The older forms have fixed lengths; asking for one is an error.
        if matches!(action, SHORT | SHORT_VENDOR | LONG) && allocation != 0 {
            return Err(invalid_cdb(7).into());
        }
        match action {
            SHORT | SHORT_VENDOR => Ok(command.reply(&self.short_position(), usize::MAX)),
            LONG => Ok(command.reply(&self.long_position(), usize::MAX)),
            EXTENDED => Ok(command.reply(&self.extended_position(), allocation)),
            _ => Err(invalid_cdb(1).into()),
        }
    }

    fn position_flags(&self) -> u8 {
        let bop = if self.position.object == 0 { BOP } else { 0 };
        let zone = match self.zone() {
            Zone::Free => 0,
            Zone::Programmable => BPEW,
            Zone::Early if self.mode.programmable_zone() > 0 => EOP | BPEW,
            Zone::Early => EOP,
        };
        bop | zone
    }

    /// The next object between host and drive, and the next between buffer and
    /// medium: the same, if the buffer is empty.
    fn first_and_last(&self) -> (u64, u64) {
        let first = self.position.object;
        (first, self.buffer.first().unwrap_or(first))
    }

    fn short_position(&self) -> [u8; 20] {
        let (first, last) = self.first_and_last();
        let mut reply = [0; 20];
        reply[0] = self.position_flags();
        match (u32::try_from(first), u32::try_from(last)) {
            (Ok(first), Ok(last)) => {
                reply[4..8].copy_from_slice(&first.to_be_bytes());
                reply[8..12].copy_from_slice(&last.to_be_bytes());
            }
            _ => reply[0] |= PERR | LOLU,
        }
        let objects = u32::try_from(self.buffer.objects())
            .unwrap_or(u32::MAX)
            .min(0xff_ffff);
        let bytes = u32::try_from(self.buffer.data_bytes()).unwrap_or(u32::MAX);
        reply[13..16].copy_from_slice(&objects.to_be_bytes()[1..]);
        reply[16..20].copy_from_slice(&bytes.to_be_bytes());
        reply
    }

    fn long_position(&self) -> [u8; 32] {
        let mut reply = [0; 32];
        reply[0] = self.position_flags();
        reply[8..16].copy_from_slice(&self.position.object.to_be_bytes());
        reply[16..24].copy_from_slice(&self.position.filemarks.to_be_bytes());
        reply
    }

    fn extended_position(&self) -> [u8; 32] {
        const ADDITIONAL_BYTES: u16 = 28;
        let (first, last) = self.first_and_last();
        let mut reply = [0; 32];
        reply[0] = self.position_flags();
        reply[2..4].copy_from_slice(&ADDITIONAL_BYTES.to_be_bytes());
        let objects = u32::try_from(self.buffer.objects())
            .unwrap_or(u32::MAX)
            .min(0xff_ffff);
        reply[5..8].copy_from_slice(&objects.to_be_bytes()[1..]);
        reply[8..16].copy_from_slice(&first.to_be_bytes());
        reply[16..24].copy_from_slice(&last.to_be_bytes());
        reply[24..32].copy_from_slice(&self.buffer.data_bytes().to_be_bytes());
        reply
    }
}
