//! A tree with every kind of entry that a backup must bring back.
//!
//! Each part is a folder of its own below the root, named after what it tries,
//! so that a difference names its cause:
//!
//! | folder | holds |
//! | --- | --- |
//! | `owners`, `modes`, `times` | ids above what ustar holds, set-id and sticky bits, nanoseconds, before 1970 |
//! | `acls`, `xattrs` | access and default ACLs; user, trusted and capability attributes |
//! | `links`, `symlinks` | one file under several names, in and against the order; dangling, long, odd targets |
//! | `nodes` | devices and FIFOs |
//! | `sparse` | holes at the start, in the middle, at the end, everywhere; over 8 GiB |
//! | `sizes`, `many`, `large` | lengths around records and blocks, 1,000 small files, over 64 MiB |
//! | `names`, `deep`, `order` | 1 to 255 bytes, not UTF-8, control characters; 3,700 bytes deep; names that sort around `/` |
//!
//! The same call gives the same tree, times included, so two trees can be made
//! and compared.

mod contents;
mod metadata;
mod names;
mod nodes;

use std::fs::{self, DirEntry, File};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use contents::bytes;

/// The length of a record, around which file lengths are chosen, in bytes.
pub const RECORD_BYTES: u64 = 512 << 10;

/// What was made.
#[derive(Debug)]
pub struct Tree {
    /// The root.
    pub root: PathBuf,
    /// What the host could not make, each with its reason.
    pub left_out: Vec<String>,
}

/// Makes the tree at `root`, which must not be there yet. It takes some 100 MB
/// on disk.
///
/// # Errors
/// If something fails that works on every host. What works only on some is
/// left out, and named on standard error.
pub fn make(root: &Path) -> Result<Tree> {
    fs::create_dir(root).with_context(|| format!("cannot make {}", root.display()))?;
    let mut maker = Maker {
        root: root.canonicalize()?,
        left_out: Vec::new(),
    };
    maker.contents()?;
    maker.names()?;
    maker.nodes()?;
    maker.metadata()?;
    maker.settle()?;
    for what in &maker.left_out {
        eprintln!("left out of the tree: {what}");
    }
    Ok(Tree {
        root: maker.root,
        left_out: maker.left_out,
    })
}

struct Maker {
    root: PathBuf,
    left_out: Vec<String>,
}

impl Maker {
    /// Makes a folder of the root.
    fn part(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Does what not every host can.
    fn try_to(&mut self, what: &str, done: io::Result<()>) {
        if let Err(error) = done {
            self.left_out.push(format!("{what}: {error}"));
        }
    }

    /// Gives every entry whose time was not chosen one that depends on its
    /// path alone, so that the same call gives the same tree. Contents come
    /// before their folders, since making one changes the other.
    fn settle(&self) -> Result<()> {
        settle_below(&self.root, b"")?;
        settle_one(&self.root, b"")
    }
}

/// Times in here were not chosen by a part: the tree is made now.
const NOW_S: Range<i64> = 1_650_000_000..4_000_000_000;

fn settle_below(folder: &Path, name: &[u8]) -> Result<()> {
    let mut entries: Vec<DirEntry> = fs::read_dir(folder)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot list {}", folder.display()))?;
    // A file of several names gets its time by the first.
    entries.sort_by_key(DirEntry::file_name);
    for entry in entries {
        let name = [name, b"/", entry.file_name().as_bytes()].concat();
        if entry.file_type()?.is_dir() {
            settle_below(&entry.path(), &name)?;
        }
        settle_one(&entry.path(), &name)?;
    }
    Ok(())
}

fn settle_one(path: &Path, name: &[u8]) -> Result<()> {
    if !NOW_S.contains(&path.symlink_metadata()?.mtime()) {
        return Ok(());
    }
    let hash = name.iter().fold(17u32, |hash, byte| {
        hash.wrapping_mul(16_777_619) ^ u32::from(*byte)
    });
    let seconds = 1_500_000_000 + i64::from(hash % 100_000_000);
    set_time(
        path,
        seconds,
        i64::from(hash.wrapping_mul(2_654_435_761) % 1_000_000_000),
    )
    .with_context(|| format!("cannot set the time of {}", path.display()))
}

/// Sets the modification time of a file, or of a symlink itself. Access times
/// go along: they are not part of a backup.
fn set_time(path: &Path, seconds: i64, nanoseconds: i64) -> io::Result<()> {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// A file of these bytes.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// An empty file, open for writing.
fn create(path: &Path) -> Result<File> {
    File::create_new(path).with_context(|| format!("cannot make {}", path.display()))
}
