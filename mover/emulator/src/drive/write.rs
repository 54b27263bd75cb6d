//! WRITE(6) and WRITE FILEMARKS(6), and the zones at the end of the medium
//! (SSC-5 4.2.4, 7.18, 7.20).
//!
//! ```text
//! BOP ──────────────────────────┬──────── PEWS ────────┬── early warning ──┐ end
//!   writes end with GOOD         0/00/07 once, entering  0/00/02 each time   D/00/02
//! ```
//! In both warning zones the write has succeeded. The early warning zone is a
//! 64th of the capacity, but at least 4 MiB and at most a quarter of it: room
//! enough to end a set, with its index, on the smallest test cartridge.
//!
//! With LBP_W each block that comes ends in its CRC32C, the least significant
//! byte first, and all lengths count it. It is checked before anything of the
//! block is kept (SSC-5 4.2.29).

use longhaul_scsi::sense::{Sense, SenseKey};

use super::log::ALERT_WRITE_PROTECT;
use super::mode_pages::PROTECTION_BYTES;
use super::{Command, Drive};
use crate::medium::{BLOCK_BYTES_MAX, OBJECT_OVERHEAD};
use crate::spc::bytes::be24;
use crate::spc::response::{
    Checked, Stop, early_warning, guard_failed, invalid_cdb, overflow, programmable_early_warning,
    write_protected,
};

const EARLY_WARNING_LEAST: u64 = 4 << 20;

/// Where on the medium a position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Zone {
    Free,
    Programmable,
    Early,
}

/// What is recorded.
#[derive(Clone, Copy)]
enum Item<'a> {
    /// With its CRC32C, if it came with one.
    Block(&'a [u8], Option<u32>),
    Filemark,
}

impl Drive {
    pub(super) fn write(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let fixed = command.cdb[1] & 1 != 0;
        let length = be24(&command.cdb[2..]);
        let block_length = self.mode.block_length;
        if fixed && block_length == 0 {
            return Err(invalid_cdb(1).into());
        }
        let behind = self.mode.bytes_behind_written(command.nexus);
        if !fixed && length as usize > BLOCK_BYTES_MAX as usize + behind {
            return Err(invalid_cdb(2).into());
        }
        self.ready_to_write()?;
        if length == 0 {
            return Ok(0);
        }
        let (count, size) = if fixed {
            (length, block_length)
        } else {
            (1, length)
        };
        let zone = self.zone();
        let mut moved = 0;
        for done in 0..count {
            let Some(block) = block_of(command.out, moved, size, fixed) else {
                return self.short_of_data(moved);
            };
            let left = if fixed { count - done } else { length };
            self.unprotected(block, behind)
                .and_then(|item| self.record(item))
                .map_err(|stop| with_residual(stop, left, moved))?;
            moved += block.len();
        }
        self.after_recording(zone, moved)?;
        Ok(moved)
    }

    pub(super) fn write_filemarks(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const IMMED: u8 = 1;
        const SETMARKS: u8 = 2;
        let count = be24(&command.cdb[2..]);
        if command.cdb[1] & SETMARKS != 0 {
            return Err(invalid_cdb(1).into());
        }
        if count == 0 {
            // Nothing is written; the command only synchronises.
            self.ready()?;
        } else {
            self.ready_to_write()?;
        }
        let zone = self.zone();
        for done in 0..count {
            self.record(Item::Filemark)
                .map_err(|stop| with_residual(stop, count - done, 0))?;
        }
        if command.cdb[1] & IMMED == 0 {
            self.synchronise()?;
        }
        if count > 0 {
            self.after_recording(zone, 0)?;
        }
        Ok(0)
    }

    /// A block without the protection information that it came with, which
    /// must be right.
    fn unprotected<'a>(&mut self, came: &'a [u8], behind: usize) -> Checked<Item<'a>> {
        if behind == 0 {
            return Ok(Item::Block(came, None));
        }
        let block = came.split_last_chunk::<PROTECTION_BYTES>();
        match block.map(|(block, crc)| (block, u32::from_le_bytes(*crc))) {
            Some((block, crc)) if !block.is_empty() && crc32c::crc32c(block) == crc => {
                Ok(Item::Block(block, Some(crc)))
            }
            _ => {
                self.counters.write_errors += 1;
                Err(guard_failed().into())
            }
        }
    }

    /// The initiator sent less than it announced. What came whole is recorded.
    fn short_of_data(&self, moved: usize) -> Checked<usize> {
        if moved > 0 {
            return Ok(moved);
        }
        // DATA PHASE ERROR.
        Err(Sense::new(SenseKey::AbortedCommand, 0x4b, 0x00).into())
    }

    fn ready_to_write(&mut self) -> Checked<()> {
        if self.ready()?.write_protected() {
            self.unit.sessions.raise(ALERT_WRITE_PROTECT);
            return Err(write_protected().into());
        }
        Ok(())
    }

    /// Takes one object into the buffer, at the present position.
    fn record(&mut self, item: Item<'_>) -> Checked<()> {
        let cost = Drive::cost(match item {
            Item::Block(data, _) => data.len(),
            Item::Filemark => 0,
        });
        let medium = self.ready()?;
        let (capacity, discards) = (medium.capacity(), medium.discards());
        if self.position.used + cost > capacity {
            return Err(overflow().into());
        }
        self.make_room(cost)?;
        match item {
            Item::Block(data, crc) => {
                let object = self.position.object;
                self.buffer.push_block(object, data, crc, discards);
            }
            Item::Filemark => {
                self.buffer.push_filemark(self.position.object);
                self.position.filemarks += 1;
            }
        }
        self.counters.written += cost - OBJECT_OVERHEAD;
        self.clock.accepted(cost);
        self.position.object += 1;
        self.position.used += cost;
        if !self.mode.buffered || self.buffer.cost() > self.buffer.limit() {
            self.synchronise()?;
        }
        Ok(())
    }

    /// Moves old objects to the medium until there is room for one more.
    /// Without a clock half of the buffer goes at a time, so that the rule is
    /// simple and the superblock is not written for each block.
    fn make_room(&mut self, cost: u64) -> Checked<()> {
        let limit = self.buffer.limit();
        if self.buffer.cost() + cost <= limit {
            return Ok(());
        }
        let mut target = limit.saturating_sub(cost);
        if self.clock.is_off() {
            target = target.min(limit / 2);
        }
        let count = self.buffer.count_above(target);
        self.clock.wait_for(self.buffer.cost_of(count));
        self.move_objects(count)
    }

    /// What the drive has to say after it has recorded something.
    fn after_recording(&mut self, before: Zone, moved: usize) -> Checked<()> {
        let zone = self.zone();
        if zone == Zone::Early && before != Zone::Early {
            // SEW is set: at early warning the drive synchronises by itself.
            self.synchronise()?;
        }
        let warning = match zone {
            Zone::Early => early_warning(),
            Zone::Programmable if before == Zone::Free => programmable_early_warning(),
            Zone::Programmable | Zone::Free => return Ok(()),
        };
        Err(Stop::after(warning.with_residual(0), moved))
    }

    /// Bytes of capacity before early warning.
    pub(super) fn early_warning_at(&self) -> u64 {
        let capacity = self.medium.as_ref().map_or(0, |medium| medium.capacity());
        capacity - (capacity / 64).max(EARLY_WARNING_LEAST).min(capacity / 4)
    }

    pub(super) fn zone(&self) -> Zone {
        let early = self.early_warning_at();
        let programmable = self.mode.programmable_zone();
        if self.position.used > early {
            Zone::Early
        } else if programmable > 0 && self.position.used > early.saturating_sub(programmable) {
            Zone::Programmable
        } else {
            Zone::Free
        }
    }
}

/// The block at a place of the data that came. In variable mode what came is
/// the block, even if more was announced.
fn block_of(data: &[u8], at: usize, size: u32, fixed: bool) -> Option<&[u8]> {
    let rest = &data[at.min(data.len())..];
    let size = size as usize;
    if fixed {
        rest.get(..size)
    } else {
        Some(&rest[..size.min(rest.len())]).filter(|b| !b.is_empty())
    }
}

/// Says how much was not written, where that is the error's matter. A
/// deferred error tells of other blocks.
fn with_residual(stop: Stop, left: u32, moved: usize) -> Stop {
    match stop.sense {
        Some(sense) if !sense.deferred => Stop::after(sense.with_residual(i64::from(left)), moved),
        sense => Stop {
            sense,
            transferred: moved,
            ..stop
        },
    }
}
