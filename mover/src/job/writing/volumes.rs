//! From one of a set's volumes to the next: where the part on this one ends, and
//! which volume is taken for the part behind it.

use std::collections::VecDeque;

use longhaul_ffi::buffer::Buffer;
use longhaul_format::archive::{SetHead, continuation};
use longhaul_format::index::Volume;
use longhaul_format::label::Label;

use super::{Leg, Writing, journal_head};
use crate::checkpoint::journal;
use crate::checkpoint::recovered::Recovered;
use crate::checkpoint::{Checkpoint, Cursor};
use crate::drive::{self, DriveError, Loss};
use crate::job::ledger::Ledger;
use crate::job::volume::{Tail, TapeSet, tape_file};
use crate::job::{JobError, adopt, backup, proof};
use crate::progress::Progress;

impl Writing<'_> {
    /// Ends the set's part on this volume at a checkpoint that the medium holds:
    /// what lies behind it is written again on the next.
    pub(super) fn end_volume(
        &mut self,
        at: &Checkpoint,
        ledger: &mut Ledger,
        progress: &Progress,
    ) -> Result<Checkpoint, JobError> {
        let drive = self.session.drive();
        if drive.position()?.block != at.block {
            drive.locate(at.block)?;
        }
        drive.write_filemarks(1, false)?;
        let ended = Checkpoint {
            ended: true,
            ..at.clone()
        };
        ledger.checkpoint(&ended, progress)?;
        log::info!(
            "the set's part on volume {} ends at byte {} of its archive: it goes on on another",
            self.label.name,
            ended.cursor.offset
        );
        Ok(ended)
    }

    /// The same where the archive had come to its end, but its index finds no
    /// room: the archive's own end goes to the next volume with it.
    pub(super) fn cut_again(&mut self, at: Checkpoint) -> Result<Checkpoint, JobError> {
        let mut ledger = Ledger::reopened(self.catalog, self.head.set, &self.volumes)?;
        self.end_volume(&at, &mut ledger, self.progress)
    }

    /// The same where the cartridge or the drive fails: if there is another
    /// volume, the part on this one ends at the newest checkpoint that it is
    /// found to hold.
    pub(super) fn end_failing(&mut self, error: DriveError) -> Result<Checkpoint, JobError> {
        let part = self.volumes.last().map_or(1, |volume| volume.sequence);
        let anew = |writing: &mut Self| {
            if !writing.session.has_next() || !is_write_error(&error) {
                return Ok(None);
            }
            writing.session.drive().begin_anew()?;
            let path = journal::path_of(writing.catalog.dir(), writing.head.set);
            let recovered = Recovered::read(&path)?;
            let here = recovered
                .checkpoints
                .iter()
                .filter(|kept| kept.volume == part);
            let here: VecDeque<Checkpoint> = here.cloned().collect();
            drop(recovered);
            proof::newest(writing.session, &writing.label, &here)
        };
        let Some(at) = anew(self)? else {
            return Err(error.into());
        };
        log::warn!(
            "{error}; the set goes on on another volume; retire volume {}, or clean the drive",
            self.label.name
        );
        let path = journal::path_of(self.catalog.dir(), self.head.set);
        self.end_part(Recovered::read(&path)?, at, self.progress)
    }

    /// Ends the set's part on this volume at a checkpoint that it is found to hold.
    /// What is known of the set behind that is durably forgotten. The end is told to
    /// whoever listens to `progress`.
    pub(in crate::job) fn end_part(
        &mut self,
        recovered: Recovered,
        at: Checkpoint,
        progress: &Progress,
    ) -> Result<Checkpoint, JobError> {
        let upto = (at.volume, at.cursor.entries);
        let keep = |kept: &Checkpoint| kept.volume < at.volume || kept.block <= at.block;
        let head = journal_head(self.session, &self.head, &self.label, &self.asked);
        let mut ledger = Ledger::resumed(self.catalog, recovered, &head, upto, keep, |_| {})?;
        match self.end_volume(&at, &mut ledger, progress) {
            Err(JobError::Drive(error)) => {
                // What counts is where the journal and the index say that it ends.
                log::warn!(
                    "{error}; the set's part on volume {} has no end",
                    self.label.name
                );
                let ended = Checkpoint { ended: true, ..at };
                ledger.checkpoint(&ended, progress)?;
                Ok(ended)
            }
            ended => ended,
        }
    }

    /// Takes the volume in the drive as the set's next one.
    pub(in crate::job) fn go_over(&mut self, cursor: Cursor) -> Result<Leg, JobError> {
        let path = journal::path_of(self.catalog.dir(), self.head.set);
        self.go_over_with(Recovered::read(&path)?, cursor)
    }

    /// The same with a journal that may have come from elsewhere.
    pub(in crate::job) fn go_over_with(
        &mut self,
        recovered: Recovered,
        cursor: Cursor,
    ) -> Result<Leg, JobError> {
        let volume = self.take_some_volume(&cursor)?;
        self.volumes.push(volume);
        // What is wrong with what is stored already was said.
        let (leg, _) = self.lead_on(recovered, cursor, self.volumes.len() - 1, &mut Vec::new())?;
        Ok(leg)
    }

    /// The same; one that the set has already is passed by, and a person who has
    /// brought one that cannot be taken is asked for another.
    fn take_some_volume(&mut self, cursor: &Cursor) -> Result<Volume, JobError> {
        loop {
            let taken = match self.session.label() {
                Ok(label)
                    if self.has(&label) && !self.session.is_asked() && self.session.has_next() =>
                {
                    self.session.next_volume(&self.volumes)?;
                    continue;
                }
                Ok(label) => self.take_volume(label, cursor),
                Err(error) => Err(error),
            };
            match taken {
                Err(
                    error @ (JobError::Refused(_)
                    | JobError::OtherVolume(_)
                    | JobError::Unfinished(_)),
                ) => {
                    self.session.ask_again(error)?;
                }
                other => return other,
            }
        }
    }

    /// Whether a part of the set lies on that volume.
    fn has(&self, label: &Label) -> bool {
        self.volumes.iter().any(|volume| volume.uuid == label.uuid)
    }

    /// Looks whether the volume in the drive can be the set's next one.
    fn take_volume(&mut self, label: Label, cursor: &Cursor) -> Result<Volume, JobError> {
        let refuse = |what: String| {
            Err(JobError::Refused(format!(
                "volume {} {what}; nothing was written to it; take another volume",
                label.name
            )))
        };
        if self.has(&label) {
            return refuse("is one of the set's already".into());
        }
        if label.record_bytes != self.label.record_bytes {
            return refuse(format!(
                "has records of {} bytes, and the set of {}",
                label.record_bytes, self.label.record_bytes
            ));
        }
        let part = self.volumes.len() as u32 + 1;
        let (number, block, file) = match self.session.tail(&label)? {
            // Somebody has begun this part, and died before he could say so: it is
            // written anew. Nothing is behind it.
            Tail::Unfinished(begun)
                if begun.head.set == self.head.set && begun.head.part == part =>
            {
                (
                    begun.head.sequence,
                    begun.first_block,
                    Some(begun.tape_file),
                )
            }
            tail => {
                let (number, end) = backup::append_behind(tail, self.session, &label)?;
                (number, end.block, end.file)
            }
        };
        adopt::volume(self.catalog, &label)?;
        let on_it = SetHead {
            sequence: number,
            part,
            offset: cursor.offset,
            ..self.head.clone()
        };
        self.here = TapeSet {
            tape_file: file.unwrap_or_else(|| tape_file(number)),
            first_block: block,
            index_block: None,
            finished: false,
            head: on_it,
        };
        let volume = self.here.volume_of(&label.name, label.uuid);
        self.label = label;
        Ok(volume)
    }

    /// Writes the record with which the set's part on this volume begins.
    pub(super) fn begin_part(&mut self, cursor: &Cursor) -> Result<(), JobError> {
        let record_bytes = self.label.record_bytes;
        let record =
            continuation(&self.here.head, record_bytes, cursor.cut()).map_err(|error| {
                JobError::Usage(format!(
                    "{error}; `lh-mover resume --restart fresh` on volumes with larger records"
                ))
            })?;
        let drive = self.session.drive();
        drive.locate(self.here.first_block)?;
        let (written, _) = drive.write(Buffer::from_slice(&record), record.len());
        written?;
        Ok(())
    }
}

/// Whether an error of a write may be the cartridge's or this drive's alone.
fn is_write_error(error: &DriveError) -> bool {
    matches!(
        error.problem(),
        drive::Problem::Medium(_)
            | drive::Problem::Hardware(_)
            | drive::Problem::Lost {
                cause: Loss::DeferredError,
                ..
            }
    )
}
