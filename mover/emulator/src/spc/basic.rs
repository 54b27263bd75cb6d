//! What every SCSI device has: sense, LUNs, and the lock on its door.

use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::status::Status;

use super::bytes::be32;
use super::reservation::Guard;
use super::response::{Checked, Stop, invalid_cdb};
use super::{Command, LogicalUnit};

pub(super) fn unit_attention(asc: u8, ascq: u8) -> Sense {
    Sense::new(SenseKey::UnitAttention, asc, ascq)
}

impl LogicalUnit {
    /// REQUEST SENSE (SPC-5 6.39): a pending unit attention, which is thereby
    /// reported; else how the device is `now`.
    pub(super) fn request_sense(
        &mut self,
        command: &mut Command<'_>,
        now: impl FnOnce() -> Sense,
    ) -> Checked<usize> {
        const DESC: u8 = 1;
        let sense = match self.sessions.of(command.nexus).take_attention() {
            Some((asc, ascq)) => unit_attention(asc, ascq),
            None => now(),
        };
        let allocation = usize::from(command.cdb[4]);
        Ok(if command.cdb[1] & DESC != 0 {
            command.reply(&sense.encode_descriptors(), allocation)
        } else {
            command.reply(&sense.encode_fixed(), allocation)
        })
    }

    /// REPORT LUNS (SPC-5 6.33): LUN 0 is all there is.
    pub(super) fn report_luns(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const WELL_KNOWN_ONLY: u8 = 1;
        let allocation = be32(&command.cdb[6..]) as usize;
        if allocation < 16 {
            return Err(invalid_cdb(6).into());
        }
        let mut reply = [0; 16];
        match command.cdb[2] {
            WELL_KNOWN_ONLY => Ok(command.reply(&reply[..8], allocation)),
            0 | 2 => {
                reply[3] = 8;
                Ok(command.reply(&reply, allocation))
            }
            _ => Err(invalid_cdb(2).into()),
        }
    }

    /// PREVENT ALLOW MEDIUM REMOVAL (SPC-5 6.16). Preventing is what a
    /// reservation guards; allowing is not.
    pub(super) fn prevent_allow(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let prevents = match command.cdb[4] & 0x03 {
            0 => false,
            1 => true,
            _ => return Err(invalid_cdb(4).into()),
        };
        if prevents && !self.reservations.allows(command.nexus, Guard::Guarded) {
            return Err(Stop::status(Status::ReservationConflict));
        }
        self.sessions.of(command.nexus).prevents = prevents;
        Ok(0)
    }
}
