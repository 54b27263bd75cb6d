//! What the coordinator says.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::{Window, Work};
use crate::report::Part;
use crate::run::{Epoch, Token};
use crate::{AttemptId, Name, RunId, Time};

/// A message to a service. It carries the epoch of who says it, and one of an
/// older epoch than the newest that was seen is not obeyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which start of the coordinator says it.
    pub epoch: Epoch,
    /// What it says.
    #[serde(flatten)]
    pub what: What,
}

/// What a coordinator says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum What {
    /// The first message: the service is known.
    Welcome {
        /// It says something at least this often, in milliseconds.
        alive_ms: u64,
        /// The coordinator's clock.
        now: Time,
    },
    /// The first and last message: it is not.
    Refused {
        /// Why.
        why: String,
    },
    /// Begin an attempt, or go on with it: one that is known already is not
    /// begun again.
    Start(Box<Start>),
    /// A piece of the journal that an attempt goes on with.
    Journal {
        /// Whose.
        attempt: AttemptId,
        /// The piece.
        part: Part,
    },
    /// End an attempt.
    Stop {
        /// Which.
        attempt: AttemptId,
        /// How.
        how: Stop,
    },
    /// So much of an attempt's files is durable, and so is what they say.
    Kept {
        /// Whose.
        attempt: AttemptId,
        /// Bytes of the journal.
        journal_bytes: u64,
        /// Bytes of the file of its set.
        #[serde(default)]
        set_bytes: u64,
    },
    /// The end of an attempt is durable, and needs not be said again.
    Heard {
        /// Whose.
        attempt: AttemptId,
    },
    /// What is due on this node while no coordinator may be there: all of it,
    /// instead of what was said before.
    Occurrences {
        /// By the time they are due.
        occurrences: Vec<Occurrence>,
    },
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// At a checkpoint, to be gone on with.
    Checkpoint,
    /// At once: another one has its drive.
    Now,
}

/// An attempt that is to be begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Which.
    pub attempt: AttemptId,
    /// The assignment of the drive: the end of its reservation key.
    pub token: Token,
    /// What is done.
    pub work: Work,
    /// The drive's serial number.
    pub drive: Name,
    /// The changer that loads it, if the volumes are to be brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<Name>,
    /// Assignments whose holders are gone: from each of them the drive may be
    /// taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preempts: Vec<Token>,
    /// Other drives whose reservation somebody may hold who is gone. Before anything is written they are preempted, so that he writes
    /// nothing when he comes back, and volumes that lie in them can be taken out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Left>,
    /// The volumes, in the order in which they are used.
    pub volumes: Vec<VolumeRef>,
    /// What it goes on from. Without it a new set is begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
}

/// A drive that somebody has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The drive's serial number.
    pub drive: Name,
    /// The assignments under which it may still be held.
    pub by: Vec<Token>,
}

/// A volume that an attempt may write to, or restores from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRef {
    /// Its name.
    pub name: Name,
    /// Its identity: what the label must say.
    pub uuid: Uuid,
    /// Nothing is appended to it: what a set has there is gone on with on the next.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

/// What an attempt goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// Bytes of the journal, which come in pieces.
    pub journal_bytes: u64,
    /// End the set as it is, and begin a new one.
    #[serde(default)]
    pub afresh: bool,
}

/// A run that a service begins by itself, if nobody tells it to when it is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// Which.
    pub run: RunId,
    /// What is read.
    pub work: Work,
    /// The assignment that it writes under.
    pub token: Token,
    /// The drive's serial number.
    pub drive: Name,
    /// The changer that loads it, if the volumes are to be brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<Name>,
    /// Assignments whose holders are gone: from each of them the drive may be
    /// taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preempts: Vec<Token>,
    /// The volumes, in the order in which they are used.
    pub volumes: Vec<VolumeRef>,
    /// It is not begun after this.
    pub valid_until: Time,
    /// It is begun in this time of the day alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The cluster resource that must run on the node then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Name>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_flat_json_with_its_epoch() {
        let order = Order {
            epoch: Epoch(7),
            what: What::Welcome {
                alive_ms: 2000,
                now: Time(5),
            },
        };
        let json = serde_json::to_string(&order).expect("JSON");
        assert_eq!(
            json,
            r#"{"epoch":7,"order":"welcome","alive_ms":2000,"now":5}"#
        );
        assert_eq!(serde_json::from_str::<Order>(&json).expect("back"), order);
    }
}
