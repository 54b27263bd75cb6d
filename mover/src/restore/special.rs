//! Members that have no data of their own: symbolic links, devices, FIFOs, and
//! further names of what has been restored.

use longhaul_format::member::{Kind, Member};
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, FileType, Mode, Stat};
use rustix::io::Errno;

use super::below::{FileId, Parent, open_handle};
use super::error::{Error, Step};
use super::file::place;
use super::metadata::{Applied, Attributes, Origin, Owners};
use super::node::Node;
use super::path::MemberPath;
use super::policy::Skip;
use super::temporary::{Replace, Temporary};

/// Largest major device number (`MINORBITS` is 20 of 32 bits, `linux/kdev_t.h`).
/// The system call would cut larger ones off and make another device.
const MAJOR_MAX: u32 = 0xfff;

/// Largest minor device number.
const MINOR_MAX: u32 = 0xf_ffff;

/// Makes the node that `member` is, with its metadata, and puts it in place.
pub(super) fn restore(
    member: &Member,
    parent: &Parent,
    path: &MemberPath,
    replace: Replace,
    owners: Owners,
) -> Result<Result<Applied, Skip>, Error> {
    let (plan, step) = Plan::of(&member.kind, path)?;
    let made = Temporary::create(parent, |name| plan.make(parent, name));
    let (temporary, ()) = made.map_err(Error::io(path.bytes(), step))?;
    let handle =
        open_handle(parent, temporary.name()).map_err(Error::io(path.bytes(), Step::Look))?;
    let node = Node::Path(handle.as_fd());
    let stat = node.stat().map_err(Error::io(path.bytes(), Step::Look))?;
    if !plan.is(&stat) {
        return Err(Error::Meddled {
            path: path.bytes().to_vec(),
        });
    }
    let origin = if parent.has_default_acl {
        Origin::Inheriting
    } else {
        Origin::Bare
    };
    let applied = Attributes::of(member).apply(node, path.bytes(), owners, origin);
    Ok(place(temporary, path, replace)?.map(|()| applied))
}

/// What to make.
enum Plan<'a> {
    Symlink(&'a [u8]),
    Node(FileType, u64),
}

impl Plan<'_> {
    fn of<'a>(kind: &'a Kind, path: &MemberPath) -> Result<(Plan<'a>, Step), Error> {
        let device = |file_type, major: u32, minor: u32| {
            if major > MAJOR_MAX || minor > MINOR_MAX {
                let why = "its device number is larger than Linux has";
                return Err(Error::Malformed {
                    path: path.bytes().to_vec(),
                    why,
                });
            }
            Ok((
                Plan::Node(file_type, rustix::fs::makedev(major, minor)),
                Step::CreateDevice,
            ))
        };
        match kind {
            Kind::Symlink { target } => Ok((Plan::Symlink(target), Step::CreateSymlink)),
            Kind::Fifo => Ok((Plan::Node(FileType::Fifo, 0), Step::CreateFifo)),
            Kind::CharDevice { major, minor } => device(FileType::CharacterDevice, *major, *minor),
            Kind::BlockDevice { major, minor } => device(FileType::BlockDevice, *major, *minor),
            Kind::File { .. } | Kind::HardLink { .. } | Kind::Directory => {
                let why = "its kind needs other handling";
                Err(Error::Malformed {
                    path: path.bytes().to_vec(),
                    why,
                })
            }
        }
    }

    fn make(&self, parent: &Parent, name: &str) -> Result<(), Errno> {
        match self {
            Plan::Symlink(target) => rustix::fs::symlinkat(*target, &parent.fd, name),
            Plan::Node(file_type, device) => {
                let mode = Mode::RUSR | Mode::WUSR;
                rustix::fs::mknodat(&parent.fd, name, *file_type, mode, *device)
            }
        }
    }

    /// Whether what is there now under the name is what was made.
    fn is(&self, stat: &Stat) -> bool {
        let found = FileType::from_raw_mode(stat.st_mode);
        let same = match self {
            Plan::Symlink(_) => found == FileType::Symlink,
            Plan::Node(file_type, device) => found == *file_type && stat.st_rdev == *device,
        };
        same && stat.st_nlink == 1
    }
}

/// What a hard link shall lead to.
pub(super) struct Link<'a> {
    /// The directory it lies in.
    pub(super) from: &'a Parent,
    /// Its name there.
    pub(super) name: &'a [u8],
    /// The file that was restored under that name.
    pub(super) id: FileId,
}

/// Makes a hard link and puts it in place. What it leads to has its metadata.
pub(super) fn link(
    link: &Link<'_>,
    parent: &Parent,
    path: &MemberPath,
    replace: Replace,
) -> Result<Result<(), Skip>, Error> {
    let none = AtFlags::empty();
    let made = Temporary::create(parent, |name| {
        rustix::fs::linkat(&link.from.fd, link.name, &parent.fd, name, none)?;
        Ok(())
    });
    let (temporary, ()) = made.map_err(Error::io(path.bytes(), Step::CreateLink))?;
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let stat = rustix::fs::statat(&parent.fd, temporary.name(), flags)
        .map_err(Error::io(path.bytes(), Step::Look))?;
    if FileId::of(&stat) != link.id {
        return Err(Error::Meddled {
            path: path.bytes().to_vec(),
        });
    }
    place(temporary, path, replace)
}
