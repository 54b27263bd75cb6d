//! The fence between nodes: persistent reservations (SPC-5 5.13).
//!
//! One type is used, exclusive access (3h): nobody but the holder may read or
//! write. Registrations are cleared by a power cycle (APTPL is 0), so a drive
//! that lost power is free again, and its old holder finds out by a unit
//! attention.
//!
//! A registration belongs to an I_T nexus, so all processes of a node share it.
//! A process that died leaves it behind, and its successor may take it over,
//! since opens fence processes. It proves that the registration is its own
//! nexus's by REGISTER with the *old* key, which a device server accepts from
//! no other nexus. REGISTER AND IGNORE EXISTING KEY would prove nothing, and is
//! not used.

use std::fmt;

use longhaul_scsi::Status;
use longhaul_scsi::cdb::{Cdb, Command};
use longhaul_scsi::spc::persistent_reserve::{
    FullStatus, Holder, InAction, Keys, OutAction, OutParameters, PersistentReserveIn,
    PersistentReserveOut, Registration, Reservation, ReservationType,
};
use longhaul_scsi::transport::{Data, Request};
use longhaul_scsi::verdict::Doing;

use longhaul_ffi::buffer::Buffer;

use super::command::Tries;
use super::error::{DriveError, Loss, Problem};
use super::recovery::Step;
use super::session::Drive;

const RESERVE_IN: &str = "PERSISTENT RESERVE IN";
const RESERVE_OUT: &str = "PERSISTENT RESERVE OUT";

/// READ KEYS: room for more keys than a SAN has nodes.
const KEYS_BYTES: u16 = 8 + 8 * 512;
/// READ RESERVATION sends 24 bytes at most.
const RESERVATION_BYTES: u16 = 24;

/// The high 16 bits of a key of ours: "LH".
const MAGIC: u16 = 0x4c48;

/// A reservation key (SPC-5 5.13.4). Ours are 16 bits of magic, a 16-bit hash
/// of the cluster's id (0 without one) and a 32-bit token, which is new for
/// every assignment of a drive; others' are any eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub u64);

impl Key {
    /// A key of ours.
    pub fn new(cluster: u16, token: u32) -> Key {
        Key(u64::from(MAGIC) << 48 | u64::from(cluster) << 32 | u64::from(token))
    }

    /// A key with a random token, for a mover without a coordinator.
    pub fn random() -> Key {
        // The first 32 bits of a version 4 UUID are all random.
        Key::new(0, uuid::Uuid::new_v4().as_fields().0)
    }

    /// A key as people write it: up to 16 hexadecimal digits, with or without
    /// an `h` behind them.
    ///
    /// # Errors
    /// In words, if it is none.
    pub fn parse(text: &str) -> Result<Key, String> {
        let digits = text.strip_suffix(['h', 'H']).unwrap_or(text);
        let valid = (1..=16).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        match u64::from_str_radix(digits, 16) {
            Ok(key @ 1..) if valid => Ok(Key(key)),
            _ => Err("a key is up to 16 hexadecimal digits, and not 0".into()),
        }
    }

    /// Whether a mover of this project made it.
    pub fn is_longhaul(self) -> bool {
        (self.0 >> 48) as u16 == MAGIC
    }

    /// The hash of the cluster's id; only of meaning if
    /// [`is_longhaul`](Key::is_longhaul).
    pub fn cluster(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// The token; only of meaning if [`is_longhaul`](Key::is_longhaul).
    pub fn token(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            f.write_str("a holder without a key")
        } else if self.is_longhaul() {
            write!(f, "a Longhaul mover (key {:016x}h)", self.0)
        } else {
            write!(f, "another program (key {:016x}h)", self.0)
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:016x}h)", self.0)
    }
}

impl Drive {
    /// Reserves the drive for this nexus under `key`, exclusive access.
    ///
    /// A registration that a dead process of this node left behind is taken
    /// over; anybody else's is respected.
    ///
    /// # Errors
    /// [`Problem::Held`] names the holder; [`Problem::NoReservations`] if the
    /// drive can't; else those of the drive.
    pub fn reserve(&mut self, key: Key) -> Result<(), DriveError> {
        let mut reserved = self.try_reserve(key)?;
        if !reserved && self.holder()?.is_none() {
            // The drive was reset in between, and has forgotten our key.
            reserved = self.try_reserve(key)?;
        }
        if !reserved {
            return Err(self.held());
        }
        // From here on a unit attention about reservations is about ours.
        self.key = Some(key);
        self.verify_reservation().inspect_err(|_| self.key = None)
    }

    /// Whether the drive let itself be registered with and reserved.
    fn try_reserve(&mut self, key: Key) -> Result<bool, DriveError> {
        let registered = match self.holder()? {
            Some(holder) => self.inherit(&[Key(holder.key)], key)?,
            None => self.register(key)?,
        };
        Ok(registered && self.reserve_out(OutAction::Reserve, key, Key(0))?)
    }

    /// Takes the drive from the holder of the key `old`, who is gone, for this
    /// nexus under `key` (PREEMPT AND ABORT, SPC-5 5.13.11.2.6): what the old
    /// holder may still have under way is ended, and none of its commands is
    /// carried out any more. A drive that they hold no more is reserved as by
    /// [`reserve`](Drive::reserve).
    ///
    /// # Errors
    /// [`Problem::Held`] names the holder, if it is another; else as
    /// [`reserve`](Drive::reserve).
    pub fn take_over(&mut self, old: Key, key: Key) -> Result<(), DriveError> {
        if !matches!(self.holder()?, Some(holder) if holder.key == old.0) {
            return self.reserve(key);
        }
        if !self.register(key)? {
            return Err(self.held());
        }
        // What a process of this nexus held is ours with its registration.
        let is_ours = matches!(self.holder()?, Some(holder) if holder.key == key.0);
        if !is_ours && !self.reserve_out(OutAction::PreemptAndAbort, key, old)? {
            return Err(self.held());
        }
        self.key = Some(key);
        self.verify_reservation().inspect_err(|_| self.key = None)
    }

    /// The key that we hold the drive's reservation with.
    pub fn key(&self) -> Option<Key> {
        self.key
    }

    /// Who holds the drive's reservation, and of what type it is.
    ///
    /// # Errors
    /// [`Problem::NoReservations`], or those of the drive.
    pub fn holder(&mut self) -> Result<Option<Holder>, DriveError> {
        let cdb = PersistentReserveIn::new(InAction::ReadReservation, RESERVATION_BYTES).cdb();
        let bytes = self.reserve_in(cdb, RESERVATION_BYTES)?;
        let reservation = Reservation::parse(&bytes);
        reservation
            .map(|reservation| reservation.holder)
            .map_err(|error| self.garbled(&error))
    }

    /// Proves that the drive is still reserved for us. Without a reservation
    /// there is nothing to prove.
    ///
    /// # Errors
    /// [`Problem::Fenced`] or [`Problem::Lost`] if it is not; the session has
    /// then ended.
    pub fn verify_reservation(&mut self) -> Result<(), DriveError> {
        let Some(key) = self.key else { return Ok(()) };
        match self.holder()? {
            Some(Holder {
                key: held,
                kind: ReservationType::ExclusiveAccess,
            }) if held == key.0 => Ok(()),
            Some(holder) => {
                let why = format!("it is now held by {}", Key(holder.key));
                Err(self.stop(RESERVE_IN, Problem::Fenced { why }))
            }
            // Nobody's: a power cycle, whose unit attention went to another.
            None => Err(self.lose(RESERVE_IN, Loss::RegistrationGone)),
        }
    }

    /// Gives reservation and registration back.
    ///
    /// # Errors
    /// Those of the drive. It does not matter if they are gone already.
    pub fn release(&mut self) -> Result<(), DriveError> {
        let Some(key) = self.key.take() else {
            return Ok(());
        };
        // Unregistering releases what the nexus holds (SPC-5 5.14.11.2), so
        // one command does both, and nothing can come between them.
        match self.reserve_out(OutAction::Register, key, Key(0)) {
            Err(error) if matches!(error.problem(), Problem::Path(_)) => {
                self.release_elsewhere(key, error)
            }
            released => released.map(drop),
        }
    }

    /// The same by another path, where there is one: what the dead nexus holds
    /// has to be taken from it first.
    fn release_elsewhere(&mut self, key: Key, error: DriveError) -> Result<(), DriveError> {
        if !self.transport.change_path() {
            return Err(error);
        }
        self.on_new_path = true;
        self.doubt = true;
        self.modes_doubt = true;
        self.key = Some(key);
        let taken = self.calm(RESERVE_OUT);
        self.key = None;
        match taken {
            Ok(()) => self.reserve_out(OutAction::Register, key, Key(0)).map(drop),
            // It was executed before the path died, or is another's by now.
            Err(error) => match error.problem() {
                Problem::Lost { .. } | Problem::Fenced { .. } => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Takes the drive on another path: that is another nexus, or the same one
    /// found again. The key stays, so that whoever was told it can still take
    /// the drive from us. PREEMPT AND ABORT also ends what the dead path may
    /// still have under way: only then does READ POSITION tell what was
    /// executed.
    ///
    /// # Errors
    /// [`Problem::Fenced`] if the drive is another's by now, [`Problem::Lost`]
    /// if it forgot us; the session has then ended.
    pub(super) fn take_from_oneself(&mut self) -> Result<(), DriveError> {
        self.prove_identity()?;
        if let Some(key) = self.key {
            self.verify_reservation()?;
            let none = Key(0);
            let registered = self.reserve_out(OutAction::Register, none, key)?
                || self.reserve_out(OutAction::Register, key, key)?;
            if !registered || !self.reserve_out(OutAction::PreemptAndAbort, key, key)? {
                let why = "it was taken while its path was changed".to_owned();
                return Err(self.stop(RESERVE_OUT, Problem::Fenced { why }));
            }
            self.verify_reservation()?;
        }
        self.on_new_path = false;
        if self.prepared {
            // The door, too, was shut for the other nexus.
            self.set_door(true)?;
        }
        Ok(())
    }

    /// Registers a nexus that is not registered, or that a process before us
    /// registered.
    fn register(&mut self, key: Key) -> Result<bool, DriveError> {
        if self.reserve_out(OutAction::Register, Key(0), key)? {
            return Ok(true);
        }
        let cdb = PersistentReserveIn::new(InAction::ReadKeys, KEYS_BYTES).cdb();
        let bytes = self.reserve_in(cdb, KEYS_BYTES)?;
        let keys = Keys::parse(&bytes)
            .map_err(|error| self.garbled(&error))?
            .keys;
        let keys: Vec<Key> = keys.into_iter().map(Key).collect();
        self.inherit(&keys, key)
    }

    /// Replaces a registration of this nexus that has one of those keys, if
    /// it is one of ours. Only the nexus that a key belongs to can do that.
    fn inherit(&mut self, keys: &[Key], key: Key) -> Result<bool, DriveError> {
        for &old in keys.iter().filter(|key| key.is_longhaul()) {
            // The second: the first was executed, and its answer got lost.
            if self.reserve_out(OutAction::Register, old, key)?
                || self.reserve_out(OutAction::Register, key, key)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the device server accepted an action; RESERVATION CONFLICT is
    /// its way to say no.
    fn reserve_out(
        &mut self,
        action: OutAction,
        key: Key,
        action_key: Key,
    ) -> Result<bool, DriveError> {
        let cdb = PersistentReserveOut::new(action, ReservationType::ExclusiveAccess).cdb();
        let list = OutParameters::new(key.0, action_key.0).encode();
        let mut data = Data::Out {
            buffer: Buffer::from_slice(&list),
            len: list.len(),
        };
        let mut tries = Tries::new(self.patience);
        loop {
            let timeout = self.timeout(&cdb);
            let completion = self.transport.execute(Request { cdb, data, timeout });
            if completion.outcome.status == Ok(Status::ReservationConflict) {
                return Ok(false);
            }
            let step = self.step(RESERVE_OUT, Doing::Other, &completion.outcome)?;
            if matches!(step, Step::Done(_)) {
                return Ok(true);
            }
            tries
                .pause_for(step)
                .map_err(|problem| self.fail(RESERVE_OUT, no_reservations(problem)))?;
            data = completion.data;
        }
    }

    fn reserve_in(&mut self, cdb: Cdb, len: u16) -> Result<Vec<u8>, DriveError> {
        self.ask_in(RESERVE_IN, cdb, len.into())
            .map_err(|error| match error.problem() {
                Problem::Unsupported(_) => self.fail(RESERVE_IN, Problem::NoReservations),
                _ => error,
            })
    }

    /// An error that names whoever holds the drive.
    fn held(&mut self) -> DriveError {
        let problem = self.held_problem();
        self.fail(RESERVE_OUT, problem)
    }

    /// Who is in the way, as far as two questions without repetitions tell.
    pub(super) fn held_problem(&mut self) -> Problem {
        let holder = self
            .ask_once(InAction::ReadReservation, RESERVATION_BYTES)
            .and_then(|bytes| Reservation::parse(&bytes).ok())
            .and_then(|reservation| reservation.holder);
        let Some(Holder { key, kind }) = holder else {
            return Problem::Held {
                key: Key(0),
                kind: 0,
                initiator: None,
            };
        };
        let initiator = self
            .ask_once(InAction::ReadFullStatus, KEYS_BYTES)
            .and_then(|bytes| FullStatus::parse(&bytes).ok())
            .and_then(|status| {
                let holds = |registration: &Registration| registration.holds.is_some();
                status.registrations.into_iter().find(holds)
            })
            .and_then(|holder| holder.initiator());
        Problem::Held {
            key: Key(key),
            kind: kind.code(),
            initiator,
        }
    }

    fn ask_once(&mut self, action: InAction, len: u16) -> Option<Vec<u8>> {
        let cdb = PersistentReserveIn::new(action, len).cdb();
        let len = usize::from(len);
        let completion = self.transport.execute(Request {
            cdb,
            data: Data::In {
                buffer: Buffer::zeroed(len),
                len,
            },
            timeout: self.timeout(&cdb),
        });
        match completion.outcome.status {
            Ok(Status::Good) => Some(completion.data.into_buffer()?[..len].to_vec()),
            _ => None,
        }
    }

    fn garbled(&self, error: &longhaul_scsi::ParseError) -> DriveError {
        self.fail(RESERVE_IN, Problem::Malformed(error.to_string()))
    }
}

fn no_reservations(problem: Problem) -> Problem {
    match problem {
        Problem::Unsupported(_) => Problem::NoReservations,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_whose_it_is() {
        let key = Key::new(0x1234, 0xdead_beef);
        assert_eq!(key.0, 0x4c48_1234_dead_beef);
        assert!(key.is_longhaul());
        assert_eq!((key.cluster(), key.token()), (0x1234, 0xdead_beef));
        assert_eq!(key.to_string(), "a Longhaul mover (key 4c481234deadbeefh)");
        assert!(!Key(1).is_longhaul());
        assert_ne!(Key::random(), Key::random());
    }
}
