//! The one table from a command's outcome to what to do about it.
//!
//! Nobody else looks at sense codes: callers match on the [`Verdict`]. The rows
//! are in `table.rs`, in the order of sense keys, and are meant to be held
//! against the standards line by line; what has no sense data (transport
//! errors, statuses) is decided here.
//!
//! Two questions are kept apart: *what to do* ([`verdict`]), and *whether the
//! command was executed* ([`executed`]). A write whose execution is unknown is
//! never sent again before READ POSITION has told.

mod table;

use std::time::Duration;

use crate::sense::{Sense, SenseKey};
use crate::status::Status;
use crate::transport::{Outcome, TransportError};

/// What the command was for, where that changes what a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doing {
    /// READ, VERIFY.
    Read,
    /// WRITE, WRITE FILEMARKS, ERASE.
    Write,
    /// LOCATE, SPACE, REWIND.
    Position,
    /// LOAD UNLOAD.
    Load,
    /// A changer's MOVE MEDIUM and its like.
    Move,
    /// Anything that moves no tape: INQUIRY, MODE SENSE, READ POSITION, …
    Other,
}

/// What to do. In each comment: what happened, and what the caller owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    // Executed; these are results, no errors.
    /// Done.
    Good,
    /// Done, after the drive recovered from an error: count it.
    Recovered,
    /// Done; a mode parameter was rounded: read it back.
    ParameterRounded,
    /// Done; the drive wants to be cleaned: finish, then ask for cleaning. It
    /// says nothing against the medium.
    NeedsCleaning,
    /// The drive expects to fail: tell the operator. The command was done
    /// unless [`executed`] says no.
    FailurePredicted,
    /// A filemark ended a read or a space; the residual says where.
    Filemark,
    /// Nothing is recorded from here on.
    EndOfData,
    /// The block is shorter (residual > 0) or longer (< 0) than asked for.
    IncorrectLength,
    /// Written, at or past early warning: end the volume.
    EarlyWarning,
    /// Written, in the programmable early warning zone: start to end the
    /// volume.
    ProgrammableEarlyWarning,
    /// Spacing backwards met the beginning of the partition.
    BeginningOfPartition,
    /// Reading or spacing met the end of the partition.
    EndOfPartition,

    // Not executed; the same again, later.
    /// Send the same command again after that time, a bounded number of times.
    Retry {
        /// How long to wait before.
        after: Duration,
    },
    /// Becoming ready, or busy with something long: poll every few seconds, up
    /// to the timeout of a load.
    Wait,
    /// Not ready for want of a LOAD: try one, then take the drive as down.
    NeedsLoad,
    /// Too hot: pause; if it comes again, take the drive as down.
    TooHot,

    // What one believed is no longer true.
    /// Power on or reset: what was in the buffer is lost, registrations may
    /// be, the tape may have been rewound. Ask READ POSITION first.
    PositionUnknown,
    /// Another medium may be in the drive: identify it before anything else,
    /// and never go on writing.
    IdentityUnknown,
    /// Somebody changed the mode parameters: set them again.
    ModesChanged,
    /// Encryption parameters changed: set the key again before writing.
    EncryptionChanged,
    /// Firmware, identity or logical units changed: close the session, and
    /// probe anew.
    TargetChanged,
    /// Another initiator aborted our commands: read keys and position.
    CommandsCleared,
    /// The elements do not hold what one believed: take the inventory.
    InventoryChanged,

    // Somebody else decides.
    /// The drive belongs to another now: stop at once, and do not register
    /// again by oneself.
    Fenced,
    /// The operator wants the medium out: synchronise, and unload.
    RemovalRequested,
    /// The medium is locked in: whoever prevented it must allow it.
    RemovalPrevented,
    /// Only a person can help (library offline, magazine taken out).
    OperatorNeeded,

    // The medium.
    /// An earlier write failed; the present command was **not** executed. All
    /// that READ POSITION does not confirm is lost, and must be written again.
    Deferred,
    /// This command could not write or read the medium.
    MediumError,
    /// The medium must not be used any more.
    MediumUnusable,
    /// Written with another format or generation, or by nobody: not for us.
    IncompatibleMedium,
    /// The object, the filemark or end of data is not where it should be:
    /// rewind and locate once, then give up.
    NotFound,
    /// The tape has no end-of-data mark, as after a power cut: usable up to
    /// the last checkpoint that can be proved.
    EndOfDataMissing,
    /// Write protected.
    WriteProtected,
    /// Write-once, or append-only: here nothing may be written over.
    AppendRefused,
    /// End of partition while writing: the residual was not written; it goes
    /// to the next volume.
    VolumeFull,
    /// No medium in the drive.
    NoMedium,
    /// Loading, threading or ejecting failed: once more, then take the drive
    /// as down, and the medium as suspect.
    LoadFailed,
    /// The block's protection bytes did not match: the block was not taken.
    /// Compute them again from the source; again wrong: the path is bad.
    ProtectionFailed,
    /// The key is wrong, or there is none: do not try often, the drive counts.
    KeyRefused,

    // The drive and the way to it.
    /// The drive is broken: another one, from the last checkpoint.
    DriveDown,
    /// The path is gone: wait for it or take another, then ask READ POSITION.
    PathLost,
    /// Nobody knows whether it was executed: ask READ POSITION.
    UnknownOutcome,
    /// Larger than the host adapter takes: a smaller transfer.
    TooLarge,
    /// Not in append-only mode, so no ALLOW OVERWRITE is needed.
    NotAppendOnly,
    /// The device does not take this command or this field. Not sent again.
    Refused,
}

/// Whether the device executed a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Executed {
    /// It did, up to the residual.
    Yes,
    /// It did nothing.
    No,
    /// It did some of it, or all; the position tells.
    Partly,
    /// Nobody knows.
    Unknown,
}

/// How long to wait before a busy device is asked again.
const BUSY_DELAY: Duration = Duration::from_secs(1);
/// How long to wait before a busy host adapter is asked again.
const NOT_SENT_DELAY: Duration = Duration::from_millis(100);

/// What to do about an outcome.
pub fn verdict(outcome: &Outcome, doing: Doing) -> Verdict {
    match (outcome.status, &outcome.sense) {
        (Err(error), _) => of_transport_error(error),
        // The status counts first: a device may send sense data with it that
        // says less.
        (Ok(Status::ReservationConflict), _) => Verdict::Fenced,
        (Ok(Status::Good | Status::ConditionMet), Some(sense)) if says_more_than_good(sense) => {
            table::look_up(sense, doing)
        }
        (Ok(Status::Good | Status::ConditionMet), _) => Verdict::Good,
        (Ok(Status::CheckCondition), Some(sense)) => table::look_up(sense, doing),
        (Ok(Status::CheckCondition), None) => Verdict::UnknownOutcome,
        (Ok(Status::Busy | Status::TaskSetFull | Status::AcaActive), _) => {
            Verdict::Retry { after: BUSY_DELAY }
        }
        (Ok(Status::TaskAborted | Status::Other(_)), _) => Verdict::UnknownOutcome,
    }
}

/// GOOD may come with sense data (SPC-5 4.4.1), but only of these kinds.
fn says_more_than_good(sense: &Sense) -> bool {
    sense.deferred || matches!(sense.key, SenseKey::NoSense | SenseKey::RecoveredError)
}

fn of_transport_error(error: TransportError) -> Verdict {
    match error {
        TransportError::NoConnect => Verdict::PathLost,
        TransportError::NotSent => Verdict::Retry {
            after: NOT_SENT_DELAY,
        },
        TransportError::TooLarge => Verdict::TooLarge,
        TransportError::TimedOut | TransportError::Disrupted | TransportError::Other(_) => {
            Verdict::UnknownOutcome
        }
    }
}

/// Whether the command was executed, as far as the outcome tells.
pub fn executed(outcome: &Outcome) -> Executed {
    let sense = match (outcome.status, &outcome.sense) {
        (Err(error), _) if error.not_executed() => return Executed::No,
        (Err(_), _) => return Executed::Unknown,
        (Ok(Status::Good | Status::ConditionMet), Some(sense)) if sense.deferred => sense,
        (Ok(Status::Good | Status::ConditionMet), _) => return Executed::Yes,
        (Ok(Status::CheckCondition), Some(sense)) => sense,
        (Ok(Status::ReservationConflict), _) => return Executed::No,
        (Ok(Status::Busy | Status::TaskSetFull | Status::AcaActive), _) => return Executed::No,
        _ => return Executed::Unknown,
    };
    if sense.deferred {
        return Executed::No;
    }
    match sense.key {
        SenseKey::NoSense | SenseKey::RecoveredError | SenseKey::Completed => Executed::Yes,
        // Some drives report early warning as a unit attention.
        SenseKey::UnitAttention if (sense.asc, sense.ascq) == (0x00, 0x02) => Executed::Yes,
        SenseKey::NotReady
        | SenseKey::IllegalRequest
        | SenseKey::UnitAttention
        | SenseKey::DataProtect => Executed::No,
        SenseKey::MediumError
        | SenseKey::HardwareError
        | SenseKey::BlankCheck
        | SenseKey::VolumeOverflow
        | SenseKey::Miscompare => Executed::Partly,
        _ => Executed::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outcome(status: Status, sense: Option<Sense>) -> Outcome {
        Outcome {
            status: Ok(status),
            sense,
            residual: 0,
        }
    }

    fn failed(error: TransportError) -> Outcome {
        Outcome {
            status: Err(error),
            sense: None,
            residual: 0,
        }
    }

    #[test]
    fn a_status_without_sense_data() {
        let of = |status| verdict(&outcome(status, None), Doing::Write);
        assert_eq!(of(Status::Good), Verdict::Good);
        assert_eq!(of(Status::ConditionMet), Verdict::Good);
        assert_eq!(of(Status::Busy), Verdict::Retry { after: BUSY_DELAY });
        assert_eq!(
            of(Status::TaskSetFull),
            Verdict::Retry { after: BUSY_DELAY }
        );
        assert_eq!(of(Status::AcaActive), Verdict::Retry { after: BUSY_DELAY });
        assert_eq!(of(Status::ReservationConflict), Verdict::Fenced);
        assert_eq!(of(Status::TaskAborted), Verdict::UnknownOutcome);
        assert_eq!(of(Status::Other(0x7e)), Verdict::UnknownOutcome);
        assert_eq!(of(Status::CheckCondition), Verdict::UnknownOutcome);
    }

    #[test]
    fn a_reservation_conflict_fences_whatever_else_is_said() {
        let sense = Some(Sense::new(SenseKey::NoSense, 0, 0));
        let outcome = outcome(Status::ReservationConflict, sense);
        assert_eq!(verdict(&outcome, Doing::Write), Verdict::Fenced);
        assert_eq!(executed(&outcome), Executed::No);
    }

    #[test]
    fn a_transport_error() {
        let of = |error| {
            (
                verdict(&failed(error), Doing::Write),
                executed(&failed(error)),
            )
        };
        let retry = Verdict::Retry {
            after: NOT_SENT_DELAY,
        };
        assert_eq!(of(TransportError::NotSent), (retry, Executed::No));
        assert_eq!(
            of(TransportError::TooLarge),
            (Verdict::TooLarge, Executed::No)
        );
        assert_eq!(
            of(TransportError::NoConnect),
            (Verdict::PathLost, Executed::Unknown)
        );
        for error in [
            TransportError::TimedOut,
            TransportError::Disrupted,
            TransportError::Other(5),
        ] {
            assert_eq!(of(error), (Verdict::UnknownOutcome, Executed::Unknown));
        }
    }

    #[test]
    fn good_with_sense_data_says_what_the_sense_data_says() {
        let sense = Sense::new(SenseKey::NoSense, 0x00, 0x07).with_eom();
        let good = outcome(Status::Good, Some(sense));
        assert_eq!(
            verdict(&good, Doing::Write),
            Verdict::ProgrammableEarlyWarning
        );
        let good = outcome(Status::Good, Some(Sense::new(SenseKey::Completed, 0, 0)));
        assert_eq!(
            (verdict(&good, Doing::Write), executed(&good)),
            (Verdict::Good, Executed::Yes)
        );
    }

    #[test]
    fn whether_it_was_executed() {
        let of = |key, asc, ascq| {
            executed(&outcome(
                Status::CheckCondition,
                Some(Sense::new(key, asc, ascq)),
            ))
        };
        assert_eq!(of(SenseKey::NoSense, 0, 1), Executed::Yes);
        assert_eq!(of(SenseKey::UnitAttention, 0x29, 0), Executed::No);
        assert_eq!(of(SenseKey::UnitAttention, 0, 2), Executed::Yes);
        assert_eq!(of(SenseKey::VolumeOverflow, 0, 2), Executed::Partly);
        assert_eq!(of(SenseKey::AbortedCommand, 0x47, 0), Executed::Unknown);
        let deferred = Sense::new(SenseKey::MediumError, 0x0c, 0).deferred();
        assert_eq!(
            executed(&outcome(Status::CheckCondition, Some(deferred))),
            Executed::No
        );
        assert_eq!(executed(&outcome(Status::Busy, None)), Executed::No);
        assert_eq!(
            executed(&outcome(Status::CheckCondition, None)),
            Executed::Unknown
        );
    }

    proptest! {
        #[test]
        fn what_is_taken_for_good_was_executed(key in 0..16u8, asc: u8, ascq: u8,
                                               flags: (bool, bool, bool, bool)) {
            let mut sense = Sense::new(SenseKey::from_low_bits(key), asc, ascq);
            (sense.deferred, sense.filemark, sense.eom, sense.ili) = flags;
            let outcome = outcome(Status::CheckCondition, Some(sense));
            for doing in [Doing::Read, Doing::Write, Doing::Position, Doing::Other] {
                let verdict = verdict(&outcome, doing);
                if matches!(
                    verdict,
                    Verdict::Good
                        | Verdict::Recovered
                        | Verdict::EarlyWarning
                        | Verdict::ProgrammableEarlyWarning
                        | Verdict::NeedsCleaning
                ) {
                    prop_assert_eq!(executed(&outcome), Executed::Yes);
                }
                if matches!(verdict, Verdict::Retry { .. }) && doing != Doing::Other {
                    prop_assert_eq!(executed(&outcome), Executed::No);
                }
            }
        }
    }
}
