//! Why a tool did not do what it was asked to, and its exit code.

use std::io;
use std::path::PathBuf;

use longhaul_emulator::medium::ObjectError;

use super::serve::ServeError;

/// Why a tool did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The cartridge or library could not be opened or made.
    #[error(transparent)]
    Cartridge(#[from] longhaul_emulator::Error),
    /// A file that would be written is there already.
    #[error("{} exists already; name another folder, or remove it", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// An object of the cartridge could not be read.
    #[error("{done} tape files were written, the next one was not")]
    Object {
        /// Tape files that are whole.
        done: u64,
        /// Which object, and why.
        source: ObjectError,
    },
    /// The file system that is written to failed.
    #[error("cannot {action} {}", .path.display())]
    Target {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// A library could not be presented to the kernel.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl Failure {
    /// The program's exit code: 2 usage, 3 the medium, 4 refused to protect
    /// data, 5 held by another, 7 needs an operator.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Cartridge(longhaul_emulator::Error::Held { .. }) => 5,
            Failure::Cartridge(longhaul_emulator::Error::Exists { .. }) => 4,
            Failure::Cartridge(longhaul_emulator::Error::Impossible { .. }) => 2,
            Failure::Cartridge(_) | Failure::Object { .. } => 3,
            Failure::Exists { .. } => 4,
            Failure::Target { .. } => 7,
            Failure::Serve(error) => error.exit_code(),
        }
    }
}
