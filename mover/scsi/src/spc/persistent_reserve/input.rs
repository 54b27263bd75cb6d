//! PERSISTENT RESERVE IN (SPC-5 6.16).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::super::opcode;
use super::ReservationType;
use crate::cdb::{bit, command, is_set};
use crate::wire::{ParseError, Reader, U16, U32, U64, text};

/// What is asked for (SERVICE ACTION).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InAction {
    /// 00h, answered by [`Keys`].
    ReadKeys,
    /// 01h, answered by [`Reservation`].
    ReadReservation,
    /// 02h, answered by [`Capabilities`].
    ReportCapabilities,
    /// 03h, answered by [`FullStatus`].
    ReadFullStatus,
}

/// PERSISTENT RESERVE IN
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct PersistentReserveIn {
    opcode: u8,
    service_action: u8,
    reserved: [u8; 5],
    allocation_length: U16,
    control: u8,
}
command!(
    PersistentReserveIn,
    "PERSISTENT RESERVE IN",
    opcode::PERSISTENT_RESERVE_IN,
    10
);

impl PersistentReserveIn {
    /// Asks.
    pub fn new(action: InAction, allocation_length: u16) -> PersistentReserveIn {
        let service_action = match action {
            InAction::ReadKeys => 0x00,
            InAction::ReadReservation => 0x01,
            InAction::ReportCapabilities => 0x02,
            InAction::ReadFullStatus => 0x03,
        };
        PersistentReserveIn {
            opcode: opcode::PERSISTENT_RESERVE_IN,
            service_action,
            reserved: [0; 5],
            allocation_length: U16::new(allocation_length),
            control: 0,
        }
    }

    /// SERVICE ACTION; `None` for one that is not known.
    pub fn action(&self) -> Option<InAction> {
        match self.service_action & 0x1f {
            0x00 => Some(InAction::ReadKeys),
            0x01 => Some(InAction::ReadReservation),
            0x02 => Some(InAction::ReportCapabilities),
            0x03 => Some(InAction::ReadFullStatus),
            _ => None,
        }
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u16 {
        self.allocation_length.get()
    }
}

/// PRGENERATION and ADDITIONAL LENGTH, which three of the answers begin with.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct Header {
    generation: U32,
    length: U32,
}
const _: () = assert!(size_of::<Header>() == 8);

fn header<'a>(what: &'static str, bytes: &'a [u8]) -> Result<(u32, Reader<'a>), ParseError> {
    let mut reader = Reader::new(what, bytes);
    let header: Header = reader.pull()?;
    let length = header.length.get().try_into().unwrap_or(usize::MAX);
    Ok((
        header.generation.get(),
        Reader::new(what, reader.take_up_to(length)),
    ))
}

fn with_header(generation: u32, body: &[u8]) -> Vec<u8> {
    let length = U32::new(body.len() as u32);
    [
        Header {
            generation: U32::new(generation),
            length,
        }
        .as_bytes(),
        body,
    ]
    .concat()
}

/// The answer to READ KEYS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keys {
    /// PRGENERATION: counts changes of registrations.
    pub generation: u32,
    /// The registered keys; a key once a nexus, so the same may come twice.
    pub keys: Vec<u64>,
}

impl Keys {
    /// Reads the answer, as far as whole keys are there.
    ///
    /// # Errors
    /// If there is no header.
    pub fn parse(bytes: &[u8]) -> Result<Keys, ParseError> {
        let (generation, mut reader) = header("PERSISTENT RESERVE IN, READ KEYS", bytes)?;
        let mut keys = Vec::new();
        while let Ok(key) = reader.pull::<U64>() {
            keys.push(key.get());
        }
        Ok(Keys { generation, keys })
    }

    /// The bytes of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let body = self
            .keys
            .iter()
            .flat_map(|key| key.to_be_bytes())
            .collect::<Vec<_>>();
        with_header(self.generation, &body)
    }
}

/// Who holds the reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The holder's key (0 for the all-registrants types).
    pub key: u64,
    /// What it keeps others from.
    pub kind: ReservationType,
}

/// The answer to READ RESERVATION.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reservation {
    /// PRGENERATION
    pub generation: u32,
    /// The holder; `None` where nobody has reserved.
    pub holder: Option<Holder>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct ReservationWire {
    key: U64,
    obsolete_8: U32,
    reserved: u8,
    scope_type: u8,
    obsolete_14: U16,
}
const _: () = assert!(size_of::<ReservationWire>() == 16);

impl Reservation {
    /// Reads the answer.
    ///
    /// # Errors
    /// If it is cut.
    pub fn parse(bytes: &[u8]) -> Result<Reservation, ParseError> {
        let (generation, mut reader) = header("PERSISTENT RESERVE IN, READ RESERVATION", bytes)?;
        if reader.is_empty() && bytes[4..8] == [0; 4] {
            return Ok(Reservation {
                generation,
                holder: None,
            });
        }
        let wire: ReservationWire = reader.pull()?;
        let kind = ReservationType::from_low_bits(wire.scope_type);
        Ok(Reservation {
            generation,
            holder: Some(Holder {
                key: wire.key.get(),
                kind,
            }),
        })
    }

    /// The bytes of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let Some(holder) = self.holder else {
            return with_header(self.generation, &[]);
        };
        let wire = ReservationWire {
            key: U64::new(holder.key),
            obsolete_8: U32::new(0),
            reserved: 0,
            scope_type: holder.kind.code(),
            obsolete_14: U16::new(0),
        };
        with_header(self.generation, wire.as_bytes())
    }
}

/// The answer to REPORT CAPABILITIES.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// CRH: RESERVE and RELEASE of SPC-2 are compatible.
    pub compatible_reservation_handling: bool,
    /// SIP_C: registrations for other initiators.
    pub specify_initiator_ports: bool,
    /// ATP_C: registrations on all target ports.
    pub all_target_ports: bool,
    /// PTPL_C: registrations can be made to survive a power cycle.
    pub persists_through_power_loss: bool,
    /// PTPL_A: and now they do.
    pub persists_activated: bool,
    /// PERSISTENT RESERVATION TYPE MASK, if valid (TMV): types 1h, 3h, 5h, 6h
    /// and 7h in bits 9, 11, 13, 14 and 15, type 8h in bit 0.
    pub types: Option<u16>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct CapabilitiesWire {
    length: U16,
    flags_2: u8,
    flags_3: u8,
    types: U16,
    reserved: [u8; 2],
}
const _: () = assert!(size_of::<CapabilitiesWire>() == Capabilities::BYTES);

impl Capabilities {
    /// Bytes of the answer.
    pub const BYTES: usize = 8;

    /// Reads the answer.
    ///
    /// # Errors
    /// If it is cut.
    pub fn parse(bytes: &[u8]) -> Result<Capabilities, ParseError> {
        let wire: CapabilitiesWire = Reader::new("REPORT CAPABILITIES", bytes).pull()?;
        Ok(Capabilities {
            compatible_reservation_handling: is_set(wire.flags_2, 4),
            specify_initiator_ports: is_set(wire.flags_2, 3),
            all_target_ports: is_set(wire.flags_2, 2),
            persists_through_power_loss: is_set(wire.flags_2, 0),
            persists_activated: is_set(wire.flags_3, 0),
            types: is_set(wire.flags_3, 7).then(|| wire.types.get()),
        })
    }

    /// The bytes of the answer.
    pub fn encode(&self) -> [u8; Capabilities::BYTES] {
        zerocopy::transmute!(CapabilitiesWire {
            length: U16::new(Capabilities::BYTES as u16),
            flags_2: bit(4, self.compatible_reservation_handling)
                | bit(3, self.specify_initiator_ports)
                | bit(2, self.all_target_ports)
                | bit(0, self.persists_through_power_loss),
            flags_3: bit(7, self.types.is_some()) | bit(0, self.persists_activated),
            types: U16::new(self.types.unwrap_or(0)),
            reserved: [0; 2],
        })
    }

    /// Whether a type is supported; `None` if the device does not tell.
    pub fn supports(&self, kind: ReservationType) -> Option<bool> {
        let number = match kind.code() {
            0x8 => 0,
            code @ 1..=7 => code + 8,
            _ => return Some(false),
        };
        self.types.map(|types| types & 1 << number != 0)
    }
}

/// One registered nexus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its key.
    pub key: u64,
    /// ALL_TG_PT: on all target ports.
    pub all_target_ports: bool,
    /// What it holds (R_HOLDER); `None` if it does not hold the reservation.
    pub holds: Option<ReservationType>,
    /// RELATIVE TARGET PORT IDENTIFIER
    pub target_port: u16,
    /// TransportID of the initiator (SPC-5 7.6.4), as it came.
    pub transport_id: Vec<u8>,
}

impl Registration {
    /// The initiator's name in its TransportID (SPC-5 7.6.4): the iSCSI name, or
    /// the WWPN or SAS address in hexadecimal digits. `None` for others.
    pub fn initiator(&self) -> Option<String> {
        let name = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.transport_id.first()? & 0x0f {
            // Fibre Channel
            0x0 => self.transport_id.get(8..16).map(name),
            // iSCSI
            0x5 => {
                let text = text(self.transport_id.get(4..)?);
                (!text.is_empty()).then_some(text)
            }
            // SAS
            0x6 => self.transport_id.get(4..12).map(name),
            _ => None,
        }
    }
}

/// The answer to READ FULL STATUS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FullStatus {
    /// PRGENERATION
    pub generation: u32,
    /// All registrations.
    pub registrations: Vec<Registration>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct RegistrationWire {
    key: U64,
    reserved_8: [u8; 4],
    flags: u8,
    scope_type: u8,
    reserved_14: [u8; 4],
    target_port: U16,
    transport_id_length: U32,
}
const _: () = assert!(size_of::<RegistrationWire>() == 24);

impl FullStatus {
    /// Reads the answer, as far as whole registrations are there.
    ///
    /// # Errors
    /// If there is no header.
    pub fn parse(bytes: &[u8]) -> Result<FullStatus, ParseError> {
        let (generation, mut reader) = header("PERSISTENT RESERVE IN, READ FULL STATUS", bytes)?;
        let mut registrations = Vec::new();
        while let Ok(registration) = FullStatus::read(&mut reader) {
            registrations.push(registration);
        }
        Ok(FullStatus {
            generation,
            registrations,
        })
    }

    fn read(reader: &mut Reader<'_>) -> Result<Registration, ParseError> {
        let wire: RegistrationWire = reader.pull()?;
        let length = wire
            .transport_id_length
            .get()
            .try_into()
            .unwrap_or(usize::MAX);
        let kind = ReservationType::from_low_bits(wire.scope_type);
        Ok(Registration {
            key: wire.key.get(),
            all_target_ports: is_set(wire.flags, 1),
            holds: is_set(wire.flags, 0).then_some(kind),
            target_port: wire.target_port.get(),
            transport_id: reader.take(length)?.to_vec(),
        })
    }

    /// The bytes of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for registration in &self.registrations {
            let flags =
                bit(1, registration.all_target_ports) | bit(0, registration.holds.is_some());
            let wire = RegistrationWire {
                key: U64::new(registration.key),
                reserved_8: [0; 4],
                flags,
                scope_type: registration.holds.map_or(0, ReservationType::code),
                reserved_14: [0; 4],
                target_port: U16::new(registration.target_port),
                transport_id_length: U32::new(registration.transport_id.len() as u32),
            };
            body.extend(wire.as_bytes());
            body.extend(&registration.transport_id);
        }
        with_header(self.generation, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        let cdb = PersistentReserveIn::new(InAction::ReadFullStatus, 0x1000);
        assert_eq!(cdb.as_bytes(), [0x5e, 3, 0, 0, 0, 0, 0, 0x10, 0, 0]);
        let holder = Some(Holder {
            key: 0x4c48,
            kind: ReservationType::ExclusiveAccess,
        });
        let bytes = Reservation {
            generation: 7,
            holder,
        }
        .encode();
        assert_eq!(bytes[..8], [0, 0, 0, 7, 0, 0, 0, 16]);
        assert_eq!(
            bytes[8..],
            [0, 0, 0, 0, 0, 0, 0x4c, 0x48, 0, 0, 0, 0, 0, 3, 0, 0]
        );
        let bytes = [0, 8, 0x05, 0x80, 0xea, 0x01, 0, 0];
        let capabilities = Capabilities::parse(&bytes).unwrap();
        assert_eq!(
            capabilities.supports(ReservationType::ExclusiveAccess),
            Some(true)
        );
        assert_eq!(
            capabilities.supports(ReservationType::from_low_bits(4)),
            Some(false)
        );
        assert_eq!(
            capabilities.supports(ReservationType::Other(9)),
            Some(false)
        );
        assert_eq!(capabilities.encode(), bytes);
    }

    #[test]
    fn a_cut_reservation_is_not_taken_for_none() {
        let holder = Some(Holder {
            key: 1,
            kind: ReservationType::ExclusiveAccess,
        });
        let bytes = Reservation {
            generation: 0,
            holder,
        }
        .encode();
        assert!(Reservation::parse(&bytes[..8]).is_err());
        assert!(Reservation::parse(&bytes[..23]).is_err());
        assert_eq!(Reservation::parse(&bytes).unwrap().holder, holder);
        assert_eq!(Reservation::parse(&[0; 8]).unwrap().holder, None);
    }

    prop_compose! {
        fn registrations()(key: u64, all_target_ports: bool, target_port: u16,
                           holds in proptest::option::of(1..9u8),
                           transport_id in proptest::collection::vec(any::<u8>(), 0..40))
                           -> Registration {
            let holds = holds.map(ReservationType::from_low_bits);
            Registration { key, all_target_ports, holds, target_port, transport_id }
        }
    }

    #[test]
    fn initiators_by_their_protocol() {
        let of = |transport_id: &[u8]| {
            Registration {
                key: 1,
                all_target_ports: false,
                holds: None,
                target_port: 1,
                transport_id: transport_id.to_vec(),
            }
            .initiator()
        };
        let mut fibre = [0; 24];
        fibre[8..16].copy_from_slice(&[0x20, 0, 2, 0, 0, 0, 1, 1]);
        assert_eq!(of(&fibre).as_deref(), Some("2000020000000101"));
        let iscsi = [&[0x05, 0, 0, 20], &b"iqn.2026-01.test:n1\0"[..]].concat();
        assert_eq!(of(&iscsi).as_deref(), Some("iqn.2026-01.test:n1"));
        let sas = [0x06, 0, 0, 0, 0x50, 0, 0xc5, 0, 0, 0, 0, 1];
        assert_eq!(of(&sas).as_deref(), Some("5000c50000000001"));
        for cut in [&[][..], &[0x00; 9], &[0x05], &[0x06; 5], &[0x0e; 24]] {
            assert_eq!(of(cut), None);
        }
    }

    proptest! {
        #[test]
        fn round_trips(generation: u32, keys: Vec<u64>, holder: Option<(u64, u8)>,
                       registrations in proptest::collection::vec(registrations(), 0..5)) {
            let keys = Keys { generation, keys };
            prop_assert_eq!(&Keys::parse(&keys.encode()).unwrap(), &keys);
            let holder = holder
                .map(|(key, kind)| Holder { key, kind: ReservationType::from_low_bits(kind) });
            let reservation = Reservation { generation, holder };
            prop_assert_eq!(Reservation::parse(&reservation.encode()).unwrap(), reservation);
            let status = FullStatus { generation, registrations };
            prop_assert_eq!(&FullStatus::parse(&status.encode()).unwrap(), &status);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Keys::parse(&bytes);
            let _ = Reservation::parse(&bytes);
            let _ = Capabilities::parse(&bytes);
            let _ = FullStatus::parse(&bytes);
        }
    }
}
