//! A backup: one set, appended to the volume in the drive.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use longhaul_catalog::Catalog;
use longhaul_format::archive::{SetHead, SetKind};
use longhaul_format::label::Label;
use uuid::Uuid;

use super::ledger::Ledger;
use super::session::Session;
use super::volume::{Tail, TapeSet, tape_file};
use super::writing::{self, Done, Leg, Writing};
use super::{JobError, convert};
use crate::checkpoint::Cursor;
use crate::checkpoint::journal::Asked;
use crate::checkpoint::tracker::Intervals;
use crate::drive::Position;
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
    /// How often checkpoints are taken.
    pub intervals: Intervals,
    /// The set's identity, if it is not to be made up.
    pub set: Option<Uuid>,
}

impl Options {
    /// What the journal says of them.
    fn asked(&self) -> Asked {
        Asked {
            paths: self.paths.clone(),
            excludes: self.walk.patterns.clone(),
            one_file_system: self.walk.one_file_system,
        }
    }
}

/// Backs up. What goes wrong with files is added to `problems`, whether the
/// backup comes to its end or not.
///
/// # Errors
/// [`JobError::Refused`] for a volume that is not ours or full,
/// [`JobError::Unfinished`] for one that ends in an unfinished set or when
/// interrupted, [`JobError::Full`] when it becomes full; the drive's.
pub fn run(
    session: &mut Session,
    catalog: &Catalog,
    roots: Roots,
    options: &Options,
    progress: &Arc<Progress>,
    problems: &mut Vec<Problem>,
) -> Result<Done, JobError> {
    let label = session.label()?;
    let tail = session.tail(&label)?;
    behind(
        session,
        catalog,
        roots,
        options,
        (label, tail),
        progress,
        problems,
    )
}

/// The same on a volume that was just looked at: this is its label, and this its
/// end.
///
/// # Errors
/// As [`run`].
pub(super) fn behind(
    session: &mut Session,
    catalog: &Catalog,
    roots: Roots,
    options: &Options,
    (label, tail): (Label, Tail),
    progress: &Arc<Progress>,
    problems: &mut Vec<Problem>,
) -> Result<Done, JobError> {
    let begun = Instant::now();
    let (number, end) = append_behind(tail, session, &label)?;
    let from = Cursor::beginning();
    let source = Source::start(&roots, &options.walk, &from.place)
        .map_err(|error| JobError::local("starting the walk", error))?;
    problems.extend(roots.problems.iter().cloned());
    let (first, source) = first_entry(source, problems)?;
    let head = SetHead {
        kind: SetKind::Set,
        set: options.set.unwrap_or_else(Uuid::now_v7),
        sequence: number,
        volume: label.name.clone(),
        volume_uuid: label.uuid,
        started: convert::seconds(SystemTime::now()),
        part: 1,
        offset: 0,
    };
    let here = TapeSet {
        tape_file: end.file.unwrap_or_else(|| tape_file(number)),
        first_block: end.block,
        index_block: None,
        finished: false,
        head: head.clone(),
    };
    let volume = here.volume_of(&label.name, label.uuid);
    let asked = options.asked();
    let journal = writing::journal_head(session, &head, &label, &asked);
    let leg = Leg {
        start: writing::beginning(&label, &volume)?,
        cursor: from,
        ledger: Ledger::new(catalog, &journal, &volume)?,
        first: vec![first],
        source,
    };
    let mut set = Writing {
        partial: false,
        pool: writing::pool(&label, options.buffer_bytes)?,
        session,
        catalog,
        progress,
        head,
        asked,
        roots,
        walk: options.walk.clone(),
        intervals: options.intervals,
        label,
        here,
        volumes: vec![volume],
    };
    let written = set.run(leg, problems)?;
    Ok(Done {
        elapsed: begun.elapsed(),
        ..written
    })
}

/// The number of the next set, and where it begins, behind this end of the volume.
///
/// # Errors
/// [`JobError::Refused`] if the volume is full, [`JobError::Unfinished`] if it
/// ends in an unfinished set.
pub(super) fn append_behind(
    tail: Tail,
    session: &mut Session,
    label: &Label,
) -> Result<(u32, Position), JobError> {
    match tail {
        Tail::Ready { end, .. } if end.early_warning => Err(JobError::Refused(format!(
            "{}: volume {} is full; nothing was written; take another volume",
            session.drive().label(),
            label.name
        ))),
        Tail::Ready { next, end } => Ok((next, end)),
        Tail::Unfinished(set) => Err(JobError::Unfinished(format!(
            "{}: {set} is unfinished, or goes on on another volume; nothing was written; go on \
             with it (`lh-mover resume`), end it (`lh-mover close`), or take another volume",
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
