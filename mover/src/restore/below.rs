//! The directories below the target: every one is opened from its parent's
//! descriptor, and never through a symbolic link.
//!
//! Members come in path order, so the chain of directories that leads to one
//! is nearly always the chain to the next: it is kept open, the deepest
//! [`OPEN_LEVELS_MAX`] levels of it. Where a path goes up farther than that,
//! the chain is walked again from the target.

use std::collections::HashSet;
use std::sync::Arc;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::error::{Error, Step};
use super::node::Node;
use super::path::MemberPath;

/// Most directories that are held open at a time; far below the usual limit of
/// 1,024 open files.
const OPEN_LEVELS_MAX: usize = 64;

/// How a name is resolved: not above its directory, through no symbolic link,
/// through none of the links in /proc that are more than links.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// What tells one file from all others that exist at the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    dev: u64,
    ino: u64,
}

impl FileId {
    pub(super) fn of(stat: &Stat) -> FileId {
        FileId {
            dev: stat.st_dev,
            ino: stat.st_ino,
        }
    }
}

/// What to do where a directory of a path does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Make it.
    Create,
    /// Fail with the kernel's error.
    Fail,
}

/// A directory in which a member is made.
#[derive(Debug, Clone)]
pub(super) struct Parent {
    /// Opened with `O_PATH`.
    pub(super) fd: Arc<OwnedFd>,
    /// Whether it has a default ACL, which the kernel gives to all that is
    /// made in it, whatever the archive says.
    pub(super) has_default_acl: bool,
}

impl Parent {
    fn of(fd: OwnedFd) -> Parent {
        let has_default_acl = Node::Path(fd.as_fd()).has_default_acl();
        Parent {
            fd: Arc::new(fd),
            has_default_acl,
        }
    }
}

struct Level {
    name: Box<[u8]>,
    /// None where the chain is too long to hold all of it open.
    directory: Option<Parent>,
}

/// The target directory and the way to the last member in it.
pub(super) struct Below {
    root: Parent,
    levels: Vec<Level>,
    created: HashSet<FileId>,
}

impl Below {
    /// Starts at `root`, which was opened by the user's word.
    pub(super) fn new(root: OwnedFd) -> Below {
        Below {
            root: Parent::of(root),
            levels: Vec::new(),
            created: HashSet::new(),
        }
    }

    /// The directory that `path` lies in.
    ///
    /// # Errors
    /// If a component is a symbolic link or no directory, or the kernel
    /// refuses to open or make it.
    pub(super) fn parent(&mut self, path: &MemberPath, missing: Missing) -> Result<Parent, Error> {
        let same = self.levels.iter().zip(path.parents());
        let common = same
            .take_while(|(level, name)| *level.name == **name)
            .count();
        self.levels.truncate(common);
        if self
            .levels
            .last()
            .is_some_and(|level| level.directory.is_none())
        {
            self.levels.clear();
        }
        for name in path.parents().skip(self.levels.len()) {
            self.descend(path, name, missing)?;
        }
        Ok(self.here().clone())
    }

    /// Makes the directory `name` in `parent`, with mode 0700 and without the
    /// ACLs it would inherit, for as long as the restore takes.
    pub(super) fn make_directory(
        &mut self,
        parent: &Parent,
        path: &[u8],
        name: &[u8],
    ) -> Result<(), Error> {
        rustix::fs::mkdirat(&parent.fd, name, Mode::RWXU)
            .map_err(Error::io(path, Step::CreateDirectory))?;
        let fd = open_directory(parent, name, OFlags::PATH)
            .map_err(Error::io(path, Step::OpenDirectory))?;
        let stat = rustix::fs::fstat(&fd).map_err(Error::io(path, Step::Look))?;
        let node = Node::Path(fd.as_fd());
        if parent.has_default_acl {
            node.remove_acls();
        }
        // A default ACL or a strange umask can close it even to its owner.
        if stat.st_mode & 0o777 != 0o700 {
            node.set_mode(0o700)
                .map_err(Error::io(path, Step::CreateDirectory))?;
        }
        self.created.insert(FileId::of(&stat));
        Ok(())
    }

    /// Whether this run made the directory.
    pub(super) fn created(&self, directory: &Stat) -> bool {
        self.created.contains(&FileId::of(directory))
    }

    fn here(&self) -> &Parent {
        self.levels
            .last()
            .and_then(|level| level.directory.as_ref())
            .unwrap_or(&self.root)
    }

    fn descend(&mut self, path: &MemberPath, name: &[u8], missing: Missing) -> Result<(), Error> {
        let here = self.here().clone();
        let depth = self.levels.len();
        let mut opened = open_directory(&here, name, OFlags::PATH);
        if missing == Missing::Create && matches!(opened, Err(Errno::NOENT)) {
            self.make_directory(&here, path.prefix(depth), name)?;
            opened = open_directory(&here, name, OFlags::PATH);
        }
        let fd = opened.map_err(|source| {
            let (path, at) = (path.bytes().to_vec(), path.prefix(depth).to_vec());
            match source {
                Errno::LOOP => Error::ThroughSymlink { path, at },
                Errno::NOTDIR => Error::NotADirectory { path, at },
                _ => Error::Io {
                    path: at,
                    step: Step::OpenDirectory,
                    source,
                },
            }
        })?;
        self.levels.push(Level {
            name: name.into(),
            directory: Some(Parent::of(fd)),
        });
        if let Some(above) = self.levels.len().checked_sub(OPEN_LEVELS_MAX + 1) {
            self.levels[above].directory = None;
        }
        Ok(())
    }
}

/// Opens the directory `name` in `parent`, itself and no link.
///
/// # Errors
/// `ELOOP` for a symbolic link, `ENOTDIR` for any other thing, or the kernel's.
pub(super) fn open_directory(parent: &Parent, name: &[u8], how: OFlags) -> Result<OwnedFd, Errno> {
    let flags = how | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(&parent.fd, name, flags, Mode::empty(), RESOLVE)
}

/// Opens whatever `name` in `parent` is, as a mere handle: a symbolic link
/// itself, a device without its driver being asked.
pub(super) fn open_handle(parent: &Parent, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(&parent.fd, name, flags, Mode::empty(), RESOLVE)
}

/// What stands under `name` in `parent`, if anything.
pub(super) fn look(parent: &Parent, path: &[u8], name: &[u8]) -> Result<Option<Stat>, Error> {
    match rustix::fs::statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(source) => Err(Error::Io {
            path: path.to_vec(),
            step: Step::Look,
            source,
        }),
    }
}

/// Whether the directory `path` in `parent` holds nothing.
pub(super) fn is_empty(parent: &Parent, path: &MemberPath) -> Result<bool, Error> {
    let fd = open_directory(parent, path.name(), OFlags::RDONLY)
        .map_err(Error::io(path.bytes(), Step::OpenDirectory))?;
    let entries = rustix::fs::Dir::new(fd).map_err(Error::io(path.bytes(), Step::OpenDirectory))?;
    for entry in entries {
        let entry = entry.map_err(Error::io(path.bytes(), Step::Look))?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}
