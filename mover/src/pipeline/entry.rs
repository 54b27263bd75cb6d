//! From a member and its place to its index entry.

use longhaul_format::index::{Entry, EntryType, State, nanoseconds};
use longhaul_format::member::{Kind, Member};

use crate::source::Inode;

/// The index entry of a member that begins at `offset` of `block`, on the first
/// volume of its set.
pub fn index_entry(member: &Member, inode: &Inode, block: u64, offset: u64) -> Entry {
    Entry {
        path: member.path.clone(),
        kind: EntryType::from(&member.kind),
        size: match member.kind {
            Kind::File { size, .. } => size,
            _ => 0,
        },
        mtime_ns: nanoseconds(member.mtime),
        ctime_ns: i128::from(inode.ctime_ns),
        ino: inode.ino,
        nlink: inode.nlink,
        mode: member.mode,
        uid: member.uid,
        gid: member.gid,
        link: match &member.kind {
            Kind::HardLink { target } | Kind::Symlink { target } => Some(target.clone()),
            _ => None,
        },
        volume: 1,
        block,
        offset,
        blake3: None,
        state: State::Ok,
    }
}
