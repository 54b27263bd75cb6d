//! A set that is being written, by a backup or by who goes on with one.

mod volumes;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use longhaul_catalog::Catalog;
use longhaul_ffi::buffer::{ALIGNMENT, Pool};
use longhaul_format::archive::{Layout, SetHead, SetKind};
use longhaul_format::index::{Head, INDEX_NAME, INDEX_VERSION, README_NAME, Volume, readme};
use longhaul_format::label::Label;
use uuid::Uuid;

use super::archive::{self, Kept, Plan};
use super::begun::{self, Begun};
use super::ledger::{self, Ledger, Rows};
use super::session::Session;
use super::volume::TapeSet;
use super::{JobError, convert};
use crate::checkpoint::journal::{self, Asked};
use crate::checkpoint::recovered::Recovered;
use crate::checkpoint::tracker::{Intervals, Tracker};
use crate::checkpoint::{Checkpoint, Cursor};
use crate::drive::{self, DriveError};
use crate::pipeline::assemble::Start;
use crate::pipeline::entry::{Extent, Totals};
use crate::pipeline::links::Links;
use crate::pipeline::write::AtEarlyWarning;
use crate::progress::Progress;
use crate::source::{self, Found, Problem, Roots, Source};

/// A set that is done.
#[derive(Debug)]
pub struct Done {
    /// Its identity.
    pub set: Uuid,
    /// Its number on the volume on which it begins.
    pub number: u32,
    /// The name of the volume on which it begins.
    pub volume: String,
    /// The names of all its volumes, in order.
    pub volumes: Vec<String>,
    /// What it holds.
    pub totals: Totals,
    /// Bytes on the tape: archive and index.
    pub tape_bytes: u64,
    /// The block in which it begins on its last volume.
    pub first_block: u64,
    /// Where that tape stands now.
    pub end_block: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Why the catalog does not know the set, if it does not.
    pub not_in_catalog: Option<String>,
}

impl Done {
    /// A set of these volumes, which has this number on the first of them and
    /// lies so on the last, where it ends in block `end_block`.
    pub(super) fn new(
        number: u32,
        volumes: &[Volume],
        last: &TapeSet,
        record_bytes: u64,
        end_block: u64,
        totals: Totals,
    ) -> Done {
        let volumes: Vec<String> = volumes.iter().map(|on| on.name.to_string()).collect();
        let records = end_block.saturating_sub(last.first_block);
        Done {
            set: last.head.set,
            number,
            volume: volumes.first().cloned().unwrap_or_default(),
            volumes,
            totals,
            tape_bytes: last
                .head
                .offset
                .saturating_add(records.saturating_mul(record_bytes)),
            first_block: last.first_block,
            end_block,
            elapsed: Duration::ZERO,
            not_in_catalog: None,
        }
    }
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

/// What this host is called.
pub(super) fn host() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}

/// A set that is being written, on as many volumes as it takes.
pub(super) struct Writing<'a> {
    pub session: &'a mut Session,
    pub catalog: &'a Catalog,
    pub progress: &'a Arc<Progress>,
    /// As it stands on the volume on which it begins.
    pub head: SetHead,
    /// What it is of.
    pub asked: Asked,
    /// Whether the set is ended without all of that.
    pub partial: bool,
    pub roots: Roots,
    pub walk: source::Options,
    pub intervals: Intervals,
    pub pool: Pool,
    /// The volume in the drive, and the set as it lies there.
    pub label: Label,
    pub here: TapeSet,
    /// Its volumes; the last one is in the drive.
    pub volumes: Vec<Volume>,
}

/// From where a set is written on, on one volume.
pub(super) struct Leg {
    pub start: Start,
    pub cursor: Cursor,
    pub ledger: Ledger,
    /// What the source gave while it was asked where to go on.
    pub first: Vec<Found>,
    pub source: Source,
}

/// How the writing of an archive on one volume ended.
enum Flow {
    /// The archive came to its end; where it could last be cut.
    Whole(Option<Checkpoint>),
    /// The volume is full: the part on it ends at this checkpoint, and so does
    /// the tape file.
    Full(Checkpoint),
    /// The cartridge, or the drive, fails.
    Failing(DriveError),
}

impl Writing<'_> {
    /// Writes the set to its end, and enters it.
    ///
    /// # Errors
    /// Whatever ends it. What the medium holds then is in the journal as far as
    /// the drive could still be asked.
    pub fn run(&mut self, leg: Leg, problems: &mut Vec<Problem>) -> Result<Done, JobError> {
        let done = self.on_all_volumes(leg, problems);
        done.map_err(|error| self.broken_off(error))
    }

    fn on_all_volumes(
        &mut self,
        mut leg: Leg,
        problems: &mut Vec<Problem>,
    ) -> Result<Done, JobError> {
        loop {
            let (ledger, flow) = self.archive(leg, problems)?;
            let ended = match flow {
                Flow::Full(ended) => {
                    drop(ledger);
                    ended
                }
                Flow::Failing(error) => {
                    drop(ledger);
                    self.end_failing(error)?
                }
                Flow::Whole(last) => match self.finish(ledger) {
                    Err(JobError::Drive(error)) if is_full(&error) => match last {
                        Some(last) => self.cut_again(last)?,
                        None => return Err(error.into()),
                    },
                    done => {
                        only_once(problems);
                        return done;
                    }
                },
            };
            self.session
                .next_volume(&self.volumes)
                .map_err(|error| match error {
                    JobError::NeedsVolume(what) => {
                        JobError::NeedsVolume(format!("volume {} is full; {what}", self.label.name))
                    }
                    JobError::Full(what) => {
                        JobError::Full(format!("volume {} is full; {what}", self.label.name))
                    }
                    error => error,
                })?;
            leg = self.go_over(ended.cursor)?;
        }
    }

    /// Writes the set's archive from where it goes on, on this volume.
    fn archive(
        &mut self,
        leg: Leg,
        problems: &mut Vec<Problem>,
    ) -> Result<(Ledger, Flow), JobError> {
        let Leg {
            start,
            cursor,
            mut ledger,
            first,
            source,
        } = leg;
        let part = self.volumes.last().map_or(1, |volume| volume.sequence);
        let (block, _) = start.extent.locate(start.at);
        let mut tracker = Tracker::new(self.intervals, part, block);
        let begins_here = start.at == start.extent.offset;
        let plan = Plan {
            head: (start.at == 0).then_some(&self.head),
            start,
            from: &cursor,
            at_early_warning: AtEarlyWarning::Stop,
            kept: Some(Kept {
                ledger: &mut ledger,
                tracker: &mut tracker,
            }),
        };
        let drive = self.session.drive();
        let found = first.into_iter().chain(source);
        let result = archive::write(drive, &self.pool, plan, found, self.progress, problems);
        // Where the archive could be cut, at the least.
        let at_start = (!begins_here).then(|| Checkpoint {
            taken_ms: 0,
            volume: part,
            block,
            records: Vec::new(),
            cursor,
            ended: false,
        });
        let flow = match result {
            Ok(()) => {
                // Accepted is enough: if the volume ends, it is synchronised.
                tracker.on_medium(u64::MAX);
                Flow::Whole(tracker.newest().cloned().or(at_start))
            }
            Err(error) if is_end(&error) => {
                self.make_safe(&mut tracker, &mut ledger)?;
                match tracker.newest().cloned().or(at_start) {
                    Some(newest) => {
                        Flow::Full(self.end_volume(&newest, &mut ledger, self.progress)?)
                    }
                    None => return Err(error),
                }
            }
            Err(JobError::Drive(error)) => Flow::Failing(error),
            Err(error @ JobError::Unfinished(_)) => {
                self.make_safe(&mut tracker, &mut ledger)?;
                return Err(error);
            }
            Err(other) => return Err(other),
        };
        Ok((ledger, flow))
    }

    /// Says that the set can be gone on with.
    pub fn broken_off(&self, error: JobError) -> JobError {
        JobError::BrokenOff {
            cause: Box::new(error),
            number: self.head.sequence,
            volume: self.head.volume.to_string(),
        }
    }

    /// Has the drive write what it has accepted, and notes how far the set is.
    fn make_safe(&mut self, tracker: &mut Tracker, ledger: &mut Ledger) -> Result<(), JobError> {
        self.session.drive().synchronize()?;
        let block = self.session.drive().position()?.block;
        match tracker.on_medium(block) {
            Some(checkpoint) => ledger.checkpoint(&checkpoint, self.progress),
            None => Ok(()),
        }
    }

    /// From where the set goes on at `cursor`, on the last of its volumes, which
    /// is in the drive; of the volumes in the journal the first `volumes` are
    /// kept. What is known of the set behind that point is durably forgotten.
    /// Also tells what became of the file at the cursor.
    pub fn lead_on(
        &mut self,
        recovered: Recovered,
        cursor: Cursor,
        volumes: usize,
        problems: &mut Vec<Problem>,
    ) -> Result<(Leg, Option<String>), JobError> {
        let Some(volume) = self.volumes.last().cloned() else {
            return Err(JobError::Medium("a set without a volume".into()));
        };
        let extent = Extent::of(&volume, self.label.record_bytes);
        let begun = self.begun(cursor, &extent)?;
        let (block, _) = extent.locate(begun.cursor.offset);
        let keep = |kept: &Checkpoint| kept.volume < volume.sequence || kept.block <= block;
        let mut links = Links::default();
        let head = journal_head(self.session, &self.head, &self.label, &self.asked);
        let known = volumes.try_into().unwrap_or(u32::MAX);
        let upto = (known, begun.cursor.entries);
        let each = |entry: &longhaul_format::index::Entry| {
            links.stored(entry);
            problems.extend(ledger::damage(entry));
        };
        let mut ledger = Ledger::resumed(self.catalog, recovered, &head, upto, keep, each)?;
        for volume in self.volumes.iter().skip(volumes) {
            ledger.volume(volume)?;
        }
        self.leg(begun, extent, ledger, links)
    }

    /// What the source has at the cursor.
    pub fn begun(&self, cursor: Cursor, extent: &Extent) -> Result<Begun, JobError> {
        let source = Source::start(&self.roots, &self.walk, &cursor.place)
            .map_err(|error| JobError::local("starting the walk", error))?;
        let gone = match self.partial {
            true => "had not been stored whole when the set was closed",
            false => "is gone since the backup was interrupted",
        };
        let begun = begun::look(cursor, source, extent, gone)?;
        if let Some(note) = &begun.note {
            log::warn!("{note}");
        }
        Ok(begun)
    }

    /// Brings the drive to where the set goes on.
    pub fn leg(
        &mut self,
        begun: Begun,
        extent: Extent,
        ledger: Ledger,
        mut links: Links,
    ) -> Result<(Leg, Option<String>), JobError> {
        let Begun {
            cursor,
            layout,
            rest,
            first,
            note,
            source,
        } = begun;
        if let Some(rest) = &rest
            && !rest.whole.given_up
        {
            links.stored(&rest.whole.entry);
        }
        let (block, _) = extent.locate(cursor.offset);
        if extent.volume > 1 && cursor.offset == extent.offset {
            self.begin_part(&cursor)?;
        } else {
            self.session.drive().locate(block)?;
        }
        let start = Start {
            layout,
            extent,
            at: cursor.offset,
            rest,
            links,
        };
        let leg = Leg {
            start,
            cursor,
            ledger,
            first,
            source,
        };
        Ok((leg, note))
    }

    /// Ends the archive's tape file, writes the index, and enters the set.
    fn finish(&mut self, ledger: Ledger) -> Result<Done, JobError> {
        self.session.drive().write_filemarks(1, true)?;
        self.end_with_index(ledger)
    }

    /// Writes the index from where the drive stands, and enters the set.
    pub fn end_with_index(&mut self, ledger: Ledger) -> Result<Done, JobError> {
        let totals = ledger.totals();
        let index_head = self.index_head(totals);
        let (index_block, rows) = self.index(ledger, index_head)?;
        // The set is done: what the drive says now changes nothing of that.
        let after = self.session.drive().position();
        let end_block = after.map_or(index_block, |position| position.block);
        let set = TapeSet {
            index_block: Some(index_block),
            finished: true,
            ..self.here.clone()
        };
        let entered = rows.enter(self.catalog, &self.label, &set);
        let (number, record_bytes) = (self.head.sequence, self.label.record_bytes);
        let mut done = Done::new(number, &self.volumes, &set, record_bytes, end_block, totals);
        done.not_in_catalog = entered.err();
        Ok(done)
    }

    /// Writes the index archive from where the drive stands, and the filemark
    /// whose GOOD makes the set done. Returns the block in which it begins, and
    /// the rows for the catalog.
    fn index(&mut self, ledger: Ledger, index_head: Head) -> Result<(u64, Rows), JobError> {
        let dir = self.catalog.dir();
        let text = readme(&self.label, &index_head);
        let (index, rows) = ledger.finish(self.catalog, index_head)?;
        let first_block = self.session.drive().position()?.block;
        let found = [
            archive::own_entry(README_NAME, text.as_bytes(), dir)?,
            archive::own_file(INDEX_NAME, index)?,
        ];
        let head = SetHead {
            kind: SetKind::Index,
            ..self.here.head.clone()
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
                layout: layout(&self.label)?,
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
        archive::write(drive, &self.pool, plan, found, &progress, &mut problems)?;
        if let Some(problem) = problems.first() {
            let source = std::io::Error::other(problem.to_string());
            return Err(JobError::local("the index", source));
        }
        drive.write_filemarks(1, false)?;
        Ok((first_block, rows))
    }

    /// The index's first line.
    fn index_head(&self, totals: Totals) -> Head {
        Head {
            longhaul_index: INDEX_VERSION,
            set: self.head.set,
            sequence: self.head.sequence,
            partial: self.partial,
            volumes: self.volumes.clone(),
            record_bytes: self.label.record_bytes,
            started: self.head.started,
            ended: convert::seconds(SystemTime::now()),
            host: host(),
            paths: self
                .asked
                .paths
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

/// Whether the volume takes no more of the archive.
fn is_end(error: &JobError) -> bool {
    match error {
        JobError::NeedsVolume(_) => true,
        JobError::Drive(error) => is_full(error),
        _ => false,
    }
}

fn is_full(error: &DriveError) -> bool {
    matches!(error.problem(), drive::Problem::VolumeFull { .. })
}

/// What was met again behind a volume's end, or an interruption, is said once.
fn only_once(problems: &mut Vec<Problem>) {
    let mut said = HashSet::new();
    problems.retain(|problem| said.insert(problem.to_string()));
}
