//! PERSISTENT RESERVE OUT (SPC-5 6.17).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::super::opcode;
use super::ReservationType;
use crate::cdb::{bit, command, is_set};
use crate::wire::{ParseError, Reader, U16, U32, U64};

/// What is to be done (SERVICE ACTION).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutAction {
    /// 00h: registers, changes, or (with a new key of 0) removes one's key.
    Register,
    /// 01h
    Reserve,
    /// 02h
    Release,
    /// 03h: removes all registrations and the reservation.
    Clear,
    /// 04h: removes the registrations of a key, and takes its reservation.
    Preempt,
    /// 05h: the same, and aborts the commands of that key's nexuses.
    PreemptAndAbort,
    /// 06h: registers, whatever key one had.
    RegisterAndIgnoreExistingKey,
    /// 07h
    RegisterAndMove,
    /// 08h
    ReplaceLostReservation,
}

impl OutAction {
    /// All of them, in order of their numbers.
    pub const ALL: [OutAction; 9] = [
        OutAction::Register,
        OutAction::Reserve,
        OutAction::Release,
        OutAction::Clear,
        OutAction::Preempt,
        OutAction::PreemptAndAbort,
        OutAction::RegisterAndIgnoreExistingKey,
        OutAction::RegisterAndMove,
        OutAction::ReplaceLostReservation,
    ];

    fn code(self) -> u8 {
        OutAction::ALL
            .iter()
            .position(|&action| action == self)
            .unwrap_or(0) as u8
    }
}

/// PERSISTENT RESERVE OUT
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct PersistentReserveOut {
    opcode: u8,
    service_action: u8,
    scope_type: u8,
    reserved: [u8; 2],
    parameter_list_length: U32,
    control: u8,
}
command!(
    PersistentReserveOut,
    "PERSISTENT RESERVE OUT",
    opcode::PERSISTENT_RESERVE_OUT,
    10
);

impl PersistentReserveOut {
    /// The command for a parameter list of [`OutParameters::BYTES`]; `kind`
    /// counts only where a reservation is made, taken or released.
    pub fn new(action: OutAction, kind: ReservationType) -> PersistentReserveOut {
        PersistentReserveOut {
            opcode: opcode::PERSISTENT_RESERVE_OUT,
            service_action: action.code(),
            scope_type: kind.code(),
            reserved: [0; 2],
            parameter_list_length: U32::new(OutParameters::BYTES as u32),
            control: 0,
        }
    }

    /// SERVICE ACTION; `None` for one that is not known.
    pub fn action(&self) -> Option<OutAction> {
        OutAction::ALL
            .get(usize::from(self.service_action & 0x1f))
            .copied()
    }

    /// SCOPE: 0h, the logical unit, is the only one left.
    pub fn scope(&self) -> u8 {
        self.scope_type >> 4
    }

    /// TYPE
    pub fn kind(&self) -> ReservationType {
        ReservationType::from_low_bits(self.scope_type)
    }

    /// PARAMETER LIST LENGTH in bytes.
    pub fn parameter_list_length(&self) -> u32 {
        self.parameter_list_length.get()
    }
}

/// The basic parameter list, which is for every action but REGISTER AND MOVE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutParameters {
    /// RESERVATION KEY: one's own, as registered; 0 for none.
    pub key: u64,
    /// SERVICE ACTION RESERVATION KEY: the new one, or the one to preempt.
    pub action_key: u64,
    /// SPEC_I_PT: TransportIDs of others follow.
    pub specify_initiator_ports: bool,
    /// ALL_TG_PT: register on all target ports.
    pub all_target_ports: bool,
    /// APTPL: let registrations survive a power cycle.
    pub persist_through_power_loss: bool,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct Wire {
    key: U64,
    action_key: U64,
    obsolete_16: U32,
    flags: u8,
    reserved: u8,
    obsolete_22: U16,
}
const _: () = assert!(size_of::<Wire>() == OutParameters::BYTES);

impl OutParameters {
    /// Bytes of the list.
    pub const BYTES: usize = 24;

    /// One's own key, and the one that the action is about.
    pub fn new(key: u64, action_key: u64) -> OutParameters {
        OutParameters {
            key,
            action_key,
            ..OutParameters::default()
        }
    }

    /// Reads the list.
    ///
    /// # Errors
    /// If it is cut.
    pub fn parse(bytes: &[u8]) -> Result<OutParameters, ParseError> {
        let wire: Wire = Reader::new("PERSISTENT RESERVE OUT parameters", bytes).pull()?;
        Ok(OutParameters {
            key: wire.key.get(),
            action_key: wire.action_key.get(),
            specify_initiator_ports: is_set(wire.flags, 3),
            all_target_ports: is_set(wire.flags, 2),
            persist_through_power_loss: is_set(wire.flags, 0),
        })
    }

    /// The bytes of the list.
    pub fn encode(&self) -> [u8; OutParameters::BYTES] {
        zerocopy::transmute!(Wire {
            key: U64::new(self.key),
            action_key: U64::new(self.action_key),
            obsolete_16: U32::new(0),
            flags: bit(3, self.specify_initiator_ports)
                | bit(2, self.all_target_ports)
                | bit(0, self.persist_through_power_loss),
            reserved: 0,
            obsolete_22: U16::new(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        let kind = ReservationType::ExclusiveAccess;
        let cdb = PersistentReserveOut::new(OutAction::PreemptAndAbort, kind);
        assert_eq!(cdb.as_bytes(), [0x5f, 5, 3, 0, 0, 0, 0, 0, 24, 0]);
        let bytes = OutParameters::new(1, 2).encode();
        assert_eq!(
            bytes[..16],
            [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
        );
        assert_eq!(bytes[16..], [0; 8]);
    }

    #[test]
    fn every_action_has_its_number() {
        for (number, action) in OutAction::ALL.into_iter().enumerate() {
            let cdb = PersistentReserveOut::new(action, ReservationType::WriteExclusive);
            assert_eq!(usize::from(cdb.as_bytes()[1]), number);
            assert_eq!(cdb.action(), Some(action));
        }
        for code in 0..16 {
            assert_eq!(ReservationType::from_low_bits(code).code(), code);
        }
    }

    proptest! {
        #[test]
        fn round_trip(key: u64, action_key: u64, flags: (bool, bool, bool)) {
            let parameters = OutParameters {
                key,
                action_key,
                specify_initiator_ports: flags.0,
                all_target_ports: flags.1,
                persist_through_power_loss: flags.2,
            };
            prop_assert_eq!(OutParameters::parse(&parameters.encode()).unwrap(), parameters);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(OutParameters::parse(&bytes).is_ok(), bytes.len() >= 24);
        }
    }
}
