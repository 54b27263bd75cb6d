//! The source: what is to be backed up, found ahead of time and in one order.
//!
//! [`Source`] walks directories in the byte order of full paths (a directory's
//! path ends in `/`), and gives one [`Found`] after the other: an entry whose
//! metadata has been read and, if it is a regular file with content, opened;
//! or a problem, named. A file that cannot be opened so never gets a header in
//! the archive.
//!
//! One thread (`walk`) decides the order. A pool of threads does what waits
//! for disks: it lists directories ahead of the walk, and opens and examines
//! files (`examine`) in batches. The batches come back in the walk's order,
//! whichever ends first. Everything is bounded: batches under way, open files,
//! listings ahead.

mod estimate;
mod examine;
mod roots;
#[cfg(test)]
mod tests;
mod walk;

use std::fs::File;
use std::sync::Arc;

use longhaul_format::member::Member;
use serde::{Deserialize, Serialize};

use crate::shown::Shown;

pub use estimate::estimate;
pub use roots::{Roots, RootsError};
pub use walk::{Options, Source, open_files};

/// What the source has found next.
#[derive(Debug)]
pub enum Found {
    /// Something to put into the archive.
    Entry(Box<Entry>),
    /// Something that could not be read.
    Problem(Problem),
}

/// One thing to put into the archive.
#[derive(Debug)]
pub struct Entry {
    /// What the archive will say of it.
    pub member: Member,
    /// What the file system calls it.
    pub inode: Inode,
    /// The content of a regular file that is not empty, open for reading.
    pub file: Option<Arc<File>>,
    /// The same content past the page cache, of a large file whose file system
    /// can do that: one copy less, and the applications' cached pages stay.
    pub direct: Option<Arc<File>>,
}

/// The identity of a file in its file system, and when it last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inode {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Names it has.
    pub nlink: u64,
    /// Last change of the inode, in nanoseconds since 1970.
    pub ctime_ns: i64,
}

/// Something that could not be read, or not as it stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The member's path (without the leading `/`).
    #[serde(with = "crate::checkpoint::name")]
    pub path: Vec<u8>,
    /// What happened, in words.
    pub what: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.what);
        }
        write!(f, "{}: {}", Shown(&self.path), self.what)
    }
}

impl Problem {
    pub(crate) fn new(path: &[u8], what: impl Into<String>) -> Problem {
        Problem {
            path: path.to_vec(),
            what: what.into(),
        }
    }
}
