//! A journal after a crash.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use longhaul_format::index::{Entry, Volume};
use serde::de::DeserializeOwned;
use thiserror::Error;
use uuid::Uuid;

use super::frame::{self, Kind, MAGIC};
use super::journal::{self, Head, Journal};
use super::{CHECKPOINTS_KEPT, Checkpoint};
use crate::source::Problem;

/// Why a journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("the journal {}: {source}", path.display())]
    Io {
        /// The journal.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// It is no journal, or not one of this version.
    #[error("{}: no journal of Longhaul's: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// What a journal holds. It is locked: no other process writes it.
#[derive(Debug)]
pub struct Recovered {
    file: File,
    path: PathBuf,
    /// What was being backed up.
    pub head: Head,
    /// The volumes of the set.
    pub volumes: Vec<Volume>,
    /// The last checkpoints, oldest first.
    pub checkpoints: VecDeque<Checkpoint>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Entries in it, those behind the last checkpoint too.
    pub entries: u64,
}

impl Recovered {
    /// Reads a journal. What its tail may lack is not missed: it was never said
    /// to be safe.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn read(path: &Path) -> Result<Recovered, JournalError> {
        Recovered::open(path, true)
    }

    /// The same, to look at only: another process may be writing it.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn look(path: &Path) -> Result<Recovered, JournalError> {
        Recovered::open(path, false)
    }

    fn open(path: &Path, locked: bool) -> Result<Recovered, JournalError> {
        let io = |source| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        let bad = |what: &str| JournalError::Malformed {
            path: path.to_owned(),
            what: what.into(),
        };
        let file = File::open(path).map_err(io)?;
        if locked {
            journal::lock(&file, path).map_err(io)?;
        }
        let mut from = BufReader::with_capacity(1 << 20, &file);
        let mut magic = [0; MAGIC.len()];
        if !frame::read_whole(&mut from, &mut magic).map_err(io)? || magic != *MAGIC {
            return Err(bad("its first line is another"));
        }
        let mut payload = Vec::new();
        let first = frame::read(&mut from, &mut payload).map_err(io)?;
        let head = match first {
            Some(Kind::Head) => json::<Head>(&payload).map_err(|what| bad(&what))?,
            _ => return Err(bad("its head is not whole")),
        };
        let (mut volumes, mut problems) = (Vec::new(), Vec::new());
        let (mut checkpoints, mut entries) = (VecDeque::new(), 0);
        while let Some(kind) = frame::read(&mut from, &mut payload).map_err(io)? {
            match kind {
                Kind::Head => return Err(bad("it has two heads")),
                Kind::Volume => volumes.push(json(&payload).map_err(|what| bad(&what))?),
                Kind::Problem => problems.push(json(&payload).map_err(|what| bad(&what))?),
                Kind::Entries => entries += u64::from(count(&payload)),
                Kind::Checkpoint => {
                    let checkpoint: Checkpoint = json(&payload).map_err(|what| bad(&what))?;
                    if checkpoint.cursor.entries > entries {
                        return Err(bad("a checkpoint covers entries that are not there"));
                    }
                    checkpoints.push_back(checkpoint);
                    if checkpoints.len() > CHECKPOINTS_KEPT {
                        checkpoints.pop_front();
                    }
                }
            }
        }
        if volumes.is_empty() {
            return Err(bad("it names no volume"));
        }
        let path = path.to_owned();
        Ok(Recovered {
            file,
            path,
            head,
            volumes,
            checkpoints,
            problems,
            entries,
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The end of the set's part on its last volume, if it goes on on another.
    pub fn ended(&self) -> Option<&Checkpoint> {
        let last = self.volumes.last().map(|volume| volume.sequence);
        let newest = self.checkpoints.back();
        newest.filter(|newest| newest.ended && Some(newest.volume) == last)
    }

    /// Whether the set, as far as it has come, lies on that volume.
    pub fn is_on(&self, volume: Uuid) -> bool {
        self.volumes.last().is_some_and(|last| last.uuid == volume)
    }

    /// Hands the first `count` entries to `each`, in order.
    ///
    /// # Errors
    /// [`JournalError`], and what `each` answers.
    pub fn each_entry<E: From<JournalError>>(
        &self,
        count: u64,
        mut each: impl FnMut(Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        let io = |source| JournalError::Io {
            path: self.path.clone(),
            source,
        };
        let mut from = BufReader::with_capacity(1 << 20, &self.file);
        from.seek(SeekFrom::Start(MAGIC.len() as u64)).map_err(io)?;
        let (mut payload, mut line, mut done) = (Vec::new(), Vec::new(), 0);
        while done < count {
            let Some(kind) = frame::read(&mut from, &mut payload).map_err(io)? else {
                let what = format!("{done} of {count} entries are there");
                let path = self.path.clone();
                return Err(JournalError::Malformed { path, what }.into());
            };
            if kind != Kind::Entries {
                continue;
            }
            let mut lines = journal::lines(payload.get(4..).unwrap_or_default()).map_err(io)?;
            while done < count {
                line.clear();
                let len = (&mut lines)
                    .take(frame::PAYLOAD_MAX as u64)
                    .read_until(b'\n', &mut line)
                    .map_err(io)?;
                if len == 0 {
                    break;
                }
                let entry = json(&line).map_err(|what| JournalError::Malformed {
                    path: self.path.clone(),
                    what,
                })?;
                done += 1;
                each(entry)?;
            }
        }
        Ok(())
    }

    /// A journal in this one's place that ends where the set is gone on with:
    /// `entries` entries, the volumes up to number `volumes`, and of the
    /// checkpoints those that `keep` says. Once it is there, what was behind
    /// is durably gone. Each entry that stays is handed to `each`.
    ///
    /// # Errors
    /// [`JournalError`], and what `each` answers.
    pub fn rewound<E: From<JournalError>>(
        self,
        head: &Head,
        volumes: u32,
        entries: u64,
        keep: impl Fn(&Checkpoint) -> bool,
        at: &Path,
        mut each: impl FnMut(&Entry) -> Result<(), E>,
    ) -> Result<Journal, E> {
        let io = |source| JournalError::Io {
            path: at.to_owned(),
            source,
        };
        let kept = self.volumes.iter().filter(|v| v.sequence <= volumes);
        let kept: Vec<Volume> = kept.cloned().collect();
        // Ours is the lock on the old one.
        let _ = self.file.unlock();
        let mut new = Journal::create(at, head, &kept).map_err(io)?;
        self.each_entry(entries, |entry| {
            new.push(&entry).map_err(io)?;
            each(&entry)
        })?;
        for problem in &self.problems {
            new.problem(problem).map_err(io)?;
        }
        new.flush().map_err(io)?;
        for checkpoint in self.checkpoints.iter().filter(|&kept| keep(kept)) {
            new.checkpoint(checkpoint).map_err(io)?;
        }
        new.publish().map_err(io)?;
        Ok(new)
    }
}

fn json<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    serde_json::from_slice(payload).map_err(|error| error.to_string())
}

fn count(payload: &[u8]) -> u32 {
    let bytes = payload.first_chunk::<4>().copied().unwrap_or_default();
    u32::from_le_bytes(bytes)
}
