//! One archive through the pipeline to the drive.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use longhaul_ffi::buffer::Pool;
use longhaul_format::archive::SetHead;
use longhaul_format::member::{Kind, Member, Time};

use super::JobError;
use super::ledger::{Ledger, Note};
use crate::checkpoint::Cursor;
use crate::checkpoint::tracker::Tracker;
use crate::drive::Drive;
use crate::newest::newest;
use crate::pipeline::assemble::{AssembleError, Assembler, Start};
use crate::pipeline::digest;
use crate::pipeline::write::{self, AtEarlyWarning, Checkpoints, WriteStopped};
use crate::progress::Progress;
use crate::source::{Entry, Found, Inode, Problem};

/// Notes under way to the ledger: its disk may be slow for a while.
const NOTES: usize = 1 << 14;
/// So many of them are taken at once, at most.
const BATCH: usize = 1 << 10;

/// Where an archive goes, and what it begins with.
pub struct Plan<'a> {
    /// Says what the tape file is; `None` where the archive goes on.
    pub head: Option<&'a SetHead>,
    /// Where it begins or goes on.
    pub start: Start,
    /// The same, as far as the source is concerned.
    pub from: &'a Cursor,
    /// What early warning means here.
    pub at_early_warning: AtEarlyWarning,
    /// What is written down of it.
    pub kept: Option<Kept<'a>>,
}

/// What is written down of a set while it is written.
pub struct Kept<'a> {
    /// Takes what the pipeline has to say.
    pub ledger: &'a mut Ledger,
    /// Tells what is on the medium.
    pub tracker: &'a mut Tracker,
}

/// Writes one archive: lays out what `found` gives, reads it, hashes it and
/// writes it, each on a thread of its own. Neither filemark nor synchronisation
/// follows.
///
/// # Errors
/// What stopped the drive, the ledger or the reading, in this order of
/// importance. What went wrong with files is in `problems` in any case.
pub fn write(
    drive: &mut Drive,
    pool: &Pool,
    plan: Plan<'_>,
    found: impl Iterator<Item = Found>,
    progress: &Progress,
    problems: &mut Vec<Problem>,
) -> Result<(), JobError> {
    let Plan {
        head,
        start,
        from,
        at_early_warning,
        kept,
    } = plan;
    let (ledger, tracker) = match kept {
        Some(Kept { ledger, tracker }) => (Some(ledger), Some(tracker)),
        None => (None, None),
    };
    let (records, to_hash) = bounded(pool.count());
    let (hashed, to_join) = bounded(pool.count());
    let (joined, to_drive) = bounded(pool.count());
    let (notes, to_ledger) = bounded(NOTES);
    // A channel keeps what is in it for as long as there are senders, and with
    // it the buffers for which the assembler waits. So whoever gives up has the
    // assembler stop, and takes what comes until then.
    let broken = AtomicBool::new(false);
    let (assembled, noted, written) = std::thread::scope(|scope| {
        for _ in 0..digest::threads() {
            let (to_hash, hashed) = (to_hash.clone(), hashed.clone());
            scope.spawn(move || digest::hash(&to_hash, &hashed));
        }
        let broken = &broken;
        // A channel ends when all its senders are gone.
        drop((to_hash, hashed));
        let noting = scope.spawn(move || take_notes(to_ledger, ledger, progress));
        let entries = notes.clone();
        scope.spawn(move || {
            let (to_join, joined) = (to_join, joined);
            let each = |entry| entries.send(Note::Entry(entry)).map_err(drop);
            // If nobody takes notes any more, whoever did tells why.
            let _ = digest::join(&to_join, &joined, from, each, progress);
            pour_away(&to_join, broken);
        });
        let checkpoints = notes.clone();
        let writing = scope.spawn(move || {
            let mut publish = |checkpoint| {
                let _ = checkpoints.send(Note::Checkpoint(Box::new(checkpoint)));
            };
            let checkpoints = tracker.map(|tracker| Checkpoints {
                tracker,
                publish: &mut publish,
            });
            let written = write::run(drive, &to_drive, at_early_warning, checkpoints, progress);
            pour_away(&to_drive, broken);
            written
        });
        let assembled = Assembler::new(start, pool.clone(), records, progress, broken)
            .and_then(|assembler| assemble(assembler, head, found, &notes, progress, problems));
        drop(notes);
        (assembled, ended(noting), ended(writing))
    });
    match written {
        Err(WriteStopped::Drive(error)) => return Err(error.into()),
        Err(WriteStopped::EarlyWarning) => {
            return Err(JobError::NeedsVolume("the volume is full".into()));
        }
        Ok(()) => {}
    }
    noted?;
    assembled.map_err(|error| match error {
        AssembleError::Ring(source) => JobError::local("reading the source", source),
        error => JobError::Unfinished(error.to_string()),
    })
}

/// Takes what comes until nothing does. By then the assembler has come to its
/// end, or is to stop.
fn pour_away<T>(channel: &Receiver<T>, broken: &AtomicBool) {
    broken.store(true, Ordering::Relaxed);
    channel.iter().for_each(drop);
}

fn take_notes(
    notes: Receiver<Note>,
    ledger: Option<&mut Ledger>,
    progress: &Progress,
) -> Result<(), JobError> {
    let Some(ledger) = ledger else {
        notes.iter().for_each(drop);
        return Ok(());
    };
    while let Ok(first) = notes.recv() {
        let batch = [first].into_iter().chain(notes.try_iter());
        let batch = batch.take(BATCH).collect();
        // A disk that is slower than checkpoints come has the newest one all the same.
        let checkpoint = |note: &Note| matches!(note, Note::Checkpoint(_)).then_some(());
        for note in newest(batch, checkpoint) {
            ledger.note(note, progress)?;
        }
    }
    Ok(())
}

fn ended<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn assemble(
    mut assembler: Assembler<'_>,
    head: Option<&SetHead>,
    found: impl Iterator<Item = Found>,
    notes: &Sender<Note>,
    progress: &Progress,
    problems: &mut Vec<Problem>,
) -> Result<(), AssembleError> {
    let mut note = |found: &mut Vec<Problem>| {
        for problem in found.drain(..) {
            // If nobody takes notes any more, whoever did tells why.
            let _ = notes.send(Note::Problem(problem.clone()));
            problems.push(problem);
        }
    };
    let result = lay_out(&mut assembler, head, found, &mut note, progress);
    note(&mut assembler.problems);
    result
}

fn lay_out(
    assembler: &mut Assembler<'_>,
    head: Option<&SetHead>,
    found: impl Iterator<Item = Found>,
    note: &mut impl FnMut(&mut Vec<Problem>),
    progress: &Progress,
) -> Result<(), AssembleError> {
    if let Some(head) = head {
        assembler.begin(head)?;
    }
    for found in found {
        if progress.stopping() {
            return Err(AssembleError::Interrupted);
        }
        match found {
            Found::Entry(entry) => assembler.add(*entry)?,
            Found::Problem(problem) => assembler.problems.push(problem),
        }
        note(&mut assembler.problems);
    }
    assembler.finish()
}

/// An entry of our own making, with `content` in a file without a name in
/// `dir`.
///
/// # Errors
/// If no file can be made there.
pub fn own_entry(path: &str, content: &[u8], dir: &Path) -> Result<Found, JobError> {
    use std::io::Write;
    let mut file = tempfile::tempfile_in(dir)
        .map_err(|error| JobError::local(format!("a file in {}", dir.display()), error))?;
    file.write_all(content)
        .map_err(|error| JobError::local(format!("a file in {}", dir.display()), error))?;
    own_file(path, file)
}

/// An entry of our own making, with a file's content.
///
/// # Errors
/// If the file's length cannot be told.
pub fn own_file(path: &str, file: std::fs::File) -> Result<Found, JobError> {
    let stat = rustix::fs::fstat(&file).map_err(|error| JobError::local(path, error.into()))?;
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let member = Member {
        path: path.as_bytes().to_vec(),
        kind: Kind::File { size, sparse: None },
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Time {
            seconds: stat.st_mtime,
            nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        },
        xattrs: Vec::new(),
        acl_access: None,
        acl_default: None,
        comment: None,
    };
    let file = (size > 0).then(|| file.into());
    let inode = Inode {
        nlink: 1,
        ..Inode::default()
    };
    Ok(Found::Entry(Box::new(Entry {
        member,
        inode,
        file,
        direct: None,
    })))
}
