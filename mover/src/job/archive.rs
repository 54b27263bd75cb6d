//! One archive through the pipeline to the drive.

use std::io;
use std::path::Path;

use crossbeam_channel::bounded;
use longhaul_ffi::buffer::Pool;
use longhaul_format::archive::{Layout, SetHead};
use longhaul_format::index::Entry as IndexEntry;
use longhaul_format::member::{Kind, Member, Time};

use super::JobError;
use crate::drive::Drive;
use crate::pipeline::assemble::{AssembleError, Assembler};
use crate::pipeline::digest;
use crate::pipeline::write::{self, AtEarlyWarning, WriteStopped};
use crate::progress::Progress;
use crate::source::{Entry, Found, Inode, Problem};

/// Where an archive goes, and what it begins with.
pub struct Plan<'a> {
    /// Says what the tape file is; `None` where the archive goes on.
    pub head: Option<&'a SetHead>,
    /// Where the layout begins.
    pub layout: Layout,
    /// Bytes of a record.
    pub record_bytes: usize,
    /// The tape block in which offset 0 of the archive lies.
    pub first_block: u64,
    /// What early warning means here.
    pub at_early_warning: AtEarlyWarning,
}

/// Writes one archive: lays out what `found` gives, reads it, hashes it and
/// writes it, each on a thread of its own; each member's index entry goes to
/// `each`. Neither filemark nor synchronisation follows.
///
/// # Errors
/// What stopped the drive, `each` or the reading, in this order of importance.
/// What went wrong with files is in `problems` in any case.
pub fn write(
    drive: &mut Drive,
    pool: &Pool,
    plan: Plan<'_>,
    found: impl Iterator<Item = Found>,
    each: impl FnMut(Box<IndexEntry>) -> io::Result<()> + Send,
    progress: &Progress,
    problems: &mut Vec<Problem>,
) -> Result<(), JobError> {
    let Plan {
        head,
        layout,
        record_bytes,
        first_block,
        at_early_warning,
    } = plan;
    let (records, to_hash) = bounded(pool.count());
    let (hashed, to_join) = bounded(pool.count());
    let (joined, to_drive) = bounded(pool.count());
    let (assembled, spooled, written) = std::thread::scope(|scope| {
        for _ in 0..digest::threads() {
            let (to_hash, hashed) = (to_hash.clone(), hashed.clone());
            scope.spawn(move || digest::hash(&to_hash, &hashed));
        }
        // A channel ends when all its senders, or receivers, are gone.
        drop((to_hash, hashed));
        let joining = scope.spawn(|| {
            let (to_join, joined) = (to_join, joined);
            digest::join(&to_join, &joined, each, progress)
        });
        let writing = scope.spawn(|| write::run(drive, to_drive, at_early_warning, progress));
        let assembler = Assembler::new(
            layout,
            record_bytes,
            first_block,
            pool.clone(),
            records,
            progress,
        );
        let assembled =
            assembler.and_then(|assembler| assemble(assembler, head, found, progress, problems));
        (assembled, ended(joining), ended(writing))
    });
    match written {
        Err(WriteStopped::Drive(error)) => return Err(error.into()),
        Err(WriteStopped::EarlyWarning) => {
            return Err(JobError::NeedsVolume("the volume is full".into()));
        }
        Ok(()) => {}
    }
    spooled.map_err(|error| JobError::local("writing the index spool", error))?;
    assembled.map_err(|error| match error {
        AssembleError::Ring(source) => JobError::local("reading the source", source),
        error => JobError::Unfinished(error.to_string()),
    })
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
    progress: &Progress,
    problems: &mut Vec<Problem>,
) -> Result<(), AssembleError> {
    let result = lay_out(&mut assembler, head, found, progress);
    problems.append(&mut assembler.problems);
    result
}

fn lay_out(
    assembler: &mut Assembler<'_>,
    head: Option<&SetHead>,
    found: impl Iterator<Item = Found>,
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
