//! A member: what the archive holds about one file, directory or node.

/// A point in time, as file systems keep it: seconds since 1970 (negative
/// before), and nanoseconds forward from there, 0 to 999,999,999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds after `seconds`.
    pub nanoseconds: u32,
}

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Raw bytes, without a leading `/`; a directory's path ends in `/`.
    pub path: Vec<u8>,
    /// What it is, and what only that kind has.
    pub kind: Kind,
    /// Permission bits, with set-user-id, set-group-id and sticky: 0 to 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last modification of the content.
    pub mtime: Time,
    /// Extended attributes, name and value, without the POSIX ACLs.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The access ACL, as text with numeric ids (`user::rw-,user:1:r--,…`).
    pub acl_access: Option<String>,
    /// The default ACL of a directory, in the same form.
    pub acl_default: Option<String>,
    /// A remark that readers ignore, in the member's own extended header.
    pub comment: Option<String>,
}

/// The kinds of members (POSIX `st_mode` file types, and the hard link).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Its length in bytes (of a sparse file: with the holes).
        size: u64,
        /// The data segments, in order, where the file has holes.
        sparse: Option<Vec<Segment>>,
    },
    /// Another name of a member that came earlier in the same archive.
    HardLink {
        /// That member's path.
        target: Vec<u8>,
    },
    /// A symbolic link.
    Symlink {
        /// Its content.
        target: Vec<u8>,
    },
    /// A character special file.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block special file.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A directory.
    Directory,
    /// A FIFO.
    Fifo,
}

/// A run of data in a sparse file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Length in bytes, above 0.
    pub len: u64,
}
