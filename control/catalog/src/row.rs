//! A row: what the catalog knows of one member of a set.

/// Longest path that a row may have, in bytes: far above what a path can be
/// through one system call (4,096), since trees can be deeper than that.
pub const PATH_BYTES_MAX: usize = 1 << 20;

/// What the catalog knows of one member of a backup set. It holds what a line
/// of the index on tape holds, and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Raw bytes, 1 to [`PATH_BYTES_MAX`] of them; a directory's ends in `/`.
    pub path: Vec<u8>,
    /// What it is.
    pub entry_type: EntryType,
    /// Whether the member on tape is good.
    pub state: EntryState,
    /// Length of the content in bytes (of a sparse file: with the holes).
    pub size: u64,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of names, 1 where nothing is known.
    pub nlink: u32,
    /// Last modification of the content, in nanoseconds since 1970. (64 bits
    /// of them end in 2262; file systems do not.)
    pub mtime_ns: i128,
    /// Last change of the inode, in nanoseconds since 1970.
    pub ctime_ns: i128,
    /// Inode number.
    pub inode: u64,
    /// The volume's sequence number in the set, 1 for the first.
    pub volume: u32,
    /// Logical object identifier of the block in which the member's headers
    /// start.
    pub block: u64,
    /// Where in that block they start, in bytes.
    pub offset: u64,
    /// BLAKE3 of the content, of regular files.
    pub digest: Option<[u8; 32]>,
    /// Target of a hard or symbolic link; empty for everything else.
    pub link: Vec<u8>,
}

/// The kinds of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryType {
    /// A regular file.
    File = 0,
    /// Another name of a member that came earlier.
    HardLink = 1,
    /// A symbolic link.
    Symlink = 2,
    /// A character special file.
    CharDevice = 3,
    /// A block special file.
    BlockDevice = 4,
    /// A directory.
    Directory = 5,
    /// A FIFO.
    Fifo = 6,
}

impl EntryType {
    /// What scripts are told.
    pub fn name(self) -> &'static str {
        match self {
            EntryType::File => "file",
            EntryType::HardLink => "link",
            EntryType::Symlink => "symlink",
            EntryType::CharDevice => "char",
            EntryType::BlockDevice => "block",
            EntryType::Directory => "dir",
            EntryType::Fifo => "fifo",
        }
    }

    /// The type with this code in a set file.
    pub(crate) fn from_code(code: u8) -> Option<EntryType> {
        Some(match code {
            0 => EntryType::File,
            1 => EntryType::HardLink,
            2 => EntryType::Symlink,
            3 => EntryType::CharDevice,
            4 => EntryType::BlockDevice,
            5 => EntryType::Directory,
            6 => EntryType::Fifo,
            _ => return None,
        })
    }
}

/// Whether a member on tape is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryState {
    /// It holds what the source held.
    Ok = 0,
    /// It is well formed, but its content is not (wholly) the source's.
    Damaged = 1,
    /// A later member of the same path takes its place.
    Superseded = 2,
}

impl EntryState {
    /// The state with this code in a set file.
    pub(crate) fn from_code(code: u8) -> Option<EntryState> {
        Some(match code {
            0 => EntryState::Ok,
            1 => EntryState::Damaged,
            2 => EntryState::Superseded,
            _ => return None,
        })
    }
}
