//! REPORT SUPPORTED OPERATION CODES (SPC-5 6.35): which commands a device
//! knows, and how long they may take.

use std::time::Duration;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::opcode::{self, maintenance_in};
use crate::cdb::{bit, command, is_set};
use crate::wire::{ParseError, Reader, U16, U32};

/// REPORT SUPPORTED OPERATION CODES
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ReportSupportedOperationCodes {
    opcode: u8,
    service_action: u8,
    options: u8,
    requested_opcode: u8,
    requested_service_action: U16,
    allocation_length: U32,
    reserved: u8,
    control: u8,
}
command!(
    ReportSupportedOperationCodes,
    "REPORT SUPPORTED OPERATION CODES",
    opcode::MAINTENANCE_IN,
    service action maintenance_in::REPORT_SUPPORTED_OPERATION_CODES,
    12
);

/// What is asked for (REPORTING OPTIONS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// 000b: all commands.
    All,
    /// 001b: one operation code that has no service actions.
    Opcode(u8),
    /// 010b: an operation code and a service action.
    ServiceAction(u8, u16),
    /// 011b: as either of the two, whichever it is.
    Either(u8, u16),
}

impl ReportSupportedOperationCodes {
    /// Asks, with timeouts (RCTD=1).
    pub fn new(asked: Asked, allocation_length: u32) -> ReportSupportedOperationCodes {
        let (options, opcode, service_action) = match asked {
            Asked::All => (0, 0, 0),
            Asked::Opcode(opcode) => (1, opcode, 0),
            Asked::ServiceAction(opcode, action) => (2, opcode, action),
            Asked::Either(opcode, action) => (3, opcode, action),
        };
        ReportSupportedOperationCodes {
            opcode: opcode::MAINTENANCE_IN,
            service_action: maintenance_in::REPORT_SUPPORTED_OPERATION_CODES,
            options: bit(7, true) | options,
            requested_opcode: opcode,
            requested_service_action: U16::new(service_action),
            allocation_length: U32::new(allocation_length),
            reserved: 0,
            control: 0,
        }
    }

    /// REPORTING OPTIONS; `None` for one that is not known.
    pub fn asked(&self) -> Option<Asked> {
        let (opcode, action) = (self.requested_opcode, self.requested_service_action.get());
        match self.options & 0x07 {
            0 => Some(Asked::All),
            1 => Some(Asked::Opcode(opcode)),
            2 => Some(Asked::ServiceAction(opcode, action)),
            3 => Some(Asked::Either(opcode, action)),
            _ => None,
        }
    }

    /// RCTD: with timeouts.
    pub fn with_timeouts(&self) -> bool {
        is_set(self.options, 7)
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u32 {
        self.allocation_length.get()
    }
}

/// A command timeouts descriptor: how long a command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// NOMINAL COMMAND PROCESSING TIMEOUT in seconds; 0 where not told.
    pub nominal_s: u32,
    /// RECOMMENDED COMMAND TIMEOUT in seconds; 0 where not told.
    pub recommended_s: u32,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct TimeoutsWire {
    length: U16,
    reserved: u8,
    command_specific: u8,
    nominal: U32,
    recommended: U32,
}
const _: () = assert!(size_of::<TimeoutsWire>() == 12);
const TIMEOUTS_LENGTH: u16 = 0x0a;

impl Timeouts {
    /// The longer of the two, where the device tells any.
    pub fn longest(self) -> Option<Duration> {
        let seconds = self.nominal_s.max(self.recommended_s);
        (seconds != 0).then(|| Duration::from_secs(seconds.into()))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Timeouts, ParseError> {
        let wire: TimeoutsWire = reader.pull()?;
        Ok(Timeouts {
            nominal_s: wire.nominal.get(),
            recommended_s: wire.recommended.get(),
        })
    }

    fn wire(self) -> TimeoutsWire {
        TimeoutsWire {
            length: U16::new(TIMEOUTS_LENGTH),
            reserved: 0,
            command_specific: 0,
            nominal: U32::new(self.nominal_s),
            recommended: U32::new(self.recommended_s),
        }
    }
}

/// One command of the answer to [`Asked::All`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupportedCommand {
    /// OPERATION CODE
    pub opcode: u8,
    /// SERVICE ACTION, where it has any (SERVACTV).
    pub service_action: Option<u16>,
    /// CDB LENGTH in bytes.
    pub cdb_bytes: u16,
    /// How long it may take, where told (CTDP).
    pub timeouts: Option<Timeouts>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct CommandWire {
    opcode: u8,
    reserved_1: u8,
    service_action: U16,
    reserved_4: u8,
    flags: u8,
    cdb_length: U16,
}
const _: () = assert!(size_of::<CommandWire>() == 8);

/// The answer to [`Asked::All`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SupportedCommands(pub Vec<SupportedCommand>);

impl SupportedCommands {
    /// Reads the answer, as far as whole descriptors are there.
    ///
    /// # Errors
    /// If there is no header.
    pub fn parse(bytes: &[u8]) -> Result<SupportedCommands, ParseError> {
        let mut reader = Reader::new("REPORT SUPPORTED OPERATION CODES", bytes);
        let length = reader.pull::<U32>()?.get();
        let list = reader.take_up_to(length.try_into().unwrap_or(usize::MAX));
        let mut reader = Reader::new("command descriptor", list);
        let mut commands = Vec::new();
        while let Ok(wire) = reader.pull::<CommandWire>() {
            let timeouts = if is_set(wire.flags, 1) {
                Timeouts::read(&mut reader).ok()
            } else {
                None
            };
            commands.push(SupportedCommand {
                opcode: wire.opcode,
                service_action: is_set(wire.flags, 0).then(|| wire.service_action.get()),
                cdb_bytes: wire.cdb_length.get(),
                timeouts,
            });
        }
        Ok(SupportedCommands(commands))
    }

    /// The bytes of the answer; without timeouts unless `with_timeouts`.
    pub fn encode(&self, with_timeouts: bool) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        for command in &self.0 {
            let timeouts = command.timeouts.filter(|_| with_timeouts);
            let wire = CommandWire {
                opcode: command.opcode,
                reserved_1: 0,
                service_action: U16::new(command.service_action.unwrap_or(0)),
                reserved_4: 0,
                flags: bit(0, command.service_action.is_some()) | bit(1, timeouts.is_some()),
                cdb_length: U16::new(command.cdb_bytes),
            };
            bytes.extend(wire.as_bytes());
            if let Some(timeouts) = timeouts {
                bytes.extend(timeouts.wire().as_bytes());
            }
        }
        let length = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// How long that command may take, as far as the device tells.
    pub fn timeout(&self, opcode: u8, service_action: Option<u16>) -> Option<Duration> {
        let mut commands = self.0.iter().filter(|command| command.opcode == opcode);
        let command = commands.find(|command| {
            command.service_action.is_none() || command.service_action == service_action
        })?;
        command.timeouts.and_then(Timeouts::longest)
    }
}

/// What a device says of one command (SUPPORT).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// 000b: no answer now; 010b and others: reserved.
    Unknown,
    /// 001b
    No,
    /// 011b: as the standard says.
    Standard,
    /// 101b: in the vendor's way.
    Vendor,
}

/// The answer about one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneCommand {
    /// Whether the device knows it.
    pub support: Support,
    /// CDB USAGE DATA: the operation code and a mask of the bits it evaluates.
    pub usage: Vec<u8>,
    /// How long it may take, where told (CTDP).
    pub timeouts: Option<Timeouts>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct OneWire {
    reserved: u8,
    flags: u8,
    cdb_size: U16,
}
const _: () = assert!(size_of::<OneWire>() == 4);

impl OneCommand {
    /// Reads the answer.
    ///
    /// # Errors
    /// If it ends before its usage data or its timeouts.
    pub fn parse(bytes: &[u8]) -> Result<OneCommand, ParseError> {
        let mut reader = Reader::new("REPORT SUPPORTED OPERATION CODES", bytes);
        let wire: OneWire = reader.pull()?;
        let support = match wire.flags & 0x07 {
            0b001 => Support::No,
            0b011 => Support::Standard,
            0b101 => Support::Vendor,
            _ => Support::Unknown,
        };
        let usage = reader.take(wire.cdb_size.get().into())?.to_vec();
        let has_timeouts = is_set(wire.flags, 7);
        let timeouts = has_timeouts
            .then(|| Timeouts::read(&mut reader))
            .transpose()?;
        Ok(OneCommand {
            support,
            usage,
            timeouts,
        })
    }

    /// The bytes of the answer.
    ///
    /// # Panics
    /// If the usage data is longer than any CDB.
    pub fn encode(&self, with_timeouts: bool) -> Vec<u8> {
        let timeouts = self.timeouts.filter(|_| with_timeouts);
        let support = match self.support {
            Support::Unknown => 0b000,
            Support::No => 0b001,
            Support::Standard => 0b011,
            Support::Vendor => 0b101,
        };
        let cdb_size = u16::try_from(self.usage.len()).expect("a CDB is short");
        let flags = bit(7, timeouts.is_some()) | support;
        let wire = OneWire {
            reserved: 0,
            flags,
            cdb_size: U16::new(cdb_size),
        };
        let mut bytes = [wire.as_bytes(), &self.usage].concat();
        if let Some(timeouts) = timeouts {
            bytes.extend(timeouts.wire().as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        let cdb = ReportSupportedOperationCodes::new(Asked::All, 0x4000);
        let bytes = [0xa3, 0x0c, 0x80, 0, 0, 0, 0, 0, 0x40, 0, 0, 0];
        assert_eq!(cdb.as_bytes(), bytes);
        let cdb = ReportSupportedOperationCodes::new(Asked::Opcode(0x1b), 64);
        assert_eq!(
            cdb.as_bytes(),
            [0xa3, 0x0c, 0x81, 0x1b, 0, 0, 0, 0, 0, 64, 0, 0]
        );
        assert_eq!(cdb.asked(), Some(Asked::Opcode(0x1b)));
        let one = OneCommand {
            support: Support::Standard,
            usage: vec![0x1b, 1, 0, 0, 0x0f, 0],
            timeouts: Some(Timeouts {
                nominal_s: 0,
                recommended_s: 7920,
            }),
        };
        let bytes = [
            0, 0x83, 0, 6, 0x1b, 1, 0, 0, 0x0f, 0, // command
            0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0x1e, 0xf0, // timeouts
        ];
        assert_eq!(one.encode(true), bytes);
    }

    #[test]
    fn the_timeout_of_a_service_action() {
        let timeouts = |seconds| {
            Some(Timeouts {
                nominal_s: 1,
                recommended_s: seconds,
            })
        };
        let command = |opcode, service_action, seconds| SupportedCommand {
            opcode,
            service_action,
            cdb_bytes: 12,
            timeouts: timeouts(seconds),
        };
        let commands = SupportedCommands(vec![
            command(0xa3, Some(0x05), 5),
            command(0xa3, Some(0x0c), 12),
            command(0x92, None, 2940),
        ]);
        let seconds = |opcode, action| commands.timeout(opcode, action).map(|t| t.as_secs());
        assert_eq!(seconds(0xa3, Some(0x0c)), Some(12));
        assert_eq!(seconds(0x92, None), Some(2940));
        assert_eq!(seconds(0x01, None), None);
    }

    prop_compose! {
        fn commands()(opcode: u8, service_action: Option<u16>, cdb_bytes: u16,
                      timeouts: Option<(u32, u32)>) -> SupportedCommand {
            let timeouts = timeouts
                .map(|(nominal_s, recommended_s)| Timeouts { nominal_s, recommended_s });
            SupportedCommand { opcode, service_action, cdb_bytes, timeouts }
        }
    }

    proptest! {
        #[test]
        fn round_trips(list in proptest::collection::vec(commands(), 0..9),
                       usage in proptest::collection::vec(any::<u8>(), 0..=16)) {
            let one = OneCommand {
                support: Support::Standard,
                usage,
                timeouts: list.first().and_then(|command| command.timeouts),
            };
            prop_assert_eq!(&OneCommand::parse(&one.encode(true)).unwrap(), &one);
            let all = SupportedCommands(list);
            prop_assert_eq!(&SupportedCommands::parse(&all.encode(true)).unwrap(), &all);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = SupportedCommands::parse(&bytes);
            let _ = OneCommand::parse(&bytes);
        }
    }
}
