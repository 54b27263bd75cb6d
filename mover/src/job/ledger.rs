//! What is written down of a set while it is written: the journal, which
//! becomes the index on the tape, and the rows for the catalog.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use longhaul_catalog::{Catalog, SetBuilder, SetRecord};
use longhaul_format::index::{Entry, Head, State, Volume};
use longhaul_format::label::Label;
use uuid::Uuid;

use super::volume::TapeSet;
use super::{JobError, adopt, chain, convert};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::journal::{self, Journal};
use crate::checkpoint::recovered::{JournalError, Recovered};
use crate::pipeline::entry::Totals;
use crate::progress::{Progress, Reached};
use crate::source::Problem;

/// What the pipeline has to say of a set.
pub enum Note {
    /// A member has ended.
    Entry(Box<Entry>),
    /// Something could not be read.
    Problem(Problem),
    /// The medium holds the set up to here.
    Checkpoint(Box<Checkpoint>),
}

/// The entries of a set that is being written.
pub struct Ledger {
    journal: Journal,
    set: Uuid,
    /// The set's volumes by their numbers in it.
    volumes: BTreeMap<u32, Uuid>,
    /// Trouble with the catalog never stops a backup: it can be built again
    /// from the index.
    rows: Result<SetBuilder, String>,
}

impl Ledger {
    /// An empty ledger of a set that begins on `volume`.
    ///
    /// # Errors
    /// If the journal cannot be written; [`JobError::Held`] if another process
    /// is writing the same set.
    pub fn new(
        catalog: &Catalog,
        head: &journal::Head,
        volume: &Volume,
    ) -> Result<Ledger, JobError> {
        let mut ledger = Ledger::anew(catalog, head, volume)?;
        ledger.publish()?;
        Ok(ledger)
    }

    /// The same; a journal of the set that is there stays what it is until
    /// [`publish`](Ledger::publish).
    ///
    /// # Errors
    /// As [`new`](Ledger::new).
    pub fn anew(
        catalog: &Catalog,
        head: &journal::Head,
        volume: &Volume,
    ) -> Result<Ledger, JobError> {
        let path = journal::path_of(catalog.dir(), head.set);
        let journal = Journal::create(&path, head, std::slice::from_ref(volume))
            .map_err(|error| of_journal(&path, error))?;
        let rows = catalog.set_builder(head.set).map_err(|error| chain(&error));
        Ok(Ledger {
            journal,
            set: head.set,
            volumes: numbered(std::slice::from_ref(volume)),
            rows,
        })
    }

    /// Puts its journal durably in the place of the one before.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn publish(&mut self) -> Result<(), JobError> {
        self.written(Journal::publish)
    }

    /// The ledger of a set that is gone on with, as it was when it had
    /// `entries` entries and lay on so many `volumes`; of the checkpoints those
    /// stay that `keep` says, and what was behind is durably gone. Each entry is
    /// handed to `each`.
    ///
    /// # Errors
    /// As [`new`](Ledger::new); if the journal makes no sense.
    pub fn resumed(
        catalog: &Catalog,
        recovered: Recovered,
        head: &journal::Head,
        (volumes, entries): (u32, u64),
        keep: impl Fn(&Checkpoint) -> bool,
        mut each: impl FnMut(&Entry),
    ) -> Result<Ledger, JobError> {
        let mut rows = catalog.set_builder(head.set).map_err(|error| chain(&error));
        let path = journal::path_of(catalog.dir(), head.set);
        let on = numbered(&recovered.volumes);
        let take = |entry: &Entry| {
            each(entry);
            row(&mut rows, entry.clone());
            Ok::<(), JournalError>(())
        };
        let journal = recovered.rewound(head, volumes, entries, keep, &path, take)?;
        Ok(Ledger {
            journal,
            set: head.set,
            volumes: on,
            rows,
        })
    }

    /// The ledger of a set whose archive has come to its end, for one more
    /// checkpoint. The journal only grows: whoever has a copy of it has less, and
    /// nothing else. It has no rows for the catalog.
    ///
    /// # Errors
    /// If the journal cannot be opened.
    pub fn reopened(catalog: &Catalog, set: Uuid, volumes: &[Volume]) -> Result<Ledger, JobError> {
        let path = journal::path_of(catalog.dir(), set);
        let journal = Journal::reopen(&path).map_err(|error| of_journal(&path, error))?;
        Ok(Ledger {
            journal,
            set,
            volumes: numbered(volumes),
            rows: Err("the set goes on on another volume".into()),
        })
    }

    /// Takes what the pipeline has to say.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn note(&mut self, note: Note, progress: &Progress) -> Result<(), JobError> {
        match note {
            Note::Entry(entry) => self.push(*entry),
            Note::Problem(problem) => self.written(|journal| journal.problem(&problem)),
            Note::Checkpoint(checkpoint) => self.checkpoint(&checkpoint, progress),
        }
    }

    /// Appends a checkpoint. It is told to whoever listens to `progress`, once it is on
    /// the disk.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        progress: &Progress,
    ) -> Result<(), JobError> {
        let journal_bytes = self.written(|journal| {
            journal.checkpoint(checkpoint)?;
            journal.bytes()
        })?;
        log::info!(
            "checkpoint: {} members and {} bytes of the archive are on the medium, up to \
             block {} of volume {} of the set",
            checkpoint.cursor.entries,
            checkpoint.cursor.offset,
            checkpoint.block,
            checkpoint.volume
        );
        if let Some(volume) = self.volumes.get(&checkpoint.volume) {
            progress.reached(Reached {
                set: self.set,
                journal: self.journal.path().to_owned(),
                journal_bytes,
                taken_ms: checkpoint.taken_ms,
                volume: *volume,
                block: checkpoint.block,
                members: checkpoint.cursor.entries,
                bytes: checkpoint.cursor.offset,
            });
        }
        Ok(())
    }

    /// What is done with the journal; where it fails, the error names the file.
    fn written<T>(
        &mut self,
        write: impl FnOnce(&mut Journal) -> io::Result<T>,
    ) -> Result<T, JobError> {
        write(&mut self.journal).map_err(|error| of_journal(self.journal.path(), error))
    }

    /// Takes note of a volume on which the set goes on; that is durable before
    /// anything of it is written there.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn volume(&mut self, volume: &Volume) -> Result<(), JobError> {
        self.volumes.insert(volume.sequence, volume.uuid);
        self.written(|journal| journal.volume(volume))
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn push(&mut self, entry: Entry) -> Result<(), JobError> {
        self.written(|journal| journal.push(&entry))?;
        row(&mut self.rows, entry);
        Ok(())
    }

    /// What was counted so far.
    pub fn totals(&self) -> Totals {
        self.journal.totals()
    }

    /// Ends the index, and leaves the rows to be entered.
    ///
    /// # Errors
    /// If the index cannot be written.
    pub fn finish(mut self, catalog: &Catalog, head: Head) -> Result<(File, Rows), JobError> {
        let dir = catalog.dir();
        let index = self.journal.index(&head, dir).map_err(|error| {
            JobError::local(format!("the index, below {}", dir.display()), error)
        })?;
        let Ledger { journal, rows, .. } = self;
        Ok((
            index,
            Rows {
                rows,
                journal,
                head,
            },
        ))
    }
}

fn of_journal(path: &Path, error: io::Error) -> JobError {
    JobError::local(format!("the journal {}", path.display()), error)
}

fn numbered(volumes: &[Volume]) -> BTreeMap<u32, Uuid> {
    let number = |volume: &Volume| (volume.sequence, volume.uuid);
    volumes.iter().map(number).collect()
}

fn row(rows: &mut Result<SetBuilder, String>, entry: Entry) {
    if let Ok(builder) = rows
        && let Err(error) = builder.push(convert::row(entry))
    {
        *rows = Err(chain(&error));
    }
}

/// What an entry that was stored before an interruption has to say to people.
pub fn damage(entry: &Entry) -> Option<Problem> {
    let what = "is damaged, as was found before the backup was interrupted";
    (entry.state == State::Damaged).then(|| Problem::new(&entry.path, what))
}

/// The rows of a set whose index is written.
pub struct Rows {
    rows: Result<SetBuilder, String>,
    journal: Journal,
    head: Head,
}

impl Rows {
    /// Enters the set, which is done on the tape, into the catalog. Its journal
    /// has then served its purpose.
    ///
    /// # Errors
    /// Why the catalog does not know the set now.
    pub fn enter(
        self,
        catalog: &Catalog,
        label: &Label,
        set: &TapeSet,
    ) -> Result<SetRecord, String> {
        if let Err(error) = self.journal.remove() {
            log::warn!("the journal of a set that is done stays behind: {error}");
        }
        self.rows?.finish().map_err(|error| chain(&error))?;
        adopt::record(catalog, label, set, self.head).map_err(|error| error.to_string())
    }
}
