//! A backup: one set, appended to the volume in the drive.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use longhaul_catalog::Catalog;
use longhaul_ffi::buffer::{ALIGNMENT, Pool};
use longhaul_format::archive::{Layout, SetHead, SetKind};
use longhaul_format::index::{Entry, Head, INDEX_NAME, INDEX_VERSION, README_NAME, Volume, readme};
use longhaul_format::label::Label;
use uuid::Uuid;

use super::archive::{self, Plan};
use super::ledger::{Ledger, Rows};
use super::session::Session;
use super::volume::{Tail, TapeSet};
use super::{JobError, convert};
use crate::drive::Position;
use crate::pipeline::spool::Totals;
use crate::pipeline::write::AtEarlyWarning;
use crate::progress::Progress;
use crate::source::{self, Found, Problem, Roots, Source};

/// Memory for records unless told otherwise, in bytes.
pub const BUFFER_BYTES: u64 = 64 << 20;
/// The least and the most that may be told.
pub const BUFFER_BYTES_MIN: u64 = 8 << 20;
/// See [`BUFFER_BYTES_MIN`].
pub const BUFFER_BYTES_MAX: u64 = 8 << 30;

/// What is backed up, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// As they were named.
    pub paths: Vec<PathBuf>,
    /// What is left out.
    pub walk: source::Options,
    /// Memory for records, in bytes.
    pub buffer_bytes: u64,
}

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

/// Backs up. What goes wrong with files is added to `problems`, whether the
/// backup comes to its end or not.
///
/// # Errors
/// [`JobError::Refused`] for a volume that is not ours or full,
/// [`JobError::Unfinished`] for one that ends in an unfinished set or when
/// interrupted, [`JobError::NeedsVolume`] when it becomes full; the drive's.
pub fn run(
    session: &mut Session,
    catalog: &Catalog,
    roots: Roots,
    options: &Options,
    progress: &Arc<Progress>,
    problems: &mut Vec<Problem>,
) -> Result<Done, JobError> {
    let begun = Instant::now();
    let label = session.label()?;
    let (number, end) = appendable(session, &label)?;
    let source = Source::start(&roots, &options.walk)
        .map_err(|error| JobError::local("starting the walk", error))?;
    problems.extend(roots.problems);
    let (first, source) = first_entry(source, problems)?;
    let head = SetHead {
        kind: SetKind::Set,
        set: Uuid::now_v7(),
        sequence: number,
        volume: label.name.clone(),
        volume_uuid: label.uuid,
        started: convert::seconds(SystemTime::now()),
    };
    let pool = pool(&label, options.buffer_bytes)?;
    let mut ledger = Ledger::new(catalog, head.set)?;
    let mut set = Writing {
        session,
        label: &label,
        head,
        pool: &pool,
        catalog,
        progress,
    };
    let found = std::iter::once(first).chain(source);
    set.archive(end.block, found, &mut ledger, problems)?;
    set.session.drive().write_filemarks(1, true)?;
    let totals = ledger.totals();
    let index_head = set.index_head(end.block, totals, &options.paths, false);
    let (index_block, rows) = set.index(ledger, index_head)?;
    // The set is done: what the drive says now changes nothing of that.
    let after = set.session.drive().position();
    let end_block = after.map_or(index_block, |position| position.block);
    let tape_set = TapeSet {
        head: set.head,
        tape_file: end.file.unwrap_or_else(|| u64::from(number) * 2 - 1),
        first_block: end.block,
        index_block: Some(index_block),
        finished: true,
    };
    let entered = rows.enter(catalog, &label, &tape_set);
    Ok(Done {
        set: tape_set.head.set,
        number,
        volume: label.name.to_string(),
        totals,
        tape_bytes: end_block
            .saturating_sub(end.block)
            .saturating_mul(label.record_bytes),
        first_block: end.block,
        end_block,
        elapsed: begun.elapsed(),
        not_in_catalog: entered.err(),
    })
}

/// The number of the next set, and where it begins.
fn appendable(session: &mut Session, label: &Label) -> Result<(u32, Position), JobError> {
    match session.tail(label)? {
        Tail::Ready { end, .. } if end.early_warning => Err(JobError::Refused(format!(
            "{}: volume {} is full; nothing was written; take another volume",
            session.drive().label(),
            label.name
        ))),
        Tail::Ready { next, end } => Ok((next, end)),
        Tail::Unfinished(set) => Err(JobError::Unfinished(format!(
            "{}: {set} is unfinished; nothing was written; end it with `lh-mover close`, \
             then back up again",
            session.drive().label()
        ))),
    }
}

/// Waits for the first entry, so that nothing is written where there is nothing
/// to write.
fn first_entry(
    mut source: Source,
    problems: &mut Vec<Problem>,
) -> Result<(Found, Source), JobError> {
    for found in source.by_ref() {
        match found {
            Found::Entry(_) => return Ok((found, source)),
            Found::Problem(problem) => problems.push(problem),
        }
    }
    let named: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let named = if named.is_empty() {
        "all is excluded".into()
    } else {
        named.join("; ")
    };
    Err(JobError::Usage(format!(
        "nothing to back up: {named}; nothing was written"
    )))
}

fn pool(label: &Label, bytes: u64) -> Result<Pool, JobError> {
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

/// A set that is being written.
pub(super) struct Writing<'a> {
    pub session: &'a mut Session,
    pub label: &'a Label,
    pub head: SetHead,
    pub pool: &'a Pool,
    pub catalog: &'a Catalog,
    pub progress: &'a Progress,
}

impl Writing<'_> {
    fn record_bytes(&self) -> usize {
        usize::try_from(self.label.record_bytes).expect("checked when the label was read")
    }

    fn layout(&self) -> Result<Layout, JobError> {
        Layout::new(self.label.record_bytes).map_err(|error| JobError::Medium(error.to_string()))
    }

    /// Writes the set's archive from where the drive stands, which is
    /// `first_block`.
    fn archive(
        &mut self,
        first_block: u64,
        found: impl Iterator<Item = Found>,
        ledger: &mut Ledger,
        problems: &mut Vec<Problem>,
    ) -> Result<(), JobError> {
        let plan = Plan {
            head: Some(&self.head),
            layout: self.layout()?,
            record_bytes: self.record_bytes(),
            first_block,
            at_early_warning: AtEarlyWarning::Stop,
        };
        let (pool, progress) = (self.pool, self.progress);
        let each = |entry: Box<Entry>| ledger.push(*entry);
        let drive = self.session.drive();
        let result = archive::write(drive, pool, plan, found, each, progress, problems);
        let unfinished = format!(
            "set {} of volume {} is unfinished; end it with `lh-mover close`",
            self.head.sequence, self.label.name
        );
        match result {
            // What was accepted is made safe: `close` finds it.
            Err(JobError::Unfinished(what)) => {
                self.session.drive().synchronize()?;
                Err(JobError::Unfinished(format!("{what}; {unfinished}")))
            }
            Err(JobError::NeedsVolume(what)) => {
                self.session.drive().synchronize()?;
                Err(JobError::NeedsVolume(format!("{what}; {unfinished}")))
            }
            other => other,
        }
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
        let plan = Plan {
            head: Some(&head),
            layout: self.layout()?,
            record_bytes: self.record_bytes(),
            first_block,
            at_early_warning: AtEarlyWarning::GoOn,
        };
        let drive = self.session.drive();
        // Nobody wants an index of the index, nor its progress.
        let (none, progress) = (|_| Ok(()), Progress::default());
        let mut problems = Vec::new();
        let found = found.into_iter();
        archive::write(
            drive,
            self.pool,
            plan,
            found,
            none,
            &progress,
            &mut problems,
        )?;
        if let Some(problem) = problems.first() {
            let source = std::io::Error::other(problem.to_string());
            return Err(JobError::local("the index", source));
        }
        drive.write_filemarks(1, false)?;
        Ok((first_block, rows))
    }

    /// The index's first line.
    pub fn index_head(
        &self,
        first_block: u64,
        totals: Totals,
        paths: &[PathBuf],
        partial: bool,
    ) -> Head {
        Head {
            longhaul_index: INDEX_VERSION,
            set: self.head.set,
            sequence: self.head.sequence,
            partial,
            volumes: vec![Volume {
                sequence: 1,
                name: self.label.name.clone(),
                uuid: self.label.uuid,
                block: first_block,
                stream_offset: 0,
            }],
            record_bytes: self.label.record_bytes,
            started: self.head.started,
            ended: convert::seconds(SystemTime::now()),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
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
