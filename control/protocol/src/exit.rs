//! How a program ends.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// How a program ends: one table for all programs. In messages it is its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum ExitStatus {
    /// Done.
    Done = 0,
    /// Done, but some files could not be read or restored, each named.
    Incomplete = 1,
    /// Wrong usage.
    Usage = 2,
    /// The drive or the medium.
    Device = 3,
    /// Refused, to protect data.
    Refused = 4,
    /// Held by another.
    Held = 5,
    /// Interrupted or unfinished; can be resumed or closed.
    Unfinished = 6,
    /// Needs a volume or an operator.
    Operator = 7,
    /// The coordinator cannot be reached.
    Unreachable = 8,
}

/// The table in words, for `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  done, but some files could not be read or restored; each is named
  2  wrong usage
  3  the drive or the medium failed
  4  refused, to protect data
  5  held by another
  6  interrupted or unfinished; can be resumed or closed
  7  needs a volume or an operator
  8  the coordinator cannot be reached";

const ALL: [ExitStatus; 9] = [
    ExitStatus::Done,
    ExitStatus::Incomplete,
    ExitStatus::Usage,
    ExitStatus::Device,
    ExitStatus::Refused,
    ExitStatus::Held,
    ExitStatus::Unfinished,
    ExitStatus::Operator,
    ExitStatus::Unreachable,
];

impl TryFrom<u8> for ExitStatus {
    type Error = String;

    fn try_from(code: u8) -> Result<ExitStatus, String> {
        let found = ALL.get(usize::from(code)).copied();
        found.ok_or_else(|| format!("no program ends with {code}"))
    }
}

impl From<ExitStatus> for u8 {
    fn from(status: ExitStatus) -> u8 {
        status as u8
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> ExitCode {
        ExitCode::from(status as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_its_number_and_no_other() {
        for (code, status) in (0u8..).zip(ALL) {
            assert_eq!(
                serde_json::to_string(&status).expect("JSON"),
                code.to_string()
            );
            assert_eq!(ExitStatus::try_from(code), Ok(status));
            assert!(EXIT_CODES.contains(&format!("\n  {code}  ")), "{code}");
        }
        serde_json::from_str::<ExitStatus>("9").expect_err("no status");
    }
}
