//! Where what is decided is made durable.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use longhaul_protocol::ask::{Events, Find, Row};
use longhaul_protocol::report::{Part, SetDone, SetPart};
use longhaul_protocol::{Answer, AttemptId, Time};
use uuid::Uuid;

use crate::core::state::{Change, State};

/// Why something is not durable.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Reads a piece of an attempt's journal: from where, and how many bytes at most.
pub type ReadJournal =
    Arc<dyn Fn(&AttemptId, u64, usize) -> Result<Vec<u8>, Failure> + Send + Sync>;

/// Looks for something in the catalog: only in these sets, if that is said.
pub type Search = Arc<dyn Fn(&Find, Option<&BTreeSet<Uuid>>) -> Answer + Send + Sync>;

/// A set that the catalog is to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// The attempt that has done it; its file was kept.
    pub attempt: AttemptId,
    /// The set.
    pub set: SetDone,
    /// What it is of.
    pub paths: Vec<String>,
    /// What its volumes are called, in order.
    pub volumes: Vec<String>,
}

impl Entered {
    /// What the rows say of it.
    pub fn of(state: &State, attempt: AttemptId, set: SetDone) -> Entered {
        let run = state.runs.get(&attempt.run);
        let volume = |part: &SetPart| match state.volumes.get(&part.volume) {
            Some(volume) => volume.name.to_string(),
            None => part.volume.to_string(),
        };
        Entered {
            paths: run.map_or_else(Vec::new, |run| run.job.work.paths.clone()),
            volumes: set.parts.iter().map(volume).collect(),
            attempt,
            set,
        }
    }
}

/// What the coordinator's thread writes to. After an error it writes no more:
/// what is durable is not known then.
pub trait Store: Send + 'static {
    /// Writes a piece of a journal.
    ///
    /// # Errors
    /// The reason.
    fn keep(&mut self, attempt: &AttemptId, part: &Part) -> Result<(), Failure>;

    /// Writes a piece of the catalog's file of a set.
    ///
    /// # Errors
    /// The reason.
    fn keep_set(&mut self, attempt: &AttemptId, part: &Part) -> Result<(), Failure>;

    /// Makes all pieces durable, takes these sets into the catalog, and then makes
    /// these changes, all or none. Gives the attempts whose sets could not be taken
    /// in, and why: they are on tape all the same.
    ///
    /// # Errors
    /// The reason.
    fn commit(
        &mut self,
        now: Time,
        changes: &[Change],
        sets: &[Entered],
    ) -> Result<Vec<(AttemptId, String)>, Failure>;

    /// What happened, the newest first, and behind what key there is more.
    ///
    /// # Errors
    /// The reason.
    fn events(&self, query: &Events) -> Result<(Vec<Row>, Option<String>), Failure>;

    /// Makes a copy to go back to, if that is due. Called now and then.
    fn copy_if_due(&mut self, now: Time);

    /// What reads journals, from any thread.
    fn reader(&self) -> ReadJournal;

    /// What searches the catalog, from any thread. It may take long.
    fn searcher(&self) -> Search;
}
