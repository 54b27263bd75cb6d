//! What can be recorded: block lengths and densities (SSC-5 7.5, 7.9).

use super::mode_pages::MEDIUM_TYPE;
use super::{Command, DENSITY, Drive};
use crate::medium::{BLOCK_BYTES_MAX, CAPACITY_DEFAULT};
use crate::spc::bytes::{be16, padded};
use crate::spc::response::{Checked, invalid_cdb};

/// Half an inch, in tenths of a millimetre.
const WIDTH: u16 = 127;
const LENGTH_M: u16 = 1035;
const TRACKS: u16 = 8960;
const BITS_PER_MM: u32 = 19_104;
const ORGANISATION: &str = "LTO-CVE";

impl Drive {
    /// READ BLOCK LIMITS: 1 byte to 8 MiB.
    pub(super) fn read_block_limits(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const MLOI: u8 = 1;
        let mut reply = vec![0];
        reply.extend(&BLOCK_BYTES_MAX.to_be_bytes()[1..]);
        reply.extend([0, 1]);
        if command.cdb[1] & MLOI != 0 {
            // The largest logical object identifier, that no capacity reaches.
            reply.extend([0; 6]);
            reply.extend(((1_u64 << 48) - 1).to_be_bytes());
        }
        Ok(command.reply(&reply, usize::MAX))
    }

    /// REPORT DENSITY SUPPORT: LTO-9, and of the medium with its own capacity.
    pub(super) fn report_density_support(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const MEDIA: u8 = 1;
        const MEDIUM_TYPES: u8 = 2;
        let allocation = usize::from(be16(&command.cdb[7..]));
        let capacity = if command.cdb[1] & MEDIA != 0 {
            self.ready()?.capacity()
        } else {
            CAPACITY_DEFAULT
        };
        let descriptor = match command.cdb[1] & !(MEDIA | MEDIUM_TYPES) {
            0 if command.cdb[1] & MEDIUM_TYPES != 0 => medium_type(),
            0 => density(capacity),
            _ => return Err(invalid_cdb(1).into()),
        };
        let mut reply = (descriptor.len() as u16 + 2).to_be_bytes().to_vec();
        reply.extend([0, 0]);
        reply.extend(descriptor);
        Ok(command.reply(&reply, allocation))
    }
}

fn density(capacity: u64) -> Vec<u8> {
    const WRTOK_DEFLT: u8 = 0xa0;
    let megabytes = u32::try_from(capacity / 1_000_000).unwrap_or(u32::MAX);
    let mut descriptor = vec![DENSITY, DENSITY, WRTOK_DEFLT, 0, 0];
    descriptor.extend(&BITS_PER_MM.to_be_bytes()[1..]);
    descriptor.extend(WIDTH.to_be_bytes());
    descriptor.extend(TRACKS.to_be_bytes());
    descriptor.extend(megabytes.to_be_bytes());
    descriptor.extend(padded::<8>(ORGANISATION));
    descriptor.extend(padded::<8>("U-9"));
    descriptor.extend(padded::<20>("Ultrium 9 emulated"));
    descriptor
}

fn medium_type() -> Vec<u8> {
    let mut descriptor = vec![MEDIUM_TYPE, 0, 0, 52, 1, DENSITY, 0, 0, 0, 0, 0, 0, 0, 0];
    descriptor.extend(WIDTH.to_be_bytes());
    descriptor.extend(LENGTH_M.to_be_bytes());
    descriptor.extend([0, 0]);
    descriptor.extend(padded::<8>(ORGANISATION));
    descriptor.extend(padded::<8>("Data"));
    descriptor.extend(padded::<20>("Ultrium 9 data tape"));
    descriptor
}
