//! Going on with a set that did not come to its end.
//!
//! What is gone on from is, in this order: the newest checkpoint of the journal
//! that the medium is found to hold (`proof`); without one, what can be read
//! back of the archive (`reread`); without that, the set's beginning. The file
//! in the middle of which the set broke off is looked at (`begun`) before
//! anything is written, and what is known of the set behind that point is
//! durably forgotten first.

mod begun;
mod proof;
mod reread;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use longhaul_catalog::Catalog;
use longhaul_format::archive::SetHead;
use longhaul_format::index::Volume;
use longhaul_format::label::Label;

use self::begun::Begun;
use super::ledger::{self, Ledger};
use super::session::Session;
use super::volume::{Tail, TapeSet};
use super::writing::{self, Done, Writing};
use super::{JobError, backup, close};
use crate::checkpoint::journal::{self, Asked};
use crate::checkpoint::recovered::Recovered;
use crate::checkpoint::tracker::Intervals;
use crate::checkpoint::{Checkpoint, Cursor};
use crate::pipeline::assemble::Start;
use crate::pipeline::entry::Extent;
use crate::pipeline::links::Links;
use crate::progress::Progress;
use crate::source::{self, Problem, Roots, Source};

/// How a set is gone on with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The journal, if it is not the one that lies with the catalog.
    pub journal: Option<PathBuf>,
    /// What is backed up, if there is no journal that says it.
    pub asked: Asked,
    /// Whether to begin a new set instead.
    pub afresh: bool,
    /// Memory for records, in bytes.
    pub buffer_bytes: u64,
    /// How often checkpoints are taken.
    pub intervals: Intervals,
}

/// A set that was gone on with, and is done.
#[derive(Debug)]
pub struct Resumed {
    /// The set.
    pub done: Done,
    /// What it was gone on from.
    pub point: Point,
    /// What became of the file in the middle of which it had broken off.
    pub note: Option<String>,
}

/// What a set was gone on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A checkpoint.
    Checkpoint {
        /// When it was taken: milliseconds since 1970.
        taken_ms: i64,
        /// Members that were there.
        members: u64,
        /// Bytes of the archive that were there.
        bytes: u64,
    },
    /// What was read back from the tape.
    Tape {
        /// Members that were there.
        members: u64,
        /// Bytes of the archive that were there.
        bytes: u64,
    },
    /// Nothing: all was backed up anew.
    Nothing,
}

/// An unfinished set, its volume in the drive.
struct Broken {
    label: Label,
    set: TapeSet,
    recovered: Option<Recovered>,
    asked: Asked,
}

/// Goes on with the unfinished set at the end of the volume.
///
/// # Errors
/// [`JobError::Usage`] if there is none, or nobody knows what it is of;
/// [`JobError::Refused`] if journal and tape contradict each other, or the set
/// is damaged; else as for [`backup::run`].
pub fn run(
    session: &mut Session,
    catalog: &Catalog,
    options: &Options,
    progress: &Arc<Progress>,
    problems: &mut Vec<Problem>,
) -> Result<Resumed, JobError> {
    let begun = Instant::now();
    let label = session.label()?;
    let Tail::Unfinished(set) = session.tail(&label)? else {
        let asked = journal_without_set(catalog, options, &label)?;
        return afresh(session, catalog, options, asked, progress, problems);
    };
    let recovered = journal_of(catalog, options, &set.head)?;
    let asked = match &recovered {
        Some(recovered) => recovered.head.asked.clone(),
        None => options.asked.clone(),
    };
    if asked.paths.is_empty() {
        return Err(JobError::Usage(format!(
            "{}: no journal of {set} is here, so nobody knows what it is of; nothing was \
             written; name the journal with --journal, or the paths",
            session.drive().label(),
        )));
    }
    if options.afresh {
        drop(recovered);
        close::run(session, catalog, false, progress)?;
        return afresh(session, catalog, options, asked, progress, problems);
    }
    let broken = Broken {
        label,
        set,
        recovered,
        asked,
    };
    let mut resumed = go_on(session, catalog, options, broken, progress, problems)?;
    resumed.done.elapsed = begun.elapsed();
    Ok(resumed)
}

/// The journal of the set on the tape, if there is one.
fn journal_of(
    catalog: &Catalog,
    options: &Options,
    head: &SetHead,
) -> Result<Option<Recovered>, JobError> {
    let path = match &options.journal {
        Some(path) => path.clone(),
        None => {
            let path = journal::path_of(catalog.dir(), head.set);
            if !path.exists() {
                return Ok(None);
            }
            path
        }
    };
    let recovered = Recovered::read(&path)?;
    if recovered.head.set != head.set {
        return Err(JobError::Refused(format!(
            "{} is of set {}, and the volume ends in set {}; nothing was written",
            path.display(),
            recovered.head.set,
            head.set
        )));
    }
    Ok(Some(recovered))
}

/// What a set is of, of which the journal is all that there is.
fn journal_without_set(
    catalog: &Catalog,
    options: &Options,
    label: &Label,
) -> Result<Asked, JobError> {
    let found = match &options.journal {
        Some(path) => Some(Recovered::read(path)?),
        None => journal::all(catalog.dir())
            .filter_map(|path| Recovered::read(&path).ok())
            .filter(|recovered| recovered.is_on(label.uuid))
            .max_by_key(|recovered| recovered.head.started),
    };
    match found {
        Some(recovered)
            if recovered.is_on(label.uuid)
                && recovered.volumes.len() == 1
                && recovered.checkpoints.is_empty() =>
        {
            log::warn!(
                "nothing of set {} has reached volume {}: it is backed up anew",
                recovered.head.set,
                label.name
            );
            let asked = recovered.head.asked.clone();
            // What is left of it: the set that is written now is another.
            if let Err(error) = std::fs::remove_file(recovered.path()) {
                log::warn!("{}: {error}", recovered.path().display());
            }
            Ok(asked)
        }
        Some(recovered) => Err(JobError::Refused(format!(
            "{} is of set {}, which is not at the end of volume {}; nothing was written",
            recovered.path().display(),
            recovered.head.set,
            label.name
        ))),
        None => Err(JobError::Usage(format!(
            "volume {} ends in no unfinished set; there is nothing to resume",
            label.name
        ))),
    }
}

/// Backs up anew what was asked for.
fn afresh(
    session: &mut Session,
    catalog: &Catalog,
    options: &Options,
    asked: Asked,
    progress: &Arc<Progress>,
    problems: &mut Vec<Problem>,
) -> Result<Resumed, JobError> {
    let roots = roots(&asked)?;
    let options = backup::Options {
        walk: walk_options(&asked)?,
        paths: asked.paths,
        buffer_bytes: options.buffer_bytes,
        intervals: options.intervals,
    };
    let done = backup::run(session, catalog, roots, &options, progress, problems)?;
    Ok(Resumed {
        done,
        point: Point::Nothing,
        note: None,
    })
}

/// A source that is gone altogether is no reason to end the set without it.
fn roots(asked: &Asked) -> Result<Roots, JobError> {
    Roots::find(&asked.paths).map_err(|error| JobError::Usage(error.to_string()))
}

fn walk_options(asked: &Asked) -> Result<source::Options, JobError> {
    source::Options::new(&asked.excludes, asked.one_file_system).map_err(JobError::Usage)
}

fn go_on(
    session: &mut Session,
    catalog: &Catalog,
    options: &Options,
    broken: Broken,
    progress: &Arc<Progress>,
    problems: &mut Vec<Problem>,
) -> Result<Resumed, JobError> {
    let roots = roots(&broken.asked)?;
    let walk = walk_options(&broken.asked)?;
    let volume = volume_of(&broken);
    let extent = Extent::of(&volume, broken.label.record_bytes);
    let head = writing::journal_head(session, &broken.set.head, &broken.label, &broken.asked);
    let proved = match &broken.recovered {
        Some(recovered) => proof::newest(session, &broken.label, &recovered.checkpoints)?,
        None => None,
    };
    let mut links = Links::default();
    let Broken {
        label,
        set,
        recovered,
        asked,
    } = broken;

    let (cursor, point, known) = match (proved, recovered) {
        (Some(checkpoint), Some(recovered)) => {
            let (cursor, point) = Point::of(checkpoint);
            (cursor, point, Known::Journal(recovered))
        }
        (_, recovered) => {
            drop(recovered);
            let mut ledger = Ledger::new(catalog, &head, &volume)?;
            let cursor = reread::run(session, &label, &set, &mut ledger, &mut links, progress)?;
            let Some(cursor) = cursor else {
                drop(ledger);
                return only_index(session, catalog, &label, &set, progress);
            };
            let point = Point::Tape {
                members: cursor.entries,
                bytes: cursor.offset,
            };
            (cursor, point, Known::Reread(ledger))
        }
    };
    let mut source = Source::start(&roots, &walk, &cursor.place)
        .map_err(|error| JobError::local("starting the walk", error))?;
    problems.extend(roots.problems);
    let Begun {
        cursor,
        layout,
        rest,
        first,
        note,
    } = begun::look(cursor, &mut source, label.record_bytes)?;
    if let Some(note) = &note {
        log::warn!("{note}");
    }

    // What is known of the set behind this point is forgotten before anything
    // is written there.
    let (block, _) = extent.locate(cursor.offset);
    let mut ledger = match known {
        Known::Reread(ledger) => ledger,
        Known::Journal(recovered) => {
            problems.extend(recovered.problems.iter().cloned());
            let keep = |kept: &Checkpoint| kept.volume < volume.sequence || kept.block <= block;
            let each = |entry: &longhaul_format::index::Entry| {
                links.stored(entry);
                problems.extend(ledger::damage(entry));
            };
            let upto = (volume.sequence, cursor.entries);
            Ledger::resumed(catalog, recovered, &head, upto, keep, each)?
        }
    };
    if let Some(rest) = &rest
        && !rest.whole.given_up
    {
        links.stored(&rest.whole.entry);
    }
    let start = Start {
        layout,
        extent,
        at: cursor.offset,
        rest,
        links,
    };
    session.drive().locate(block)?;
    let pool = writing::pool(&label, options.buffer_bytes)?;
    let mut writing = Writing {
        session,
        label: &label,
        head: set.head.clone(),
        volumes: vec![volume],
        pool: &pool,
        catalog,
        progress,
    };
    let found = first.into_iter().chain(source);
    writing.archive(
        start,
        &cursor,
        options.intervals,
        found,
        &mut ledger,
        problems,
    )?;
    let done = writing.finish(ledger, set, &asked.paths)?;
    Ok(Resumed { done, point, note })
}

/// Writes the index of a set whose archive is whole.
fn only_index(
    session: &mut Session,
    catalog: &Catalog,
    label: &Label,
    set: &TapeSet,
    progress: &Progress,
) -> Result<Resumed, JobError> {
    let closed = close::run(session, catalog, false, progress)?;
    let end_block = session.drive().position()?.block;
    let tape_bytes = end_block.saturating_sub(set.first_block) * label.record_bytes;
    let done = Done {
        set: closed.set,
        number: closed.number,
        volume: closed.volume,
        totals: closed.totals,
        tape_bytes,
        first_block: set.first_block,
        end_block,
        elapsed: closed.elapsed,
        not_in_catalog: closed.not_in_catalog,
    };
    Ok(Resumed {
        done,
        point: Point::Tape {
            members: closed.totals.members,
            bytes: tape_bytes,
        },
        note: None,
    })
}

/// Where the entries of a set come from that is gone on with.
enum Known {
    Journal(Recovered),
    Reread(Ledger),
}

impl Point {
    fn of(checkpoint: Checkpoint) -> (Cursor, Point) {
        let Checkpoint {
            taken_ms, cursor, ..
        } = checkpoint;
        let point = Point::Checkpoint {
            taken_ms,
            members: cursor.entries,
            bytes: cursor.offset,
        };
        (cursor, point)
    }
}

/// The volume in the drive, as one of the set's.
fn volume_of(broken: &Broken) -> Volume {
    let Broken { label, set, .. } = broken;
    Volume {
        sequence: 1,
        name: label.name.clone(),
        uuid: label.uuid,
        block: set.first_block,
        stream_offset: 0,
    }
}
