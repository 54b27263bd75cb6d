//! The files of attempts, as far as they have come: their journals, and the
//! catalog's files of sets until those are taken into the catalog.
//!
//! Such a file grows: `DIR/journals/JOB@DUE#NUMBER.journal`,
//! `DIR/incoming/JOB@DUE#NUMBER.paths`. It is written ahead of the row that counts its bytes: [`Files::sync`] comes
//! before [`Database::commit`](crate::database::Database::commit). So a file may
//! be longer than its row says, after a crash in between, and what is behind is
//! written again; it is never shorter.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use longhaul_protocol::AttemptId;
use longhaul_protocol::report::{PART_BYTES_MAX, Part};

use crate::core::state::{RunState, State};

/// Files that are open between two syncs. With more, keeping a part syncs those
/// before.
const OPEN_MAX: usize = 256;
/// Threads that sync files. A file system makes the files of several threads
/// durable at once, and those of one thread one after the other.
const THREADS_MAX: usize = 8;
/// What can go wrong with a journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// A part would not join what is there.
    #[error("{path} has {bytes} bytes, and a part at {offset} came; what is between is missing")]
    Gap {
        /// The journal.
        path: PathBuf,
        /// Bytes that it has.
        bytes: u64,
        /// Where the part begins.
        offset: u64,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was to be done, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
}

/// What files there are of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    folder: &'static str,
    ending: &'static str,
}

/// Journals.
pub const JOURNALS: Kind = Kind {
    folder: "journals",
    ending: ".journal",
};
/// The catalog's files of sets.
pub const SETS: Kind = Kind {
    folder: "incoming",
    ending: ".paths",
};

/// The files of one kind.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    ending: &'static str,
    /// What was written to since the last sync.
    touched: BTreeMap<PathBuf, File>,
    /// Whether one of them is new.
    has_new: bool,
}

impl Files {
    /// The files beside the database in `dir`. Their folder is created if it is
    /// missing.
    ///
    /// # Errors
    /// [`FilesError::Io`] if it cannot be.
    pub fn open(dir: &Path, kind: Kind) -> Result<Files, FilesError> {
        let folder = dir.join(kind.folder);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(io("create", &folder))?;
        sync_folder(dir)?;
        Ok(Files {
            dir: folder,
            ending: kind.ending,
            touched: BTreeMap::new(),
            has_new: false,
        })
    }

    /// Writes a part to its place; the journal ends behind it. Whoever keeps a
    /// part has made sure that it does not end before what a row counts. It is
    /// durable after the next [`sync`](Files::sync).
    ///
    /// # Errors
    /// [`FilesError::Gap`] if it begins behind the journal's end;
    /// [`FilesError::Io`], and then the coordinator has to stop, as for
    /// [`sync`](Files::sync).
    pub fn keep(&mut self, attempt: &AttemptId, part: &Part) -> Result<(), FilesError> {
        let path = self.path(attempt);
        if !self.touched.contains_key(&path) {
            if self.touched.len() >= OPEN_MAX {
                self.sync()?;
            }
            let file = self.touch(&path)?;
            self.touched.insert(path.clone(), file);
        }
        let Some(file) = self.touched.get(&path) else {
            return Ok(());
        };
        let bytes = file.metadata().map_err(io("look at", &path))?.len();
        if part.offset > bytes {
            let offset = part.offset;
            return Err(FilesError::Gap {
                path,
                bytes,
                offset,
            });
        }
        file.write_all_at(&part.bytes, part.offset)
            .map_err(io("write", &path))?;
        // Only now: what is durable already must not be missing for a moment.
        let end = part.offset.saturating_add(part.bytes.len() as u64);
        if end < bytes {
            file.set_len(end).map_err(io("shorten", &path))?;
        }
        Ok(())
    }

    fn touch(&mut self, path: &Path) -> Result<File, FilesError> {
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.has_new = true;
                options
                    .create_new(true)
                    .open(path)
                    .map_err(io("create", path))
            }
            opened => opened.map_err(io("open", path)),
        }
    }

    /// Makes durable all that was kept.
    ///
    /// # Errors
    /// [`FilesError::Io`]. What was kept may be lost then, and calling again
    /// does not tell: the coordinator has to stop.
    pub fn sync(&mut self) -> Result<(), FilesError> {
        let touched: Vec<(PathBuf, File)> = std::mem::take(&mut self.touched).into_iter().collect();
        let a_thread = touched.len().div_ceil(THREADS_MAX).max(1);
        match touched.as_slice() {
            [] => {}
            [(path, file)] => sync(path, file)?,
            touched => thread::scope(|scope| {
                let threads: Vec<_> = touched
                    .chunks(a_thread)
                    .map(|chunk| {
                        scope.spawn(|| chunk.iter().try_for_each(|(path, file)| sync(path, file)))
                    })
                    .collect();
                threads.into_iter().try_for_each(|thread| {
                    thread.join().unwrap_or_else(|_| {
                        let source = io::Error::other("its thread panicked");
                        Err(io("sync", &self.dir)(source))
                    })
                })
            })?,
        }
        if self.has_new {
            sync_folder(&self.dir)?;
            self.has_new = false;
        }
        Ok(())
    }

    /// What a journal holds from `offset` on: at most `max` bytes, and at most
    /// [`PART_BYTES_MAX`]; fewer, or none, at its end.
    ///
    /// # Errors
    /// [`FilesError::Io`]; its source is
    /// [`NotFound`](io::ErrorKind::NotFound) if there is no such journal.
    pub fn read(
        &self,
        attempt: &AttemptId,
        offset: u64,
        max: usize,
    ) -> Result<Vec<u8>, FilesError> {
        let path = self.path(attempt);
        let file = File::open(&path).map_err(io("open", &path))?;
        let mut bytes = vec![0; max.min(PART_BYTES_MAX)];
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset.saturating_add(read as u64)) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io("read", &path)(error)),
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Removes a journal, if there is one.
    ///
    /// # Errors
    /// [`FilesError::Io`] if it stays.
    pub fn remove(&mut self, attempt: &AttemptId) -> Result<(), FilesError> {
        let path = self.path(attempt);
        self.touched.remove(&path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the journals that nobody goes on with any more: of runs that are
    /// done, and of attempts that no row knows, but for these. (A run that has failed
    /// can be resumed.) How many there were.
    ///
    /// # Errors
    /// [`FilesError::Io`] if one stays.
    pub fn prune(&mut self, state: &State, but: &BTreeSet<AttemptId>) -> Result<usize, FilesError> {
        let is_wanted = |id: &AttemptId| {
            let run = state.runs.get(&id.run);
            run.is_some_and(|run| !matches!(run.state, RunState::Done(_))) || but.contains(id)
        };
        let ids = state.attempts.keys().filter(|id| is_wanted(id));
        let wanted: BTreeSet<PathBuf> = ids.map(|id| self.path(id)).collect();
        let mut count = 0;
        for entry in fs::read_dir(&self.dir).map_err(io("read", &self.dir))? {
            let path = entry.map_err(io("read", &self.dir))?.path();
            let is_journal = path
                .extension()
                .is_some_and(|ending| ending == &self.ending[1..]);
            if is_journal && !wanted.contains(&path) {
                fs::remove_file(&path).map_err(io("remove", &path))?;
                self.touched.remove(&path);
                count += 1;
            }
        }
        Ok(count)
    }

    /// Those of these attempts that have a file here.
    ///
    /// # Errors
    /// [`FilesError::Io`] if nobody can look.
    pub fn among<'a>(
        &self,
        attempts: impl Iterator<Item = &'a AttemptId>,
    ) -> Result<Vec<&'a AttemptId>, FilesError> {
        let mut there = BTreeSet::new();
        for entry in fs::read_dir(&self.dir).map_err(io("read", &self.dir))? {
            there.insert(entry.map_err(io("read", &self.dir))?.path());
        }
        if there.is_empty() {
            return Ok(Vec::new());
        }
        let have_one = attempts.filter(|id| there.contains(&self.path(id)));
        Ok(have_one.collect())
    }

    /// Where an attempt's file is.
    pub fn path(&self, attempt: &AttemptId) -> PathBuf {
        self.dir.join(format!("{attempt}{}", self.ending))
    }
}

fn sync(path: &Path, file: &File) -> Result<(), FilesError> {
    file.sync_data().map_err(io("sync", path))
}

fn sync_folder(dir: &Path) -> Result<(), FilesError> {
    let folder = File::open(dir).map_err(io("open", dir))?;
    folder.sync_all().map_err(io("sync", dir))
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> FilesError + 'a {
    move |source| FilesError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use longhaul_protocol::{ExitStatus, RunId, Time};
    use proptest::prelude::*;

    use super::*;
    use crate::database::tests::{attempt, run};

    fn id(number: u32) -> AttemptId {
        AttemptId {
            run: RunId {
                job: "daily".parse().expect("a name"),
                due: Time(1_764_111_600_000),
            },
            number,
        }
    }

    fn part(offset: u64, bytes: &[u8]) -> Part {
        let bytes = bytes.to_vec();
        Part { offset, bytes }
    }

    fn journals() -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let journals = Files::open(dir.path(), JOURNALS).expect("journals");
        (dir, journals)
    }

    #[test]
    fn a_part_that_leaves_a_gap_is_an_error_and_changes_nothing() {
        let (_dir, mut journals) = journals();
        journals.keep(&id(1), &part(0, b"abc")).expect("kept");
        let error = journals.keep(&id(1), &part(4, b"e")).expect_err("a gap");
        assert!(matches!(
            error,
            FilesError::Gap {
                bytes: 3,
                offset: 4,
                ..
            }
        ));
        assert_eq!(journals.read(&id(1), 0, 99).expect("read"), b"abc");
        let error = journals.keep(&id(2), &part(1, b"e")).expect_err("a gap");
        assert!(error.to_string().contains("daily@1764111600000#2.journal"));
    }

    #[test]
    fn what_came_behind_a_crash_is_written_over() {
        let (dir, mut journals) = journals();
        journals.keep(&id(1), &part(0, b"abcdef")).expect("kept");
        journals.sync().expect("durable");
        drop(journals);
        // The row counts three bytes.
        let mut journals = Files::open(dir.path(), JOURNALS).expect("again");
        journals.keep(&id(1), &part(3, b"XY")).expect("kept");
        assert_eq!(journals.read(&id(1), 0, 99).expect("read"), b"abcXY");
    }

    #[test]
    fn more_files_than_may_be_open_are_kept_and_synced() {
        let (_dir, mut journals) = journals();
        for number in 0..OPEN_MAX as u32 + 5 {
            journals.keep(&id(number), &part(0, b"x")).expect("kept");
            assert!(journals.touched.len() <= OPEN_MAX);
        }
        journals.sync().expect("durable");
        assert!(journals.touched.is_empty() && !journals.has_new);
        for number in 0..OPEN_MAX as u32 + 5 {
            assert_eq!(journals.read(&id(number), 0, 9).expect("read"), b"x");
        }
    }

    #[test]
    fn journals_that_nobody_goes_on_with_are_removed() {
        let (dir, mut journals) = journals();
        let mut state = State::default();
        for (due, is) in [
            (1, Some(RunState::Active)),
            (2, Some(RunState::Failed("drive".into()))),
            (3, Some(RunState::Done(ExitStatus::Done))),
            (4, None),
        ] {
            let mut id = id(1);
            id.run.due = Time(due);
            if let Some(is) = is {
                state.apply(run(id.run.clone(), is));
                state.apply(attempt(id.clone()));
            }
            journals.keep(&id, &part(0, b"x")).expect("kept");
        }
        std::fs::write(dir.path().join("journals/notes"), "mine").expect("written");
        assert_eq!(journals.prune(&state, &BTreeSet::new()).expect("pruned"), 2);
        for (due, stays) in [(1, true), (2, true), (3, false), (4, false)] {
            let mut id = id(1);
            id.run.due = Time(due);
            assert_eq!(journals.read(&id, 0, 1).is_ok(), stays, "{due}");
        }
        assert!(dir.path().join("journals/notes").exists());
        journals.sync().expect("durable");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_journal_is_what_was_kept(
            steps in proptest::collection::vec(
                (0u32..3, 0u64..60, proptest::collection::vec(any::<u8>(), 0..40), 0u8..8), 1..40)
        ) {
            let (dir, mut journals) = journals();
            let mut model: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
            for (number, offset, bytes, what) in steps {
                match what {
                    0 => journals.sync().expect("durable"),
                    1 => journals = Files::open(dir.path(), JOURNALS).expect("again"),
                    2 => {
                        journals.remove(&id(number)).expect("removed");
                        model.remove(&number);
                    }
                    _ => {
                        let kept = journals.keep(&id(number), &part(offset, &bytes));
                        let file = model.entry(number).or_default();
                        prop_assert_eq!(kept.is_ok(), offset <= file.len() as u64);
                        if kept.is_ok() {
                            file.truncate(offset as usize);
                            file.extend(&bytes);
                        }
                    }
                }
                for (number, file) in &model {
                    let read = journals.read(&id(*number), 0, 1000).expect("read");
                    prop_assert_eq!(&read, file);
                    let from = file.len() / 2;
                    let read = journals.read(&id(*number), from as u64, 3).expect("read");
                    prop_assert_eq!(read, &file[from..file.len().min(from + 3)]);
                }
            }
        }
    }
}
