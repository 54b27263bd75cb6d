//! The same facts in the words of people, index and catalog.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::time::SystemTime;

use longhaul_catalog::{EntryState, EntryType as RowType, Row};
use longhaul_format::index::{Entry, EntryType, State};

use super::JobError;

/// A row of the catalog.
pub fn row(entry: Entry) -> Row {
    Row {
        path: entry.path,
        entry_type: match entry.kind {
            EntryType::File => RowType::File,
            EntryType::Dir => RowType::Directory,
            EntryType::Link => RowType::HardLink,
            EntryType::Symlink => RowType::Symlink,
            EntryType::Char => RowType::CharDevice,
            EntryType::Block => RowType::BlockDevice,
            EntryType::Fifo => RowType::Fifo,
        },
        state: match entry.state {
            State::Ok => EntryState::Ok,
            State::Damaged => EntryState::Damaged,
            State::Superseded => EntryState::Superseded,
        },
        size: entry.size,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        nlink: u32::try_from(entry.nlink).unwrap_or(u32::MAX),
        mtime_ns: entry.mtime_ns,
        ctime_ns: entry.ctime_ns,
        inode: entry.ino,
        volume: entry.volume,
        block: entry.block,
        offset: entry.offset,
        digest: entry.blake3,
        link: entry.link.unwrap_or_default(),
    }
}

/// Seconds since 1970.
pub fn seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A path that a person named, as the archive has it: without `/` at either
/// end; empty for everything.
///
/// # Errors
/// [`JobError::Usage`] for a path with `..` in it.
pub fn member_path(path: &Path) -> Result<Vec<u8>, JobError> {
    let mut member = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => {
                if !member.is_empty() {
                    member.push(b'/');
                }
                member.extend_from_slice(name.as_bytes());
            }
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                let shown = path.display();
                return Err(JobError::Usage(format!(
                    "{shown}: name the path without `..`"
                )));
            }
        }
    }
    Ok(member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_people_name_become_the_archives() {
        let member = |text: &str| member_path(Path::new(text)).ok();
        assert_eq!(member("/usr/share/"), Some(b"usr/share".to_vec()));
        assert_eq!(member("./a//b"), Some(b"a/b".to_vec()));
        assert_eq!(member("/"), Some(Vec::new()));
        assert_eq!(member("a/../b"), None);
    }
}
