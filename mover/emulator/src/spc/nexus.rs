//! I_T nexuses: who speaks to the drive, and what each must still be told.

use std::collections::{BTreeMap, VecDeque};

/// One initiator port's path to the drive (SAM-6 4.7). The drive gives them
/// out: [`Drive::connect`](crate::Drive::connect).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nexus(pub(crate) u64);

/// POWER ON, RESET, OR BUS DEVICE RESET OCCURRED.
pub(crate) const POWER_ON: (u8, u8) = (0x29, 0x00);
/// SCSI BUS RESET OCCURRED.
pub(crate) const BUS_RESET: (u8, u8) = (0x29, 0x02);
/// NOT READY TO READY CHANGE, MEDIUM MAY HAVE CHANGED.
pub(crate) const MEDIUM_CHANGED: (u8, u8) = (0x28, 0x00);
/// MODE PARAMETERS CHANGED.
pub(crate) const MODE_CHANGED: (u8, u8) = (0x2a, 0x01);

/// Unit attentions kept for one nexus; all there can be, without repetition.
const ATTENTIONS_MAX: usize = 8;

/// What the drive keeps of one nexus.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub initiator: String,
    attentions: VecDeque<(u8, u8)>,
    /// It prevents the removal of the medium.
    pub prevents: bool,
    /// TapeAlert flags that it has not read yet.
    pub alerts: u64,
}

impl Session {
    pub(crate) fn take_attention(&mut self) -> Option<(u8, u8)> {
        self.attentions.pop_front()
    }

    fn attend(&mut self, attention: (u8, u8)) {
        let reset = attention.0 == 0x29;
        if reset {
            // A reset stands for everything that was before it (SAM-6 5.14).
            self.attentions.clear();
        }
        let full = self.attentions.len() >= ATTENTIONS_MAX;
        if !full && !self.attentions.contains(&attention) {
            self.attentions.push_back(attention);
        }
    }
}

/// All nexuses of a drive.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: BTreeMap<Nexus, Session>,
    next: u64,
}

impl Sessions {
    /// The nexus of an initiator: the same again for the same name.
    pub(crate) fn connect(&mut self, initiator: &str) -> Nexus {
        let known = self
            .sessions
            .iter()
            .find(|(_, session)| session.initiator == initiator);
        if let Some((nexus, _)) = known {
            return *nexus;
        }
        self.next += 1;
        let nexus = Nexus(self.next);
        let mut session = Session {
            initiator: initiator.to_owned(),
            ..Session::default()
        };
        session.attend(POWER_ON);
        self.sessions.insert(nexus, session);
        nexus
    }

    pub(crate) fn of(&mut self, nexus: Nexus) -> &mut Session {
        self.sessions.entry(nexus).or_default()
    }

    pub(crate) fn initiator(&self, nexus: Nexus) -> &str {
        self.sessions
            .get(&nexus)
            .map_or("", |session| &session.initiator)
    }

    pub(crate) fn attend(&mut self, nexus: Nexus, attention: (u8, u8)) {
        self.of(nexus).attend(attention);
    }

    pub(crate) fn attend_all(&mut self, attention: (u8, u8)) {
        self.sessions
            .values_mut()
            .for_each(|session| session.attend(attention));
    }

    pub(crate) fn attend_others(&mut self, but: Nexus, attention: (u8, u8)) {
        let others = self.sessions.iter_mut().filter(|(nexus, _)| **nexus != but);
        others.for_each(|(_, session)| session.attend(attention));
    }

    pub(crate) fn removal_prevented(&self) -> bool {
        self.sessions.values().any(|session| session.prevents)
    }

    /// Nobody prevents anything any more.
    pub(crate) fn allow_removal(&mut self) {
        self.sessions
            .values_mut()
            .for_each(|session| session.prevents = false);
    }

    /// Raises a TapeAlert flag (1 to 64) for everybody.
    pub(crate) fn raise(&mut self, flag: u32) {
        self.sessions
            .values_mut()
            .for_each(|session| session.alerts |= 1 << (flag - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_that_a_nexus_hears_is_the_power_on() {
        let mut sessions = Sessions::default();
        let nexus = sessions.connect("a");
        assert_eq!(sessions.connect("a"), nexus);
        assert_eq!(sessions.of(nexus).take_attention(), Some(POWER_ON));
        assert_eq!(sessions.of(nexus).take_attention(), None);
    }

    #[test]
    fn attentions_come_in_order_once_each_and_a_reset_replaces_them() {
        let mut sessions = Sessions::default();
        let (a, b) = (sessions.connect("a"), sessions.connect("b"));
        sessions.of(a).take_attention();
        sessions.attend_others(b, MODE_CHANGED);
        sessions.attend_all(MEDIUM_CHANGED);
        sessions.attend_all(MEDIUM_CHANGED);
        assert_eq!(sessions.of(a).take_attention(), Some(MODE_CHANGED));
        assert_eq!(sessions.of(a).take_attention(), Some(MEDIUM_CHANGED));
        assert_eq!(sessions.of(a).take_attention(), None);
        sessions.attend_all(MEDIUM_CHANGED);
        sessions.attend_all(BUS_RESET);
        assert_eq!(sessions.of(a).take_attention(), Some(BUS_RESET));
        assert_eq!(sessions.of(a).take_attention(), None);
    }
}
