//! What can go wrong with a catalog.

use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// The result of everything a catalog does.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a catalog: what happened, to which file or thing, and
/// what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file holds something else than it should.
    #[error("{path} is damaged ({what}); move it away and build the catalog again with `scan`")]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// How that shows.
        what: String,
    },
    /// SQLite failed, other than by finding damage.
    #[error("catalog database {path}")]
    Database {
        /// The database file.
        path: PathBuf,
        /// SQLite's own words.
        source: rusqlite::Error,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was to be done, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The file was written by a newer Longhaul.
    #[error(
        "{path} has version {found}, this program knows versions up to {known}; \
         use the Longhaul that wrote it, or a newer one"
    )]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// There is no file of paths for this set.
    #[error("the catalog has no list of files for set {set}; `scan` its volumes to build it")]
    NoSetFile {
        /// The set.
        set: Uuid,
    },
    /// The database belongs to another program.
    #[error("{path} is a database, but not a Longhaul catalog; name another folder")]
    NotACatalog {
        /// The database file.
        path: PathBuf,
    },
    /// Rows must come in the byte order of their paths.
    #[error(
        "entry {} comes after {}: entries must come in the byte order of their paths",
        .path.escape_ascii(), .after.escape_ascii()
    )]
    OutOfOrder {
        /// The path that came too late.
        path: Vec<u8>,
        /// The path before it.
        after: Vec<u8>,
    },
    /// A path that no set file takes.
    #[error("a path of {len} bytes: paths have 1 to {max} bytes", max = crate::PATH_BYTES_MAX)]
    PathLength {
        /// The length it has, in bytes.
        len: usize,
    },
    /// A pattern that cannot be searched for.
    #[error("pattern {}: {why}", .pattern.escape_ascii())]
    Pattern {
        /// The pattern.
        pattern: Vec<u8>,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A number above what the database can hold.
    #[error("{field} {value} is above {max}, the largest that the catalog holds", max = i64::MAX)]
    TooLarge {
        /// The field's name.
        field: &'static str,
        /// The value.
        value: u64,
    },
    /// A set names a volume that the catalog does not know.
    #[error("set {set} lies on volume {volume}, which the catalog does not know; put it first")]
    UnknownVolume {
        /// The set.
        set: Uuid,
        /// The volume.
        volume: Uuid,
    },
    /// Sets on this volume are still in the catalog.
    #[error("volume {volume} holds {sets} sets of the catalog; remove them first")]
    VolumeInUse {
        /// The volume.
        volume: Uuid,
        /// Sets that lie on it, in whole or in part.
        sets: u64,
    },
    /// Another volume has this name.
    #[error(
        "the catalog knows another volume named {name}, with UUID {other}; \
         remove that one, or give this one another name"
    )]
    VolumeNameTaken {
        /// The name.
        name: String,
        /// The volume that has it.
        other: Uuid,
    },
}

impl Error {
    /// A closure for `map_err` on the operating system's errors.
    pub(crate) fn io<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Error + 'a {
        move |source| Error::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Damage found in `path`.
    pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> Error {
        Error::Corrupt {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}
