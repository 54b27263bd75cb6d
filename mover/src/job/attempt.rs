//! An attempt that a coordinator has ordered, carried out by a process of its
//! own: it is told a [`Task`] on standard input, and tells [`Event`]s on standard
//! output, a line of JSON each.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use longhaul_catalog::Catalog;
use longhaul_format::label::Label;
use longhaul_protocol::job::Kind;
use longhaul_protocol::order::{Left, Start, VolumeRef};
use longhaul_protocol::report::{Outcome, Point, SetDone, SetPart};
use longhaul_protocol::run::Token;
use longhaul_protocol::{AttemptId, ExitStatus, Name, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::adopt::{self, Choice};
use super::blame::{self, Heard};
use super::hook;
use super::mounts::Mounts;
use super::once;
use super::resume;
use super::session::{self, Purpose, Session};
use super::volume::Tail;
use super::writing::Done;
use super::{JobError, backup, verify};
use crate::checkpoint::journal::{self, Asked};
use crate::checkpoint::recovered::{JournalError, Recovered};
use crate::checkpoint::tracker::Intervals;
use crate::drive::{Drive, Key};
use crate::progress::{Progress, Reached};
use crate::source::{self, Problem, Roots};
use crate::transport;

/// What the process is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The order.
    pub start: Start,
    /// The cluster: reservation keys have a hash of it.
    pub cluster: Uuid,
    /// How devices are opened, where that is not by their serial numbers.
    pub devices: BTreeMap<Name, String>,
    /// The attempt's own folder: its journal, and what the catalog is to have.
    pub dir: PathBuf,
    /// Memory for records, in bytes.
    pub buffer_bytes: u64,
    /// Time between two checkpoints, in milliseconds.
    pub checkpoint_ms: u64,
    /// Time between two flushes, where the drive has to be flushed for one.
    pub flush_ms: u64,
}

/// What the process tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The medium holds all up to here, and [the journal](Task::journal) says so
    /// durably.
    Reached(Point),
    /// This was the last event.
    Ended(Outcome),
}

impl Task {
    /// The journal that the attempt writes, once it has reached a checkpoint.
    pub fn journal(dir: &Path) -> PathBuf {
        dir.join("journal")
    }

    /// The journal that it goes on with.
    pub fn carried(dir: &Path) -> PathBuf {
        dir.join("carried.journal")
    }

    pub(super) fn key(&self, token: Token) -> Key {
        key(self.cluster, token)
    }

    fn device(&self, serial: &Name) -> String {
        let named = self.devices.get(serial);
        named.cloned().unwrap_or_else(|| serial.to_string())
    }
}

/// The reservation key of an assignment.
pub fn key(cluster: Uuid, token: Token) -> Key {
    let hash = crc32c::crc32c(cluster.as_bytes());
    // 16 of its bits.
    Key::new((hash >> 16) as u16, token.0)
}

/// The identity of a set that this attempt begins: whoever finds a set on a
/// volume can tell whether an attempt of the run has begun it.
pub fn set_of(cluster: Uuid, attempt: &AttemptId) -> Uuid {
    Uuid::new_v5(&cluster, attempt.to_string().as_bytes())
}

/// Carries an attempt out. What is to be told before its end goes to `tell`.
pub fn run(
    task: &Task,
    progress: &Arc<Progress>,
    tell: impl Fn(Event) + Send + Sync + 'static,
) -> Outcome {
    let reporter = Reporter::new(task);
    progress.listen(move |reached| {
        if let Some(point) = reporter.point(&reached) {
            tell(Event::Reached(point));
        }
    });
    let hooks = hook::Hooks::new(&task.start, progress);
    let ready = hooks.before().map(|()| fence(task));
    let mut outcome = match (ready, &task.start.work.kind) {
        (Err(error), _) => failed(&task.dir, &error),
        (Ok(()), Kind::Restore(restore)) => once::restore(task, restore, progress),
        (Ok(()), Kind::Label(label)) => once::label(task, label),
        (Ok(()), Kind::Unload(_)) => once::unload(task),
        (Ok(()), Kind::Backup) => {
            let mut problems = Vec::new();
            let (result, heard) = backed_up(task, progress, &mut problems);
            let mut outcome = match &result {
                Ok(backup) => done(backup, &problems),
                Err(error) => failed(&task.dir, error),
            };
            let error = match &result {
                Ok(backup) => backup.flaw.as_ref(),
                Err(error) => Some(error),
            };
            heard.enter(&mut outcome, error);
            outcome
        }
    };
    if let Err(why) = hooks.after(outcome.exit) {
        outcome.add_flaw(why.to_string());
    }
    outcome
}

/// A set that an attempt has done, and what is wrong with it.
struct Backup {
    /// What the coordinator's catalog is to know of it, or why that cannot be told.
    set: Result<SetDone, String>,
    /// Why this node's catalog does not know it, if it does not.
    not_in_catalog: Option<String>,
    /// Why it is not all that it should be.
    flaw: Option<JobError>,
}

fn backed_up(
    task: &Task,
    progress: &Arc<Progress>,
    problems: &mut Vec<Problem>,
) -> (Result<Backup, JobError>, Heard) {
    let ready = || -> Result<_, JobError> { Ok((Catalog::open(&task.dir)?, carried(task)?)) };
    let (catalog, carried) = match ready() {
        Ok(ready) => ready,
        Err(error) => return (Err(error), Heard::default()),
    };
    // The volume on which the set broke off is brought first.
    let last = carried.as_ref().and_then(|carried| carried.last);
    let journal = carried.map(|carried| carried.journal);
    let mounts = mounts(task, last);
    blame::with_drive(mounts, Purpose::Write, None, |session| {
        let done = write(task, session, &catalog, journal, progress, problems)?;
        let flaw = match task.start.work.verify {
            true => verified(session, &catalog, done.set, progress).err(),
            false => None,
        };
        Ok(Backup {
            set: set_done(&catalog, done.set),
            not_in_catalog: done.not_in_catalog,
            flaw,
        })
    })
}

/// Takes other drives from those who have left them.
fn fence(task: &Task) {
    for left in &task.start.elsewhere {
        fence_elsewhere(task, left);
    }
}

/// Takes a drive from those who are gone and may still hold it. A drive that
/// cannot be reached at all lets nobody write either.
fn fence_elsewhere(task: &Task, left: &Left) {
    let name = task.device(&left.drive);
    let keys: Vec<Key> = left.by.iter().map(|token| task.key(*token)).collect();
    let fenced = || -> Result<(), JobError> {
        let mut drive = Drive::open(transport::open(&name)?)?;
        let held = drive.holder()?;
        if held.is_some_and(|holder| keys.contains(&Key(holder.key))) {
            session::fence(&mut drive, task.key(task.start.token), &keys)?;
            drive.release()?;
        }
        Ok(())
    };
    if let Err(error) = fenced() {
        // One that another attempt of this node has by now is nobody's who is gone.
        log::warn!("drive {} was left, and is not asked: {error}", left.drive);
    }
}

/// A journal that an attempt goes on with.
struct Carried {
    journal: PathBuf,
    /// The volume on which its set broke off.
    last: Option<Uuid>,
}

/// The journal that the attempt goes on with, if it is one. The tape knows, if
/// slowly, what it would have said.
fn carried(task: &Task) -> Result<Option<Carried>, JobError> {
    if task.start.resume.is_none() {
        return Ok(None);
    }
    let journal = Task::carried(&task.dir);
    match Recovered::look(&journal) {
        Ok(found) => {
            let last = found.volumes.last().map(|volume| volume.uuid);
            Ok(Some(Carried { journal, last }))
        }
        Err(error @ JournalError::Malformed { .. }) => {
            log::warn!("{error}: it is gone on without it");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What the attempt was given, beginning with this one of its volumes, if it is
/// one.
pub(super) fn mounts(task: &Task, first: Option<Uuid>) -> Mounts {
    let start = &task.start;
    let mut mounts = Mounts::drive(&task.device(&start.drive));
    mounts.library = start.library.as_ref().map(|serial| task.device(serial));
    mounts.volumes = start.volumes.iter().map(|v| v.name.to_string()).collect();
    mounts.identities = start.volumes.iter().map(|volume| volume.uuid).collect();
    mounts.assignment = Some(task.key(start.token));
    mounts.take_over = start
        .preempts
        .iter()
        .map(|token| task.key(*token))
        .collect();
    mounts.state.clone_from(&task.dir);
    let found = mounts
        .identities
        .iter()
        .position(|uuid| Some(*uuid) == first);
    mounts.used = found.unwrap_or(0);
    mounts
}

fn write(
    task: &Task,
    session: &mut Session,
    catalog: &Catalog,
    journal: Option<PathBuf>,
    progress: &Arc<Progress>,
    problems: &mut Vec<Problem>,
) -> Result<Done, JobError> {
    let work = &task.start.work;
    let set = Some(set_of(task.cluster, &task.start.attempt));
    let intervals = Intervals {
        checkpoint: Duration::from_millis(task.checkpoint_ms),
        flush: Duration::from_millis(task.flush_ms),
    };
    let paths: Vec<PathBuf> = work.paths.iter().map(PathBuf::from).collect();
    // It takes minutes to look: once has to do.
    let label = session.label()?;
    let tail = session.tail(&label)?;
    if journal.is_some() || has_begun(task, session, &label, &tail)? {
        let options = resume::Options {
            journal,
            asked: Asked {
                paths,
                excludes: work.excludes.clone(),
                one_file_system: work.one_file_system,
            },
            afresh: task.start.resume.is_some_and(|resume| resume.afresh),
            buffer_bytes: task.buffer_bytes,
            intervals,
            set,
            closed: closed(&task.start.volumes),
        };
        let here = (label, tail);
        let resumed = resume::behind(session, catalog, &options, here, progress, problems)?;
        return Ok(resumed.done);
    }
    let options = backup::Options {
        walk: source::Options::new(&work.excludes, work.one_file_system)
            .map_err(JobError::Usage)?,
        paths,
        buffer_bytes: task.buffer_bytes,
        intervals,
        set,
    };
    let roots = Roots::find(&options.paths).map_err(|error| JobError::Usage(error.to_string()))?;
    let here = (label, tail);
    backup::behind(session, catalog, roots, &options, here, progress, problems)
}

fn closed(volumes: &[VolumeRef]) -> Vec<Uuid> {
    let closed = volumes.iter().filter(|volume| volume.closed);
    closed.map(|volume| volume.uuid).collect()
}

/// Whether the volume ends in a set that an earlier attempt of the run has begun,
/// and of which no journal has come. Anybody else's is left alone.
fn has_begun(
    task: &Task,
    session: &mut Session,
    label: &Label,
    tail: &Tail,
) -> Result<bool, JobError> {
    let found = match tail {
        Tail::Unfinished(found) => found,
        Tail::Ready { end, .. } if end.early_warning => {
            return Err(JobError::Full(format!("volume {} is full", label.name)));
        }
        Tail::Ready { .. } => return Ok(false),
    };
    let attempt = &task.start.attempt;
    let is_ours = (0..=attempt.number).any(|number| {
        let run = attempt.run.clone();
        found.head.set == set_of(task.cluster, &AttemptId { run, number })
    });
    if is_ours {
        return Ok(true);
    }
    let what = format!(
        "{}: {found} is unfinished, and not of this run; nothing was written; end it with \
         `lh-mover close`, or go on with it",
        session.drive().label()
    );
    // Of no use to this run, as a full one.
    Err(JobError::Full(what))
}

fn verified(
    session: &mut Session,
    catalog: &Catalog,
    set: Uuid,
    progress: &Progress,
) -> Result<(), JobError> {
    let chosen = adopt::choose(session, catalog, Choice::Uuid(set), progress)?;
    let verified = verify::run(session, &chosen, progress)?;
    match verified.problems.first() {
        None => Ok(()),
        Some(first) => Err(JobError::Medium(format!(
            "{} files of set {} cannot be read back; {first}",
            verified.problems.len(),
            chosen.number
        ))),
    }
}

/// The end of an attempt that has made no set.
fn failed(dir: &Path, error: &JobError) -> Outcome {
    let exit = blame::exit_of(error);
    Outcome {
        needs_volume: error.is_full(),
        damaged: matches!(error, JobError::Damaged(_)),
        // A set's journal is there before the first byte of it.
        wrote_nothing: journal::all(dir).next().is_none(),
        ..Outcome::without_set(exit, error.to_string(), Time::from(SystemTime::now()))
    }
}

fn done(backup: &Backup, problems: &[Problem]) -> Outcome {
    let ended = Time::from(SystemTime::now());
    let Backup {
        set,
        not_in_catalog,
        flaw,
    } = backup;
    let missing = match (set, not_in_catalog) {
        (Ok(_), None) => None,
        (_, Some(why)) | (Err(why), None) => Some(format!("the catalog does not know it: {why}")),
    };
    let unread = counted(problems);
    let exit = match flaw {
        Some(error) => error.exit_status(),
        None if missing.is_some() || unread.is_some() => ExitStatus::Incomplete,
        None => ExitStatus::Done,
    };
    let words = flaw
        .as_ref()
        .map(|error| format!("the set is done, and not verified: {error}"));
    let words: Vec<String> = words.into_iter().chain(missing).chain(unread).collect();
    Outcome {
        exit,
        error: (!words.is_empty()).then(|| words.join("; ")),
        set: set.as_ref().ok().cloned(),
        ..Outcome::done(ended)
    }
}

/// The first of these, and how many there are beside it.
pub(super) fn counted(problems: &[Problem]) -> Option<String> {
    let first = problems.first()?;
    Some(match problems.len() {
        1 => first.to_string(),
        count => format!("{first}, and {} others", count - 1),
    })
}

/// What the coordinator's catalog is to know of the set.
fn set_done(catalog: &Catalog, set: Uuid) -> Result<SetDone, String> {
    let record = catalog.set(set).map_err(|error| super::chain(&error))?;
    let record = record.ok_or("it was not entered")?;
    let first = record.parts.first().map(|part| part.volume);
    let volume = first.and_then(|uuid| catalog.volume(uuid).ok().flatten());
    let file = catalog.set_path(set);
    let parts = record.parts.iter().map(|part| SetPart {
        volume: part.volume,
        tape_file: part.tape_file,
        first_block: part.first_block,
        stream_offset: part.stream_offset,
    });
    Ok(SetDone {
        uuid: record.uuid,
        parts: parts.collect(),
        record_bytes: volume.map_or(0, |volume| volume.record_bytes),
        host: record.host,
        started: Time(record.started_ms),
        members: record.members,
        bytes: record.bytes,
        damaged: record.errors,
        file_bytes: fs::metadata(file).map_or(0, |found| found.len()),
    })
}

/// Makes points of checkpoints. They are all of one journal, which has a second
/// name in the attempt's folder: it outlives the set's end there.
struct Reporter {
    journal: PathBuf,
    /// The set that is begun, where an earlier one is ended before: its
    /// checkpoints are nobody's business any more.
    only: Option<Uuid>,
    /// The journal's inode number.
    of: Mutex<Option<u64>>,
}

impl Reporter {
    fn new(task: &Task) -> Reporter {
        let afresh = task.start.resume.is_some_and(|resume| resume.afresh);
        Reporter {
            journal: Task::journal(&task.dir),
            only: afresh.then(|| set_of(task.cluster, &task.start.attempt)),
            of: Mutex::new(None),
        }
    }

    fn point(&self, reached: &Reached) -> Option<Point> {
        if self.only.is_some_and(|only| only != reached.set) {
            return None;
        }
        match self.is_the_one(&reached.journal) {
            Ok(true) => {}
            Ok(false) => {
                log::warn!("the journal was written anew: its checkpoints stay on this node");
                return None;
            }
            Err(error) => {
                log::warn!("a checkpoint stays on this node: {error}");
                return None;
            }
        }
        Some(Point {
            taken: Time(reached.taken_ms),
            volume: reached.volume,
            block: reached.block,
            members: reached.members,
            bytes: reached.bytes,
            journal_bytes: reached.journal_bytes,
        })
    }

    /// Whether this is the journal that has the second name, which it gets if
    /// none has.
    fn is_the_one(&self, journal: &Path) -> std::io::Result<bool> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let inode = fs::metadata(journal)?.ino();
        if of.is_none() {
            fs::hard_link(journal, &self.journal)?;
            File::open(self.journal.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(*of.get_or_insert(inode) == inode)
    }
}
