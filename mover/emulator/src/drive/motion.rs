//! REWIND, SPACE and LOCATE (SSC-5 7.2, 7.12, 7.15).

use super::{Command, Drive};
use crate::spc::bytes::{be16, be32, be64, signed24};
use crate::spc::response::{Checked, Stop, beginning, end_of_data, filemark, invalid_cdb};
use longhaul_scsi::ssc::opcode as ssc;

const BLOCKS: u8 = 0;
const FILEMARKS: u8 = 1;
const END_OF_DATA: u8 = 3;

impl Drive {
    /// REWIND. IMMED makes no difference: by the time of the next command it
    /// is done.
    pub(super) fn rewind(&mut self) -> Checked<usize> {
        self.ready()?;
        self.seek(0)?;
        Ok(0)
    }

    pub(super) fn space(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let code = command.cdb[1] & 0x0f;
        let count = if command.cdb[0] == ssc::SPACE_6 {
            signed24(&command.cdb[2..])
        } else {
            if be16(&command.cdb[12..]) != 0 {
                return Err(invalid_cdb(12).into());
            }
            be64(&command.cdb[4..]) as i64
        };
        if !matches!(code, BLOCKS | FILEMARKS | END_OF_DATA) {
            return Err(invalid_cdb(1).into());
        }
        self.ready()?;
        if count == 0 && code != END_OF_DATA {
            return Ok(0);
        }
        self.synchronise()?;
        match code {
            BLOCKS if count > 0 => self.blocks_forward(count.unsigned_abs())?,
            BLOCKS => self.blocks_backward(count.unsigned_abs())?,
            FILEMARKS if count > 0 => self.filemarks_forward(count.unsigned_abs())?,
            FILEMARKS => self.filemarks_backward(count.unsigned_abs())?,
            _ => self.seek_end()?,
        }
        Ok(0)
    }

    fn blocks_forward(&mut self, count: u64) -> Checked<()> {
        let start = self.position.object;
        let end = self.objects();
        let target = start.saturating_add(count);
        let mark = self
            .filemark_at(self.position.filemarks)?
            .filter(|mark| *mark < target);
        if let Some(mark) = mark {
            self.seek(mark + 1)?;
            return Err(unmoved(filemark(), count - (mark - start)));
        }
        if target > end {
            self.seek_end()?;
            return Err(unmoved(end_of_data(), target - end));
        }
        self.seek(target)
    }

    /// Stops before a filemark on the way, on its side of the beginning.
    fn blocks_backward(&mut self, count: u64) -> Checked<()> {
        let start = self.position.object;
        let before = self.position.filemarks.checked_sub(1);
        let mark = before
            .map(|ordinal| self.filemark_at(ordinal))
            .transpose()?
            .flatten();
        let target = start.checked_sub(count);
        if let Some(mark) = mark.filter(|mark| target.is_none_or(|target| *mark >= target)) {
            self.seek(mark)?;
            return Err(unmoved(filemark(), count - (start - mark - 1)));
        }
        match target {
            Some(target) => self.seek(target),
            None => self.stop_at_beginning(count - start),
        }
    }

    fn filemarks_forward(&mut self, count: u64) -> Checked<()> {
        let left = self.ready()?.filemarks() - self.position.filemarks;
        if count > left {
            self.seek_end()?;
            return Err(unmoved(end_of_data(), count - left));
        }
        match self.filemark_at(self.position.filemarks + count - 1)? {
            Some(mark) => self.seek(mark + 1),
            None => Ok(()),
        }
    }

    fn filemarks_backward(&mut self, count: u64) -> Checked<()> {
        let Some(ordinal) = self.position.filemarks.checked_sub(count) else {
            return self.stop_at_beginning(count - self.position.filemarks);
        };
        match self.filemark_at(ordinal)? {
            Some(mark) => self.seek(mark),
            None => Ok(()),
        }
    }

    fn stop_at_beginning(&mut self, left: u64) -> Checked<()> {
        self.seek(0)?;
        Err(unmoved(beginning(), left))
    }

    pub(super) fn locate(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const CHANGE_PARTITION: u8 = 2;
        let ten = command.cdb[0] == ssc::LOCATE_10;
        let (kind, place, partition) = if ten {
            (BLOCKS, u64::from(be32(&command.cdb[3..])), 8)
        } else {
            (command.cdb[1] >> 3 & 0x07, be64(&command.cdb[4..]), 3)
        };
        if command.cdb[1] & CHANGE_PARTITION != 0 && command.cdb[partition] != 0 {
            return Err(invalid_cdb(partition as u16).into());
        }
        self.ready()?;
        match kind {
            BLOCKS => self.locate_block(place)?,
            FILEMARKS => self.locate_file(place)?,
            END_OF_DATA => self.seek_end()?,
            _ => return Err(invalid_cdb(1).into()),
        }
        Ok(0)
    }

    fn locate_block(&mut self, object: u64) -> Checked<()> {
        self.synchronise()?;
        if object > self.objects() {
            self.seek_end()?;
            return Err(end_of_data().into());
        }
        self.seek(object)
    }

    /// The first object behind so many filemarks. (Drives differ here by one:
    /// hosts should locate blocks.)
    fn locate_file(&mut self, file: u64) -> Checked<()> {
        self.synchronise()?;
        if file > self.ready()?.filemarks() {
            self.seek_end()?;
            return Err(end_of_data().into());
        }
        let mark = file
            .checked_sub(1)
            .map(|ordinal| self.filemark_at(ordinal))
            .transpose()?;
        self.seek(mark.flatten().map_or(0, |mark| mark + 1))
    }

    fn seek_end(&mut self) -> Checked<()> {
        self.synchronise()?;
        let end = self.objects();
        self.seek(end)
    }

    /// Objects on the medium, once the buffer is empty.
    fn objects(&self) -> u64 {
        self.medium.as_ref().map_or(0, |medium| medium.objects())
    }

    /// The object that is this filemark, if there are so many.
    fn filemark_at(&mut self, ordinal: u64) -> Checked<Option<u64>> {
        let medium = self.ready()?;
        if ordinal >= medium.filemarks() {
            return Ok(None);
        }
        medium
            .filemark(ordinal)
            .map(Some)
            .map_err(|error| self.lost_place(&error))
    }
}

fn unmoved(sense: longhaul_scsi::sense::Sense, left: u64) -> Stop {
    sense
        .with_residual(i64::try_from(left).unwrap_or(i64::MAX))
        .into()
}
