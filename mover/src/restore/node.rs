//! A handle on something in the file system, whatever it is, through which its
//! metadata is set: never by a name that could by now mean something else.

use longhaul_format::member::Time;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

/// Name of the attribute that holds the access ACL, in the kernel's binary
/// form (`linux/posix_acl_xattr.h`).
pub(super) const ACL_ACCESS: &[u8] = b"system.posix_acl_access";

/// Name of the attribute that holds a directory's default ACL.
pub(super) const ACL_DEFAULT: &[u8] = b"system.posix_acl_default";

/// Most bytes the names of a file's attributes can take (`XATTR_LIST_MAX`,
/// `linux/limits.h`).
const XATTR_LIST_BYTES_MAX: usize = 65_536;

/// A file by its descriptor.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node<'a> {
    /// Opened for reading or writing.
    Open(BorrowedFd<'a>),
    /// Opened with `O_PATH`. Most calls do not take such a descriptor, but
    /// all take its name in /proc, which leads to the very file it stands for
    /// (of a symbolic link: to the link).
    Path(BorrowedFd<'a>),
}

impl Node<'_> {
    pub(super) fn stat(self) -> Result<Stat, Errno> {
        match self {
            Node::Open(fd) | Node::Path(fd) => rustix::fs::fstat(fd),
        }
    }

    pub(super) fn set_owner(self, uid: u32, gid: u32) -> Result<(), Errno> {
        // The kernel reads all ones as "leave it", and this crate as a panic.
        if uid == u32::MAX || gid == u32::MAX {
            return Err(Errno::INVAL);
        }
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        match self {
            Node::Open(fd) => rustix::fs::fchown(fd, uid, gid),
            Node::Path(fd) => rustix::fs::chownat(fd, "", uid, gid, AtFlags::EMPTY_PATH),
        }
    }

    /// Sets permission bits. Not for symbolic links, which have none.
    pub(super) fn set_mode(self, mode: u32) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(mode);
        match self {
            Node::Open(fd) => rustix::fs::fchmod(fd, mode),
            Node::Path(fd) => rustix::fs::chmod(in_proc(fd), mode),
        }
    }

    pub(super) fn set_mtime(self, time: Time) -> Result<(), Errno> {
        // Larger numbers have meanings of their own (`UTIME_NOW`).
        if time.nanoseconds > 999_999_999 {
            return Err(Errno::INVAL);
        }
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: time.seconds,
                tv_nsec: time.nanoseconds.into(),
            },
        };
        match self {
            Node::Open(fd) => rustix::fs::futimens(fd, &times),
            Node::Path(fd) => {
                rustix::fs::utimensat(rustix::fs::CWD, in_proc(fd), &times, AtFlags::empty())
            }
        }
    }

    pub(super) fn set_xattr(self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        match self {
            Node::Open(fd) => rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()),
            Node::Path(fd) => rustix::fs::setxattr(in_proc(fd), name, value, XattrFlags::empty()),
        }
    }

    pub(super) fn remove_xattr(self, name: &[u8]) -> Result<(), Errno> {
        match self {
            Node::Open(fd) => rustix::fs::fremovexattr(fd, name),
            Node::Path(fd) => rustix::fs::removexattr(in_proc(fd), name),
        }
    }

    /// The names of all attributes that the process may see.
    pub(super) fn xattr_names(self) -> Result<Vec<Vec<u8>>, Errno> {
        let mut list = vec![0; XATTR_LIST_BYTES_MAX];
        let len = match self {
            Node::Open(fd) => rustix::fs::flistxattr(fd, &mut list[..])?,
            Node::Path(fd) => rustix::fs::listxattr(in_proc(fd), &mut list[..])?,
        };
        let names = list[..len]
            .split(|&byte| byte == 0)
            .filter(|name| !name.is_empty());
        Ok(names.map(<[u8]>::to_vec).collect())
    }

    /// Whether a directory has a default ACL. What cannot be asked has none.
    pub(super) fn has_default_acl(self) -> bool {
        let len = match self {
            Node::Open(fd) => rustix::fs::fgetxattr_query(fd, ACL_DEFAULT),
            Node::Path(fd) => rustix::fs::getxattr_query(in_proc(fd), ACL_DEFAULT),
        };
        len.is_ok_and(|len| len > 0)
    }

    /// Removes both ACLs. Where there are none, or never can be, there is
    /// nothing to do; where the kernel refuses, the mode set afterwards still
    /// bounds what they grant.
    pub(super) fn remove_acls(self) {
        for name in [ACL_ACCESS, ACL_DEFAULT] {
            let _ = self.remove_xattr(name);
        }
    }
}

fn in_proc(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}
