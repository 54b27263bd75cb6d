//! What a cluster service tells of what happens.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::Time;

/// Longest text of a cluster's that is taken, in bytes. Whoever makes an event cuts
/// what is for people, and refuses a name that is longer.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Something that has happened in a cluster, as one node was told it.
///
/// Each node's cluster service tells its own alert agents, so the same thing is told
/// on several nodes, not always at the same time, and not on one that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened, by the clock of the node that was told.
    pub at: Time,
    /// Counts what that node's cluster service tells, anew after each start.
    pub sequence: u64,
    /// The node that it is about.
    #[serde(deserialize_with = "text")]
    pub node: String,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
}

/// What has happened. Texts are up to [`TEXT_BYTES_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A node has come or gone.
    Node {
        /// Which of the two.
        state: Membership,
    },
    /// An order to fence the node has ended.
    Fencing {
        /// `reboot`, `off` or `on`, if the words say so.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "optional_text"
        )]
        action: Option<String>,
        /// 0 if it is done.
        code: i32,
        /// For people: who did it, and who asked for it.
        #[serde(deserialize_with = "text")]
        words: String,
    },
    /// An operation on a resource has ended there.
    Resource {
        /// The resource.
        #[serde(deserialize_with = "text")]
        resource: String,
        /// `start`, `stop`, `monitor` and the like.
        #[serde(deserialize_with = "text")]
        task: String,
        /// The code of the resource agent API that it ended with.
        code: i32,
        /// The code that was expected.
        expected: i32,
        /// Pacemaker's own status of the operation: 0 if it is done.
        status: i32,
        /// For people.
        #[serde(deserialize_with = "text")]
        words: String,
    },
    /// An attribute of the node has changed.
    Attribute {
        /// Its name.
        #[serde(deserialize_with = "text")]
        name: String,
        /// What it is now; nothing if it was removed.
        #[serde(deserialize_with = "text")]
        value: String,
    },
}

impl What {
    /// A node is gone, or was to be fenced.
    pub fn is_a_nodes_end(&self) -> bool {
        match self {
            What::Node { state } => *state == Membership::Lost,
            What::Fencing { .. } => true,
            What::Resource { .. } | What::Attribute { .. } => false,
        }
    }
}

/// Whether a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Membership {
    /// It is.
    Member,
    /// It is not.
    Lost,
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() > TEXT_BYTES_MAX {
        return Err(D::Error::custom(format!(
            "a text of {} bytes, and {TEXT_BYTES_MAX} are the most",
            text.len()
        )));
    }
    Ok(text)
}

fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    text(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(long: usize, field: &str) -> Result<Event, serde_json::Error> {
        let mut json = serde_json::json!({
            "at": 5, "sequence": 1, "node": "db2", "kind": "fencing", "action": "reboot",
            "code": 0, "words": "by db1",
        });
        json[field] = "x".repeat(long).into();
        serde_json::from_value(json)
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_wherever_it_stands() {
        for field in ["node", "action", "words"] {
            read(TEXT_BYTES_MAX, field).expect(field);
            let refused = read(TEXT_BYTES_MAX + 1, field).expect_err(field);
            assert!(refused.to_string().contains("1024 are the most"));
        }
    }
}
