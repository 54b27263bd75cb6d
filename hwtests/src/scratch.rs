//! Folders for tests.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Names a folder for scratch folders, on a file system that has what tests
/// need: room for some 200 MB, sparse files, ACLs, extended attributes.
pub const SCRATCH_VARIABLE: &str = "LONGHAUL_SCRATCH";

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
        let place = env::var_os(SCRATCH_VARIABLE).map_or_else(env::temp_dir, PathBuf::from);
        // By its real name: what is backed up is named so.
        let place = place
            .canonicalize()
            .with_context(|| format!("{}", place.display()))?;
        let mut dir = tempfile::Builder::new()
            .prefix("lh-")
            .tempdir_in(&place)
            .with_context(|| format!("cannot make a scratch folder in {}", place.display()))?;
        if env::var_os("LONGHAUL_KEEP").is_some() {
            dir.disable_cleanup(true);
            eprintln!("keeping {}", dir.path().display());
        }
        Ok(Scratch { dir })
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
