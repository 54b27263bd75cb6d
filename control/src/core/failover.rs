//! What the coordinator writes down of a node that has failed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use longhaul_cluster::{Failure, Snapshot};
use longhaul_protocol::report::Point;
use longhaul_protocol::{AttemptId, Name, RunId, Time};
use serde::{Deserialize, Serialize};

/// Things that are said of one failure and kept.
pub const SAID_MAX: usize = 100;

/// A node, and when it was first heard of as lost: `NODE@TIME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FailoverId {
    /// When.
    pub lost: Time,
    /// Which node.
    pub node: Name,
}

impl fmt::Display for FailoverId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.node, self.lost.0)
    }
}

impl FromStr for FailoverId {
    type Err = String;

    fn from_str(text: &str) -> Result<FailoverId, String> {
        // A run is written in the same way.
        let id: RunId = text
            .parse()
            .map_err(|_| "no failover: NODE@TIME".to_owned())?;
        let RunId { job: node, due } = id;
        Ok(FailoverId { lost: due, node })
    }
}

/// A failure, and what was done about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failover {
    /// The coordinator ran there before.
    #[serde(default)]
    pub was_coordinator: bool,
    /// What was said of the node, in the order in which it was heard: the first
    /// [`SAID_MAX`].
    pub said: Vec<Said>,
    /// Since when it does nothing any more for sure, by the clock of who says so.
    #[serde(default)]
    pub dead: Option<Time>,
    /// When that was heard.
    #[serde(default)]
    pub confirmed: Option<Time>,
    /// What was under way there.
    #[serde(default)]
    pub hit: Vec<Hit>,
    /// When the node was there again.
    #[serde(default)]
    pub back: Option<Time>,
}

/// Something that somebody said of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// When it was heard.
    pub heard: Time,
    /// Who: the cluster service of a node, or an operator.
    pub by: String,
    /// What.
    pub words: String,
}

/// An attempt that a failure has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// Which.
    pub attempt: AttemptId,
    /// The drive that it had.
    pub drive: Name,
    /// The volumes that it could write to, by name.
    pub volumes: Vec<Name>,
    /// What it had reached, as far as that is known.
    #[serde(default)]
    pub point: Option<Point>,
    /// When it was decided what becomes of its run.
    pub decided: Time,
    /// What was decided, and why.
    pub decision: String,
    /// The attempt that follows it.
    #[serde(default)]
    pub next: Option<Next>,
}

/// An attempt that follows one that a failure has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Which.
    pub attempt: AttemptId,
    /// Where.
    pub node: Name,
    /// On which drive.
    pub drive: Name,
    /// When it was ordered.
    pub ordered: Time,
    /// When it was heard that it has written something that the medium holds.
    #[serde(default)]
    pub wrote: Option<Time>,
}

impl Failover {
    /// Writes down what somebody says, unless it is what he said last.
    pub(super) fn say(&mut self, heard: Time, by: &str, words: String) -> bool {
        let last = self.said.iter().rev().find(|said| said.by == by);
        let is_new = last.is_none_or(|last| last.words != words);
        let has_room = self.said.len() < SAID_MAX;
        if is_new && has_room {
            self.said.push(Said {
                heard,
                by: by.to_owned(),
                words,
            });
        }
        is_new && has_room
    }
}

/// How a cluster stands, for people: quorum, who is there, where applications are,
/// and what has failed.
pub(super) fn rest(snapshot: &Snapshot, applications: &BTreeSet<&Name>) -> String {
    let up = snapshot.nodes.iter().filter(|node| node.is_up());
    let up: Vec<&str> = up.map(|node| node.name.as_str()).collect();
    let quorum = match snapshot.has_quorum {
        true => "quorum",
        false => "no quorum",
    };
    let mut said = vec![format!("{quorum}, with {} up", up.join(" and "))];
    said.extend(
        applications
            .iter()
            .map(|name| match snapshot.runs_on(name.as_str()) {
                Some(node) => format!("{name} runs on {node}"),
                None => format!("{name} runs nowhere"),
            }),
    );
    said.extend(snapshot.failures.iter().map(|failure| {
        let Failure {
            operation,
            node,
            why,
            ..
        } = failure;
        format!("{operation} has failed on {node}: {why}")
    }));
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failover_is_written_as_its_node_and_its_time() {
        let id: FailoverId = "db-1@1764".parse().expect("a failover");
        assert_eq!(id.to_string(), "db-1@1764");
        for wrong in ["", "db-1", "@7", "db-1@", "db-1@x"] {
            wrong.parse::<FailoverId>().expect_err(wrong);
        }
    }

    #[test]
    fn what_is_said_again_is_written_down_once_and_not_without_end() {
        let mut failover = Failover::default();
        assert!(failover.say(Time(1), "n1", "lost".into()));
        assert!(failover.say(Time(1), "n2", "lost".into()));
        assert!(!failover.say(Time(2), "n1", "lost".into()));
        assert!(failover.say(Time(3), "n1", "fenced".into()));
        for number in 0..200 {
            failover.say(Time(4), "n3", number.to_string());
        }
        assert_eq!(failover.said.len(), SAID_MAX);
    }
}
