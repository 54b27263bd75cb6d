//! A new file under a name of its own, until it is whole.
//!
//! Whatever is made is made under a temporary name in the directory where it
//! belongs, with `O_EXCL` semantics, and renamed when it has all its data and
//! metadata. So no reader ever sees half a file under a real name, and an
//! interrupted restore leaves at most a file named [`PREFIX`]… behind.

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::below::Parent;

/// How the names of unfinished files begin. A killed restore can leave one in
/// each directory it was working in; they may be deleted.
pub const PREFIX: &str = ".lh-restore-";

/// How often another name is tried when one is taken.
const ATTEMPTS_MAX: u64 = 100;

/// What the finished file may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replace {
    /// Anything, of directories only an empty one.
    Anything,
    /// Anything but a directory.
    Files,
    /// Nothing: what appeared meanwhile stays.
    Nothing,
}

/// A name that is removed again unless the file was put into place.
#[derive(Debug)]
pub(super) struct Temporary {
    parent: Arc<OwnedFd>,
    name: String,
    in_place: bool,
}

impl Temporary {
    /// Has `make` make something under a new name in `parent`.
    pub(super) fn create<T>(
        parent: &Parent,
        mut make: impl FnMut(&str) -> Result<T, Errno>,
    ) -> Result<(Temporary, T), Errno> {
        // Keyed anew for each file. Nothing depends on nobody guessing it:
        // what was made is checked, or written through its descriptor.
        let random = RandomState::new();
        for attempt in 0..ATTEMPTS_MAX {
            let name = format!("{PREFIX}{:016x}", random.hash_one(attempt));
            match make(&name) {
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
                Ok(made) => {
                    let parent = Arc::clone(&parent.fd);
                    return Ok((
                        Temporary {
                            parent,
                            name,
                            in_place: false,
                        },
                        made,
                    ));
                }
            }
        }
        Err(Errno::EXIST)
    }

    /// Its name in its directory.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Gives the file its real name.
    ///
    /// # Errors
    /// `EEXIST` if something stands there that may not be replaced, `EISDIR`
    /// or `ENOTEMPTY` if a directory does; otherwise the kernel's.
    pub(super) fn into_place(mut self, name: &[u8], replace: Replace) -> Result<(), Errno> {
        match replace {
            Replace::Nothing => self.place_beside(name)?,
            Replace::Files => self.rename(name)?,
            Replace::Anything => match self.rename(name) {
                Err(Errno::ISDIR) => {
                    rustix::fs::unlinkat(&self.parent, name, AtFlags::REMOVEDIR)?;
                    self.rename(name)?;
                }
                renamed => renamed?,
            },
        }
        self.in_place = true;
        Ok(())
    }

    fn rename(&self, name: &[u8]) -> Result<(), Errno> {
        rustix::fs::renameat(&self.parent, &*self.name, &self.parent, name)
    }

    fn place_beside(&self, name: &[u8]) -> Result<(), Errno> {
        let (dir, from) = (&self.parent, &*self.name);
        match rustix::fs::renameat_with(dir, from, dir, name, RenameFlags::NOREPLACE) {
            // Not every file system knows the flag (NFS does not), but a link
            // never replaces anything either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(dir, from, dir, name, AtFlags::empty())?;
                rustix::fs::unlinkat(dir, from, AtFlags::empty())
            }
            renamed => renamed,
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.in_place {
            // Nobody is left to tell, and the name says what it is.
            let _ = rustix::fs::unlinkat(&self.parent, &*self.name, AtFlags::empty());
        }
    }
}
