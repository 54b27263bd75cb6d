//! The coordinator's folder: its database, the files of attempts, the catalog.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use longhaul_catalog::{Catalog, SetPart, SetRecord, SetState, Volume};
use longhaul_protocol::ask::{Events, ROWS_MAX, Row};
use longhaul_protocol::report::{Part, SetDone};
use longhaul_protocol::{AttemptId, Time};

use super::search::Searcher;
use super::store::{Entered, Failure, ReadJournal, Search, Store};
use crate::chain;
use crate::core::state::{Change, Key, RunState, State};
use crate::database::Database;
use crate::files::{Files, JOURNALS, SETS};

/// The catalog's folder, below the coordinator's.
pub const CATALOG: &str = "catalog";

/// The folder.
#[derive(Debug)]
pub struct Disk {
    database: Database,
    journals: Files,
    sets: Files,
    catalog: Catalog,
    /// For whoever reads journals in another thread.
    read: Arc<Files>,
    /// For whoever searches the catalog there.
    search: Arc<Searcher>,
}

impl Disk {
    /// Opens the folder, and makes what is missing; gives all rows.
    ///
    /// # Errors
    /// The database's, the catalog's, the operating system's.
    pub fn open(dir: &Path, now: Time) -> Result<(Disk, State), Failure> {
        let (database, state) = Database::open(dir, now)?;
        let mut disk = Disk {
            database,
            journals: Files::open(dir, JOURNALS)?,
            sets: Files::open(dir, SETS)?,
            catalog: Catalog::open(&dir.join(CATALOG))?,
            read: Arc::new(Files::open(dir, JOURNALS)?),
            search: Arc::new(Searcher::open(&dir.join(CATALOG))?),
        };
        disk.journals.prune(&state, &BTreeSet::new())?;
        let left_out = disk.enter_rest(&state)?;
        disk.sets.prune(&state, &left_out)?;
        Ok((disk, state))
    }

    /// Takes in what could not be taken in when its attempt ended. Gives what still
    /// cannot.
    fn enter_rest(&self, state: &State) -> Result<BTreeSet<AttemptId>, Failure> {
        let mut left_out = BTreeSet::new();
        for id in self.sets.among(state.attempts.keys())? {
            let ended = state.attempts.get(id).and_then(|row| row.ended.as_ref());
            let Some(set) = ended.and_then(|ended| ended.set.clone()) else {
                continue;
            };
            match self.enter(&Entered::of(state, id.clone(), set)) {
                Ok(()) => log::info!("the set of {id} is in the catalog now"),
                Err(why) => {
                    log::error!("{why}");
                    left_out.insert(id.clone());
                }
            }
        }
        Ok(left_out)
    }

    /// Takes a set into the catalog. It is on the tape whatever becomes of this.
    fn enter(&self, entered: &Entered) -> Result<(), String> {
        self.try_enter(entered).map_err(|error| {
            let (set, why) = (entered.set.uuid, chain(&*error));
            let next = match entered.set.file_bytes {
                0 => "take it in with `lh-mover scan`",
                _ => "it is tried again when the coordinator is started",
            };
            format!("set {set} is done, and the catalog does not know it: {why}; {next}")
        })
    }

    fn try_enter(&self, entered: &Entered) -> Result<(), Failure> {
        let set = &entered.set;
        if set.file_bytes == 0 {
            return Err("its node has lost the file of it".into());
        }
        let (from, to) = (
            self.sets.path(&entered.attempt),
            self.catalog.set_path(set.uuid),
        );
        match fs::rename(&from, &to) {
            // It was entered before, and that was not written down.
            Err(error) if error.kind() == io::ErrorKind::NotFound && to.exists() => {}
            renamed => renamed?,
        }
        if let Some(folder) = to.parent() {
            File::open(folder)?.sync_all()?;
        }
        // Whoever looks for a path later should not be the first to see that it
        // is damaged.
        self.catalog.set_file(set.uuid)?;
        for (part, name) in set.parts.iter().zip(&entered.volumes) {
            if self.catalog.volume(part.volume)?.is_none() {
                self.make_way(name)?;
                self.catalog.put_volume(&Volume {
                    uuid: part.volume,
                    name: name.clone(),
                    barcode: None,
                    record_bytes: set.record_bytes,
                    created_ms: set.started.0,
                    capacity_bytes: None,
                })?;
            }
        }
        Ok(self.catalog.put_set(&record(set, &entered.paths))?)
    }

    /// Another volume that the catalog has under a name is none of the coordinator's
    /// any more: its cartridge was labelled anew, or removed. Its sets stay, under a
    /// name that no volume can have.
    fn make_way(&self, name: &str) -> Result<(), Failure> {
        let Some(old) = self.catalog.volume_by_name(name)? else {
            return Ok(());
        };
        let other = format!("{name}~{}", old.uuid);
        log::warn!("the catalog has another volume {name}, which is {other} from now on");
        Ok(self.catalog.put_volume(&Volume { name: other, ..old })?)
    }

    /// Removes the files of attempts that are of use to nobody any more.
    fn forget(
        &mut self,
        changes: &[Change],
        left_out: &[(AttemptId, String)],
    ) -> Result<(), Failure> {
        for change in changes {
            match change {
                Change::Run(id, run) if matches!(run.state, RunState::Done(_)) => {
                    for number in 0..=run.attempts {
                        let run = id.clone();
                        let id = AttemptId { run, number };
                        self.journals.remove(&id)?;
                        // It is tried again at the next start.
                        if !left_out.iter().any(|(of, _)| *of == id) {
                            self.sets.remove(&id)?;
                        }
                    }
                }
                Change::Removed(Key::Attempt(id)) => {
                    self.journals.remove(id)?;
                    self.sets.remove(id)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn record(set: &SetDone, paths: &[String]) -> SetRecord {
    let part = |part: &longhaul_protocol::report::SetPart| SetPart {
        volume: part.volume,
        tape_file: part.tape_file,
        first_block: part.first_block,
        stream_offset: part.stream_offset,
    };
    SetRecord {
        uuid: set.uuid,
        parts: set.parts.iter().map(part).collect(),
        started_ms: set.started.0,
        ended_ms: None,
        host: set.host.clone(),
        paths: paths.iter().map(|path| path.clone().into_bytes()).collect(),
        members: set.members,
        bytes: set.bytes,
        errors: set.damaged,
        state: SetState::Finished,
    }
}

impl Store for Disk {
    fn keep(&mut self, attempt: &AttemptId, part: &Part) -> Result<(), Failure> {
        Ok(self.journals.keep(attempt, part)?)
    }

    fn keep_set(&mut self, attempt: &AttemptId, part: &Part) -> Result<(), Failure> {
        Ok(self.sets.keep(attempt, part)?)
    }

    fn commit(
        &mut self,
        now: Time,
        changes: &[Change],
        sets: &[Entered],
    ) -> Result<Vec<(AttemptId, String)>, Failure> {
        self.database.is_ours()?;
        self.journals.sync()?;
        self.sets.sync()?;
        let left_out = sets.iter().filter_map(|entered| {
            let why = self.enter(entered).err()?;
            Some((entered.attempt.clone(), why))
        });
        let left_out: Vec<(AttemptId, String)> = left_out.collect();
        self.database.commit(now, changes)?;
        self.forget(changes, &left_out)?;
        Ok(left_out)
    }

    fn events(&self, query: &Events) -> Result<(Vec<Row>, Option<String>), Failure> {
        let most = query.most.clamp(1, ROWS_MAX);
        let before = query.after.as_deref().map(str::parse).transpose()?;
        let of = query.of.as_deref();
        let mut events = self.database.events(of, before, most.saturating_add(1))?;
        let has_more = events.len() > most as usize;
        events.truncate(most as usize);
        let mut rows = Vec::with_capacity(events.len());
        for event in events {
            rows.push(Row {
                key: event.number.to_string(),
                row: serde_json::to_value(&event)?,
            });
        }
        let more = rows.last().map(|row| row.key.clone());
        Ok((rows, more.filter(|_| has_more)))
    }

    fn copy_if_due(&mut self, now: Time) {
        if let Err(error) = self.database.copy_if_due(now) {
            log::error!("no copy of the database is made: {}", chain(&error));
        }
    }

    fn reader(&self) -> ReadJournal {
        let files = Arc::clone(&self.read);
        Arc::new(move |attempt, offset, max| Ok(files.read(attempt, offset, max)?))
    }

    fn searcher(&self) -> Search {
        let searcher = Arc::clone(&self.search);
        Arc::new(move |query, only| searcher.find(query, only))
    }
}

#[cfg(test)]
mod tests {
    use longhaul_catalog::SetFilter;
    use longhaul_protocol::report::Outcome;
    use uuid::Uuid;

    use super::*;
    use crate::database::tests::{attempt, run};

    /// The catalog's file of a set without paths.
    fn set_file(set: Uuid) -> Vec<u8> {
        let dir = tempfile::tempdir().expect("a folder");
        let catalog = Catalog::open(dir.path()).expect("a catalog");
        let builder = catalog.set_builder(set).expect("a file");
        builder.finish().expect("a file");
        fs::read(catalog.set_path(set)).expect("a file")
    }

    #[test]
    fn a_set_that_could_not_be_taken_in_is_at_the_next_start() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut disk, _) = Disk::open(dir.path(), Time(1)).expect("a folder");
        let (uuid, volume) = (Uuid::from_u128(5), Uuid::from_u128(7));
        let bytes = set_file(uuid);
        let set = SetDone {
            uuid,
            parts: vec![longhaul_protocol::report::SetPart {
                volume,
                tape_file: 1,
                first_block: 3,
                stream_offset: 0,
            }],
            record_bytes: 65_536,
            host: "n1".into(),
            started: Time(1),
            members: 0,
            bytes: 0,
            damaged: 0,
            file_bytes: bytes.len() as u64,
        };
        let id = AttemptId {
            run: longhaul_protocol::RunId {
                job: "db".parse().expect("a name"),
                due: Time(1),
            },
            number: 1,
        };
        disk.keep_set(&id, &Part { offset: 0, bytes })
            .expect("kept");
        let mut ended = attempt(id.clone());
        if let Change::Attempt(_, row) = &mut ended {
            row.ended = Some(Outcome {
                set: Some(set.clone()),
                ..Outcome::done(Time(2))
            });
        }
        let done = run(
            id.run.clone(),
            RunState::Done(longhaul_protocol::ExitStatus::Done),
        );
        let entered = Entered {
            attempt: id.clone(),
            set,
            paths: vec!["/srv".into()],
            volumes: vec!["LH0001".into()],
        };
        // There is no place for it.
        let sets = dir.path().join(CATALOG).join("sets");
        fs::rename(&sets, dir.path().join("away")).expect("moved");
        let left_out = disk
            .commit(Time(2), &[done, ended], &[entered])
            .expect("durable");
        assert_eq!(left_out.len(), 1);
        assert!(left_out[0].1.contains("tried again"), "{left_out:?}");
        drop(disk);
        fs::rename(dir.path().join("away"), &sets).expect("moved");
        let (disk, _) = Disk::open(dir.path(), Time(3)).expect("a folder");
        let known = disk.catalog.sets(&SetFilter::default()).expect("sets");
        assert_eq!(known.len(), 1);
        assert!(!disk.sets.path(&id).exists());
    }
}
