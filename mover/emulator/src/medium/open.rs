//! Opening a cartridge file, and refusing what is none.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::superblock::{COPY_BYTES, Superblock, Unusable};
use super::{Geometry, Medium, OBJECT_OVERHEAD, Uncommitted};
use crate::error::Error;
use crate::lock::{self, Locked};
use crate::url::{CAPACITY_MAX, CAPACITY_MIN};

impl Medium {
    /// Opens a cartridge for a drive. A file that the host only lets us read
    /// is a write-protected cartridge.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Held`], [`Error::Damaged`], [`Error::Io`].
    pub fn open(path: &Path) -> Result<Medium, Error> {
        let both = OpenOptions::new().read(true).write(true).open(path);
        let (file, read_only) = match both {
            Ok(file) => (file, false),
            Err(error) if refuses_writing(&error) => (reading(path)?, true),
            Err(error) => return Err(Error::io(path, "open it", error)),
        };
        let file = lock::take(file, path)?;
        Medium::of(path, file, read_only)
    }

    /// Opens a cartridge to be read only, beside others that only read.
    ///
    /// # Errors
    /// As [`Medium::open`].
    pub(super) fn open_read_only(path: &Path) -> Result<Medium, Error> {
        let file = reading(path)?;
        let file = lock::share(file, path)?;
        Medium::of(path, file, true)
    }

    fn of(path: &Path, file: Locked, read_only: bool) -> Result<Medium, Error> {
        let metadata = file
            .metadata()
            .map_err(|e| Error::io(path, "look at it", e))?;
        if !metadata.is_file() {
            return Err(Error::damaged(path, "it is not a regular file"));
        }
        let head = newest(path, &file)?;
        let geometry = Geometry::new(head.capacity);
        let least = geometry.data + head.extent.stored_end;
        if metadata.len() < least {
            let what = format!(
                "it was truncated to {} bytes of at least {least}",
                metadata.len()
            );
            return Err(Error::damaged(path, what));
        }
        Ok(Medium {
            path: path.to_owned(),
            file,
            geometry,
            committed: head.extent,
            head,
            uncommitted: Uncommitted::default(),
            read_only,
            written: false,
        })
    }
}

fn reading(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|error| Error::io(path, "open it", error))
}

fn refuses_writing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// The superblock that was written last, of those that are whole.
fn newest(path: &Path, file: &File) -> Result<Superblock, Error> {
    let first = copy(path, file, 0)?;
    let second = copy(path, file, COPY_BYTES as u64)?;
    let head = match (first, second) {
        (Ok(first), Ok(second)) if second.sequence > first.sequence => second,
        (Ok(first), _) => first,
        (Err(_), Ok(second)) => second,
        (Err(first), Err(second)) => return Err(Error::damaged(path, unusable(first, second))),
    };
    plausible(&head).map_err(|what| Error::damaged(path, what))?;
    Ok(head)
}

fn copy(path: &Path, file: &File, at: u64) -> Result<Result<Superblock, Unusable>, Error> {
    let mut bytes = vec![0; COPY_BYTES];
    let mut filled = 0;
    while filled < bytes.len() {
        let got = file.read_at(&mut bytes[filled..], at + filled as u64);
        match got.map_err(|error| Error::io(path, "read it", error))? {
            0 => break,
            got => filled += got,
        }
    }
    Ok(Superblock::decode(&bytes[..filled]))
}

fn unusable(first: Unusable, second: Unusable) -> String {
    match (first, second) {
        (Unusable::Version(version), _) | (_, Unusable::Version(version)) => {
            format!("it is of version {version}, which this program cannot read")
        }
        (Unusable::NotOurs, Unusable::NotOurs) => "it does not begin as a cartridge does".into(),
        _ => "both copies of its superblock have wrong checksums".into(),
    }
}

/// Values with a right checksum can still be made up; the rest of the code
/// relies on these.
fn plausible(head: &Superblock) -> Result<(), String> {
    if !(CAPACITY_MIN..=CAPACITY_MAX).contains(&head.capacity) {
        return Err(format!(
            "its superblock claims a capacity of {} bytes",
            head.capacity
        ));
    }
    let extent = head.extent;
    let used =
        u128::from(extent.data_end) + u128::from(extent.objects) * u128::from(OBJECT_OVERHEAD);
    if used > u128::from(head.capacity) {
        return Err("its superblock claims more data than its capacity".to_owned());
    }
    if extent.filemarks > extent.objects || extent.stored_end > extent.data_end {
        return Err("its superblock contradicts itself".to_owned());
    }
    Ok(())
}
