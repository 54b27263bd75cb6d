//! The directory that an archive is restored into.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use longhaul_format::member::{Kind, Member};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};

use super::below::{Below, FileId, Missing, Parent, is_empty, look, open_directory};
use super::directories::Directories;
use super::error::{Error, Step, Warning};
use super::file::NewFile;
use super::filesystems::FileSystems;
use super::metadata::{Applied, Attributes, Origin, Owners};
use super::node::Node;
use super::path::MemberPath;
use super::policy::{Overwrite, Skip, is_directory, mtime};
use super::special;

/// How to restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What to do with a member whose path is taken.
    pub overwrite: Overwrite,
    /// Whether files get back their owners.
    pub owners: Owners,
}

impl Options {
    /// What suits the user who runs this: root restores owners, and others,
    /// who could not, leave them.
    pub fn for_this_user(overwrite: Overwrite) -> Options {
        let root = rustix::process::geteuid().is_root();
        Options {
            overwrite,
            owners: if root { Owners::Restore } else { Owners::Leave },
        }
    }
}

/// What became of a member.
#[derive(Debug)]
pub enum Outcome {
    /// It is in place; with warnings, not all of it. (A directory's own
    /// warnings come from [`Target::finish`].)
    Restored(Vec<Warning>),
    /// It was left out, as the options have it.
    Skipped(Skip),
}

/// What a member needs next.
#[derive(Debug)]
pub enum Begun {
    /// The data of a regular file, and then [`Target::end`].
    Content(NewFile),
    /// Nothing.
    Done(Outcome),
}

/// How much was restored so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Members in place, with warnings or without.
    pub restored: u64,
    /// Those of them with warnings.
    pub incomplete: u64,
    /// Those whose owner differs because owners were to be left.
    pub owners_left: u64,
    /// Members left out because of what was there.
    pub skipped: u64,
}

/// A directory, and the restore into it.
///
/// After any error of one member the next may follow. Without
/// [`Target::finish`], directories that were made stay closed to all but their
/// maker.
pub struct Target {
    options: Options,
    below: Below,
    directories: Directories,
    /// What hard links may point to: files whose content is the archive's.
    restored: HashSet<FileId>,
    file_systems: FileSystems,
    counts: Counts,
}

impl Target {
    /// Opens `dir`, which must exist. If it is a symbolic link, where it leads
    /// is the target: the user named it, not the archive.
    ///
    /// # Errors
    /// [`Error::OpenTarget`] if it cannot be opened.
    pub fn open(dir: &Path, options: Options) -> Result<Target, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            rustix::fs::open(dir, flags, Mode::empty()).map_err(|source| Error::OpenTarget {
                dir: dir.as_os_str().as_bytes().to_vec(),
                source,
            })?;
        Ok(Target {
            options,
            below: Below::new(root),
            directories: Directories::default(),
            restored: HashSet::new(),
            file_systems: FileSystems::default(),
            counts: Counts::default(),
        })
    }

    /// How much was restored so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Makes the member, or, of a regular file, all but its data.
    ///
    /// # Errors
    /// [`Error`] says why the member cannot be restored; nothing of it is
    /// left, and nothing outside the target was touched.
    pub fn begin(&mut self, member: &Member) -> Result<Begun, Error> {
        let path = match member.kind {
            Kind::Directory => MemberPath::of_directory(&member.path),
            _ => MemberPath::of_file(&member.path),
        };
        let path = path.map_err(|why| Error::BadPath {
            path: member.path.clone(),
            why,
        })?;
        match &member.kind {
            Kind::Directory => self.directory(member, path).map(Begun::Done),
            Kind::File { size, sparse } => self.file(member, path, *size, sparse.as_deref()),
            Kind::HardLink { target } => self.hard_link(member, path, target).map(Begun::Done),
            _ => self.special(member, path).map(Begun::Done),
        }
    }

    /// Sets the metadata of a file that has all its data, and puts it in place.
    ///
    /// # Errors
    /// [`Error::Short`] if data is missing, or why it cannot be put in place.
    /// The file is removed then.
    pub fn end(&mut self, file: NewFile) -> Result<Outcome, Error> {
        let applied = file.finish(self.options.owners)?;
        Ok(self.placed(applied))
    }

    /// Gives up a file whose data cannot be had; nothing of it is left.
    pub fn abandon(&mut self, file: NewFile) {
        drop(file);
    }

    /// Gives the directories their owners, modes and times, and passes on each
    /// way in which one falls short. Nothing is restored behind that.
    pub fn finish(&mut self, warn: &mut dyn FnMut(Warning)) -> Counts {
        let counts = &mut self.counts;
        std::mem::take(&mut self.directories).finish(
            &mut self.below,
            self.options.owners,
            &mut |applied| {
                counts.incomplete += u64::from(!applied.warnings.is_empty());
                counts.owners_left += u64::from(applied.owner_left);
                applied.warnings.into_iter().for_each(&mut *warn);
            },
        );
        *counts
    }

    /// Waits until all that was restored is on the disks.
    ///
    /// # Errors
    /// [`Error::NotKept`] if a file system has lost some of it.
    pub fn sync(&self) -> Result<(), Error> {
        self.file_systems.sync()
    }

    fn file(
        &mut self,
        member: &Member,
        path: MemberPath,
        size: u64,
        sparse: Option<&[longhaul_format::member::Segment]>,
    ) -> Result<Begun, Error> {
        let parent = self.below.parent(&path, Missing::Create)?;
        let existing = look(&parent, path.bytes(), path.name())?;
        if let Some(skip) = self.kept(existing.as_ref(), member) {
            if let (Some(stat), true) = (existing, same_content(existing.as_ref(), member, size)) {
                self.restored.insert(FileId::of(&stat));
            }
            return Ok(Begun::Done(self.skipped(skip)));
        }
        self.make_way(&parent, existing.as_ref(), &path)?;
        let replace = self.options.overwrite.replace(existing.as_ref(), &path)?;
        let mut file = NewFile::create(&parent, path, Attributes::of(member), replace)?;
        self.file_systems.reach(file.path(), &file)?;
        file.set_size(size, sparse)?;
        Ok(Begun::Content(file))
    }

    fn special(&mut self, member: &Member, path: MemberPath) -> Result<Outcome, Error> {
        let parent = self.below.parent(&path, Missing::Create)?;
        let existing = look(&parent, path.bytes(), path.name())?;
        if let Some(skip) = self.kept(existing.as_ref(), member) {
            return Ok(self.skipped(skip));
        }
        self.make_way(&parent, existing.as_ref(), &path)?;
        let replace = self.options.overwrite.replace(existing.as_ref(), &path)?;
        let applied = special::restore(member, &parent, &path, replace, self.options.owners)?;
        Ok(self.placed(applied))
    }

    fn hard_link(
        &mut self,
        member: &Member,
        path: MemberPath,
        target: &[u8],
    ) -> Result<Outcome, Error> {
        let target = MemberPath::of_file(target).map_err(|why| Error::BadLinkTarget {
            path: member.path.clone(),
            target: target.to_vec(),
            why,
        })?;
        let from = self.below.parent(&target, Missing::Fail);
        let parent = self.below.parent(&path, Missing::Create)?;
        let existing = look(&parent, path.bytes(), path.name())?;
        let is_restored = |stat: &Stat| self.restored.contains(&FileId::of(stat));
        let source = match &from {
            Ok(from) => look(from, target.bytes(), target.name())?.filter(is_restored),
            Err(_) => None,
        };
        let id = |stat: &Option<Stat>| stat.as_ref().map(FileId::of);
        if source.is_some() && id(&source) == id(&existing) {
            self.counts.restored += 1;
            return Ok(Outcome::Restored(Vec::new()));
        }
        if let Some(skip) = self.kept(existing.as_ref(), member) {
            return Ok(self.skipped(skip));
        }
        let (Ok(from), Some(source)) = (from, source) else {
            let target = target.bytes().to_vec();
            return Err(Error::LinkTargetMissing {
                path: member.path.clone(),
                target,
            });
        };
        self.make_way(&parent, existing.as_ref(), &path)?;
        let replace = self.options.overwrite.replace(existing.as_ref(), &path)?;
        let link = special::Link {
            from: &from,
            name: target.name(),
            id: FileId::of(&source),
        };
        let linked = special::link(&link, &parent, &path, replace)?;
        let done = |()| Applied {
            warnings: Vec::new(),
            id: None,
            owner_left: false,
        };
        Ok(self.placed(linked.map(done)))
    }

    fn directory(&mut self, member: &Member, path: MemberPath) -> Result<Outcome, Error> {
        let parent = self.below.parent(&path, Missing::Create)?;
        let existing = look(&parent, path.bytes(), path.name())?;
        let mut origin = Origin::Bare;
        match existing {
            None => self
                .below
                .make_directory(&parent, path.bytes(), path.name())?,
            Some(stat) if is_directory(&stat) && self.below.created(&stat) => {}
            Some(stat) => {
                if let Some(skip) = self.kept(Some(&stat), member) {
                    return Ok(self.skipped(skip));
                }
                if is_directory(&stat) {
                    origin = Origin::Existing;
                    open_for_us(&parent, &path, &stat)?;
                } else {
                    rustix::fs::unlinkat(&parent.fd, path.name(), AtFlags::empty())
                        .map_err(Error::io(path.bytes(), Step::Remove))?;
                    self.below
                        .make_directory(&parent, path.bytes(), path.name())?;
                }
            }
        }
        self.directories.push(&path, Attributes::of(member), origin);
        self.counts.restored += 1;
        Ok(Outcome::Restored(Vec::new()))
    }

    fn kept(&self, existing: Option<&Stat>, member: &Member) -> Option<Skip> {
        existing.and_then(|stat| self.options.overwrite.keeps(stat, member.mtime))
    }

    fn skipped(&mut self, skip: Skip) -> Outcome {
        self.counts.skipped += 1;
        Outcome::Skipped(skip)
    }

    /// Says early, before gigabytes are read, that a directory cannot go.
    fn make_way(
        &self,
        parent: &Parent,
        existing: Option<&Stat>,
        path: &MemberPath,
    ) -> Result<(), Error> {
        if existing.is_some_and(is_directory) && !is_empty(parent, path)? {
            return Err(Error::DirectoryInTheWay {
                path: path.bytes().to_vec(),
            });
        }
        Ok(())
    }

    fn placed(&mut self, applied: Result<Applied, Skip>) -> Outcome {
        match applied {
            Ok(applied) => {
                self.restored.extend(applied.id);
                self.counts.restored += 1;
                self.counts.incomplete += u64::from(!applied.warnings.is_empty());
                self.counts.owners_left += u64::from(applied.owner_left);
                Outcome::Restored(applied.warnings)
            }
            Err(skip) => self.skipped(skip),
        }
    }
}

/// Whether what is there is in all likelihood the member as it was restored
/// before: hard links to the member may then point to it.
fn same_content(existing: Option<&Stat>, member: &Member, size: u64) -> bool {
    existing.is_some_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && u64::try_from(stat.st_size) == Ok(size)
            && mtime(stat) == member.mtime
    })
}

/// Lets the owner into a directory that is closed even to its owner, until it
/// gets its mode at the end.
fn open_for_us(parent: &Parent, path: &MemberPath, stat: &Stat) -> Result<(), Error> {
    if stat.st_mode & 0o700 == 0o700 {
        return Ok(());
    }
    let fd = open_directory(parent, path.name(), OFlags::PATH)
        .map_err(Error::io(path.bytes(), Step::OpenDirectory))?;
    // If this is refused, the kernel's word on the first file in it says more.
    let _ = Node::Path(rustix::fd::AsFd::as_fd(&fd)).set_mode(stat.st_mode & 0o7777 | 0o700);
    Ok(())
}
