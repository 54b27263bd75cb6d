//! What can go wrong with a changer, in words a person can act on.

use longhaul_scsi::verdict::Verdict;

/// What went wrong, on which changer, and during which command.
#[derive(Debug, thiserror::Error)]
#[error("{changer}: {during}: {trouble}")]
pub struct ChangerError {
    /// The changer: its name on this host and, once known, its serial number.
    pub changer: String,
    /// The command or step that failed, in the standards' words.
    pub during: &'static str,
    /// What it was.
    pub trouble: Trouble,
}

/// What can go wrong with a changer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// The device behind the name is something else.
    #[error("is no medium changer (peripheral device type {0:02X}h)")]
    NotAChanger(u8),
    /// It answered something that cannot be read.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
    /// It, or the way to it, reported an error.
    #[error("{told}{}", hint(*.verdict))]
    Told {
        /// The outcome in words.
        told: String,
        /// What it comes to.
        verdict: Verdict,
    },
    /// Asked for something that the library does not have, or that makes no
    /// sense.
    #[error("{0}")]
    Usage(String),
    /// The volume that was asked for is not in the library.
    #[error("no volume {0} in the library")]
    NoVolume(String),
    /// The place, or the drive, is taken.
    #[error("{0}")]
    Occupied(String),
    /// What is where is not what it should be: a person has to look.
    #[error("{0}")]
    Astray(String),
    /// The note of a move could not be kept.
    #[error("the note of the move: {0}; nothing was moved")]
    Note(std::io::Error),
}

/// What a person can do about it.
fn hint(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fenced => "; another initiator has reserved the changer",
        Verdict::RemovalPrevented => {
            "; whoever uses the drive must unload the volume or allow its removal"
        }
        Verdict::OperatorNeeded => "; somebody has to go to the library",
        _ => "",
    }
}
