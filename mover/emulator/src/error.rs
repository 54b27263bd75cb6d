//! Why a cartridge, a drive or a library could not be had.

use std::io;
use std::path::{Path, PathBuf};

use crate::faults::PlanError;

/// What went wrong with a cartridge or a library, beside commands.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file.
    #[error("{}: no such cartridge file", .path.display())]
    NotFound {
        /// The cartridge file.
        path: PathBuf,
    },
    /// A blank cartridge was to be made where there is a file already.
    #[error("{}: exists already; a new cartridge needs a new file", .path.display())]
    Exists {
        /// The cartridge file.
        path: PathBuf,
    },
    /// Somebody else has the cartridge in a drive.
    #[error("{}: in use by {}", .path.display(), holder(*.pid))]
    Held {
        /// The cartridge file.
        path: PathBuf,
        /// The holder, where `/proc/locks` names it.
        pid: Option<u32>,
    },
    /// The file is no cartridge, or was truncated or written over.
    #[error("{}: damaged or not a cartridge: {what}", .path.display())]
    Damaged {
        /// The cartridge file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The URL asks for another cartridge than the one that the file holds.
    #[error("{}: the cartridge has {option}={has}, not {option}={asked}; leave the option out",
        .path.display())]
    Mismatch {
        /// The cartridge file.
        path: PathBuf,
        /// The URL's option.
        option: &'static str,
        /// What the cartridge was made with.
        has: String,
        /// What the URL says.
        asked: String,
    },
    /// The barcode, serial number or capacity for a new cartridge is impossible.
    #[error("{}: a cartridge cannot be made: {what}", .path.display())]
    Impossible {
        /// The cartridge file.
        path: PathBuf,
        /// Which value, and what it may be.
        what: String,
    },
    /// The folder holds no library.
    #[error("{}: no library; make one with `lh-vtl create`", .path.display())]
    NoLibrary {
        /// The folder.
        path: PathBuf,
    },
    /// `library.toml` says what cannot be.
    #[error("{}: {what}", .path.display())]
    Library {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The operator's hand found no way.
    #[error("{what}")]
    Operator {
        /// Why not.
        what: String,
    },
    /// The fault plan could not be used.
    #[error("fault plan {}", .path.display())]
    Faults {
        /// The plan's file.
        path: PathBuf,
        /// What is wrong with it.
        source: PlanError,
    },
    /// The host's file system refused something.
    #[error("{}: cannot {action}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the host said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(path: &Path, action: &'static str, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::NotFound {
            return Error::NotFound {
                path: path.to_owned(),
            };
        }
        Error::Io {
            path: path.to_owned(),
            action,
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Error {
        Error::Damaged {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}
