//! What a node's cluster service says: who is there, where each application
//! runs, who was fenced.
//!
//! Longhaul asks the cluster, and is run by it; it decides nothing of what the
//! cluster decides. With Pacemaker a [`Snapshot`] is one call of `crm_mon`, so all
//! in it was so at the same moment, and [`Event`]s are what Pacemaker tells its
//! alert agents. An event says that something happened, when, and to whom; how
//! things stand is in the snapshot.
//!
//! What is read here was written by another program, of a version that we do not
//! choose. So what is not known is ignored, what is missing is an error that names
//! it, and every size has a bound. A snapshot that could not be read whole is none:
//! a node left out of it would look like one that is gone.
//!
//! | file | noun |
//! | --- | --- |
//! | `snapshot` | how things stand |
//! | `xml` | a snapshot as `crm_mon` writes it |
//! | `crm_mon` | the program that is asked |
//! | `known` | what is known while it does not answer |
//! | `event` | what an alert agent is told |
//! | `error` | what can go wrong |
#![forbid(unsafe_code)]

mod crm_mon;
mod error;
mod event;
mod known;
mod snapshot;
mod xml;

pub use crm_mon::CrmMon;
pub use error::{ClusterError, NotUnderstood};
pub use event::{NoEvent, event_from_variables};
pub use known::{EVERY, HOLDS, Known};
pub use longhaul_protocol::event::{Event, Membership, TEXT_BYTES_MAX, What};
pub use snapshot::{Cloned, Failure, FenceStatus, Fencing, Node, Resource, Role, Snapshot};
pub use xml::{ENTRIES_MAX, XML_BYTES_MAX};

use serde::Deserialize;

/// Who decides where applications run, who has quorum, and who is dead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cluster {
    /// Nobody: there is always quorum, no application is moved, and operators say who
    /// is dead.
    #[default]
    Standalone,
    /// Pacemaker.
    Pacemaker,
}

/// The beginning of a text that is for people, up to [`TEXT_BYTES_MAX`].
fn cut(text: &str) -> String {
    let text = text.trim();
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_letters() {
        let long = "ä".repeat(TEXT_BYTES_MAX);
        assert_eq!(cut(&long).len(), TEXT_BYTES_MAX);
        let odd = format!("a{long}");
        assert_eq!(cut(&odd).len(), TEXT_BYTES_MAX - 1);
    }
}
