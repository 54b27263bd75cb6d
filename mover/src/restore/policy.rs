//! What may be overwritten.

use longhaul_format::member::Time;
use rustix::fs::{FileType, Stat};

use super::error::Error;
use super::path::MemberPath;
use super::temporary::Replace;

/// What to do with a member whose path is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// Leave what is there. Directories that exist are filled, but keep their
    /// owner, mode and times.
    #[default]
    Never,
    /// Replace what was modified before the member was.
    Older,
    /// Replace everything but directories that are not empty.
    Always,
}

/// Why a member was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// Something appeared under its path while it was being restored.
    #[error("something appeared there meanwhile")]
    Appeared,
    /// Something is there, and nothing may be overwritten.
    #[error("exists")]
    Exists,
    /// What is there is not older than the member.
    #[error("not older than the member")]
    NotOlder,
}

/// When a file was last modified.
pub(super) fn mtime(stat: &Stat) -> Time {
    // The kernel keeps nanoseconds below 1,000,000,000.
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(u32::MAX);
    Time {
        seconds: stat.st_mtime,
        nanoseconds,
    }
}

impl Overwrite {
    /// Whether what exists keeps its place before a member modified at `time`.
    pub(super) fn keeps(self, existing: &Stat, time: Time) -> Option<Skip> {
        match self {
            Overwrite::Never => Some(Skip::Exists),
            Overwrite::Older if mtime(existing) >= time => Some(Skip::NotOlder),
            Overwrite::Older | Overwrite::Always => None,
        }
    }

    /// What the new file may replace when it is done, given what was there
    /// when it began, and passed [`Overwrite::keeps`].
    ///
    /// # Errors
    /// If a directory is in the way that may not be removed even if empty.
    pub(super) fn replace(
        self,
        existing: Option<&Stat>,
        path: &MemberPath,
    ) -> Result<Replace, Error> {
        let directory = existing.is_some_and(is_directory);
        match self {
            Overwrite::Always => Ok(Replace::Anything),
            _ if directory => Err(Error::DirectoryInTheWay {
                path: path.bytes().to_vec(),
            }),
            _ if existing.is_some() => Ok(Replace::Files),
            _ => Ok(Replace::Nothing),
        }
    }
}

/// Whether it is a directory.
pub(super) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}
