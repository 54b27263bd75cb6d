//! Which of a drive and a cartridge is at fault.
//!
//! Where a drive can't write or read a cartridge, either may be the reason. Which of
//! them, shows when one is used without the other, so it is remembered who was in it:
//!
//! - a volume of which that is said twice is closed, whichever drives say it;
//! - a drive that says it of two volumes is in trouble, unless the second was found
//!   to be bad by another drive as well;
//! - whoever does well afterwards is in doubt no more.
//!
//! So one bad cartridge takes no drive out of use, and one bad drive no more than one
//! cartridge. What a drive says for sure, of itself or of a cartridge (TapeAlert), is
//! taken as said. A path that is broken is one node's: the others go on to use the drive.

use longhaul_protocol::ask::words;
use longhaul_protocol::report::{Fault, Outcome};
use longhaul_protocol::{ExitStatus, Name, RunId};
use uuid::Uuid;

use super::attempts::is_done;
use super::state::{Attempt, Change, Drive};
use super::{Coordinator, Notice, Output};

/// TapeAlert has 64 flags.
const ALERTS_MAX: usize = 64;
/// Faults of an attempt that are looked at: those of its drive and its volumes.
const FAULTS_MAX: usize = 64;

impl Coordinator {
    /// Remembers what an attempt has shown of its drive and its volumes. If its set
    /// is to be gone on with on a volume that is known to be bad, it is not. Tells
    /// whether the next try has another volume, or does without that set.
    pub(super) fn blame(&mut self, run: &RunId, attempt: &Attempt, outcome: &mut Outcome) -> bool {
        let serial = &attempt.drive;
        let Some(old) = self.state.drives.get(serial) else {
            return false;
        };
        let mut is_news = false;
        let mut drive = old.clone();
        if is_done(outcome) || !outcome.alerts.is_empty() {
            let alerts = outcome.alerts.iter().take(ALERTS_MAX);
            drive.alerts = alerts.map(|alert| words(alert)).collect();
        }
        if is_done(outcome) {
            self.did_well(attempt, outcome, &mut drive);
        }
        let mut trouble = match outcome.exit {
            ExitStatus::Device if outcome.faults.is_empty() => outcome.error.clone(),
            _ => None,
        };
        let faults: Vec<Fault> = outcome.faults.iter().take(FAULTS_MAX).cloned().collect();
        for fault in faults {
            match fault {
                Fault::Drive(why) => drop(trouble.get_or_insert(why)),
                Fault::Volume(uuid, why) => {
                    if attempt.volumes.contains(&uuid) {
                        is_news |= self.close_bad(uuid, &why);
                    }
                }
                // Its service says itself what it cannot use, and from when on it can.
                Fault::Path(_) | Fault::Library(_) => {}
                Fault::Absent(uuid, why) => is_news |= self.note_absent(attempt, uuid, &why),
                Fault::Elsewhere(uuid, other) => {
                    is_news |= self.note_inside(run, attempt, (uuid, other));
                }
                Fault::Either(uuid, why) => {
                    let blamed = match attempt.volumes.contains(&uuid) {
                        true => self.doubt_volume(serial, uuid, &why, outcome),
                        false => Blamed::default(),
                    };
                    is_news |= blamed.is_news;
                    if !blamed.by_another_drive {
                        let is_second = drive.doubt.is_some_and(|first| first != uuid);
                        drive.doubt.get_or_insert(uuid);
                        if is_second {
                            trouble.get_or_insert(why);
                        }
                    }
                }
            }
        }
        if let Some(why) = trouble {
            let why = words(&why);
            let notice = Notice::DriveDown(serial.clone(), why.clone());
            self.outputs.push(Output::Notify(notice));
            drive.trouble = Some(why);
        }
        if self.state.drives.get(serial) != Some(&drive) {
            self.change(Change::Drive(serial.clone(), drive));
        }
        is_news
    }

    /// A volume was not to be had. Tells whether that is new.
    fn note_absent(&mut self, attempt: &Attempt, uuid: Uuid, why: &str) -> bool {
        let Some(mut volume) = self.state.volumes.get(&uuid).cloned() else {
            return false;
        };
        let is_news = attempt.volumes.contains(&uuid) && volume.absent.is_none();
        if is_news {
            volume.absent = Some(words(why));
            self.change(Change::Volume(uuid, volume));
        }
        is_news
    }

    /// Neither the drive nor the volume is in doubt any more, unless this has put
    /// them there.
    fn did_well(&mut self, attempt: &Attempt, outcome: &Outcome, drive: &mut Drive) {
        if !outcome.faults.is_empty() {
            return;
        }
        drive.doubt = None;
        for uuid in &attempt.volumes {
            if let Some(mut volume) = self.state.volumes.get(uuid).cloned()
                && (volume.doubt.take().is_some() | volume.absent.take().is_some())
            {
                self.change(Change::Volume(*uuid, volume));
            }
        }
    }

    /// A drive has had trouble with a volume.
    fn doubt_volume(
        &mut self,
        serial: &Name,
        uuid: Uuid,
        why: &str,
        outcome: &mut Outcome,
    ) -> Blamed {
        let Some(mut volume) = self.state.volumes.get(&uuid).cloned() else {
            return Blamed::default();
        };
        let Some(first) = volume.doubt.clone() else {
            volume.doubt = Some(serial.clone());
            self.change(Change::Volume(uuid, volume));
            return Blamed::default();
        };
        let mut is_news = false;
        if volume.closed.is_some() {
            // It was asked for what is on it, and can't give that either.
            is_news = !outcome.damaged;
            outcome.damaged = true;
        }
        is_news |= self.close_bad(uuid, &format!("twice, on {first} and on {serial}: {why}"));
        let by_another_drive = first != *serial;
        if by_another_drive
            && let Some(mut first_drive) = self.state.drives.get(&first).cloned()
            && first_drive.doubt == Some(uuid)
        {
            first_drive.doubt = None;
            self.change(Change::Drive(first, first_drive));
        }
        Blamed {
            is_news,
            by_another_drive,
        }
    }

    /// Nothing is appended to a volume any more. Why it was closed before stays. Tells
    /// whether it was not.
    fn close_bad(&mut self, uuid: Uuid, why: &str) -> bool {
        let Some(mut volume) = self.state.volumes.get(&uuid).cloned() else {
            return false;
        };
        let is_news = volume.closed.is_none();
        if is_news {
            log::warn!("volume {} is closed: {why}", volume.name);
            volume.closed = Some(words(why));
            self.change(Change::Volume(uuid, volume));
        }
        is_news
    }
}

/// What is known of a volume with which a drive had trouble.
#[derive(Default)]
struct Blamed {
    /// It is closed now, or its set given up: which happens once.
    is_news: bool,
    /// Another drive has had trouble with it, too: it is the volume's.
    by_another_drive: bool,
}

impl Drive {
    /// What is to be known of it beside its trouble, for people.
    pub fn notes(&self) -> Vec<String> {
        let unusable = self.unusable.iter();
        let unusable = unusable.map(|(node, why)| format!("node {node} cannot use it: {why}"));
        let doubt = self
            .doubt
            .map(|_| "it did badly with a volume last".to_owned());
        let alerts = self.alerts.iter();
        let alerts = alerts.map(|alert| format!("TapeAlert: {alert}"));
        unusable.chain(doubt).chain(alerts).collect()
    }
}
