//! A set that is being written, by a backup or by who goes on with one.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use longhaul_catalog::Catalog;
use longhaul_ffi::buffer::{ALIGNMENT, Pool};
use longhaul_format::archive::{Layout, SetHead, SetKind};
use longhaul_format::index::{Head, INDEX_NAME, INDEX_VERSION, README_NAME, Volume, readme};
use longhaul_format::label::Label;
use uuid::Uuid;

use super::archive::{self, Kept, Plan};
use super::ledger::{Ledger, Note, Rows};
use super::session::Session;
use super::volume::TapeSet;
use super::{JobError, convert};
use crate::checkpoint::Cursor;
use crate::checkpoint::journal::{self, Asked};
use crate::checkpoint::tracker::{Intervals, Tracker};
use crate::pipeline::assemble::Start;
use crate::pipeline::entry::{Extent, Totals};
use crate::pipeline::links::Links;
use crate::pipeline::write::AtEarlyWarning;
use crate::progress::Progress;
use crate::source::{Found, Problem};

/// A set that is done.
#[derive(Debug)]
pub struct Done {
    /// Its identity.
    pub set: Uuid,
    /// Its number on the volume.
    pub number: u32,
    /// The volume's name.
    pub volume: String,
    /// What it holds.
    pub totals: Totals,
    /// Bytes on the tape: archive and index.
    pub tape_bytes: u64,
    /// The block in which it begins.
    pub first_block: u64,
    /// Where the tape stands now.
    pub end_block: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Why the catalog does not know the set, if it does not.
    pub not_in_catalog: Option<String>,
}

/// Memory for records.
///
/// # Errors
/// If there is none.
pub(super) fn pool(label: &Label, bytes: u64) -> Result<Pool, JobError> {
    let record_bytes = usize::try_from(label.record_bytes).unwrap_or(usize::MAX);
    // Behind each record is room for the drive's protection bytes.
    let buffer_bytes = record_bytes.saturating_add(ALIGNMENT);
    let count = usize::try_from(bytes).unwrap_or(usize::MAX) / buffer_bytes;
    Pool::new(
        count.clamp(8, longhaul_ffi::buffer::POOL_BUFFERS_MAX),
        buffer_bytes,
    )
    .map_err(|error| JobError::local("memory for the records", error))
}

/// What the journal says first.
pub(super) fn journal_head(
    session: &mut Session,
    head: &SetHead,
    label: &Label,
    asked: &Asked,
) -> journal::Head {
    journal::Head {
        set: head.set,
        sequence: head.sequence,
        started: head.started,
        host: host(),
        asked: asked.clone(),
        record_bytes: label.record_bytes,
        key: session
            .drive()
            .key()
            .map(|key| format!("{:016x}", key.0))
            .unwrap_or_default(),
    }
}

/// Where an archive begins that is new on `volume`.
///
/// # Errors
/// If the label's record size is none.
pub(super) fn beginning(label: &Label, volume: &Volume) -> Result<Start, JobError> {
    Ok(Start {
        layout: layout(label)?,
        extent: Extent::of(volume, label.record_bytes),
        at: 0,
        rest: None,
        links: Links::default(),
    })
}

fn layout(label: &Label) -> Result<Layout, JobError> {
    Layout::new(label.record_bytes).map_err(|error| JobError::Medium(error.to_string()))
}

fn host() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}

/// A set that is being written.
pub(super) struct Writing<'a> {
    pub session: &'a mut Session,
    pub label: &'a Label,
    pub head: SetHead,
    /// The last one is in the drive.
    pub volumes: Vec<Volume>,
    pub pool: &'a Pool,
    pub catalog: &'a Catalog,
    pub progress: &'a Progress,
}

impl Writing<'_> {
    /// Writes the set's archive from where the drive stands, which is the block
    /// in which `start` lies.
    ///
    /// # Errors
    /// Whatever ends it. What the medium holds then is in the journal as far as
    /// the drive could still be asked.
    pub fn archive(
        &mut self,
        start: Start,
        from: &Cursor,
        intervals: Intervals,
        found: impl Iterator<Item = Found>,
        ledger: &mut Ledger,
        problems: &mut Vec<Problem>,
    ) -> Result<(), JobError> {
        let part = self.volumes.last().map_or(1, |volume| volume.sequence);
        let (block, _) = start.extent.locate(start.at);
        let mut tracker = Tracker::new(intervals, part, block);
        let plan = Plan {
            head: (start.at == 0).then_some(&self.head),
            start,
            from,
            at_early_warning: AtEarlyWarning::Stop,
            kept: Some(Kept {
                ledger,
                tracker: &mut tracker,
            }),
        };
        let drive = self.session.drive();
        let result = archive::write(drive, self.pool, plan, found, self.progress, problems);
        let unfinished = format!(
            "set {} of volume {} is unfinished; go on with `lh-mover resume`, or end it with \
             `lh-mover close`",
            self.head.sequence, self.head.volume
        );
        match result {
            Err(JobError::Unfinished(what)) => {
                self.make_safe(&mut tracker, ledger)?;
                Err(JobError::Unfinished(format!("{what}; {unfinished}")))
            }
            Err(JobError::NeedsVolume(what)) => {
                self.make_safe(&mut tracker, ledger)?;
                Err(JobError::NeedsVolume(format!("{what}; {unfinished}")))
            }
            Err(JobError::Drive(error)) => {
                log::warn!("{unfinished}");
                Err(JobError::Drive(error))
            }
            other => other,
        }
    }

    /// Has the drive write what it has accepted, and notes how far the set is.
    fn make_safe(&mut self, tracker: &mut Tracker, ledger: &mut Ledger) -> Result<(), JobError> {
        self.session.drive().synchronize()?;
        let block = self.session.drive().position()?.block;
        let Some(checkpoint) = tracker.on_medium(block) else {
            return Ok(());
        };
        ledger
            .note(Note::Checkpoint(Box::new(checkpoint)))
            .map_err(|error| JobError::local("writing the journal", error))
    }

    /// Ends the archive's tape file, writes the index, and enters the set.
    ///
    /// # Errors
    /// The drive's; the host's, if the index cannot be made.
    pub fn finish(
        &mut self,
        ledger: Ledger,
        set: TapeSet,
        paths: &[PathBuf],
    ) -> Result<Done, JobError> {
        self.session.drive().write_filemarks(1, true)?;
        let totals = ledger.totals();
        let index_head = self.index_head(totals, paths, false);
        let (index_block, rows) = self.index(ledger, index_head)?;
        // The set is done: what the drive says now changes nothing of that.
        let after = self.session.drive().position();
        let end_block = after.map_or(index_block, |position| position.block);
        let set = TapeSet {
            index_block: Some(index_block),
            finished: true,
            ..set
        };
        let entered = rows.enter(self.catalog, self.label, &set);
        Ok(Done {
            set: set.head.set,
            number: set.head.sequence,
            volume: self.label.name.to_string(),
            totals,
            tape_bytes: end_block
                .saturating_sub(set.first_block)
                .saturating_mul(self.label.record_bytes),
            first_block: set.first_block,
            end_block,
            elapsed: Duration::ZERO,
            not_in_catalog: entered.err(),
        })
    }

    /// Writes the index archive from where the drive stands, and the filemark
    /// whose GOOD makes the set done. Returns the block in which it begins, and
    /// the rows for the catalog.
    pub fn index(&mut self, ledger: Ledger, index_head: Head) -> Result<(u64, Rows), JobError> {
        let dir = self.catalog.dir();
        let text = readme(self.label, &index_head);
        let (index, rows) = ledger.finish(self.catalog, index_head)?;
        let first_block = self.session.drive().position()?.block;
        let found = [
            archive::own_entry(README_NAME, text.as_bytes(), dir)?,
            archive::own_file(INDEX_NAME, index)?,
        ];
        let head = SetHead {
            kind: SetKind::Index,
            ..self.head.clone()
        };
        let extent = Extent {
            volume: 1,
            block: first_block,
            offset: 0,
            record_bytes: self.label.record_bytes,
        };
        let plan = Plan {
            head: Some(&head),
            start: Start {
                layout: layout(self.label)?,
                extent,
                at: 0,
                rest: None,
                links: Links::default(),
            },
            from: &Cursor::beginning(),
            at_early_warning: AtEarlyWarning::GoOn,
            // Nobody wants an index of the index, nor its progress.
            kept: None,
        };
        let drive = self.session.drive();
        let (mut problems, progress) = (Vec::new(), Progress::default());
        let found = found.into_iter();
        archive::write(drive, self.pool, plan, found, &progress, &mut problems)?;
        if let Some(problem) = problems.first() {
            let source = std::io::Error::other(problem.to_string());
            return Err(JobError::local("the index", source));
        }
        drive.write_filemarks(1, false)?;
        Ok((first_block, rows))
    }

    /// The index's first line.
    pub fn index_head(&self, totals: Totals, paths: &[PathBuf], partial: bool) -> Head {
        Head {
            longhaul_index: INDEX_VERSION,
            set: self.head.set,
            sequence: self.head.sequence,
            partial,
            volumes: self.volumes.clone(),
            record_bytes: self.label.record_bytes,
            started: self.head.started,
            ended: convert::seconds(SystemTime::now()),
            host: host(),
            paths: paths
                .iter()
                .map(|path| path.to_string_lossy().into_owned())
                .collect(),
            tool: concat!("lh-mover ", env!("CARGO_PKG_VERSION")).into(),
            members: totals.members,
            bytes: totals.bytes,
            damaged: totals.damaged,
        }
    }
}
