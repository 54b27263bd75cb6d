//! What a service keeps on its disk.
//!
//! | path | what |
//! | --- | --- |
//! | `lock` | held by the service that runs |
//! | `seen.json` | what it has seen of coordinators |
//! | `attempts/JOB@DUE#N/attempt.json` | an attempt, until its end was heard |
//! | `…/lock` | held by its process |
//! | `…/carried.journal` | the journal that it goes on with |
//! | `…/journal`, `…/journals`, `…/sets`, … | what its process writes |

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use longhaul_protocol::AttemptId;
use longhaul_protocol::report::{PART_BYTES_MAX, Part};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ServeError;
use crate::job::attempt::Task;
use crate::service::{self, Attempt, Seen};

/// How long a process of a service before may take to die.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
const ROW: &str = "attempt.json";
const LOCK: &str = "lock";

/// The folder, which no other service has.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    _lock: File,
}

/// What a service starts with.
#[derive(Debug, Default)]
pub struct Kept {
    /// What it has seen of coordinators.
    pub seen: Seen,
    /// Its attempts.
    pub attempts: BTreeMap<AttemptId, Attempt>,
}

impl Store {
    /// Opens the folder, and makes it if there is none. No process of an attempt
    /// runs then.
    ///
    /// # Errors
    /// [`ServeError::Busy`] if another service has it, or a process of one does
    /// not end; [`ServeError::State`] for what cannot be read.
    pub fn open(dir: &Path) -> Result<(Store, Kept), ServeError> {
        let attempts = dir.join("attempts");
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&attempts);
        made.map_err(ServeError::state(&attempts))?;
        let path = dir.join(LOCK);
        let lock = lock(&path)
            .map_err(ServeError::state(&path))?
            .ok_or_else(|| {
                ServeError::Busy(format!("{}: another service has it", path.display()))
            })?;
        let seen = read(&dir.join("seen.json"))?;
        let mut kept = Kept {
            seen: seen.unwrap_or_default(),
            attempts: BTreeMap::new(),
        };
        let entries = fs::read_dir(&attempts).map_err(ServeError::state(&attempts))?;
        for entry in entries {
            let path = entry.map_err(ServeError::state(&attempts))?.path();
            wait_until_over(&path, PATIENCE)?;
            match read::<Attempt>(&path.join(ROW))? {
                Some(attempt) => {
                    kept.attempts.insert(attempt.start.attempt.clone(), attempt);
                }
                // It was begun, and not written down, or it is over.
                None => fs::remove_dir_all(&path).map_err(ServeError::state(&path))?,
            }
        }
        let dir = dir.to_owned();
        Ok((Store { dir, _lock: lock }, kept))
    }

    /// An attempt's folder.
    pub fn folder(&self, id: &AttemptId) -> PathBuf {
        self.dir.join("attempts").join(id.to_string())
    }

    /// Keeps an attempt durably; one that is no more goes with all its files.
    ///
    /// # Errors
    /// [`ServeError::State`].
    pub fn save(&self, id: &AttemptId, attempt: Option<&Attempt>) -> Result<(), ServeError> {
        let folder = self.folder(id);
        let row = folder.join(ROW);
        let Some(attempt) = attempt else {
            // Without its row the rest is litter.
            fs::remove_file(&row).map_err(ServeError::state(&row))?;
            return fs::remove_dir_all(&folder).map_err(ServeError::state(&folder));
        };
        if !folder.exists() {
            fs::create_dir(&folder).map_err(ServeError::state(&folder))?;
            sync_folder(&self.dir.join("attempts"))?;
        }
        write(&row, attempt)
    }

    /// Keeps what was seen of coordinators, durably.
    ///
    /// # Errors
    /// [`ServeError::State`].
    pub fn save_seen(&self, seen: &Seen) -> Result<(), ServeError> {
        write(&self.dir.join("seen.json"), seen)
    }

    /// Keeps a piece of the journal that an attempt goes on with.
    ///
    /// # Errors
    /// [`ServeError::State`].
    pub fn keep(&self, id: &AttemptId, part: &Part) -> Result<(), ServeError> {
        let path = Task::carried(&self.folder(id));
        let put = || {
            let mut options = OpenOptions::new();
            let file = options
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)?;
            file.write_all_at(&part.bytes, part.offset)
        };
        put().map_err(ServeError::state(&path))
    }

    /// A piece of one of an attempt's files, from an offset on; none if there is
    /// nothing.
    pub fn piece(&self, id: &AttemptId, file: service::File, offset: u64) -> Option<Part> {
        let folder = self.folder(id);
        let path = match file {
            service::File::Journal => Task::journal(&folder),
            service::File::Set(set) => folder.join("sets").join(format!("{set}.paths")),
        };
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(PART_BYTES_MAX as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) if bytes.is_empty() => None,
            Ok(bytes) => Some(Part { offset, bytes }),
            Err(error) => {
                log::error!(
                    "{}: {error}; the coordinator does not get it",
                    path.display()
                );
                None
            }
        }
    }
}

/// Takes the lock of an attempt's process, for as long as the file is open.
///
/// # Errors
/// If it cannot be made, or another process has it.
pub fn lock_attempt(folder: &Path) -> io::Result<File> {
    lock(&folder.join(LOCK))?.ok_or_else(|| io::ErrorKind::ResourceBusy.into())
}

/// Waits until no process of an attempt runs that a service with this folder has
/// started, and that has died since; for so long at most.
///
/// # Errors
/// [`ServeError::Busy`] if the service runs, or a process does not end;
/// [`ServeError::State`].
pub fn wait_until_idle(dir: &Path, patience: Duration) -> Result<(), ServeError> {
    let attempts = dir.join("attempts");
    let entries = match fs::read_dir(&attempts) {
        Ok(entries) => entries,
        // There was never one.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ServeError::state(&attempts)(error)),
    };
    let path = dir.join(LOCK);
    let _lock = lock(&path)
        .map_err(ServeError::state(&path))?
        .ok_or_else(|| {
            ServeError::Busy(format!(
                "{}: the service runs, and does not listen",
                path.display()
            ))
        })?;
    let begun = Instant::now();
    for entry in entries {
        let path = entry.map_err(ServeError::state(&attempts))?.path();
        wait_until_over(&path, patience.saturating_sub(begun.elapsed()))?;
    }
    Ok(())
}

fn lock(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let file = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Waits until no process of an attempt runs: it dies with the service that has
/// started it, but may have a command under way that the kernel waits for.
fn wait_until_over(folder: &Path, patience: Duration) -> Result<(), ServeError> {
    let path = folder.join(LOCK);
    let begun = Instant::now();
    while lock(&path).map_err(ServeError::state(&path))?.is_none() {
        if begun.elapsed() > patience {
            return Err(ServeError::Busy(format!(
                "{}: the process of an attempt of a service before still runs; see what it waits \
                 for, and start again when it is gone",
                folder.display()
            )));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ServeError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ServeError::state(path)(error)),
    };
    let row = serde_json::from_slice(&bytes);
    row.map(Some)
        .map_err(|error| ServeError::state(path)(error.into()))
}

/// Writes a file beside its name, and renames it: there is the old one or the new
/// one, durably.
fn write(path: &Path, row: &impl Serialize) -> Result<(), ServeError> {
    let new = path.with_extension("new");
    let put = || -> io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(row)?)?;
        file.sync_data()?;
        fs::rename(&new, path)
    };
    put().map_err(ServeError::state(path))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

fn sync_folder(path: &Path) -> Result<(), ServeError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(ServeError::state(path))
}
