//! The restore target as its caller sees it, checked with plain system calls
//! against the file system, never through the code under test.

mod acls;
mod escapes;
mod links;
mod metadata;
mod overwrite;
mod unprivileged;
mod whole;

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use longhaul_format::member::{Kind, Member, Segment, Time};
use tempfile::TempDir;

use super::{Begun, Counts, Error, Options, Outcome, Overwrite, Target, Warning};

/// A time with nanoseconds, long ago.
const THEN: Time = Time {
    seconds: 1_000_000_000,
    nanoseconds: 123_456_789,
};

/// A member that belongs to whoever runs the test.
fn member(path: impl AsRef<[u8]>, kind: Kind) -> Member {
    Member {
        path: path.as_ref().to_vec(),
        mode: if kind == Kind::Directory {
            0o755
        } else {
            0o644
        },
        kind,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime: THEN,
        xattrs: Vec::new(),
        acl_access: None,
        acl_default: None,
        comment: None,
    }
}

fn directory(path: impl AsRef<[u8]>) -> Member {
    member(path, Kind::Directory)
}

fn file(path: impl AsRef<[u8]>, size: usize) -> Member {
    member(
        path,
        Kind::File {
            size: size as u64,
            sparse: None,
        },
    )
}

fn symlink(path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Member {
    member(
        path,
        Kind::Symlink {
            target: target.as_ref().to_vec(),
        },
    )
}

fn hard_link(path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Member {
    member(
        path,
        Kind::HardLink {
            target: target.as_ref().to_vec(),
        },
    )
}

/// A target inside a directory of its own, so that what gets out is seen.
struct Room {
    _outer: TempDir,
    outer: PathBuf,
    dir: PathBuf,
    target: Target,
}

impl Room {
    fn new(overwrite: Overwrite) -> Room {
        Room::prepared(overwrite, |_| {})
    }

    /// With `prepare` having filled the directory before.
    fn prepared(overwrite: Overwrite, prepare: impl FnOnce(&Path)) -> Room {
        let temp = tempfile::tempdir().expect("a directory");
        let outer = temp.path().to_path_buf();
        let dir = outer.join("target");
        std::fs::create_dir(&dir).expect("a directory");
        std::fs::write(outer.join("sentinel"), "untouched").expect("a file");
        prepare(&dir);
        let target = open(&dir, overwrite);
        Room {
            _outer: temp,
            outer,
            dir,
            target,
        }
    }

    /// Restores a member that has no data, or all of `data`.
    fn put(&mut self, member: &Member, data: &[u8]) -> Result<Outcome, Error> {
        match self.target.begin(member)? {
            Begun::Done(outcome) => Ok(outcome),
            Begun::Content(mut file) => {
                file.data(0, data)?;
                self.target.end(file)
            }
        }
    }

    /// Restores a member that must succeed, without a warning.
    #[track_caller]
    fn put_whole(&mut self, member: &Member, data: &[u8]) {
        match self.put(member, data).expect("restored") {
            Outcome::Restored(warnings) => assert_none(&warnings),
            Outcome::Skipped(skip) => panic!("skipped: {skip}"),
        }
    }

    /// Ends the restore, which must give no warning.
    #[track_caller]
    fn finish(mut self) -> (Finished, Counts) {
        let mut warnings = Vec::new();
        let counts = self.target.finish(&mut |warning| warnings.push(warning));
        assert_none(&warnings);
        self.target.sync().expect("kept");
        (
            Finished {
                _outer: self._outer,
                dir: self.dir,
            },
            counts,
        )
    }

    #[track_caller]
    fn assert_nothing_outside(&self) {
        let mut names: Vec<_> = entries(&self.outer);
        names.sort();
        assert_eq!(names, ["sentinel", "target"]);
        let sentinel = self.outer.join("sentinel");
        assert_eq!(
            std::fs::read(&sentinel).expect("the sentinel"),
            b"untouched"
        );
        assert_eq!(lstat(&sentinel).nlink(), 1);
    }

    /// No file under a temporary name is left anywhere in the target.
    #[track_caller]
    fn assert_nothing_unfinished(&self) {
        let left = entries(&self.dir);
        assert!(
            left.iter().all(|name| !name.starts_with(super::PREFIX)),
            "{left:?}"
        );
    }
}

/// What is left of a room when the restore has ended.
struct Finished {
    _outer: TempDir,
    dir: PathBuf,
}

fn open(dir: &Path, overwrite: Overwrite) -> Target {
    Target::open(dir, Options::for_this_user(overwrite)).expect("a target")
}

#[track_caller]
fn assert_none(warnings: &[Warning]) {
    assert!(warnings.is_empty(), "{warnings:?}");
}

fn lstat(path: &Path) -> Metadata {
    path.symlink_metadata()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn mtime(path: &Path) -> Time {
    let stat = lstat(path);
    let nanoseconds = u32::try_from(stat.mtime_nsec()).expect("below a second");
    Time {
        seconds: stat.mtime(),
        nanoseconds,
    }
}

fn entries(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into()
        })
        .collect()
}

/// Whether a test that needs root can run; says so if not.
fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED {test}: needs root");
    }
    root
}

/// An attribute as the kernel has it, of the thing itself.
fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 65_536];
    let len = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(len);
    Some(value)
}

/// Whether this file system keeps what the test is about; says so if not.
fn keeps(test: &str, name: &str, value: &[u8]) -> bool {
    let dir = tempfile::tempdir().expect("a directory");
    let flags = rustix::fs::XattrFlags::empty();
    let set = rustix::fs::setxattr(dir.path(), name, value, flags);
    if let Err(error) = set {
        eprintln!("SKIPPED {test}: {name} cannot be set here: {error}");
    }
    set.is_ok()
}
