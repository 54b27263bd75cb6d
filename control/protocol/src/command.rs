//! What operators want.
//!
//! What a command does to volumes is bookkeeping: none makes a service write
//! anywhere but behind the last set, and none makes it forget what is there. The
//! one that does otherwise is a [label](crate::job::Label), which names the volume
//! that it may overwrite.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::Job;
use crate::{Name, RunId, Schedule};

/// An operator's command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// A node may connect.
    AddNode {
        /// Its name.
        node: Name,
    },
    /// There is no such node any more: no attempt is under way there, and no job
    /// names it. Its service is disconnected.
    RemoveNode {
        /// Which.
        node: Name,
    },
    /// Nothing more is begun on a node, or something is again.
    Drain {
        /// Which.
        node: Name,
        /// Nothing is.
        is_drained: bool,
    },
    /// A node does nothing any more: somebody has seen to it. What was under way
    /// there is gone on with elsewhere. Refused while its service is connected.
    ConfirmFenced {
        /// Which.
        node: Name,
    },
    /// A drive is in a pool, or in none.
    PoolDrive {
        /// Its serial number.
        drive: Name,
        /// The pool.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pool: Option<Name>,
    },
    /// Nothing more is begun on a drive, or something is again.
    DisableDrive {
        /// Its serial number.
        drive: Name,
        /// Nothing is.
        is_disabled: bool,
    },
    /// A drive is well again.
    DriveIsWell {
        /// Its serial number.
        drive: Name,
    },
    /// There is no such drive any more: no node reaches it, nobody has it, and
    /// no job names it.
    RemoveDrive {
        /// Its serial number.
        drive: Name,
    },
    /// A volume is in a pool.
    AddVolume {
        /// Its identity, as its label says.
        uuid: Uuid,
        /// Its name, as its label says.
        volume: Name,
        /// The pool.
        pool: Name,
    },
    /// A volume is in another pool. This, and the three below, are refused while
    /// an attempt may write to it, or a run has not ended its set on it.
    MoveVolume {
        /// Its name.
        volume: Name,
        /// The pool.
        pool: Name,
    },
    /// Nothing is appended to a volume any more.
    CloseVolume {
        /// Its name.
        volume: Name,
        /// Why (up to [`WORDS_CHARS_MAX`](crate::ask::WORDS_CHARS_MAX) are kept).
        why: String,
    },
    /// Something may be appended to a volume again.
    OpenVolume {
        /// Its name.
        volume: Name,
    },
    /// A volume is none of this coordinator's any more.
    RemoveVolume {
        /// Its name.
        volume: Name,
    },
    /// A job is as given from now on; runs that are there already stay as they
    /// are.
    SetJob {
        /// All of it.
        job: Box<Job>,
    },
    /// There is no such job any more.
    RemoveJob {
        /// Which.
        job: Name,
    },
    /// A schedule is as given from now on.
    SetSchedule {
        /// All of it.
        schedule: Box<Schedule>,
    },
    /// There is no such schedule any more.
    RemoveSchedule {
        /// Which.
        schedule: Name,
    },
    /// A job is due. Said again, it is the same run.
    Run {
        /// The run, due within [`DUE_OFF_MS_MAX`] of now.
        run: RunId,
    },
    /// Something is done once that no job is kept of: a restore, or a label. Said
    /// again, it is the same run.
    Once {
        /// The run, due within [`DUE_OFF_MS_MAX`] of now, of a job of this name.
        run: RunId,
        /// What is done.
        job: Box<Job>,
    },
    /// A run is to end: at a checkpoint, if it is under way.
    Stop {
        /// Which.
        run: RunId,
    },
    /// A run that was held, has failed, or was stopped goes on.
    Resume {
        /// Which.
        run: RunId,
    },
    /// A run that is over is forgotten. A volume on which its set has not come
    /// to its end is closed.
    RemoveRun {
        /// Which.
        run: RunId,
    },
}

/// How far an operator's clock may be from the coordinator's, in milliseconds.
pub const DUE_OFF_MS_MAX: u64 = 24 * 3600 * 1000;
