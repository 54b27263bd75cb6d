//! What can go wrong with a job, and how a program ends then.

use std::io;

use longhaul_catalog::Error as CatalogError;
use longhaul_protocol::ExitStatus;
use longhaul_scsi::verdict::Verdict;
use longhaul_words::chain;
use thiserror::Error;

use crate::changer::{ChangerError, Trouble};
use crate::checkpoint::recovered::JournalError;
use crate::drive::{self, DriveError};
use crate::transport::OpenError;

/// Why a job did not do what it was asked for.
#[derive(Debug, Error)]
pub enum JobError {
    /// Asked for something that makes no sense or is not there.
    #[error("{0}")]
    Usage(String),
    /// The drive's own word.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// The changer's own word.
    #[error(transparent)]
    Changer(#[from] ChangerError),
    /// There is no path to the drive.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What is on the medium is not what it should be.
    #[error("{0}")]
    Medium(String),
    /// Refused, to protect data.
    #[error("{0}")]
    Refused(String),
    /// Refused, because what the medium holds of a set is damaged in its middle.
    #[error("{0}")]
    Damaged(String),
    /// Refused, because another volume is in the drive than the one that was asked
    /// for.
    #[error("{0}")]
    OtherVolume(String),
    /// The volume that was asked for is in another drive, which cannot be unloaded from
    /// here.
    #[error("volume {volume} is in drive {drive}, which cannot be unloaded from here: {cause}")]
    Elsewhere {
        /// What is read on its cartridge.
        volume: String,
        /// The drive's serial number.
        drive: String,
        /// Why it cannot.
        cause: Box<JobError>,
    },
    /// There is no path to the library.
    #[error("the library: {0}")]
    Library(OpenError),
    /// Somebody else has the drive or the volume.
    #[error("{0}")]
    Held(String),
    /// Ended before its end, where it can be taken up again.
    #[error("{0}")]
    Unfinished(String),
    /// Goes on only with another volume, or a person's help.
    #[error("{0}")]
    NeedsVolume(String),
    /// The volume is full, or not to be written to, and no other one was given.
    #[error("{0}")]
    Full(String),
    /// The writing of a set broke off, where it can be taken up again.
    #[error(
        "{cause}; set {number} of volume {volume} is unfinished; go on with `lh-mover resume`, or \
         end it with `lh-mover close`"
    )]
    BrokenOff {
        /// Why.
        cause: Box<JobError>,
        /// The set's number on the volume on which it begins.
        number: u32,
        /// That volume's name.
        volume: String,
    },
    /// The catalog cannot be used.
    #[error("the catalog: {}", chain(.0))]
    Catalog(#[from] CatalogError),
    /// The journal of a set cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The host refused something that is not the source or the drive.
    #[error("{what}: {source}")]
    Local {
        /// What was being done.
        what: String,
        /// What the host said.
        source: io::Error,
    },
}

impl JobError {
    /// An error of this host's, with what was being done.
    pub fn local(what: impl Into<String>, source: io::Error) -> JobError {
        JobError::Local {
            what: what.into(),
            source,
        }
    }

    /// The exit code that tells a script what to do.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            JobError::Usage(_) => ExitStatus::Usage,
            JobError::Drive(error) => match error.kind() {
                drive::Kind::Device => ExitStatus::Device,
                drive::Kind::Refused => ExitStatus::Refused,
                drive::Kind::Held => ExitStatus::Held,
                drive::Kind::Unfinished => ExitStatus::Unfinished,
                drive::Kind::Operator => ExitStatus::Operator,
            },
            JobError::Changer(error) => of_changer(&error.trouble),
            JobError::Open(OpenError::Name(_)) | JobError::Library(OpenError::Name(_)) => {
                ExitStatus::Usage
            }
            JobError::Open(OpenError::Held(_)) | JobError::Library(OpenError::Held(_)) => {
                ExitStatus::Held
            }
            JobError::Open(OpenError::Broken(_))
            | JobError::Library(OpenError::Broken(_))
            | JobError::Medium(_) => ExitStatus::Device,
            // A catalog of another version, or a damaged one, is left alone.
            JobError::Refused(_)
            | JobError::OtherVolume(_)
            | JobError::Damaged(_)
            | JobError::Catalog(_) => ExitStatus::Refused,
            JobError::Held(_) => ExitStatus::Held,
            JobError::BrokenOff { cause, .. } | JobError::Elsewhere { cause, .. } => {
                cause.exit_status()
            }
            JobError::Journal(error) => of_journal(error),
            JobError::Unfinished(_) => ExitStatus::Unfinished,
            // The disk is full, a folder cannot be made: a person has to look.
            JobError::NeedsVolume(_) | JobError::Full(_) | JobError::Local { .. } => {
                ExitStatus::Operator
            }
        }
    }

    /// Whether it goes on as soon as there is another volume.
    pub fn is_full(&self) -> bool {
        matches!(self.reason(), JobError::Full(_))
    }

    /// Why a set was broken off, if one was; else the error itself.
    pub(super) fn reason(&self) -> &JobError {
        match self {
            JobError::BrokenOff { cause, .. } => cause.reason(),
            error => error,
        }
    }
}

fn of_journal(error: &JournalError) -> ExitStatus {
    match error {
        JournalError::Io { source, .. } if source.kind() == io::ErrorKind::ResourceBusy => {
            ExitStatus::Held
        }
        JournalError::Io { .. } => ExitStatus::Operator,
        JournalError::Malformed { .. } => ExitStatus::Refused,
    }
}

fn of_changer(trouble: &Trouble) -> ExitStatus {
    match trouble {
        Trouble::NotAChanger(_) | Trouble::Usage(_) | Trouble::NoVolume(_) => ExitStatus::Usage,
        Trouble::Occupied(_) => ExitStatus::Held,
        Trouble::Astray(_) | Trouble::Note(_) => ExitStatus::Operator,
        Trouble::Told { verdict, .. } => match verdict {
            Verdict::Fenced | Verdict::RemovalPrevented => ExitStatus::Held,
            Verdict::OperatorNeeded => ExitStatus::Operator,
            _ => ExitStatus::Device,
        },
        Trouble::Malformed(_) => ExitStatus::Device,
    }
}
