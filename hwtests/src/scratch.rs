//! Folders for tests.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{env, io};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Names a folder for scratch folders, on a file system that has what tests
/// need: room for some 200 MB, sparse files, ACLs, extended attributes.
pub const SCRATCH_VARIABLE: &str = "LONGHAUL_SCRATCH";

/// Set to anything, it keeps scratch folders.
pub const KEEP_VARIABLE: &str = "LONGHAUL_KEEP";

/// A file system in memory.
const MEMORY: &str = "/dev/shm";

/// A folder of a test's own. It goes away with the value, even if the test
/// fails; `LONGHAUL_KEEP=1` keeps it, to look at.
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
}

impl Scratch {
    /// Makes an empty folder.
    ///
    /// # Errors
    /// If the place for scratch folders is not there or not writable.
    pub fn new() -> Result<Scratch> {
        Scratch::below(&env::var_os(SCRATCH_VARIABLE).map_or_else(env::temp_dir, PathBuf::from))
    }

    fn below(place: &Path) -> Result<Scratch> {
        // By its real name: what is backed up is named so.
        let place = place
            .canonicalize()
            .with_context(|| format!("{}", place.display()))?;
        let mut dir = tempfile::Builder::new()
            .prefix("lh-")
            .tempdir_in(&place)
            .with_context(|| format!("cannot make a scratch folder in {}", place.display()))?;
        if env::var_os(KEEP_VARIABLE).is_some() {
            dir.disable_cleanup(true);
            eprintln!("keeping {}", dir.path().display());
        }
        Ok(Scratch { dir })
    }

    /// The same in memory, for tests that make many small files durable.
    ///
    /// # Errors
    /// As [`new`](Scratch::new).
    pub fn in_memory() -> Result<Scratch> {
        match Path::new(MEMORY) {
            place if place.is_dir() && env::var_os(SCRATCH_VARIABLE).is_none() => {
                Scratch::below(place)
            }
            _ => Scratch::new(),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the folder.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Folders that nobody may write to would stay, unless root removes
        // them. What fails here is left behind, and is no test's failure.
        if env::var_os(KEEP_VARIABLE).is_none() && !rustix::process::geteuid().is_root() {
            let _ = open_up(self.dir.path());
        }
    }
}

/// Removes a folder and all below it, also what nobody may write to.
///
/// # Errors
/// If it cannot be removed.
pub fn remove_tree(folder: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        open_up(folder)?;
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
