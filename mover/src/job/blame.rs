//! What is at fault for how an attempt has ended, as far as the drive tells.

use longhaul_protocol::report::{Fault, Outcome};
use longhaul_protocol::{ExitStatus, Name};
use longhaul_scsi::transport::TransportError;
use uuid::Uuid;

use super::JobError;
use super::mounts::Mounts;
use super::session::{Purpose, Session};
use crate::changer::Trouble;
use crate::drive::{Alert, Concern, Loss, Problem};
use crate::transport::OpenError;

/// What a drive has told of itself and of the cartridge in it.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Its TapeAlert flags, and the volume that was in it: none with what it had said
    /// before anything was done, of the cartridge before, perhaps.
    said: Vec<(Option<Uuid>, Alert)>,
    /// The volume that was in it, or was to be.
    volume: Option<Uuid>,
}

/// Does something with a drive, and asks that in the end how it is. It has the
/// volume in it that was asked for, or this one.
pub(super) fn with_drive<T>(
    mounts: Mounts,
    purpose: Purpose,
    volume: Option<Uuid>,
    job: impl FnOnce(&mut Session) -> Result<T, JobError>,
) -> (Result<T, JobError>, Heard) {
    let mut heard = Heard {
        volume: volume.or(mounts.identity()),
        ..Heard::default()
    };
    let mut session = match Session::open(mounts, purpose) {
        Ok(session) => session,
        Err(error) => return (Err(error), heard),
    };
    let result = job(&mut session);
    heard.said = session.said().to_vec();
    heard.volume = session.at_stake().or(volume);
    let last = match &result {
        Ok(_) => session.release(),
        // Nothing is on its way to the tape: somebody may change the cartridge.
        Err(error) if is_orderly(error) => session.release(),
        Err(error) if answers(error) => session.alerts(),
        Err(_) => Vec::new(),
    };
    let last = last.into_iter().map(|alert| (heard.volume, alert));
    heard.said.extend(last);
    (result, heard)
}

impl Heard {
    /// Enters it into what is told of an attempt that has ended with this error, or
    /// without one.
    pub(super) fn enter(&self, outcome: &mut Outcome, error: Option<&JobError>) {
        let mut alerts = Vec::new();
        for (volume, alert) in &self.said {
            let why = || format!("TapeAlert {alert}");
            match (alert.concern(), volume) {
                (Concern::Drive, _) => outcome.faults.push(Fault::Drive(why())),
                (Concern::Cartridge, Some(volume)) => {
                    outcome.faults.push(Fault::Volume(*volume, why()));
                }
                (Concern::Cartridge, None) => continue,
                (Concern::Nobody, _) => {}
            }
            alerts.push(*alert);
        }
        alerts.sort_unstable_by_key(|alert| alert.flag);
        alerts.dedup();
        outcome.alerts = alerts.iter().map(ToString::to_string).collect();
        let Some(error) = error else {
            return;
        };
        let why = error.to_string();
        let fault = match (self.volume, inside(error)) {
            (Some(volume), Some(drive)) => Fault::Elsewhere(volume, drive),
            (Some(volume), None) if is_absent(error) => Fault::Absent(volume, why),
            _ if is_librarys(error) => Fault::Library(why),
            _ if is_paths(error) => Fault::Path(why),
            (Some(volume), None) if outcome.faults.is_empty() && is_suspicious(error) => {
                Fault::Either(volume, why)
            }
            _ => return,
        };
        outcome.faults.push(fault);
    }
}

/// Whether the drive or its cartridge is at fault, and nothing else.
fn is_suspicious(error: &JobError) -> bool {
    match error.reason() {
        JobError::Medium(_) => true,
        JobError::Drive(error) => matches!(
            error.problem(),
            Problem::Medium(_)
                | Problem::NotFound(_)
                | Problem::EndOfDataMissing
                | Problem::LoadFailed(_)
                | Problem::Lost {
                    cause: Loss::DeferredError,
                    ..
                }
        ),
        _ => false,
    }
}

/// Whether the node does not reach the drive, or has lost it on the way. One that does not
/// answer in time may be broken itself.
fn is_paths(error: &JobError) -> bool {
    match error.reason() {
        JobError::Open(error) => !matches!(error, OpenError::Held(_)),
        JobError::Drive(error) => matches!(
            error.problem(),
            Problem::Path(TransportError::NoConnect | TransportError::Disrupted)
                | Problem::Lost {
                    cause: Loss::PathLost,
                    ..
                }
        ),
        _ => false,
    }
}

/// Whether the volume was not to be had.
fn is_absent(error: &JobError) -> bool {
    match error.reason() {
        JobError::OtherVolume(_) => true,
        JobError::Changer(error) => matches!(error.trouble, Trouble::NoVolume(_)),
        _ => false,
    }
}

/// The other drive that the volume is in.
fn inside(error: &JobError) -> Option<Name> {
    match error.reason() {
        JobError::Elsewhere { drive, .. } => drive.parse().ok(),
        _ => None,
    }
}

/// Whether the library has failed, and no drive.
fn is_librarys(error: &JobError) -> bool {
    matches!(error.reason(), JobError::Changer(_) | JobError::Library(_))
}

/// How an attempt ends with this error. Nobody has typed the names of its drive, its
/// library and its volume: a drive that is not there is gone, and a volume somebody has
/// to bring.
pub(super) fn exit_of(error: &JobError) -> ExitStatus {
    match error {
        JobError::Open(OpenError::Name(_)) | JobError::Library(OpenError::Name(_)) => {
            ExitStatus::Device
        }
        error if is_absent(error) => ExitStatus::Operator,
        error if inside(error).is_some() && error.exit_status() != ExitStatus::Held => {
            ExitStatus::Operator
        }
        error => error.exit_status(),
    }
}

/// Whether it is not the drive that ended the attempt, and it waits for somebody.
fn is_orderly(error: &JobError) -> bool {
    matches!(
        error.reason(),
        JobError::NeedsVolume(_)
            | JobError::Full(_)
            | JobError::OtherVolume(_)
            | JobError::Usage(_)
            | JobError::Refused(_)
            | JobError::Damaged(_)
    )
}

/// Whether the drive has answered to what has failed, and is still ours to ask.
fn answers(error: &JobError) -> bool {
    match error.reason() {
        JobError::Drive(error) => !matches!(
            error.problem(),
            Problem::Path(_)
                | Problem::NotReady { .. }
                | Problem::Held { .. }
                | Problem::Fenced { .. }
                | Problem::Lost {
                    cause: Loss::PathLost,
                    ..
                }
        ),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use longhaul_protocol::Time;

    use super::*;
    use crate::drive::DriveError;

    fn heard(before: &[u8], after: &[u8]) -> Heard {
        let volume = Some(Uuid::from_u128(7));
        let said = |of, flags: &[u8]| -> Vec<(Option<Uuid>, Alert)> {
            flags.iter().map(|flag| (of, Alert::new(*flag))).collect()
        };
        Heard {
            said: [said(None, before), said(volume, after)].concat(),
            volume,
        }
    }

    fn entered(heard: &Heard, error: Option<&JobError>) -> Outcome {
        let mut outcome = Outcome::done(Time(0));
        heard.enter(&mut outcome, error);
        outcome
    }

    #[test]
    fn what_the_drive_says_for_sure_comes_before_what_is_suspected() {
        let medium = JobError::Medium("it contradicts itself".into());
        let faults =
            |before: &[u8], after: &[u8]| entered(&heard(before, after), Some(&medium)).faults;
        let volume = Uuid::from_u128(7);
        // 3, 5 and 6 (errors), 20 (clean now): nobody's for sure.
        assert_eq!(
            faults(&[], &[3, 5, 6, 20]),
            [Fault::Either(volume, "it contradicts itself".into())]
        );
        assert!(matches!(&faults(&[], &[3, 30])[..], [Fault::Drive(why)] if why.contains("30")));
        assert!(matches!(&faults(&[], &[4])[..], [Fault::Volume(of, _)] if *of == volume));
        // Of the cartridge before; of the drive, still.
        assert!(matches!(&faults(&[4], &[])[..], [Fault::Either(..)]));
        assert!(matches!(&faults(&[31], &[])[..], [Fault::Drive(_)]));
        let both = faults(&[], &[14]);
        assert!(matches!(&both[..], [Fault::Drive(_)]), "{both:?}");
    }

    #[test]
    fn a_volume_that_is_not_there_is_an_operators_and_a_drive_is_the_drives() {
        let other = JobError::OtherVolume("it holds another".into());
        let broken_off = JobError::BrokenOff {
            cause: Box::new(other),
            number: 1,
            volume: "LH0001".into(),
        };
        assert_eq!(exit_of(&broken_off), ExitStatus::Operator);
        let faults = entered(&heard(&[], &[]), Some(&broken_off)).faults;
        assert!(matches!(&faults[..], [Fault::Absent(..)]), "{faults:?}");
        let gone = JobError::Open(OpenError::Name("no drive has serial number 1".into()));
        assert_eq!(exit_of(&gone), ExitStatus::Device);
        let faults = entered(&heard(&[], &[]), Some(&gone)).faults;
        assert!(matches!(&faults[..], [Fault::Path(_)]), "{faults:?}");
    }

    #[test]
    fn a_path_that_is_gone_is_no_fault_of_the_drive() {
        let failed = |problem| {
            let error = DriveError::new(&"D1".into(), "WRITE(6)", problem);
            let cause = Box::new(JobError::Drive(error));
            let (number, volume) = (1, "LH0001".into());
            let broken_off = JobError::BrokenOff {
                cause,
                number,
                volume,
            };
            entered(&heard(&[], &[]), Some(&broken_off)).faults
        };
        let faults = failed(Problem::Path(TransportError::NoConnect));
        assert!(matches!(&faults[..], [Fault::Path(_)]), "{faults:?}");
        let timed_out = Problem::Path(TransportError::TimedOut);
        assert_eq!(failed(timed_out), []);
        let broken = Problem::Hardware(Box::default());
        assert_eq!(failed(broken), []);
    }

    #[test]
    fn all_flags_are_told_once_and_other_errors_blame_nobody() {
        let held = JobError::Held("by another".into());
        let outcome = entered(&heard(&[20, 4], &[20, 3]), Some(&held));
        assert_eq!(outcome.faults, []);
        assert_eq!(outcome.alerts.len(), 2);
        assert!(
            outcome.alerts[1].starts_with("20: clean now"),
            "{outcome:?}"
        );
    }
}
