//! What can go wrong when a cluster is asked.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a cluster service did not say how things stand.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no such program.
    #[error("there is no {path}: install pacemaker-cli-utils, or say where it is")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The operating system would not run it.
    #[error("cannot run {path}")]
    Run {
        /// The program.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// Pacemaker is not there, or not yet.
    #[error("the cluster service of this node does not run ({said}): start pacemaker")]
    NotRunning {
        /// What the program said about it.
        said: String,
    },
    /// No answer in time. The program was ended.
    #[error("{path} has not answered within {} s", limit.as_secs_f64())]
    TimedOut {
        /// The program.
        path: PathBuf,
        /// How long it had.
        limit: Duration,
    },
    /// The program says that it failed.
    #[error("{path} failed ({how}): {said}")]
    Failed {
        /// The program.
        path: PathBuf,
        /// How it ended.
        how: String,
        /// What it said about it.
        said: String,
    },
    /// An answer, but none that makes sense.
    #[error("the answer of {path} is not understood")]
    NotUnderstood {
        /// The program.
        path: PathBuf,
        /// What is wrong with it.
        source: NotUnderstood,
    },
}

/// Why a text is not a cluster's state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotUnderstood {
    /// Longer than is taken.
    #[error("it has more than {most} bytes")]
    TooLong {
        /// The most.
        most: usize,
    },
    /// No XML.
    #[error("it is not XML: {0}")]
    NoXml(String),
    /// Something that must be there is not.
    #[error("<{element}> has no {what}")]
    Missing {
        /// The element that should have it.
        element: &'static str,
        /// The attribute or element.
        what: &'static str,
    },
    /// Something that is there makes no sense.
    #[error("{attribute}={value:?} of <{element}> makes no sense")]
    Wrong {
        /// The element.
        element: &'static str,
        /// The attribute.
        attribute: &'static str,
        /// Its value, or the beginning of it.
        value: String,
    },
    /// More of something than is taken.
    #[error("there are more than {most} of <{element}>")]
    TooMany {
        /// The element.
        element: &'static str,
        /// The most.
        most: usize,
    },
    /// The cluster service is not connected.
    #[error("there is no connection to the cluster: {0}")]
    NotConnected(String),
    /// The answer is that there is none.
    #[error("it says that it failed, with {code}: {message}")]
    Refused {
        /// Pacemaker's exit code.
        code: i32,
        /// Its words.
        message: String,
    },
}
