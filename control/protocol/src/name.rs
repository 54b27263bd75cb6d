//! Names of nodes, jobs, schedules, pools and drives.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes: a host name's limit (`HOST_NAME_MAX`).
pub const NAME_BYTES_MAX: usize = 64;

/// A name: 1 to 64 letters, digits, `.`, `_` and `-` of ASCII, a letter or a
/// digit first. It can stand in a file name, a command line and a log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name: 1 to {NAME_BYTES_MAX} letters, digits, '.', '_' and '-', a letter or a \
     digit first"
)]
pub struct NoName(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NoName;

    fn try_from(text: String) -> Result<Name, NoName> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let first = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric());
        if first && text.len() <= NAME_BYTES_MAX && text.bytes().all(is_part) {
            Ok(Name(text))
        } else {
            // It may be long, and goes into a log.
            Err(NoName(text.chars().take(NAME_BYTES_MAX).collect()))
        }
    }
}

impl FromStr for Name {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Name, NoName> {
        Name::try_from(text.to_owned())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_a_file_name_and_a_log_can_take() {
        for good in [
            "a",
            "db-1.example.org",
            "LH7DF18FC001",
            "0",
            &"x".repeat(64),
        ] {
            assert_eq!(good.parse::<Name>().expect(good).as_str(), good);
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "ä", "a\n", &"x".repeat(65)] {
            bad.parse::<Name>().expect_err(bad);
        }
    }
}
