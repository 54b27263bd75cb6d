//! Closing: an unfinished set gets its end and an index, marked partial.
//!
//! What a set on one volume holds is found by reading its archive. It is
//! kept up to the end of the last whole member; what was begun behind it is
//! given up, for half a file is none. A set that lies on several volumes is
//! ended behind the last checkpoint in its journal, as if it was resumed and
//! its source gave nothing more: the volumes before the last have their end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use longhaul_catalog::Catalog;
use longhaul_ffi::buffer::Buffer;
use longhaul_format::archive::{Layout, Part};
use longhaul_format::label::Label;

use super::JobError;
use super::ledger::Ledger;
use super::session::Session;
use super::survey::Survey;
use super::volume::{Tail, TapeSet};
use super::walkthrough::Ended;
use super::writing::{self, Done, Writing};
use super::{remains, resume};
use crate::checkpoint::journal::Asked;
use crate::checkpoint::recovered::Recovered;
use crate::checkpoint::tracker::Intervals;
use crate::drive::Read;
use crate::progress::Progress;
use crate::source::{self, Problem, Roots};

/// How a set is closed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The journal, if it is not the one that lies with the catalog.
    pub journal: Option<PathBuf>,
    /// Where the archive is damaged, keep what lies before that: what lies
    /// behind it is overwritten.
    pub give_up_behind_damage: bool,
}

/// A set that was closed.
#[derive(Debug)]
pub struct Closed {
    /// The set.
    pub done: Done,
    /// Whether its archive was whole, and only the index was missing.
    pub whole: bool,
}

/// Closes the unfinished set at the volume's end.
///
/// # Errors
/// [`JobError::Usage`] if there is none; [`JobError::Damaged`] if it is, and
/// nothing said that it may be cut there; the drive's.
pub fn run(
    session: &mut Session,
    catalog: &Catalog,
    options: &Options,
    progress: &Arc<Progress>,
    problems: &mut Vec<Problem>,
) -> Result<Closed, JobError> {
    let begun = Instant::now();
    let label = session.label()?;
    let tail = session.tail(&label)?;
    let journal = remains::journal_of(catalog, options.journal.as_deref(), &label, &tail)?;
    let is_spanning = |found: &Recovered| {
        let mut volumes = found.volumes.iter();
        volumes.len() > 1
            && (options.journal.is_some() || volumes.any(|volume| volume.uuid == label.uuid))
    };
    let mut closed = match (journal, tail) {
        (Some(recovered), tail) if is_spanning(&recovered) => {
            let done = resume::end(
                session,
                catalog,
                recovered,
                (label, tail),
                progress,
                problems,
            )?;
            Closed { done, whole: false }
        }
        (journal, Tail::Unfinished(set)) if set.head.part == 1 => {
            let asked = journal.map(|journal| journal.head.asked);
            let asked = asked.unwrap_or_default();
            by_reading(session, catalog, label, (set, asked), options, progress)?
        }
        (_, Tail::Unfinished(set)) => {
            return Err(JobError::Refused(format!(
                "{set} began on another volume, and its journal is not here; nothing was written; \
                 name the journal with --journal"
            )));
        }
        (_, Tail::Ready { .. }) => {
            return Err(JobError::Usage(format!(
                "{}: volume {} ends in no unfinished set; there is nothing to close",
                session.drive().label(),
                label.name
            )));
        }
    };
    closed.done.elapsed = begun.elapsed();
    Ok(closed)
}

/// Closes a set on one volume, of which only the tape is asked. Its journal keeps
/// what the backup was asked for, so that it can be gone on with if this breaks off.
fn by_reading(
    session: &mut Session,
    catalog: &Catalog,
    label: Label,
    (set, asked): (TapeSet, Asked),
    options: &Options,
    progress: &Arc<Progress>,
) -> Result<Closed, JobError> {
    let volume = set.volume_of(&label.name, label.uuid);
    let journal = writing::journal_head(session, &set.head, &label, &asked);
    let mut ledger = Ledger::anew(catalog, &journal, &volume)?;
    let mut survey = Survey::new(&label, &set, |entry| ledger.push(entry));
    let ended = survey.run(session, &label, progress)?;
    let end = survey.end();
    drop(survey);
    let damaged = matches!(ended, Ended::Damaged(_) | Ended::Unreadable(_));
    if damaged && !options.give_up_behind_damage {
        return Err(JobError::Damaged(format!(
            "{set}: {}; nothing was written; `lh-mover restore` still reads what is whole; to keep \
             only what lies before the damage, say --give-up-behind-damage",
            ended.what()
        )));
    }
    let whole = ended == Ended::Whole;
    ledger.publish()?;
    if let Some(index_block) = set.index_block {
        // The archive was ended, and its filemark is there: it stays.
        session.drive().locate(index_block)?;
    } else {
        if !whole {
            end_archive(session, &label, &set, end)?;
        }
        if !whole || !to_archive_end(session, &set)? {
            session.drive().write_filemarks(1, true)?;
        }
    }
    let mut writing = Writing {
        pool: writing::pool(&label, 0)?,
        session,
        catalog,
        progress,
        head: set.head.clone(),
        asked,
        partial: !whole,
        // Nothing is read any more.
        roots: Roots::default(),
        walk: source::Options::default(),
        intervals: Intervals::default(),
        label,
        here: set,
        volumes: vec![volume],
    };
    let done = writing.end_with_index(ledger)?;
    Ok(Closed { done, whole })
}

/// Goes behind the archive's last record, and behind its filemark if that is
/// there; whether it is.
fn to_archive_end(session: &mut Session, set: &TapeSet) -> Result<bool, JobError> {
    let drive = session.drive();
    drive.locate(set.first_block)?;
    Ok(drive.space_filemarks(1)?.stop.is_none())
}

/// Writes the end of the archive behind the stream offset `end`: what lies
/// behind it is given up.
fn end_archive(
    session: &mut Session,
    label: &Label,
    set: &TapeSet,
    end: u64,
) -> Result<(), JobError> {
    let layout_error =
        |error: longhaul_format::archive::LayoutError| JobError::Medium(format!("{set}: {error}"));
    let record_bytes = usize::try_from(label.record_bytes).unwrap_or(usize::MAX);
    let (mut layout, start) = if end == 0 {
        // Not one whole member: the archive begins anew, and says that it is
        // empty.
        (Layout::new(label.record_bytes).map_err(layout_error)?, 0)
    } else {
        (
            Layout::resume(label.record_bytes, end).map_err(layout_error)?,
            end,
        )
    };
    let block = set.first_block + start / label.record_bytes;
    let kept = usize::try_from(start % label.record_bytes).expect("below a record's length");
    let mut tail = kept_bytes(session, block, kept, record_bytes)?;
    let mut parts = Vec::new();
    if end == 0 {
        parts.extend(layout.begin(&set.head).parts);
    }
    parts.extend(layout.finish().parts);
    for part in parts {
        match part {
            Part::Bytes(bytes) => tail.extend_from_slice(&bytes),
            Part::Zeros(len) => tail.resize(tail.len() + usize::try_from(len).unwrap_or(0), 0),
            Part::File { .. } => unreachable!("the end of an archive has no file data"),
        }
    }
    let drive = session.drive();
    drive.locate(block)?;
    for record in tail.chunks(record_bytes) {
        let (written, _) = drive.write(Buffer::from_slice(record), record.len());
        written?;
    }
    Ok(())
}

/// The first `kept` bytes of the record at `block`, which stay.
fn kept_bytes(
    session: &mut Session,
    block: u64,
    kept: usize,
    record_bytes: usize,
) -> Result<Vec<u8>, JobError> {
    if kept == 0 {
        return Ok(Vec::new());
    }
    let drive = session.drive();
    drive.locate(block)?;
    let (read, buffer) = drive.read(Buffer::zeroed(record_bytes), record_bytes);
    match read? {
        Read::Block(len) if len >= kept => Ok(buffer[..kept].to_vec()),
        other => Err(JobError::Medium(format!(
            "{}: block {block} was a record before and is now {other:?}",
            drive.label()
        ))),
    }
}
