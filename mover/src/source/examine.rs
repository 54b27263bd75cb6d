//! One file: opened, its metadata read, its holes found.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use longhaul_format::acl::Acl;
use longhaul_format::archive::LARGE;
use longhaul_format::member::{Kind, Member, Segment, Time};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

use super::{Entry, Found, Inode, Problem};
use crate::shown::Shown;

/// Most data segments that are looked for in one file. A file with more is
/// stored without its holes: its map would outgrow what readers accept.
const SEGMENTS_MAX: usize = 400_000;

/// Tape blocks are 512 bytes, and readers want segments in whole ones.
const TAR_BLOCK: u64 = 512;

/// Longest list of attribute names, and longest value, in bytes: the kernel's
/// own limits (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`, linux/limits.h).
const XATTR_BYTES_MAX: usize = 65536;

/// Opens for reading below `parent`, never through a symbolic link and never
/// waiting for the other end of a fifo, without touching the access time where
/// that is allowed.
pub(super) fn open_at(
    parent: BorrowedFd<'_>,
    name: &CStr,
    extra: OFlags,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | extra;
    match rustix::fs::openat(parent, name, flags | OFlags::NOATIME, Mode::empty()) {
        // Only a file's owner may ask for its access time to be left alone.
        Err(Errno::PERM) => rustix::fs::openat(parent, name, flags, Mode::empty()),
        other => other,
    }
}

/// Examines `name` below `parent`, which the directory listing called
/// `listed`. `path` is the member's path.
pub(super) fn examine(
    parent: BorrowedFd<'_>,
    name: &CStr,
    listed: FileType,
    path: Vec<u8>,
) -> Option<Found> {
    let result = if matches!(listed, FileType::RegularFile) {
        regular(parent, name, &path)
    } else {
        node(parent, name, &path)
    };
    Some(match result {
        Ok(entry) => Found::Entry(Box::new(entry)),
        // A socket is of its process, and worth nothing without it.
        Err(Errno::NOTSOCK) => {
            log::info!("{}: a socket; left out", Shown(&path));
            return None;
        }
        Err(Errno::STALE) => Found::Problem(Problem {
            path,
            what: "became a directory while its parent was walked; left out".into(),
        }),
        Err(Errno::NOENT) => Found::Problem(Problem {
            path,
            what: "vanished".into(),
        }),
        Err(error) => Found::Problem(Problem {
            path,
            what: std::io::Error::from(error).to_string(),
        }),
    })
}

fn regular(parent: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> Result<Entry, Errno> {
    let fd = match open_at(parent, name, OFlags::empty()) {
        Ok(fd) => fd,
        // It has become a symbolic link or a socket since it was listed.
        Err(Errno::LOOP | Errno::NXIO) => return node(parent, name, path),
        Err(error) => return Err(error),
    };
    let stat = rustix::fs::fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return node(parent, name, path);
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let sparse = holes(&fd, &stat, size);
    let attributes = Attributes::of_file(fd.as_fd())?;
    let kind = Kind::File { size, sparse };
    let direct = if size >= LARGE {
        past_the_cache(&fd)
    } else {
        None
    };
    let file = (size > 0).then(|| Arc::new(File::from(fd)));
    Ok(Entry {
        member: member(path, kind, &stat, attributes),
        inode: inode(&stat),
        file,
        direct,
    })
}

/// Opens the same file for direct I/O, if its file system does that.
fn past_the_cache(fd: &OwnedFd) -> Option<Arc<File>> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC;
    let direct = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    Some(Arc::new(File::from(direct)))
}

/// Anything that is not opened: links, fifos, devices.
fn node(parent: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> Result<Entry, Errno> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let (major, minor) = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return regular(parent, name, path),
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(parent, name, Vec::new())?;
            Kind::Symlink {
                target: target.into_bytes(),
            }
        }
        FileType::Fifo => Kind::Fifo,
        FileType::CharacterDevice => Kind::CharDevice { major, minor },
        FileType::BlockDevice => Kind::BlockDevice { major, minor },
        FileType::Socket => return Err(Errno::NOTSOCK),
        _ => return Err(Errno::STALE),
    };
    let attributes = Attributes::of_node(parent, name)?;
    Ok(Entry {
        member: member(path, kind, &stat, attributes),
        inode: inode(&stat),
        file: None,
        direct: None,
    })
}

/// The entry of a directory that is open.
pub(super) fn directory(fd: BorrowedFd<'_>, path: &[u8]) -> Result<Entry, Errno> {
    let stat = rustix::fs::fstat(fd)?;
    let attributes = Attributes::of_file(fd)?;
    let member = member(path, Kind::Directory, &stat, attributes);
    Ok(Entry {
        member,
        inode: inode(&stat),
        file: None,
        direct: None,
    })
}

/// The entry of a directory that may not be opened: what its parent shows.
pub(super) fn closed_directory(
    parent: BorrowedFd<'_>,
    name: &CStr,
    path: &[u8],
) -> Result<Entry, Errno> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Errno::NOTDIR);
    }
    let member = member(path, Kind::Directory, &stat, Attributes::default());
    Ok(Entry {
        member,
        inode: inode(&stat),
        file: None,
        direct: None,
    })
}

fn member(path: &[u8], kind: Kind, stat: &Stat, attributes: Attributes) -> Member {
    Member {
        path: path.to_vec(),
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Time {
            seconds: stat.st_mtime,
            nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        },
        xattrs: attributes.xattrs,
        acl_access: attributes.acl_access.map(|acl| acl.to_string()),
        acl_default: attributes.acl_default.map(|acl| acl.to_string()),
        comment: None,
    }
}

pub(crate) fn inode(stat: &Stat) -> Inode {
    let nanoseconds = i64::try_from(stat.st_ctime_nsec).unwrap_or(0);
    Inode {
        dev: stat.st_dev,
        ino: stat.st_ino,
        nlink: stat.st_nlink,
        ctime_ns: stat
            .st_ctime
            .saturating_mul(1_000_000_000)
            .saturating_add(nanoseconds),
    }
}

/// The data segments of a file with holes, in whole tar blocks; `None` for a
/// file without any, or where the file system does not tell.
fn holes(fd: &OwnedFd, stat: &Stat, size: u64) -> Option<Vec<Segment>> {
    let allocated = u64::try_from(stat.st_blocks)
        .unwrap_or(0)
        .saturating_mul(512);
    if allocated >= size {
        return None;
    }
    let mut segments: Vec<Segment> = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(fd, SeekFrom::Data(at)) {
            Ok(start) => start / TAR_BLOCK * TAR_BLOCK,
            Err(Errno::NXIO) => break,
            Err(_) => return None,
        };
        let end = rustix::fs::seek(fd, SeekFrom::Hole(start.max(at))).ok()?;
        let end = end.next_multiple_of(TAR_BLOCK).min(size);
        if end <= start.max(at) {
            break;
        }
        match segments.last_mut() {
            Some(last) if last.offset + last.len >= start => last.len = end - last.offset,
            _ => segments.push(Segment {
                offset: start,
                len: end - start,
            }),
        }
        if segments.len() > SEGMENTS_MAX {
            return None;
        }
        at = end;
    }
    let whole = matches!(segments[..], [Segment { offset: 0, len }] if len == size);
    (!whole).then_some(segments)
}

/// Extended attributes, the ACLs set apart.
#[derive(Default)]
struct Attributes {
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    acl_access: Option<Acl>,
    acl_default: Option<Acl>,
}

impl Attributes {
    fn of_file(fd: BorrowedFd<'_>) -> Result<Attributes, Errno> {
        Attributes::read(
            |buffer| rustix::fs::flistxattr(fd, buffer),
            |name, buffer| rustix::fs::fgetxattr(fd, name, buffer),
        )
    }

    /// Of something that is not opened: by way of its directory's descriptor,
    /// so that no other name can get in between.
    fn of_node(parent: BorrowedFd<'_>, name: &CStr) -> Result<Attributes, Errno> {
        let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
        path.extend_from_slice(name.to_bytes());
        let path = CString::new(path).map_err(|_| Errno::INVAL)?;
        Attributes::read(
            |buffer| rustix::fs::llistxattr(&path, buffer),
            |name, buffer| rustix::fs::lgetxattr(&path, name, buffer),
        )
    }

    fn read(
        list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
        get: impl Fn(&CStr, &mut [u8]) -> Result<usize, Errno>,
    ) -> Result<Attributes, Errno> {
        let mut attributes = Attributes::default();
        let mut few = [0; 256];
        let names = match list(&mut few) {
            Ok(len) => few[..len].to_vec(),
            Err(Errno::RANGE) => {
                let mut many = vec![0; XATTR_BYTES_MAX];
                let len = list(&mut many)?;
                many.truncate(len);
                many
            }
            Err(Errno::NOTSUP | Errno::NOENT | Errno::PERM) => return Ok(attributes),
            Err(error) => return Err(error),
        };
        for name in names.split_inclusive(|byte| *byte == 0) {
            let Ok(name) = CStr::from_bytes_with_nul(name) else {
                continue;
            };
            let mut value = vec![0; 512];
            let len = match get(name, &mut value) {
                Err(Errno::RANGE) => {
                    value.resize(XATTR_BYTES_MAX, 0);
                    get(name, &mut value)
                }
                other => other,
            };
            match len {
                Ok(len) => value.truncate(len),
                // Removed meanwhile, or not for us to see (trusted.*).
                Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => continue,
                Err(error) => return Err(error),
            }
            attributes.add(name.to_bytes(), value);
        }
        Ok(attributes)
    }

    fn add(&mut self, name: &[u8], value: Vec<u8>) {
        let slot = match name {
            b"system.posix_acl_access" => &mut self.acl_access,
            b"system.posix_acl_default" => &mut self.acl_default,
            _ => return self.xattrs.push((name.to_vec(), value)),
        };
        match Acl::from_xattr(&value) {
            Ok(acl) => *slot = Some(acl),
            // In a form that this program does not know: kept as the bytes
            // that it is.
            Err(_) => self.xattrs.push((name.to_vec(), value)),
        }
    }
}
