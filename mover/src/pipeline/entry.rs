//! From a member and its place to its index entry.

use longhaul_format::index::{Entry, EntryType, State, Volume, nanoseconds};
use longhaul_format::member::{Kind, Member};

use crate::source::Inode;

/// What the index of a set counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Members of every kind.
    pub members: u64,
    /// Bytes of all regular files, holes included.
    pub bytes: u64,
    /// Members that are not as their source was.
    pub damaged: u64,
}

impl Totals {
    /// Counts an entry.
    pub fn count(&mut self, entry: &Entry) {
        self.members += 1;
        self.bytes = self.bytes.saturating_add(entry.size);
        self.damaged += u64::from(entry.state == State::Damaged);
    }
}

/// Where a set's archive lies on one of its volumes: which block holds which
/// part of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The volume's number in the set, from 1.
    pub volume: u32,
    /// The block that begins with the stream offset `offset`.
    pub block: u64,
    /// A multiple of `record_bytes`.
    pub offset: u64,
    /// Bytes of a record.
    pub record_bytes: u64,
}

impl Extent {
    /// Of a volume of the set.
    pub fn of(volume: &Volume, record_bytes: u64) -> Extent {
        // On further volumes a record comes first that belongs to no stream.
        let inserted = u64::from(volume.sequence > 1);
        Extent {
            volume: volume.sequence,
            block: volume.block.saturating_add(inserted),
            offset: volume.stream_offset,
            record_bytes,
        }
    }

    /// The block in which the stream offset `at` lies, and where in it. Offsets
    /// before the volume's part have none: they count as its beginning.
    pub fn locate(&self, at: u64) -> (u64, u64) {
        let behind = at.saturating_sub(self.offset);
        (
            self.block.saturating_add(behind / self.record_bytes),
            behind % self.record_bytes,
        )
    }
}

/// The index entry of a member that begins at stream offset `start`.
pub fn index_entry(member: &Member, inode: &Inode, extent: &Extent, start: u64) -> Entry {
    let (block, offset) = extent.locate(start);
    Entry {
        path: member.path.clone(),
        kind: EntryType::from(&member.kind),
        size: match member.kind {
            Kind::File { size, .. } => size,
            _ => 0,
        },
        mtime_ns: nanoseconds(member.mtime),
        ctime_ns: i128::from(inode.ctime_ns),
        dev: (inode.nlink > 1 && !matches!(member.kind, Kind::Directory)).then_some(inode.dev),
        ino: inode.ino,
        nlink: inode.nlink,
        mode: member.mode,
        uid: member.uid,
        gid: member.gid,
        link: match &member.kind {
            Kind::HardLink { target } | Kind::Symlink { target } => Some(target.clone()),
            _ => None,
        },
        volume: extent.volume,
        block,
        offset,
        blake3: None,
        state: State::Ok,
    }
}
