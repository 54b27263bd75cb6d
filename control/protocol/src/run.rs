//! Runs of jobs, and the attempts to carry them out.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::Name;

/// A moment: milliseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// So many milliseconds later; the last moment there is, if that is too
    /// late.
    pub fn after(self, ms: u64) -> Time {
        Time(self.0.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)))
    }

    /// Milliseconds since `earlier`, 0 if that is later.
    pub fn since(self, earlier: Time) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

impl From<SystemTime> for Time {
    /// The moment of this machine's clock; 1970 for what is earlier.
    fn from(time: SystemTime) -> Time {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// One occasion on which a job is due. A job is due at a moment once, so whoever
/// works out that it is gives the run the same name, without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// The job.
    pub job: Name,
    /// When it is due.
    pub due: Time,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.job, self.due.0)
    }
}

/// A text that names no run, or no attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no run (JOB@DUE, as `lh-control run list` shows them)")]
pub struct NoRun(String);

impl NoRun {
    fn new(text: &str) -> NoRun {
        // It may be long, and goes to a terminal.
        NoRun(text.chars().take(TEXT_CHARS_MAX).collect())
    }
}

/// Longest text of a run: the longest name, and the digits of a moment.
const TEXT_CHARS_MAX: usize = 96;

impl FromStr for RunId {
    type Err = NoRun;

    fn from_str(text: &str) -> Result<RunId, NoRun> {
        let parts = || {
            let (job, due) = text.split_once('@')?;
            let (job, due) = (job.parse().ok()?, Time(due.parse().ok()?));
            Some(RunId { job, due })
        };
        parts().ok_or_else(|| NoRun::new(text))
    }
}

/// One attempt to carry a run out, on one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The run.
    pub run: RunId,
    /// Which of its attempts, from 1; 0 is one that a service has begun by itself.
    pub number: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.run, self.number)
    }
}

impl FromStr for AttemptId {
    type Err = NoRun;

    fn from_str(text: &str) -> Result<AttemptId, NoRun> {
        let parts = || {
            let (run, number) = text.split_once('#')?;
            let (run, number) = (run.parse().ok()?, number.parse().ok()?);
            Some(AttemptId { run, number })
        };
        parts().ok_or_else(|| NoRun::new(text))
    }
}

/// Which assignment of a drive an attempt writes under: counted by the
/// coordinator, never given twice.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Token(pub u32);

/// Which start of the coordinator: counted in its database.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_and_an_attempt_come_back_from_their_texts() {
        let run = RunId {
            job: "db-1.daily".parse().expect("a name"),
            due: Time(-5),
        };
        assert_eq!(run.to_string().parse(), Ok(run.clone()));
        let attempt = AttemptId { run, number: 12 };
        assert_eq!(attempt.to_string().parse(), Ok(attempt));
        for bad in ["", "db", "db@", "@5", "db@5#1", "db@5 ", "a b@5"] {
            bad.parse::<RunId>().expect_err(bad);
        }
        for bad in ["db@5", "db@5#", "db@5#-1", "#1"] {
            bad.parse::<AttemptId>().expect_err(bad);
        }
        let long = "x".repeat(5000).parse::<RunId>().expect_err("no run");
        assert!(long.to_string().len() < 200);
    }
}
