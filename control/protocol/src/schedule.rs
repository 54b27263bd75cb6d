//! When a job is due, as people say it.

use serde::{Deserialize, Serialize};

use crate::Name;

/// Longest expression, in bytes.
pub const CRON_BYTES_MAX: usize = 256;

/// When a job is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// What it is called.
    pub name: Name,
    /// The job.
    pub job: Name,
    /// The cron expression, up to [`CRON_BYTES_MAX`].
    pub cron: String,
    /// The zone (`Europe/Berlin`); UTC if not said.
    #[serde(default = "utc")]
    pub zone: String,
    /// What becomes of times that were missed.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// It is not looked at.
    #[serde(default)]
    pub is_disabled: bool,
}

fn utc() -> String {
    "UTC".into()
}

/// What becomes of times at which nobody was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CatchUp {
    /// The last of them is made up for.
    #[default]
    One,
    /// None is.
    None,
}
