//! The file systems that were restored to, and whether they keep it.
//!
//! A write that the kernel has taken may still fail when it reaches the disk: a
//! thin disk is full, a path is gone. Whoever has closed the file hears nothing of
//! that. syncfs(2) tells whether it happened to any file of a file system since the
//! descriptor that it is asked with was opened (from Linux 5.8), so one descriptor of
//! each is opened before the first byte is written there.

use std::collections::BTreeMap;

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use super::error::Error;

/// Descriptors that are kept. With more file systems, those before are synced first.
const KEPT_MAX: usize = 64;

/// A descriptor on each file system that was restored to, by its device number.
#[derive(Debug, Default)]
pub(super) struct FileSystems(BTreeMap<u64, Kept>);

#[derive(Debug)]
struct Kept {
    /// The first member there.
    path: Vec<u8>,
    fd: OwnedFd,
}

impl FileSystems {
    /// Takes note of a file to which nothing was written yet.
    ///
    /// # Errors
    /// The kernel's; [`Error::NotKept`] as [`sync`](FileSystems::sync).
    pub(super) fn reach(&mut self, path: &[u8], file: impl AsFd) -> Result<(), Error> {
        let kept = |source| Error::NotKept {
            path: path.to_vec(),
            source,
        };
        let device = rustix::fs::fstat(&file).map_err(kept)?.st_dev;
        if self.0.contains_key(&device) {
            return Ok(());
        }
        if self.0.len() >= KEPT_MAX {
            self.sync()?;
            self.0.clear();
        }
        let fd = rustix::io::fcntl_dupfd_cloexec(&file, 0).map_err(kept)?;
        let path = path.to_vec();
        self.0.insert(device, Kept { path, fd });
        Ok(())
    }

    /// Waits until all is on the disks that was written to these file systems.
    ///
    /// # Errors
    /// [`Error::NotKept`] for the first one that has lost something.
    pub(super) fn sync(&self) -> Result<(), Error> {
        for Kept { path, fd } in self.0.values() {
            loop {
                match rustix::fs::syncfs(fd) {
                    Err(Errno::INTR) => {}
                    Ok(()) => break,
                    Err(source) => {
                        let path = path.clone();
                        return Err(Error::NotKept { path, source });
                    }
                }
            }
        }
        Ok(())
    }
}
