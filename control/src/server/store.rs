//! Where what is decided is made durable.
//!
//! MERGE: `Database` and `Journals` take the place of
//! [`Scratch`], and of the trait if nothing else needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longhaul_protocol::report::Part;
use longhaul_protocol::{AttemptId, Time};

use crate::core::state::{Change, State};

/// Why something is not durable.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Reads a piece of an attempt's journal: from where, and how many bytes at most.
pub type ReadJournal =
    Arc<dyn Fn(&AttemptId, u64, usize) -> Result<Vec<u8>, Failure> + Send + Sync>;

/// What the coordinator's thread writes to. After an error it writes no more:
/// what is durable is not known then.
pub trait Store: Send + 'static {
    /// Writes a piece of a journal.
    ///
    /// # Errors
    /// The reason.
    fn keep(&mut self, attempt: &AttemptId, part: &Part) -> Result<(), Failure>;

    /// Makes all pieces durable, and then these changes, all or none.
    ///
    /// # Errors
    /// The reason.
    fn commit(&mut self, now: Time, changes: &[Change]) -> Result<(), Failure>;

    /// What reads journals, from any thread.
    fn reader(&self) -> ReadJournal;
}

/// A store that keeps changes as lines of a file, and journals as files beside
/// it.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    changes: File,
    journals: BTreeMap<AttemptId, File>,
    touched: BTreeSet<AttemptId>,
}

impl Scratch {
    /// Opens the store in this folder, and gives its rows.
    ///
    /// # Errors
    /// The operating system's; a file that is none of ours.
    pub fn open(dir: &Path) -> Result<(Scratch, State), Failure> {
        let path = dir.join("changes.jsonl");
        let mut options = OpenOptions::new();
        let changes = options.create(true).append(true).read(true).open(path)?;
        let mut state = State::default();
        for line in BufReader::new(&changes).lines() {
            state.apply(serde_json::from_str(&line?)?);
        }
        let scratch = Scratch {
            dir: dir.to_owned(),
            changes,
            journals: BTreeMap::new(),
            touched: BTreeSet::new(),
        };
        Ok((scratch, state))
    }
}

fn path(dir: &Path, attempt: &AttemptId) -> PathBuf {
    dir.join(format!("{attempt}.journal"))
}

impl Store for Scratch {
    fn keep(&mut self, attempt: &AttemptId, part: &Part) -> Result<(), Failure> {
        if !self.journals.contains_key(attempt) {
            let mut options = OpenOptions::new();
            let options = options.create(true).truncate(false).write(true);
            let file = options.open(path(&self.dir, attempt))?;
            self.journals.insert(attempt.clone(), file);
        }
        if let Some(file) = self.journals.get(attempt) {
            file.write_all_at(&part.bytes, part.offset)?;
            self.touched.insert(attempt.clone());
        }
        Ok(())
    }

    fn commit(&mut self, _now: Time, changes: &[Change]) -> Result<(), Failure> {
        for attempt in std::mem::take(&mut self.touched) {
            if let Some(file) = self.journals.get(&attempt) {
                file.sync_data()?;
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for change in changes {
            serde_json::to_writer(&mut lines, change)?;
            lines.push(b'\n');
        }
        self.changes.write_all(&lines)?;
        Ok(self.changes.sync_data()?)
    }

    fn reader(&self) -> ReadJournal {
        let dir = self.dir.clone();
        Arc::new(move |attempt, offset, max| {
            let file = File::open(path(&dir, attempt))?;
            let mut bytes = vec![0; max];
            let read = file.read_at(&mut bytes, offset)?;
            bytes.truncate(read);
            Ok(bytes)
        })
    }
}
