//! Files with several names: the first name is stored, the others link to it.

use std::collections::HashMap;

use longhaul_format::index::{Entry, EntryType, nanoseconds};
use longhaul_format::member::{Kind, Member};

use crate::source::Inode;

/// The names under which files with several names were stored, by device and
/// inode number.
#[derive(Debug, Default)]
pub struct Links {
    first: HashMap<(u64, u64), First>,
}

#[derive(Debug)]
struct First {
    path: Vec<u8>,
    /// Of a file that was stored before an interruption: its number may be
    /// another file's by now. Size and time of modification tell.
    then: Option<(u64, i128)>,
}

impl Links {
    /// The name to which this member is a link; if it is the first one, it is
    /// noted.
    pub(super) fn first_name(&mut self, member: &Member, inode: &Inode) -> Option<Vec<u8>> {
        let size = match member.kind {
            Kind::File { size, .. } => size,
            _ => 0,
        };
        let now = (size, nanoseconds(member.mtime));
        let key = (inode.dev, inode.ino);
        match self.first.get(&key) {
            Some(first) if first.then.is_none_or(|then| then == now) => Some(first.path.clone()),
            _ => {
                let path = member.path.clone();
                self.first.insert(key, First { path, then: None });
                None
            }
        }
    }

    /// Notes a member that was stored before an interruption.
    pub fn stored(&mut self, entry: &Entry) {
        if let Some(dev) = entry.dev
            && entry.nlink > 1
            && !matches!(entry.kind, EntryType::Dir | EntryType::Link)
        {
            let first = First {
                path: entry.path.clone(),
                then: Some((entry.size, entry.mtime_ns)),
            };
            self.first.insert((dev, entry.ino), first);
        }
    }
}
