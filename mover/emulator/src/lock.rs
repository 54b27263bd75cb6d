//! Who has a cartridge file open: one drive, as a cartridge can only be in one.

use std::fs::{self, File, TryLockError};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::Error;

/// A locked file. Dropping it unlocks it by name, and does not wait for the
/// last copy of its descriptor to be closed: a process that is just being
/// forked off has one, until it executes its program.
#[derive(Debug)]
pub(crate) struct Locked(File);

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // If it fails, closing the file unlocks it a moment later.
        let _ = self.0.unlock();
    }
}

/// Takes the file for this opener alone (`flock(2)`; the kernel lets go when
/// the process dies, however it dies).
///
/// # Errors
/// [`Error::Held`] with the holder's process id, where `/proc/locks` shows it.
pub(crate) fn take(file: File, path: &Path) -> Result<Locked, Error> {
    outcome(file.try_lock(), file, path)
}

/// Keeps drives away from the file while it is only read, beside others that
/// read it.
///
/// # Errors
/// As [`take`].
pub(crate) fn share(file: File, path: &Path) -> Result<Locked, Error> {
    outcome(file.try_lock_shared(), file, path)
}

fn outcome(locked: Result<(), TryLockError>, file: File, path: &Path) -> Result<Locked, Error> {
    match locked {
        Ok(()) => Ok(Locked(file)),
        Err(TryLockError::WouldBlock) => Err(Error::Held {
            path: path.to_owned(),
            pid: holder(&file),
        }),
        Err(TryLockError::Error(source)) => Err(Error::io(path, "lock it", source)),
    }
}

/// Process that holds a `flock` on this file's inode. Only the inode number is
/// compared: the device number that `/proc/locks` shows is the lower file
/// system's, which on an overlay is not the one that `stat` gives.
fn holder(file: &File) -> Option<u32> {
    let inode = file.metadata().ok()?.ino();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| holder_of(line, inode))
}

/// The process id in a line such as
/// `1: FLOCK  ADVISORY  WRITE 707 fe:01:1048603 0 EOF`. Waiters' lines have an
/// arrow behind the number, and name no holder.
fn holder_of(line: &str, inode: u64) -> Option<u32> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, "FLOCK", _, _, pid, file, ..] = fields[..] else {
        return None;
    };
    let found: u64 = file.rsplit(':').next()?.parse().ok()?;
    // Process 0 and -1 stand for one outside of our process id namespace.
    let pid: u32 = pid.parse().ok().filter(|pid| *pid != 0)?;
    (found == inode).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_opener_is_told_the_holder() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        let open = || File::open(file.path()).expect("open");
        let first = take(open(), file.path()).expect("free");
        let copy = first.try_clone().expect("a second descriptor");
        let error = take(open(), file.path()).expect_err("held");
        let Error::Held { pid, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(pid, Some(std::process::id()));
        share(open(), file.path()).expect_err("held");
        drop(first);
        let reader = share(open(), file.path()).expect("free, whoever has a copy");
        share(open(), file.path()).expect("readers share");
        take(open(), file.path()).expect_err("read");
        drop((reader, copy));
        take(open(), file.path()).expect("free again");
    }

    #[test]
    fn lines_of_proc_locks() {
        let line = "1: FLOCK  ADVISORY  WRITE 707 fe:01:1048603 0 EOF";
        assert_eq!(holder_of(line, 1_048_603), Some(707));
        assert_eq!(holder_of(line, 1), None);
        assert_eq!(
            holder_of(
                "1: -> FLOCK  ADVISORY  WRITE 707 fe:01:1048603 0 EOF",
                1_048_603
            ),
            None
        );
        assert_eq!(
            holder_of(
                "2: POSIX  ADVISORY  WRITE 707 fe:01:1048603 0 EOF",
                1_048_603
            ),
            None
        );
        assert_eq!(holder_of("", 0), None);
        assert_eq!(
            holder_of("1: FLOCK ADVISORY WRITE 0 fe:01:5 0 EOF", 5),
            None
        );
    }
}
