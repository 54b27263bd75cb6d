//! READ(6), fixed and variable (SSC-5 7.4). With LBP_R each block is followed
//! by its CRC32C, which is the one that it was accepted with, and all lengths
//! count it.

use longhaul_scsi::sense::{Sense, SenseKey};

use super::log::{ALERT_HARD_ERROR, ALERT_READ_FAILURE};
use super::{Command, Drive};
use crate::medium::{BLOCK_BYTES_MAX, Entry, Kind, MediumError, OBJECT_OVERHEAD};
use crate::spc::bytes::be24;
use crate::spc::response::{Checked, Stop, end_of_data, filemark, invalid_cdb};

impl Drive {
    pub(super) fn read(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let fixed = command.cdb[1] & 1 != 0;
        let silent = command.cdb[1] & 2 != 0;
        let length = be24(&command.cdb[2..]);
        if fixed && (silent || self.mode.block_length == 0) {
            return Err(invalid_cdb(1).into());
        }
        let behind = self.mode.bytes_behind_read(command.nexus);
        if !fixed && length as usize > BLOCK_BYTES_MAX as usize + behind {
            return Err(invalid_cdb(2).into());
        }
        self.ready()?;
        if length == 0 {
            return Ok(0);
        }
        self.synchronise()?;
        let moved = if fixed {
            self.read_fixed(command.into, length, behind)
        } else {
            self.read_variable(command.into, length, silent, behind)
        };
        let bytes = match &moved {
            Ok(moved) => *moved,
            Err(stop) => stop.transferred,
        };
        self.counters.read += bytes as u64;
        moved
    }

    /// One block of whatever length. INFORMATION is the asked length minus the
    /// block's.
    fn read_variable(
        &mut self,
        into: &mut [u8],
        length: u32,
        silent: bool,
        behind: usize,
    ) -> Checked<usize> {
        let room = (length as usize).min(into.len());
        let whole = i64::from(length);
        let entry = self.next_block().map_err(|stop| residual(stop, whole, 0))?;
        let moved = self
            .take(&entry, &mut into[..room], behind)
            .map_err(|s| residual(s, whole, 0))?;
        let block = entry.length() + behind as u32;
        // SILI hides a block that is too short; one that is too long only
        // while no block length is set.
        let hidden = silent && (block < length || self.mode.block_length == 0);
        if block == length || hidden {
            return Ok(moved);
        }
        let sense = Sense::default().with_ili();
        Err(Stop::after(
            sense.with_residual(whole - i64::from(block)),
            moved,
        ))
    }

    /// Blocks of the set length. INFORMATION is the number of blocks that were
    /// not read.
    fn read_fixed(&mut self, into: &mut [u8], count: u32, behind: usize) -> Checked<usize> {
        let size = self.mode.block_length as usize;
        let mut moved = 0;
        for done in 0..count {
            let left = i64::from(count - done);
            let Some(room) = into.get_mut(moved..moved + size) else {
                break;
            };
            let entry = self
                .next_block()
                .map_err(|stop| residual(stop, left, moved))?;
            if entry.length() as usize + behind != size {
                self.pass(&entry);
                let sense = Sense::default().with_ili();
                return Err(Stop::after(sense.with_residual(left), moved));
            }
            moved += self
                .take(&entry, room, behind)
                .map_err(|stop| residual(stop, left, moved))?;
        }
        Ok(moved)
    }

    /// The block at the position. A filemark is passed, and reported.
    fn next_block(&mut self) -> Checked<Entry> {
        let object = self.position.object;
        let entry = self
            .ready()?
            .entry(object)
            .map_err(|error| self.unreadable(&error))?;
        if matches!(entry.kind, Kind::Filemark { .. }) {
            self.pass(&entry);
            return Err(filemark().into());
        }
        Ok(entry)
    }

    /// Reads the block at the position, and `behind` bytes of protection
    /// information. It is passed even if it can't be read, so that the next one
    /// can be.
    fn take(&mut self, entry: &Entry, into: &mut [u8], behind: usize) -> Checked<usize> {
        let object = self.position.object;
        let read = self.ready()?.read(object, entry, into);
        self.pass(entry);
        self.clock.read(u64::from(entry.length()));
        let moved = read.map_err(|error| self.unreadable(&error))?;
        let Kind::Block { crc, .. } = entry.kind else {
            return Ok(moved);
        };
        let crc = &crc.to_le_bytes()[..behind];
        let room = &mut into[moved..];
        let tail = crc.len().min(room.len());
        room[..tail].copy_from_slice(&crc[..tail]);
        Ok(moved + tail)
    }

    fn pass(&mut self, entry: &Entry) {
        self.position.object += 1;
        let length = u64::from(entry.length());
        self.position.used = entry.offset + length + self.position.object * OBJECT_OVERHEAD;
        self.position.filemarks += u64::from(matches!(entry.kind, Kind::Filemark { .. }));
    }

    fn unreadable(&mut self, error: &MediumError) -> Stop {
        if matches!(error, MediumError::EndOfData { .. }) {
            return end_of_data().into();
        }
        log::warn!("a read failed: {error:?}");
        self.counters.read_errors += 1;
        self.unit.sessions.raise(ALERT_HARD_ERROR);
        self.unit.sessions.raise(ALERT_READ_FAILURE);
        // UNRECOVERED READ ERROR.
        Sense::new(SenseKey::MediumError, 0x11, 0x00).into()
    }

    /// A position that the tables should tell, and don't.
    pub(super) fn lost_place(&mut self, error: &MediumError) -> Stop {
        log::warn!("a place on the medium could not be found: {error:?}");
        self.unit.sessions.raise(ALERT_HARD_ERROR);
        // RECORDED ENTITY NOT FOUND.
        Sense::new(SenseKey::MediumError, 0x14, 0x00).into()
    }
}

fn residual(stop: Stop, left: i64, moved: usize) -> Stop {
    match stop.sense {
        Some(sense) => Stop::after(sense.with_residual(left), moved),
        None => stop,
    }
}
