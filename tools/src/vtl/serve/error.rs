//! Why a library could not be presented to the kernel.

use std::io;
use std::path::{Path, PathBuf};

use longhaul_ffi::tcmu::RingError;

/// Why a library could not be presented to the kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The kernel has no target, or it is not visible.
    #[error("{} is not there: mount configfs on /sys/kernel/config, and load the kernel's \
        target (modprobe target_core_user)", .path.display())]
    NoTarget {
        /// Where it should be.
        path: PathBuf,
    },
    /// A part of the kernel's target is not there.
    #[error("the kernel has no {fabric} target: load its module (modprobe {module})")]
    NoFabric {
        /// Folder of the door.
        fabric: &'static str,
        /// The kernel module that has it.
        module: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// Something in the kernel's target could not be made or removed.
    #[error("cannot {action} {}", .path.display())]
    Configfs {
        /// What was tried.
        action: &'static str,
        /// The file, folder or link.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The target's name is taken.
    #[error("the target {} is there already, and is not of this library: remove it, or use \
        another name", .path.display())]
    Taken {
        /// The target.
        path: PathBuf,
    },
    /// The kernel did not make a UIO device for a backstore.
    #[error("no UIO device for {backstore} appeared in /sys/class/uio and /dev")]
    NoUio {
        /// The backstore's name.
        backstore: String,
    },
    /// A backstore's ring could not be used.
    #[error("the commands of {backstore} cannot be had")]
    Ring {
        /// The backstore's name.
        backstore: String,
        /// What is wrong with it.
        source: RingError,
    },
    /// More than this program has threads for.
    #[error(
        "{count} pairs of logical unit and path, where {most} are the most: name fewer \
        initiators or portals"
    )]
    TooMany {
        /// Pairs asked for.
        count: usize,
        /// Most that can be.
        most: usize,
    },
    /// A thread or signal handler could not be made.
    #[error("cannot {action}")]
    Host {
        /// What was tried.
        action: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
}

impl ServeError {
    /// The program's exit code: 2 usage, 5 held by another, 7 needs an
    /// operator.
    pub fn exit_code(&self) -> u8 {
        match self {
            ServeError::TooMany { .. } => 2,
            ServeError::Taken { .. } => 5,
            _ => 7,
        }
    }

    pub(super) fn configfs<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl Fn(io::Error) -> ServeError + 'a {
        move |source| ServeError::Configfs {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
