//! What the coordinator writes down of a node that has failed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use longhaul_cluster::Snapshot;
use longhaul_protocol::ask::words;
use longhaul_protocol::report::Point;
use longhaul_protocol::{AttemptId, Name, RunId, Time};
use serde::{Deserialize, Serialize};

/// Things that are said of one failure and kept.
pub const SAID_MAX: usize = 100;
/// Of these, things of the rest of the cluster.
const FACTS_MAX: usize = 50;

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
    /// Writes down what somebody says, unless he has said it before: alerts are said
    /// again to each coordinator.
    pub(super) fn say(&mut self, heard: Time, by: &str, words: String) {
        let mut of_his = self.said.iter().filter(|said| said.by == by);
        let is_new = of_his.all(|said| said.words != words);
        if is_new {
            self.write_down(heard, by, words);
        }
    }

    /// Writes down how something stands, if that is not how it stood before; up to
    /// [`FACTS_MAX`] times, for what has to be written down of the node needs room, too.
    pub(super) fn note(&mut self, heard: Time, by: &str, fact: &Fact) {
        let Fact { of, is } = fact;
        let of = format!("{of}: ");
        let words = words(&format!("{of}{is}"));
        let his = self.said.iter().filter(|said| said.by == by);
        let (count, last) = his.fold((0, None), |(count, last), said| {
            let is_of_it = said.words.starts_with(&of);
            (count + 1, if is_of_it { Some(said) } else { last })
        });
        if count < FACTS_MAX && last.is_none_or(|last| last.words != words) {
            self.write_down(heard, by, words);
        }
    }

    fn write_down(&mut self, heard: Time, by: &str, words: String) {
        if self.said.len() < SAID_MAX {
            let by = by.to_owned();
            self.said.push(Said { heard, by, words });
        }
    }
}

/// Something of a cluster, and how it stands.
pub(super) struct Fact {
    of: String,
    is: String,
}

/// How a cluster stands: quorum, who is there, where applications are, and what has
/// failed.
pub(super) fn facts(snapshot: &Snapshot, applications: &BTreeSet<&Name>) -> Vec<Fact> {
    let up = snapshot.nodes.iter().filter(|node| node.is_up());
    let up: Vec<&str> = up.map(|node| node.name.as_str()).collect();
    let is_there = match snapshot.has_quorum {
        true => "it is there",
        false => "it is lost",
    };
    let mut facts = vec![Fact {
        of: "quorum".into(),
        is: format!("{is_there}, with {} up", up.join(" and ")),
    }];
    facts.extend(applications.iter().map(|name| Fact {
        of: format!("application {name}"),
        is: match snapshot.runs_on(name.as_str()) {
            Some(node) => format!("it runs on {node}"),
            None => "it runs nowhere".into(),
        },
    }));
    facts.extend(snapshot.failures.iter().map(|failure| Fact {
        of: format!("{} on {}", failure.operation, failure.node),
        is: format!("it has failed: {}", failure.why),
    }));
    facts
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

    fn words(failover: &Failover) -> Vec<&str> {
        failover.said.iter().map(|said| &*said.words).collect()
    }

    #[test]
    fn what_is_said_again_is_written_down_once_and_not_without_end() {
        let mut failover = Failover::default();
        for (by, what) in [
            ("n1", "lost"),
            ("n2", "lost"),
            ("n1", "fenced"),
            ("n1", "lost"),
        ] {
            failover.say(Time(1), by, what.into());
        }
        assert_eq!(words(&failover), ["lost", "lost", "fenced"]);
        for number in 0..200 {
            failover.say(Time(4), "n3", number.to_string());
        }
        assert_eq!(failover.said.len(), SAID_MAX);
    }

    #[test]
    fn how_the_rest_stands_is_written_down_when_it_changes_and_leaves_room() {
        let mut failover = Failover::default();
        let note = |failover: &mut Failover, of: &str, is: &str| {
            let fact = Fact {
                of: of.into(),
                is: is.into(),
            };
            failover.note(Time(1), "n2", &fact);
        };
        for is in ["here", "here", "there", "here"] {
            note(&mut failover, "pg", is);
            note(&mut failover, "quorum", "there");
        }
        let expected = ["pg: here", "quorum: there", "pg: there", "pg: here"];
        assert_eq!(words(&failover), expected);
        for number in 0..200 {
            note(&mut failover, "pg", &number.to_string());
        }
        failover.say(Time(2), "n2", "it was fenced".into());
        assert_eq!(failover.said.len(), FACTS_MAX + 1);
        assert_eq!(words(&failover).last(), Some(&"it was fenced"));
    }
}
