//! Going on with a set that did not come to its end.
//!
//! What is gone on from is, in this order: the newest checkpoint of the journal
//! that the medium is found to hold (`proof`); without one, what can be read
//! back of the archive (`reread`); without that, the set's beginning. The file
//! in the middle of which the set broke off is looked at (`begun`) before
//! anything is written, and what is known of the set behind that point is
//! durably forgotten first.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use longhaul_catalog::Catalog;
use longhaul_format::archive::SetHead;
use longhaul_format::index::Volume;
use longhaul_format::label::Label;
use uuid::Uuid;

use super::ledger::{self, Ledger};
pub use super::point::Point;
use super::remains::{Here, give_up, here, journal_of, nothing, set_head};
use super::session::Session;
use super::volume::{Tail, TapeSet};
use super::writing::{self, Done, Writing};
use super::{JobError, adopt, backup, close, proof, reread};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::journal::{self, Asked};
use crate::checkpoint::recovered::Recovered;
use crate::checkpoint::tracker::Intervals;
use crate::pipeline::entry::Totals;
use crate::pipeline::links::Links;
use crate::progress::Progress;
use crate::source::{self, Problem, Roots};

/// How a set is gone on with.
#[derive(Debug, Clone, Default)]
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
    /// The identity of a set that is begun instead, if it is not to be made up.
    pub set: Option<Uuid>,
    /// Volumes to which nothing is appended: what the set has there is ended where it
    /// can be gone on with, on the next.
    pub closed: Vec<Uuid>,
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

/// Goes on with the unfinished set at the end of the volume.
///
/// # Errors
/// [`JobError::Usage`] if there is none, or nobody knows what it is of;
/// [`JobError::Refused`] if journal and tape contradict each other,
/// [`JobError::Damaged`] if the set is; else as for [`backup::run`].
pub fn run(
    session: &mut Session,
    catalog: &Catalog,
    options: &Options,
    progress: &Arc<Progress>,
    problems: &mut Vec<Problem>,
) -> Result<Resumed, JobError> {
    let label = session.label()?;
    let tail = session.tail(&label)?;
    behind(session, catalog, options, (label, tail), progress, problems)
}

/// The same on a volume that was just looked at: this is its label, and this its
/// end.
///
/// # Errors
/// As [`run`].
pub(super) fn behind(
    session: &mut Session,
    catalog: &Catalog,
    options: &Options,
    (label, tail): (Label, Tail),
    progress: &Arc<Progress>,
    problems: &mut Vec<Problem>,
) -> Result<Resumed, JobError> {
    let begun = Instant::now();
    let recovered = journal_of(catalog, options.journal.as_deref(), &label, &tail)?;
    let asked = match &recovered {
        Some(recovered) => recovered.head.asked.clone(),
        None => options.asked.clone(),
    };
    if asked.paths.is_empty() {
        let of = match &tail {
            Tail::Unfinished(set) => set.to_string(),
            Tail::Ready { .. } => return Err(nothing(&label)),
        };
        return Err(JobError::Usage(format!(
            "{}: no journal of {of} is here, so nobody knows what it is of; nothing was \
             written; name the journal with --journal, or the paths",
            session.drive().label(),
        )));
    }
    let mut job = Job {
        session,
        catalog,
        options,
        progress,
        ending: false,
    };
    let mut resumed = match (recovered, tail) {
        (recovered, tail) if options.afresh => job.afresh(recovered, tail, asked, problems),
        (Some(recovered), tail) => job.journalled(recovered, label, tail, problems),
        (None, Tail::Unfinished(set)) => job.reread(label, set, asked, problems),
        (None, Tail::Ready { .. }) => Err(nothing(&label)),
    }?;
    resumed.done.elapsed = begun.elapsed();
    Ok(resumed)
}

/// Ends the set of this journal behind its last checkpoint, as if its source
/// gave nothing more.
///
/// # Errors
/// As for [`run`]; [`JobError::Refused`] if no checkpoint holds.
pub(super) fn end(
    session: &mut Session,
    catalog: &Catalog,
    recovered: Recovered,
    (label, tail): (Label, Tail),
    progress: &Arc<Progress>,
    problems: &mut Vec<Problem>,
) -> Result<Done, JobError> {
    let mut job = Job {
        session,
        catalog,
        options: &Options::default(),
        progress,
        ending: true,
    };
    Ok(job.journalled(recovered, label, tail, problems)?.done)
}

/// A resumption, and what it works with.
struct Job<'a> {
    session: &'a mut Session,
    catalog: &'a Catalog,
    options: &'a Options,
    progress: &'a Arc<Progress>,
    /// Whether the set is ended where it broke off.
    ending: bool,
}

/// Where a set with a journal goes on.
enum From {
    /// On the last of its volumes.
    Here(Checkpoint),
    /// On the next volume.
    Next(Checkpoint),
    /// Nowhere: nothing of it is on tape that could be gone on with.
    Nowhere,
}

impl Job<'_> {
    /// Goes on with a set whose journal is there.
    fn journalled(
        &mut self,
        recovered: Recovered,
        label: Label,
        tail: Tail,
        problems: &mut Vec<Problem>,
    ) -> Result<Resumed, JobError> {
        let Some(last) = recovered.volumes.last().cloned() else {
            return Err(JobError::Usage("the journal names no volume".into()));
        };
        let is_new = !recovered
            .volumes
            .iter()
            .any(|volume| volume.uuid == label.uuid);
        if let Some(ended) = recovered.ended().cloned()
            && last.uuid != label.uuid
        {
            let next = is_new && matches!(tail, Tail::Ready { .. });
            if !next {
                self.session.next_volume(&recovered.volumes)?;
            }
            return self.on_next(recovered, label, ended, problems);
        }
        let (label, tail) = if last.uuid == label.uuid {
            (label, tail)
        } else {
            self.session.bring(last.name.as_str(), last.uuid)?;
            let label = self.session.label()?;
            let tail = self.session.tail(&label)?;
            (label, tail)
        };
        if let Tail::Ready { end, .. } = &tail
            && end.block > last.block
        {
            if let Some(set) = self.finished(recovered.head.set, last.block, &label)? {
                return self.only_catalog(recovered, &label, &set);
            }
            if recovered.checkpoints.is_empty() && self.options.journal.is_none() {
                // Its mover died before anything was written, and somebody else
                // has used the volume since.
                log::warn!("{} is of nothing", recovered.path().display());
                give_up(recovered);
                return Err(nothing(&label));
            }
        }
        let here = here(&recovered, &last, &label, tail)?;
        let is_closed = self.options.closed.contains(&label.uuid);
        match self.from(&recovered, &last, &label, &here)? {
            From::Next(ended) => {
                self.session.next_volume(&recovered.volumes)?;
                self.on_next(recovered, label, ended, problems)
            }
            From::Here(at) if is_closed && at.volume == last.sequence => {
                let (set, volumes) = (recovered.head.set, recovered.volumes.clone());
                let mut writing = self.writing(&recovered, label.clone(), here.set)?;
                // The journal that is written on the next volume is another file, and
                // the one of which people are told.
                let ended = writing.end_part(recovered, at, &Progress::default())?;
                self.session.next_volume(&volumes)?;
                let path = journal::path_of(self.catalog.dir(), set);
                self.on_next(Recovered::read(&path)?, label, ended, problems)
            }
            From::Here(ended) if is_closed => {
                // It holds nothing of the set that could be gone on with.
                self.session.next_volume(&recovered.volumes)?;
                let mut recovered = recovered;
                recovered
                    .volumes
                    .retain(|volume| volume.sequence <= ended.volume);
                self.on_next(recovered, label, ended, problems)
            }
            From::Nowhere if is_closed => Err(JobError::Damaged(format!(
                "volume {} is closed, and holds no checkpoint of set {} that can be gone on with; \
                 nothing was written",
                label.name, recovered.head.set
            ))),
            From::Here(checkpoint) => self.on_last(recovered, label, here, checkpoint, problems),
            From::Nowhere if self.ending => Err(JobError::Refused(format!(
                "volume {} holds nothing that the journal says of set {}; nothing was written",
                label.name, recovered.head.set
            ))),
            From::Nowhere if here.is_there => {
                let asked = recovered.head.asked.clone();
                drop(recovered);
                self.reread(label, here.set, asked, problems)
            }
            From::Nowhere => {
                log::warn!(
                    "nothing of set {} has reached volume {}: it is backed up anew",
                    recovered.head.set,
                    label.name
                );
                let asked = recovered.head.asked.clone();
                self.anew(Some(recovered), asked, problems)
            }
        }
    }

    /// The set that begins at this block, if it is that one and is done.
    fn finished(
        &mut self,
        set: Uuid,
        block: u64,
        label: &Label,
    ) -> Result<Option<TapeSet>, JobError> {
        self.session.drive().locate(block)?;
        let first = self.session.sets(label)?.into_iter().next();
        Ok(first.filter(|found| found.head.set == set && found.finished))
    }

    /// Enters a set that came to its end on tape when its mover died.
    fn only_catalog(
        &mut self,
        recovered: Recovered,
        label: &Label,
        set: &TapeSet,
    ) -> Result<Resumed, JobError> {
        log::warn!("{set} had come to its end: only the catalog did not know it");
        let record = adopt::adopt(self.session, self.catalog, label, set, self.progress)?;
        let totals = Totals {
            members: record.members,
            bytes: record.bytes,
            damaged: record.errors,
        };
        let end_block = self.session.drive().position()?.block;
        let number = recovered.head.sequence;
        let record_bytes = label.record_bytes;
        let done = Done::new(
            number,
            &recovered.volumes,
            set,
            record_bytes,
            end_block,
            totals,
        );
        let tape_bytes = done.tape_bytes;
        give_up(recovered);
        let point = Point::End {
            members: totals.members,
            bytes: tape_bytes,
        };
        let note = None;
        Ok(Resumed { done, point, note })
    }

    /// The newest point of which the tape is found to hold everything.
    fn from(
        &mut self,
        recovered: &Recovered,
        last: &Volume,
        label: &Label,
        here: &Here,
    ) -> Result<From, JobError> {
        let on_it = recovered
            .checkpoints
            .iter()
            .filter(|kept| kept.volume == last.sequence);
        let on_it: VecDeque<Checkpoint> = on_it.cloned().collect();
        let proved = match here.is_there {
            true => proof::newest(self.session, label, &on_it)?,
            false => None,
        };
        let before = || {
            let mut ended = recovered.checkpoints.iter().rev();
            ended.find(|kept| kept.ended && kept.volume + 1 == last.sequence)
        };
        Ok(match proved {
            Some(ended) if ended.ended => From::Next(ended),
            Some(checkpoint) => From::Here(checkpoint),
            None => before().cloned().map_or(From::Nowhere, From::Here),
        })
    }

    fn on_next(
        &mut self,
        recovered: Recovered,
        label: Label,
        ended: Checkpoint,
        problems: &mut Vec<Problem>,
    ) -> Result<Resumed, JobError> {
        let (cursor, point) = Point::of(ended);
        let here = TapeSet {
            tape_file: 0,
            first_block: 0,
            index_block: None,
            finished: false,
            head: set_head(&recovered)?,
        };
        problems.extend(recovered.problems.iter().cloned());
        let mut set = self.writing(&recovered, label, here)?;
        recovered.each_entry(cursor.entries, |entry| {
            problems.extend(ledger::damage(&entry));
            Ok::<(), JobError>(())
        })?;
        let leg = set.go_over_with(recovered, cursor);
        let leg = leg.map_err(|error| set.broken_off(error))?;
        problems.extend(set.roots.problems.iter().cloned());
        let done = set.run(leg, problems)?;
        let note = None;
        Ok(Resumed { done, point, note })
    }

    fn on_last(
        &mut self,
        recovered: Recovered,
        label: Label,
        here: Here,
        checkpoint: Checkpoint,
        problems: &mut Vec<Problem>,
    ) -> Result<Resumed, JobError> {
        let (cursor, point) = Point::of(checkpoint);
        problems.extend(recovered.problems.iter().cloned());
        let mut set = self.writing(&recovered, label, here.set)?;
        let volumes = set.volumes.len();
        let (leg, note) = set.lead_on(recovered, cursor, volumes, problems)?;
        problems.extend(set.roots.problems.iter().cloned());
        let done = set.run(leg, problems)?;
        Ok(Resumed { done, point, note })
    }

    fn writing<'w>(
        &'w mut self,
        recovered: &Recovered,
        label: Label,
        here: TapeSet,
    ) -> Result<Writing<'w>, JobError> {
        let asked = recovered.head.asked.clone();
        let head = set_head(recovered)?;
        self.writing_of(head, recovered.volumes.clone(), asked, label, here)
    }

    fn writing_of(
        &mut self,
        head: SetHead,
        volumes: Vec<Volume>,
        asked: Asked,
        label: Label,
        here: TapeSet,
    ) -> Result<Writing<'_>, JobError> {
        let roots = match self.ending {
            true => Roots::default(),
            false => roots(&asked)?,
        };
        Ok(Writing {
            partial: self.ending,
            pool: writing::pool(&label, self.options.buffer_bytes)?,
            session: self.session,
            catalog: self.catalog,
            progress: self.progress,
            head,
            walk: walk_options(&asked)?,
            asked,
            roots,
            intervals: self.options.intervals,
            label,
            here,
            volumes,
        })
    }

    /// Goes on with a set of which only the tape knows.
    fn reread(
        &mut self,
        label: Label,
        set: TapeSet,
        asked: Asked,
        problems: &mut Vec<Problem>,
    ) -> Result<Resumed, JobError> {
        if self.options.closed.contains(&label.uuid) {
            return Err(JobError::Damaged(format!(
                "volume {} is closed, and there is no checkpoint of {set}; nothing was written",
                label.name
            )));
        }
        if set.head.part > 1 {
            return Err(JobError::Usage(format!(
                "{}: {set} began on another volume, and its journal is not here; nothing was \
                 written; name the journal with --journal",
                self.session.drive().label()
            )));
        }
        let volume = set.volume_of(&label.name, label.uuid);
        let extent = set.extent(label.record_bytes);
        let head = writing::journal_head(self.session, &set.head, &label, &asked);
        let mut links = Links::default();
        let mut ledger = Ledger::anew(self.catalog, &head, &volume)?;
        let (session, progress) = (&mut *self.session, self.progress);
        let cursor = reread::run(session, &label, &set, &mut ledger, &mut links, progress)?;
        ledger.publish()?;
        let Some(cursor) = cursor else {
            drop(ledger);
            return self.only_index();
        };
        let point = Point::Tape {
            members: cursor.entries,
            bytes: cursor.offset,
        };
        let mut writing = self.writing_of(set.head.clone(), vec![volume], asked, label, set)?;
        let begun = writing.begun(cursor, &extent)?;
        let (leg, note) = writing.leg(begun, extent, ledger, links)?;
        problems.extend(writing.roots.problems.iter().cloned());
        let done = writing.run(leg, problems)?;
        Ok(Resumed { done, point, note })
    }

    /// Writes the index of a set whose archive is whole.
    fn only_index(&mut self) -> Result<Resumed, JobError> {
        let options = close::Options::default();
        let (session, problems) = (&mut *self.session, &mut Vec::new());
        let closed = close::run(session, self.catalog, &options, self.progress, problems)?;
        let point = Point::Tape {
            members: closed.done.totals.members,
            bytes: closed.done.tape_bytes,
        };
        Ok(Resumed {
            done: closed.done,
            point,
            note: None,
        })
    }

    /// Ends the set as it is, and backs everything up anew.
    fn afresh(
        &mut self,
        recovered: Option<Recovered>,
        tail: Tail,
        asked: Asked,
        problems: &mut Vec<Problem>,
    ) -> Result<Resumed, JobError> {
        match tail {
            Tail::Unfinished(_) => {
                drop(recovered);
                let options = close::Options {
                    journal: self.options.journal.clone(),
                    give_up_behind_damage: false,
                };
                let session = &mut *self.session;
                close::run(session, self.catalog, &options, self.progress, problems)?;
                self.anew(None, asked, problems)
            }
            Tail::Ready { .. } => self.anew(recovered, asked, problems),
        }
    }

    /// Backs up anew what was asked for. A journal of what is given up goes.
    fn anew(
        &mut self,
        given_up: Option<Recovered>,
        asked: Asked,
        problems: &mut Vec<Problem>,
    ) -> Result<Resumed, JobError> {
        if let Some(recovered) = given_up {
            give_up(recovered);
        }
        let roots = roots(&asked)?;
        let options = backup::Options {
            walk: walk_options(&asked)?,
            paths: asked.paths,
            buffer_bytes: self.options.buffer_bytes,
            intervals: self.options.intervals,
            set: self.options.set,
        };
        let (session, catalog) = (&mut *self.session, self.catalog);
        let done = backup::run(session, catalog, roots, &options, self.progress, problems)?;
        Ok(Resumed {
            done,
            point: Point::Nothing,
            note: None,
        })
    }
}

/// A source that is gone altogether is no reason to end the set without it.
fn roots(asked: &Asked) -> Result<Roots, JobError> {
    Roots::find(&asked.paths).map_err(|error| JobError::Usage(error.to_string()))
}

fn walk_options(asked: &Asked) -> Result<source::Options, JobError> {
    source::Options::new(&asked.excludes, asked.one_file_system).map_err(JobError::Usage)
}
