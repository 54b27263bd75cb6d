//! What can go wrong with a member, and what can fall short.

use longhaul_format::acl::AclError;
use rustix::io::Errno;

use super::path::PathFault;
use crate::shown::Shown;

/// Why a member was not restored. The archive may go on with the next member,
/// unless [`Error::ends_restore`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target directory itself cannot be used.
    #[error("{}: cannot restore into it; name a directory that exists and is writable", Shown(.dir))]
    OpenTarget {
        /// The directory, as it was named.
        dir: Vec<u8>,
        /// The kernel's answer.
        source: Errno,
    },
    /// A file system has lost something of what was written to it: which file that
    /// was of, it does not say.
    #[error(
        "{}: the file system that it is on has not kept all that was restored to it; look \
         at the kernel's log, make room or mend it, and restore again",
        Shown(.path)
    )]
    NotKept {
        /// The first member that was restored to it.
        path: Vec<u8>,
        /// The kernel's answer.
        source: Errno,
    },
    /// The path of the member could leave the target.
    #[error(
        "{}: its path {why}: not restored; the archive was not written by a sane program",
        Shown(.path)
    )]
    BadPath {
        /// The member.
        path: Vec<u8>,
        /// What is wrong with it.
        why: PathFault,
    },
    /// The path of a hard link's target could leave the target directory.
    #[error(
        "{}: hard link to `{}`, a path that {why}: not restored; \
         the archive was not written by a sane program",
        Shown(.path), Shown(.target)
    )]
    BadLinkTarget {
        /// The member.
        path: Vec<u8>,
        /// The path that it links to.
        target: Vec<u8>,
        /// What is wrong with it.
        why: PathFault,
    },
    /// A directory of the path is a symbolic link, which may lead anywhere.
    #[error(
        "{}: not restored, since `{}` is a symbolic link here; \
         remove the link or restore into another directory",
        Shown(.path), Shown(.at)
    )]
    ThroughSymlink {
        /// The member.
        path: Vec<u8>,
        /// The link, below the target.
        at: Vec<u8>,
    },
    /// A directory of the path is something else.
    #[error(
        "{}: not restored, since `{}` is no directory here; \
         move it away or restore into another directory",
        Shown(.path), Shown(.at)
    )]
    NotADirectory {
        /// The member.
        path: Vec<u8>,
        /// What is in the way, below the target.
        at: Vec<u8>,
    },
    /// A directory stands where the member should; it is removed only if it is
    /// empty and everything may be overwritten.
    #[error("{}: a directory is in the way; move it away or restore elsewhere", Shown(.path))]
    DirectoryInTheWay {
        /// The member.
        path: Vec<u8>,
    },
    /// The file that a hard link points to was not restored by this run, so
    /// linking to what has its name could give the wrong content. The caller
    /// may restore that file's content under this path instead.
    #[error(
        "{}: hard link to `{}`, which was not restored in this run; restore both together",
        Shown(.path), Shown(.target)
    )]
    LinkTargetMissing {
        /// The member.
        path: Vec<u8>,
        /// The path that it links to.
        target: Vec<u8>,
    },
    /// The member contradicts itself, or data came that it has no place for.
    #[error("{}: {why}: not restored; the archive is damaged", Shown(.path))]
    Malformed {
        /// The member.
        path: Vec<u8>,
        /// What is wrong.
        why: &'static str,
    },
    /// The file ended before its data had come.
    #[error("{}: only {got} of {expected} bytes came: not restored", Shown(.path))]
    Short {
        /// The member.
        path: Vec<u8>,
        /// Bytes of data that the member declares.
        expected: u64,
        /// Bytes that came.
        got: u64,
    },
    /// Somebody else put another thing where this program had just made one.
    #[error(
        "{}: another process replaced it while it was restored; \
         restore again when nobody else writes to the directory",
        Shown(.path)
    )]
    Meddled {
        /// The member.
        path: Vec<u8>,
    },
    /// The kernel refused.
    #[error("{}: cannot {step}{}", Shown(.path), advice(*.source))]
    Io {
        /// The member.
        path: Vec<u8>,
        /// What was tried.
        step: Step,
        /// The kernel's answer.
        source: Errno,
    },
}

impl Error {
    pub(super) fn io(path: &[u8], step: Step) -> impl FnOnce(Errno) -> Error {
        move |source| Error::Io {
            path: path.to_vec(),
            step,
            source,
        }
    }

    /// Whether every later member would fail in the same way (no space, no
    /// quota, a read-only or failing file system), so that going on only wears
    /// out the tape.
    pub fn ends_restore(&self) -> bool {
        match self {
            Error::OpenTarget { .. } | Error::NotKept { .. } => true,
            Error::Io { source, .. } => {
                matches!(
                    *source,
                    Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::IO
                ) || matches!(*source, Errno::MFILE | Errno::NFILE | Errno::NOMEM)
            }
            _ => false,
        }
    }
}

/// What was being done when the kernel refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Step {
    /// Making a character or block special file.
    #[error("make the device")]
    CreateDevice,
    /// Making a directory.
    #[error("make the directory")]
    CreateDirectory,
    /// Making a FIFO.
    #[error("make the FIFO")]
    CreateFifo,
    /// Making a regular file.
    #[error("create the file")]
    CreateFile,
    /// Making a hard link.
    #[error("make the hard link")]
    CreateLink,
    /// Making a symbolic link.
    #[error("make the symbolic link")]
    CreateSymlink,
    /// Looking at what is there.
    #[error("look at what is there")]
    Look,
    /// Opening a directory.
    #[error("open the directory")]
    OpenDirectory,
    /// Giving the finished file its name.
    #[error("give the finished file its name")]
    Place,
    /// Removing what was there.
    #[error("remove what was there")]
    Remove,
    /// Setting the length of a file.
    #[error("set the length")]
    SetLength,
    /// Writing data.
    #[error("write data")]
    Write,
}

/// What to do, where the kernel's answer tells.
fn advice(source: Errno) -> &'static str {
    match source {
        Errno::ACCESS => "; restore as the owner of the directory or as root",
        Errno::PERM => "; restore as root, to a file system that allows it",
        Errno::NOSPC | Errno::DQUOT => "; make room and restore again",
        Errno::NAMETOOLONG => "; restore to a file system that takes names this long",
        Errno::FBIG => "; restore to a file system that takes files this large",
        Errno::ROFS => "; restore to a file system that is writable",
        _ => "",
    }
}

/// In what a restored member falls short of its source. Each one makes the
/// member count as not fully restored.
#[derive(Debug, thiserror::Error)]
pub enum Warning {
    /// An ACL in the archive cannot be understood.
    #[error("{}: restored without its {which} ACL, which cannot be understood", Shown(.path))]
    BadAcl {
        /// The member.
        path: Vec<u8>,
        /// `access` or `default`.
        which: &'static str,
        /// What is wrong with it.
        source: AclError,
    },
    /// The file system took the value and holds another one.
    #[error("{}: restored, but this file system does not keep its {what} exactly", Shown(.path))]
    Differs {
        /// The member.
        path: Vec<u8>,
        /// What differs.
        what: What,
    },
    /// A directory that could not be given its metadata at the end.
    #[error("{}: directory left without its owner, mode and times", Shown(.path))]
    Directory {
        /// The member.
        path: Vec<u8>,
        /// Why.
        source: Box<Error>,
    },
    /// The kernel refused a part of the metadata.
    #[error("{}: restored without its {what}", Shown(.path))]
    Refused {
        /// The member.
        path: Vec<u8>,
        /// What is missing.
        what: What,
        /// The kernel's answer.
        source: Errno,
    },
    /// Set-user-id or set-group-id was dropped, since the file does not belong
    /// to the user or group that it would give its rights of.
    #[error("{}: restored without set-user-id or set-group-id; its owner differs", Shown(.path))]
    SetIdDropped {
        /// The member.
        path: Vec<u8>,
    },
}

/// A part of a member's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The access ACL.
    AccessAcl,
    /// The extended attribute of this name.
    Attribute(Vec<u8>),
    /// The default ACL.
    DefaultAcl,
    /// The permission bits.
    Mode,
    /// Owner and group.
    Owner,
    /// The time of last modification.
    Times,
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            What::AccessAcl => f.write_str("access ACL"),
            What::Attribute(name) => write!(f, "extended attribute `{}`", Shown(name)),
            What::DefaultAcl => f.write_str("default ACL"),
            What::Mode => f.write_str("mode"),
            What::Owner => f.write_str("owner"),
            What::Times => f.write_str("modification time"),
        }
    }
}
