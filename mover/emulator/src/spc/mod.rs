//! What every SCSI device has, drive or changer (SAM-6, SPC-5): who it is, who
//! speaks to it, what each must still be told, who has reserved it; and the
//! way that a command goes before it is looked at:
//!
//! 1. the fault plan, which may answer in the device's place;
//! 2. is the operation code known, and the CDB long enough;
//! 3. unit attention: it is reported once, and the command is not carried out
//!    (INQUIRY, REPORT LUNS and REQUEST SENSE pass);
//! 4. the reservation: those whom it does not include get RESERVATION CONFLICT;
//! 5. the device itself, by its [`DeviceServer::serve`].

mod basic;
pub(crate) mod bytes;
pub(crate) mod commands;
mod faulty;
pub(crate) mod inquiry;
pub(crate) mod log;
pub(crate) mod mode;
pub(crate) mod nexus;
pub(crate) mod reservation;
mod reserve;
pub(crate) mod response;

use std::time::Duration;

use longhaul_scsi::sense::Sense;
use longhaul_scsi::spc::opcode;
use longhaul_scsi::status::Status;

use crate::faults::{Plan, Reset, Seen};
use commands::{Known, Lookup};
use inquiry::Identity;
pub use nexus::Nexus;
use nexus::Sessions;
use reservation::Reservations;
pub use response::Response;
use response::{Checked, Stop, invalid_cdb, invalid_opcode};

/// Longest serial number of a device.
pub(crate) const SERIAL_BYTES_MAX: usize = 32;

/// A command on its way through a device.
pub(crate) struct Command<'a> {
    pub nexus: Nexus,
    pub cdb: &'a [u8],
    /// What the initiator sent.
    pub out: &'a [u8],
    /// Where data for the initiator goes.
    pub into: &'a mut [u8],
}

impl Command<'_> {
    /// Parameter data, cut to the allocation length. Returns what moved.
    pub(crate) fn reply(&mut self, bytes: &[u8], allocation: usize) -> usize {
        let moved = bytes.len().min(allocation).min(self.into.len());
        self.into[..moved].copy_from_slice(&bytes[..moved]);
        moved
    }
}

/// A logical unit: the state that SPC gives to every device.
#[derive(Debug)]
pub(crate) struct LogicalUnit {
    pub identity: Identity,
    pub sessions: Sessions,
    pub reservations: Reservations,
    pub faults: Plan,
    /// Commands that came since power on.
    pub commands: u64,
    /// The commands that it knows.
    table: &'static [Known],
}

impl LogicalUnit {
    pub(crate) fn new(identity: Identity, table: &'static [Known], faults: Plan) -> LogicalUnit {
        LogicalUnit {
            identity,
            sessions: Sessions::default(),
            reservations: Reservations::default(),
            faults,
            commands: 0,
            table,
        }
    }

    /// The checks that come before a command is looked at.
    pub(crate) fn admit(&mut self, command: &Command<'_>) -> Checked<&'static Known> {
        let Some(&opcode) = command.cdb.first() else {
            return Err(invalid_opcode().into());
        };
        let action = command.cdb.get(1).map_or(0, |byte| byte & 0x1f);
        let known = match commands::look_up(self.table, opcode, action) {
            Lookup::Known(known) => known,
            Lookup::UnknownAction => return Err(invalid_cdb(1).into()),
            Lookup::Unknown => return Err(invalid_opcode().into()),
        };
        if command.cdb.len() < usize::from(known.cdb_bytes) {
            return Err(invalid_cdb(0).into());
        }
        if known.ignores_attention {
            return Ok(known);
        }
        if let Some((asc, ascq)) = self.sessions.of(command.nexus).take_attention() {
            return Err(basic::unit_attention(asc, ascq).into());
        }
        if !self.reservations.allows(command.nexus, known.guard) {
            return Err(Stop::status(Status::ReservationConflict));
        }
        Ok(known)
    }

    /// The commands that are the same for every device; `None` for the others.
    /// `now` is what REQUEST SENSE tells if no attention is pending.
    pub(crate) fn serve(
        &mut self,
        command: &mut Command<'_>,
        now: impl FnOnce() -> Sense,
    ) -> Option<Checked<usize>> {
        Some(match command.cdb[0] {
            opcode::REQUEST_SENSE => self.request_sense(command, now),
            opcode::INQUIRY => self.identity.inquiry(command),
            opcode::PREVENT_ALLOW_MEDIUM_REMOVAL => self.prevent_allow(command),
            opcode::PERSISTENT_RESERVE_IN => self.persistent_reserve_in(command),
            opcode::PERSISTENT_RESERVE_OUT => self.persistent_reserve_out(command),
            opcode::REPORT_LUNS => self.report_luns(command),
            opcode::MAINTENANCE_IN => commands::report(self.table, command),
            _ => return None,
        })
    }

    /// Power on, or a reset of bus or logical unit. Registrations stay over a
    /// reset.
    pub(crate) fn reset(&mut self, reset: Reset) {
        let attention = match reset {
            Reset::Power => {
                self.reservations.reset();
                nexus::POWER_ON
            }
            Reset::Bus => nexus::BUS_RESET,
        };
        self.sessions.allow_removal();
        self.sessions.attend_all(attention);
    }
}

/// A device: something that carries commands out.
pub(crate) trait DeviceServer {
    fn unit(&mut self) -> &mut LogicalUnit;

    /// Carries a command out, from the checks on.
    fn serve(&mut self, command: &mut Command<'_>) -> Checked<usize>;

    fn reset(&mut self, reset: Reset);

    /// Loses what was accepted and is not on the medium.
    fn lose_buffer(&mut self) {}

    /// The logical object that a command with this operation code begins at.
    fn block(&self, _opcode: u8) -> Option<u64> {
        None
    }

    /// Carries a command out, or what the fault plan makes of it.
    fn run(&mut self, command: &mut Command<'_>) -> Response {
        let opcode = command.cdb.first().copied().unwrap_or(0);
        let block = self.block(opcode);
        let unit = self.unit();
        unit.commands += 1;
        let seen = Seen {
            number: unit.commands,
            opcode,
            service_action: command.cdb.get(1).map_or(0, |byte| byte & 0x1f),
            block,
        };
        match unit.faults.strike(seen) {
            None => self.respond(command),
            Some(fault) => faulty::respond(self, &fault, command),
        }
    }

    /// Carries a command out; how it ended, as it is told.
    fn respond(&mut self, command: &mut Command<'_>) -> Response {
        let (status, sense, transferred) = match self.serve(command) {
            Ok(transferred) => (Status::Good, None, transferred),
            Err(Stop {
                status,
                sense,
                transferred,
            }) => (status, sense, transferred),
        };
        Response {
            status: Ok(status),
            sense,
            transferred,
            took: Duration::ZERO,
        }
    }
}
