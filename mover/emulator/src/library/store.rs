//! A library's folder, held by one process:
//!
//! ```text
//! DIR/library.toml             the elements, and where each cartridge is
//! DIR/cartridges/BARCODE.vtape the cartridges
//! DIR/lock                     locked by the process that has the library
//! ```
//!
//! A change is a new `library.toml` beside the old one, made durable and then
//! renamed over it: whenever the process dies, there is exactly one, and in it
//! each cartridge is in exactly one place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::lock::{self, Locked};
use crate::medium::Medium;

use super::state::State;

const FILE: &str = "library.toml";
const FILE_NEW: &str = "library.toml.new";
const LOCK: &str = "lock";
const CARTRIDGES: &str = "cartridges";
/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

const HEAD: &str = "\
# A library of emulated tape drives (docs/library.md). While it is served, it is
# written anew with every move: change it only while nobody has it.
";

/// The folder, and what stands in it.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    state: State,
    /// Held for as long as the library is open.
    _lock: Locked,
}

/// What became of a change.
#[derive(Debug)]
pub(crate) enum Kept {
    /// It is on the disk.
    Durably,
    /// It is made, and could be undone by a power cut of the host.
    Perhaps(Error),
}

impl Store {
    /// A new library in a folder, which is made if there is none.
    pub(super) fn create(dir: &Path, state: State) -> Result<Store, Error> {
        state.check().map_err(|what| Error::Impossible {
            path: dir.to_owned(),
            what,
        })?;
        let cartridges = dir.join(CARTRIDGES);
        fs::create_dir_all(&cartridges).map_err(|e| Error::io(&cartridges, "make it", e))?;
        let lock = held(dir)?;
        if dir.join(FILE).exists() {
            return Err(Error::Exists {
                path: dir.join(FILE),
            });
        }
        Ok(Store {
            dir: dir.to_owned(),
            state,
            _lock: lock,
        })
    }

    /// The library of a folder.
    pub(super) fn open(dir: &Path) -> Result<Store, Error> {
        let path = dir.join(FILE);
        // Before the lock, so that no lock file is made where there is no library.
        if !path.is_file() {
            return Err(Error::NoLibrary {
                path: dir.to_owned(),
            });
        }
        let lock = held(dir)?;
        let state = read(&path)?;
        let store = Store {
            dir: dir.to_owned(),
            state,
            _lock: lock,
        };
        for cartridge in &store.state.cartridges {
            let path = store.cartridge_path(&cartridge.barcode);
            if !path.is_file() {
                return Err(Error::NotFound { path });
            }
        }
        Ok(store)
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// A file whose name in `library.toml` is seen from the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn cartridge_path(&self, barcode: &str) -> PathBuf {
        self.dir.join(CARTRIDGES).join(format!("{barcode}.vtape"))
    }

    /// Opens a cartridge, to be put into a drive.
    pub(crate) fn open_cartridge(&self, barcode: &str) -> Result<Medium, Error> {
        Medium::open(&self.cartridge_path(barcode))
    }

    /// Makes a change.
    ///
    /// # Errors
    /// If it could not be: then all is as it was.
    pub(crate) fn keep(&mut self, state: State) -> Result<Kept, Error> {
        let (new, path) = (self.dir.join(FILE_NEW), self.dir.join(FILE));
        let text = toml::to_string(&state)
            .map_err(|error| Error::damaged(&path, format!("it cannot be written: {error}")))?;
        write(&new, format!("{HEAD}{text}").as_bytes())
            .map_err(|error| Error::io(&new, "write it", error))?;
        fs::rename(&new, &path).map_err(|error| Error::io(&path, "replace it", error))?;
        self.state = state;
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        Ok(match synced {
            Ok(()) => Kept::Durably,
            Err(error) => Kept::Perhaps(Error::io(&self.dir, "make a change durable in it", error)),
        })
    }
}

fn held(dir: &Path) -> Result<Locked, Error> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| Error::io(&path, "open it", error))?;
    lock::take(file, &path)
}

fn read(path: &Path) -> Result<State, Error> {
    let file = File::open(path).map_err(|error| Error::io(path, "open it", error))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Error::io(path, "read it", error))?;
    let wrong = |what| Error::Library {
        path: path.to_owned(),
        what,
    };
    let state: State = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    state.check().map_err(wrong)?;
    Ok(state)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
