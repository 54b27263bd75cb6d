//! Persistent reservations: which I_T nexus may do what (SPC-5 5.14).
//!
//! An initiator registers a key for its nexus. A registered one can reserve;
//! others are then refused by the kind of the reservation, until the holder
//! releases, or somebody registered preempts the holder by its key. Those who
//! lost something are told by unit attentions, which are returned here as
//! [`Notice`]s.

use std::collections::BTreeMap;

use super::Nexus;

/// Most nexuses that can be registered.
pub(crate) const REGISTRATIONS_MAX: usize = 64;

/// RESERVATIONS PREEMPTED.
pub(crate) const RESERVATIONS_PREEMPTED: (u8, u8) = (0x2a, 0x03);
/// RESERVATIONS RELEASED.
pub(crate) const RESERVATIONS_RELEASED: (u8, u8) = (0x2a, 0x04);
/// REGISTRATIONS PREEMPTED.
pub(crate) const REGISTRATIONS_PREEMPTED: (u8, u8) = (0x2a, 0x05);

/// The TYPE field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    WriteExclusive = 1,
    ExclusiveAccess = 3,
    WriteExclusiveRegistrantsOnly = 5,
    ExclusiveAccessRegistrantsOnly = 6,
    WriteExclusiveAllRegistrants = 7,
    ExclusiveAccessAllRegistrants = 8,
}

impl Kind {
    pub(crate) fn from_code(code: u8) -> Option<Kind> {
        Some(match code {
            1 => Kind::WriteExclusive,
            3 => Kind::ExclusiveAccess,
            5 => Kind::WriteExclusiveRegistrantsOnly,
            6 => Kind::ExclusiveAccessRegistrantsOnly,
            7 => Kind::WriteExclusiveAllRegistrants,
            8 => Kind::ExclusiveAccessAllRegistrants,
            _ => return None,
        })
    }

    fn lets_read(self) -> bool {
        matches!(
            self,
            Kind::WriteExclusive
                | Kind::WriteExclusiveRegistrantsOnly
                | Kind::WriteExclusiveAllRegistrants
        )
    }

    /// Whether every registered nexus may do everything.
    fn for_registrants(self) -> bool {
        !matches!(self, Kind::WriteExclusive | Kind::ExclusiveAccess)
    }

    /// Whether every registered nexus holds the reservation.
    fn is_held_by_all(self) -> bool {
        matches!(
            self,
            Kind::WriteExclusiveAllRegistrants | Kind::ExclusiveAccessAllRegistrants
        )
    }
}

/// What a command does to others' work, as the reservation sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Allowed to everybody, always.
    Open,
    /// Allowed beside a write exclusive reservation.
    Reads,
    /// Allowed only to those whom the reservation includes.
    Guarded,
}

/// Why PERSISTENT RESERVE OUT was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// RESERVATION CONFLICT.
    Conflict,
    /// INVALID RELEASE OF PERSISTENT RESERVATION.
    InvalidRelease,
    /// A service action key that cannot be.
    InvalidKey,
    /// INSUFFICIENT REGISTRATION RESOURCES.
    NoRoom,
}

/// A unit attention that a nexus must get.
pub(crate) type Notice = (Nexus, (u8, u8));

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    by: Nexus,
    kind: Kind,
}

/// All registrations and the reservation of one logical unit.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    generation: u32,
    keys: BTreeMap<Nexus, u64>,
    held: Option<Held>,
}

impl Reservations {
    /// Power was off: nothing is kept (APTPL is not supported).
    pub(crate) fn reset(&mut self) {
        *self = Reservations::default();
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Registered nexuses and their keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (Nexus, u64)> {
        self.keys.iter().map(|(nexus, key)| (*nexus, *key))
    }

    /// The reservation: its kind, and its holder's key (0 where all hold it).
    pub(crate) fn reservation(&self) -> Option<(Kind, u64)> {
        let held = self.held?;
        let key = if held.kind.is_held_by_all() {
            None
        } else {
            self.keys.get(&held.by)
        };
        Some((held.kind, key.copied().unwrap_or(0)))
    }

    pub(crate) fn is_holder(&self, nexus: Nexus) -> bool {
        self.held.is_some_and(|held| {
            let all = held.kind.is_held_by_all() && self.keys.contains_key(&nexus);
            all || held.by == nexus
        })
    }

    /// Whether the nexus may send such a command.
    pub(crate) fn allows(&self, nexus: Nexus, guard: Guard) -> bool {
        let Some(held) = self.held else { return true };
        guard == Guard::Open
            || self.is_holder(nexus)
            || (guard == Guard::Reads && held.kind.lets_read())
            || (held.kind.for_registrants() && self.keys.contains_key(&nexus))
    }

    /// REGISTER, and REGISTER AND IGNORE EXISTING KEY (`key` is `None`).
    pub(crate) fn register(
        &mut self,
        nexus: Nexus,
        key: Option<u64>,
        new: u64,
    ) -> Result<Vec<Notice>, Refused> {
        let registered = self.keys.get(&nexus).copied();
        if key.is_some_and(|key| key != registered.unwrap_or(0)) {
            return Err(Refused::Conflict);
        }
        if registered.is_none() && new != 0 && self.keys.len() >= REGISTRATIONS_MAX {
            return Err(Refused::NoRoom);
        }
        if registered.is_none() && new == 0 {
            return Ok(Vec::new());
        }
        self.generation = self.generation.wrapping_add(1);
        if new != 0 {
            self.keys.insert(nexus, new);
            return Ok(Vec::new());
        }
        let held_alone = self.is_holder(nexus)
            && (self.keys.len() == 1 || self.held.is_some_and(|h| !h.kind.is_held_by_all()));
        self.keys.remove(&nexus);
        Ok(if held_alone {
            self.let_go(nexus)
        } else {
            Vec::new()
        })
    }

    /// RESERVE.
    pub(crate) fn reserve(&mut self, nexus: Nexus, key: u64, kind: Kind) -> Result<(), Refused> {
        self.registered(nexus, key)?;
        match self.held {
            Some(held) if !self.is_holder(nexus) || held.kind != kind => Err(Refused::Conflict),
            Some(_) => Ok(()),
            None => {
                self.held = Some(Held { by: nexus, kind });
                Ok(())
            }
        }
    }

    /// RELEASE.
    pub(crate) fn release(
        &mut self,
        nexus: Nexus,
        key: u64,
        kind: Option<Kind>,
    ) -> Result<Vec<Notice>, Refused> {
        self.registered(nexus, key)?;
        let Some(held) = self.held.filter(|_| self.is_holder(nexus)) else {
            // Releasing what one does not hold is no error.
            return Ok(Vec::new());
        };
        if kind != Some(held.kind) {
            return Err(Refused::InvalidRelease);
        }
        Ok(self.let_go(nexus))
    }

    /// CLEAR.
    pub(crate) fn clear(&mut self, nexus: Nexus, key: u64) -> Result<Vec<Notice>, Refused> {
        self.registered(nexus, key)?;
        self.generation = self.generation.wrapping_add(1);
        self.held = None;
        let keys = std::mem::take(&mut self.keys);
        Ok(notices(keys.into_keys(), nexus, RESERVATIONS_PREEMPTED))
    }

    /// PREEMPT, and the part of PREEMPT AND ABORT that concerns reservations.
    /// The nexuses that were removed get [`REGISTRATIONS_PREEMPTED`].
    pub(crate) fn preempt(
        &mut self,
        nexus: Nexus,
        key: u64,
        victim: u64,
        kind: Option<Kind>,
    ) -> Result<Vec<Notice>, Refused> {
        self.registered(nexus, key)?;
        let takes = match self.held {
            Some(held) if held.kind.is_held_by_all() => victim == 0,
            Some(held) => self.keys.get(&held.by) == Some(&victim),
            None => false,
        };
        if !takes {
            return self.remove(nexus, victim);
        }
        let kind = kind.ok_or(Refused::InvalidKey)?;
        let before = self.held.map(|held| held.kind);
        let all = before.is_some_and(Kind::is_held_by_all);
        let gone = self.take_out(|other, key| other != nexus && (all || key == victim));
        self.generation = self.generation.wrapping_add(1);
        self.held = Some(Held { by: nexus, kind });
        let mut told = notices(gone.into_iter(), nexus, REGISTRATIONS_PREEMPTED);
        if before != Some(kind) {
            let left = self.keys.keys().copied();
            told.extend(notices(left, nexus, RESERVATIONS_RELEASED));
        }
        Ok(told)
    }

    fn remove(&mut self, nexus: Nexus, victim: u64) -> Result<Vec<Notice>, Refused> {
        if victim == 0 {
            return Err(Refused::InvalidKey);
        }
        let gone = self.take_out(|_, key| key == victim);
        if gone.is_empty() {
            return Err(Refused::Conflict);
        }
        self.generation = self.generation.wrapping_add(1);
        Ok(notices(gone.into_iter(), nexus, REGISTRATIONS_PREEMPTED))
    }

    fn take_out(&mut self, goes: impl Fn(Nexus, u64) -> bool) -> Vec<Nexus> {
        let gone = |(nexus, key): (&Nexus, &u64)| goes(*nexus, *key).then_some(*nexus);
        let gone: Vec<Nexus> = self.keys.iter().filter_map(gone).collect();
        self.keys.retain(|nexus, _| !gone.contains(nexus));
        gone
    }

    fn registered(&self, nexus: Nexus, key: u64) -> Result<(), Refused> {
        if self.keys.get(&nexus) == Some(&key) {
            Ok(())
        } else {
            Err(Refused::Conflict)
        }
    }

    /// Ends the reservation; where it let registrants in, they are told.
    fn let_go(&mut self, by: Nexus) -> Vec<Notice> {
        match self.held.take() {
            Some(held) if held.kind.for_registrants() => {
                notices(self.keys.keys().copied(), by, RESERVATIONS_RELEASED)
            }
            _ => Vec::new(),
        }
    }
}

fn notices(to: impl Iterator<Item = Nexus>, but: Nexus, what: (u8, u8)) -> Vec<Notice> {
    to.filter(|nexus| *nexus != but)
        .map(|nexus| (nexus, what))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Nexus = Nexus(1);
    const B: Nexus = Nexus(2);
    const C: Nexus = Nexus(3);

    fn registered() -> Reservations {
        let mut reservations = Reservations::default();
        for (nexus, key) in [(A, 10), (B, 20), (C, 30)] {
            reservations
                .register(nexus, Some(0), key)
                .expect("a free place");
        }
        reservations
    }

    #[test]
    fn a_key_is_changed_only_by_who_knows_it() {
        let mut r = registered();
        assert_eq!(r.register(A, Some(99), 11), Err(Refused::Conflict));
        r.register(A, Some(10), 11).expect("the right key");
        r.register(A, None, 12).expect("existing key ignored");
        assert_eq!(r.keys().next(), Some((A, 12)));
        assert_eq!(r.generation(), 5);
    }

    #[test]
    fn exclusive_access_lets_nobody_else_in() {
        let mut r = registered();
        assert_eq!(
            r.reserve(A, 99, Kind::ExclusiveAccess),
            Err(Refused::Conflict)
        );
        r.reserve(A, 10, Kind::ExclusiveAccess).expect("free");
        r.reserve(A, 10, Kind::ExclusiveAccess)
            .expect("the same again");
        assert_eq!(
            r.reserve(A, 10, Kind::WriteExclusive),
            Err(Refused::Conflict)
        );
        assert_eq!(
            r.reserve(B, 20, Kind::ExclusiveAccess),
            Err(Refused::Conflict)
        );
        assert!(r.allows(A, Guard::Guarded));
        assert!(!r.allows(B, Guard::Guarded) && !r.allows(B, Guard::Reads));
        assert!(r.allows(B, Guard::Open));
    }

    #[test]
    fn the_other_kinds_let_in_whom_they_name() {
        for (kind, stranger_reads, registrant_writes) in [
            (Kind::WriteExclusive, true, false),
            (Kind::WriteExclusiveRegistrantsOnly, true, true),
            (Kind::ExclusiveAccessRegistrantsOnly, false, true),
            (Kind::WriteExclusiveAllRegistrants, true, true),
            (Kind::ExclusiveAccessAllRegistrants, false, true),
        ] {
            let mut r = registered();
            r.reserve(A, 10, kind).expect("free");
            let stranger = Nexus(9);
            assert_eq!(r.allows(stranger, Guard::Reads), stranger_reads, "{kind:?}");
            assert!(!r.allows(stranger, Guard::Guarded), "{kind:?}");
            assert_eq!(r.allows(B, Guard::Guarded), registrant_writes, "{kind:?}");
        }
    }

    #[test]
    fn preempting_the_holder_takes_its_place() {
        let mut r = registered();
        r.reserve(A, 10, Kind::ExclusiveAccess).expect("free");
        let told = r
            .preempt(B, 20, 10, Some(Kind::ExclusiveAccess))
            .expect("registered");
        assert_eq!(told, [(A, REGISTRATIONS_PREEMPTED)]);
        assert!(r.is_holder(B) && !r.allows(A, Guard::Guarded));
        assert_eq!(r.reservation(), Some((Kind::ExclusiveAccess, 20)));
        assert_eq!(
            r.preempt(A, 10, 20, Some(Kind::ExclusiveAccess)),
            Err(Refused::Conflict)
        );
    }

    #[test]
    fn preempting_another_key_only_removes_it() {
        let mut r = registered();
        r.reserve(A, 10, Kind::ExclusiveAccess).expect("free");
        let told = r
            .preempt(B, 20, 30, Some(Kind::ExclusiveAccess))
            .expect("registered");
        assert_eq!(told, [(C, REGISTRATIONS_PREEMPTED)]);
        assert!(r.is_holder(A));
        assert_eq!(r.preempt(B, 20, 77, None), Err(Refused::Conflict));
        assert_eq!(r.preempt(B, 20, 0, None), Err(Refused::InvalidKey));
    }

    #[test]
    fn a_change_of_kind_is_told_to_those_who_stay() {
        let mut r = registered();
        r.reserve(A, 10, Kind::ExclusiveAccess).expect("free");
        let told = r
            .preempt(B, 20, 10, Some(Kind::WriteExclusive))
            .expect("registered");
        assert_eq!(
            told,
            [(A, REGISTRATIONS_PREEMPTED), (C, RESERVATIONS_RELEASED)]
        );
    }

    #[test]
    fn release_ends_only_ones_own() {
        let mut r = registered();
        r.reserve(A, 10, Kind::ExclusiveAccessRegistrantsOnly)
            .expect("free");
        assert_eq!(
            r.release(B, 20, Some(Kind::ExclusiveAccessRegistrantsOnly)),
            Ok(vec![])
        );
        assert!(r.is_holder(A));
        assert_eq!(
            r.release(A, 10, Some(Kind::WriteExclusive)),
            Err(Refused::InvalidRelease)
        );
        let told = r
            .release(A, 10, Some(Kind::ExclusiveAccessRegistrantsOnly))
            .expect("own");
        assert_eq!(
            told,
            [(B, RESERVATIONS_RELEASED), (C, RESERVATIONS_RELEASED)]
        );
        assert_eq!(r.reservation(), None);
    }

    #[test]
    fn unregistering_releases_too() {
        let mut r = registered();
        r.reserve(A, 10, Kind::ExclusiveAccess).expect("free");
        r.register(A, Some(10), 0).expect("own key");
        assert_eq!(r.reservation(), None);
        let mut r = registered();
        r.reserve(A, 10, Kind::ExclusiveAccessAllRegistrants)
            .expect("free");
        r.register(A, Some(10), 0).expect("own key");
        assert!(r.is_holder(B), "the others still hold it");
    }

    #[test]
    fn clear_removes_everything_and_tells_everybody() {
        let mut r = registered();
        r.reserve(A, 10, Kind::ExclusiveAccess).expect("free");
        let told = r.clear(B, 20).expect("registered");
        assert_eq!(
            told,
            [(A, RESERVATIONS_PREEMPTED), (C, RESERVATIONS_PREEMPTED)]
        );
        assert_eq!(r.keys().count(), 0);
        assert_eq!(r.clear(B, 20), Err(Refused::Conflict));
    }
}
