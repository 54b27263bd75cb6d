//! The medium changer's state machine (SMC-3): it tells where cartridges are,
//! and moves them.
//!
//! A cartridge that is moved into a drive becomes the drive's medium; one that
//! is moved out stops being it. The changer holds its drives for that, and
//! takes a drive's lock only under its own, never the other way round.
//!
//! A move is: look whether it can be; take the cartridge (unloading the drive,
//! if that is where it is); write down where it now is, durably; put it there.
//! A process that dies in between leaves the cartridge in one place, the old or
//! the new one.

pub(crate) mod commands;
mod inquiry;
mod mode;
mod motion;
mod operator;
mod status;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use longhaul_scsi::sense::Sense;
use longhaul_scsi::smc::opcode as smc;
use longhaul_scsi::spc::opcode as spc;

use crate::clock::ClockMode;
use crate::drive::{Drive, Nexus, Response};
use crate::faults::{Plan, Reset};
use crate::library::Store;
use crate::spc::response::{Checked, invalid_opcode};
use crate::spc::{Command, DeviceServer, LogicalUnit, log};

pub use inquiry::PRODUCT;

/// Log pages: the supported ones, and TapeAlert.
const LOG_PAGES: [u8; 2] = [0x00, 0x2e];

/// A medium changer.
#[derive(Debug)]
pub struct Changer {
    unit: LogicalUnit,
    store: Store,
    drives: Vec<Arc<Mutex<Drive>>>,
    /// How each drive is named to hosts.
    designators: Vec<Vec<u8>>,
    clock: ClockMode,
    /// How long the present command has taken.
    spent: Duration,
}

impl Changer {
    pub(crate) fn new(
        serial: &str,
        store: Store,
        drives: Vec<Arc<Mutex<Drive>>>,
        clock: ClockMode,
        faults: Plan,
    ) -> Changer {
        let designator = |drive: &Arc<Mutex<Drive>>| crate::library::lock(drive).designator();
        Changer {
            unit: LogicalUnit::new(inquiry::identity(serial), &commands::COMMANDS, faults),
            designators: drives.iter().map(designator).collect(),
            store,
            drives,
            clock,
            spent: Duration::ZERO,
        }
    }

    /// UNIT SERIAL NUMBER.
    pub fn serial(&self) -> &str {
        &self.unit.identity.serial
    }

    /// The nexus of the initiator with this name: its first command will meet
    /// a unit attention, as after power on.
    pub fn connect(&mut self, initiator: &str) -> Nexus {
        self.unit.sessions.connect(initiator)
    }

    /// Replaces the fault plan.
    pub fn set_faults(&mut self, faults: Plan) {
        self.unit.faults = faults;
    }

    /// A reset of the bus or of the logical unit: everybody gets a unit
    /// attention; registrations and the reservation stay.
    pub fn bus_reset(&mut self) {
        self.reset(Reset::Bus);
    }

    /// Carries a command out, as [`Drive::execute`] does.
    pub fn execute(
        &mut self,
        nexus: Nexus,
        cdb: &[u8],
        data_out: &[u8],
        data_in: &mut [u8],
    ) -> Response {
        self.spent = Duration::ZERO;
        let mut response = self.run(&mut Command {
            nexus,
            cdb,
            out: data_out,
            into: data_in,
        });
        response.took += self.spent;
        response
    }

    /// Counts time, if time is kept.
    fn spend(&mut self, time: Duration) {
        if self.clock == ClockMode::Real {
            self.spent += time;
        }
    }

    fn dispatch(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        match command.cdb[0] {
            spc::TEST_UNIT_READY => Ok(0),
            spc::MODE_SENSE_6 | spc::MODE_SENSE_10 => self.mode_sense(command),
            spc::LOG_SENSE => self.log_sense(command),
            smc::INITIALIZE_ELEMENT_STATUS => self.initialize(),
            smc::INITIALIZE_ELEMENT_STATUS_WITH_RANGE
            | smc::INITIALIZE_ELEMENT_STATUS_WITH_RANGE_OLD => self.initialize_range(command),
            smc::POSITION_TO_ELEMENT => self.position_to_element(command),
            smc::MOVE_MEDIUM => self.move_medium(command),
            smc::EXCHANGE_MEDIUM => self.exchange_medium(command),
            smc::READ_ELEMENT_STATUS => self.read_element_status(command),
            _ => Err(invalid_opcode().into()),
        }
    }

    fn log_sense(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let session = self.unit.sessions.of(command.nexus);
        log::sense(command, &LOG_PAGES, |page| {
            // Reading the flags clears them, for this nexus.
            (page == 0x2e).then(|| log::alerts(std::mem::take(&mut session.alerts)))
        })
    }
}

impl DeviceServer for Changer {
    fn unit(&mut self) -> &mut LogicalUnit {
        &mut self.unit
    }

    fn serve(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        self.unit.admit(command)?;
        match self.unit.serve(command, Sense::default) {
            Some(served) => served,
            None => self.dispatch(command),
        }
    }

    fn reset(&mut self, reset: Reset) {
        self.unit.reset(reset);
    }
}
