//! The drive's state machine: a CDB and data in; status, sense and data out.
//!
//! Each command family is a file with an `impl Drive` of its own; this one
//! holds the state that they share, and the order in which a command passes
//! the checks that come before it is looked at (SAM-6 5.3, SPC-5 5.14):
//!
//! 1. the fault plan, which may answer in the drive's place;
//! 2. is the operation code known, and the CDB long enough;
//! 3. unit attention: it is reported once, and the command is not carried out
//!    (INQUIRY, REPORT LUNS and REQUEST SENSE pass);
//! 4. the reservation: those whom it does not include get RESERVATION CONFLICT;
//! 5. deferred errors: what went wrong with writes that were accepted before;
//! 6. the command itself.

mod attribute;
mod attribute_list;
mod basic;
mod bytes;
pub(crate) mod commands;
mod density;
mod faulty;
mod inquiry;
mod load;
mod log;
mod log_pages;
mod mode;
mod mode_pages;
mod motion;
mod nexus;
mod position;
mod read;
mod reserve;
mod response;
mod write;

use std::time::Duration;

use longhaul_scsi::spc::opcode as spc;
use longhaul_scsi::ssc::opcode as ssc;
use longhaul_scsi::status::Status;

use crate::clock::{self, Clock, ClockMode};
use crate::faults::{Plan, Seen};
use crate::medium::{Medium, MediumError, OBJECT_OVERHEAD};
use crate::object_buffer::ObjectBuffer;
use crate::reservation::Reservations;
use commands::{Known, Lookup};
use mode_pages::Mode;
pub use nexus::Nexus;
use nexus::Sessions;
pub use response::Response;
use response::{Checked, Stop, invalid_cdb, invalid_opcode, no_medium};

/// VENDOR IDENTIFICATION.
pub const VENDOR: &str = "LONGHAUL";
/// PRODUCT IDENTIFICATION.
pub const PRODUCT: &str = "VTAPE-LTO9";
/// DENSITY CODE of LTO-9.
const DENSITY: u8 = 0x60;
/// Object buffer of a drive without a clock, in bytes.
pub const BUFFER_BYTES_DEFAULT: u64 = 4 << 20;
/// Longest serial number of a drive.
const SERIAL_BYTES_MAX: usize = 32;

/// How a drive is made.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// UNIT SERIAL NUMBER; up to 32 characters of it are used.
    pub serial: String,
    /// Whose time it keeps.
    pub clock: ClockMode,
    /// Bytes of its object buffer; 4 MiB, or 1 GiB with a clock, if not said.
    pub buffer_bytes: Option<u64>,
    /// What goes wrong.
    pub faults: Plan,
}

/// Where the tape is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Position {
    /// Identifier of the next logical object.
    object: u64,
    /// Filemarks before it.
    filemarks: u64,
    /// Bytes of capacity before it.
    used: u64,
}

/// Bytes since power on, for the log pages.
#[derive(Debug, Default)]
struct Counters {
    written: u64,
    read: u64,
    write_errors: u64,
    read_errors: u64,
}

/// A tape drive.
#[derive(Debug)]
pub struct Drive {
    serial: String,
    medium: Option<Medium>,
    /// Whether the cartridge that is in the drive is threaded.
    loaded: bool,
    position: Position,
    buffer: ObjectBuffer,
    clock: Clock,
    faults: Plan,
    mode: Mode,
    sessions: Sessions,
    reservations: Reservations,
    counters: Counters,
    commands: u64,
}

/// A command on its way through the drive.
struct Command<'a> {
    nexus: Nexus,
    cdb: &'a [u8],
    /// What the initiator sent.
    out: &'a [u8],
    /// Where data for the initiator goes.
    into: &'a mut [u8],
}

impl Command<'_> {
    /// Parameter data, cut to the allocation length. Returns what moved.
    fn reply(&mut self, bytes: &[u8], allocation: usize) -> usize {
        let moved = bytes.len().min(allocation).min(self.into.len());
        self.into[..moved].copy_from_slice(&bytes[..moved]);
        moved
    }
}

impl Drive {
    /// A drive that was just switched on, without a cartridge.
    pub fn new(setup: Setup) -> Drive {
        let default = match setup.clock {
            ClockMode::None => BUFFER_BYTES_DEFAULT,
            ClockMode::Real | ClockMode::Simulated => clock::BUFFER_BYTES,
        };
        let buffer_bytes = setup.buffer_bytes.unwrap_or(default);
        Drive {
            serial: setup.serial.chars().take(SERIAL_BYTES_MAX).collect(),
            medium: None,
            loaded: false,
            position: Position::default(),
            buffer: ObjectBuffer::new(buffer_bytes),
            clock: Clock::new(setup.clock, buffer_bytes),
            faults: setup.faults,
            mode: Mode::default(),
            sessions: Sessions::default(),
            reservations: Reservations::default(),
            counters: Counters::default(),
            commands: 0,
        }
    }

    /// The nexus of the initiator with this name: its first command will meet
    /// a unit attention, as after power on.
    pub fn connect(&mut self, initiator: &str) -> Nexus {
        self.sessions.connect(initiator)
    }

    /// UNIT SERIAL NUMBER.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The cartridge in the drive.
    pub fn medium(&self) -> Option<&Medium> {
        self.medium.as_ref()
    }

    /// The drive's time, and how often its tape had to be drawn back.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What was accepted and is not on the medium yet.
    pub fn object_buffer(&self) -> &ObjectBuffer {
        &self.buffer
    }

    /// Commands that came since power on.
    pub fn commands(&self) -> u64 {
        self.commands
    }

    /// Replaces the fault plan.
    pub fn set_faults(&mut self, faults: Plan) {
        self.faults = faults;
    }

    /// Carries a command out.
    ///
    /// `data_out` is what the initiator sends; `data_in` is where the drive
    /// puts what it sends, from the start. Whatever the bytes are, this does
    /// not panic.
    pub fn execute(
        &mut self,
        nexus: Nexus,
        cdb: &[u8],
        data_out: &[u8],
        data_in: &mut [u8],
    ) -> Response {
        self.clock.begin();
        self.commands += 1;
        let seen = self.seen(cdb);
        let mut command = Command {
            nexus,
            cdb,
            out: data_out,
            into: data_in,
        };
        let mut response = match self.faults.strike(seen) {
            None => self.respond(&mut command),
            Some(fault) => self.respond_faulty(&fault, &mut command),
        };
        response.took += self.clock.spent();
        response
    }

    fn seen(&self, cdb: &[u8]) -> Seen {
        let opcode = cdb.first().copied().unwrap_or(0);
        let moves = matches!(opcode, ssc::READ_6 | ssc::WRITE_6 | ssc::WRITE_FILEMARKS_6);
        Seen {
            number: self.commands,
            opcode,
            service_action: cdb.get(1).map_or(0, |byte| byte & 0x1f),
            block: moves.then_some(self.position.object),
        }
    }

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

    fn serve(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let Some(&opcode) = command.cdb.first() else {
            return Err(invalid_opcode().into());
        };
        let action = command.cdb.get(1).map_or(0, |byte| byte & 0x1f);
        let known = match commands::look_up(opcode, action) {
            Lookup::Known(known) => known,
            Lookup::UnknownAction => return Err(invalid_cdb(1).into()),
            Lookup::Unknown => return Err(invalid_opcode().into()),
        };
        if command.cdb.len() < usize::from(known.cdb_bytes) {
            return Err(invalid_cdb(0).into());
        }
        self.admit(command.nexus, known)?;
        self.dispatch(command)
    }

    /// The checks that come before the command is looked at.
    fn admit(&mut self, nexus: Nexus, known: &Known) -> Checked<()> {
        if known.ignores_attention {
            return Ok(());
        }
        if let Some((asc, ascq)) = self.sessions.of(nexus).take_attention() {
            return Err(basic::unit_attention(asc, ascq).into());
        }
        if !self.reservations.allows(nexus, known.guard) {
            return Err(Stop::status(Status::ReservationConflict));
        }
        self.run_tape()
    }

    fn dispatch(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        match command.cdb[0] {
            spc::TEST_UNIT_READY => self.ready().map(|_| 0),
            spc::REQUEST_SENSE => self.request_sense(command),
            spc::INQUIRY => self.inquiry(command),
            spc::MODE_SELECT_6 | spc::MODE_SELECT_10 => self.mode_select(command),
            spc::MODE_SENSE_6 | spc::MODE_SENSE_10 => self.mode_sense(command),
            spc::PREVENT_ALLOW_MEDIUM_REMOVAL => self.prevent_allow(command),
            spc::LOG_SENSE => self.log_sense(command),
            spc::PERSISTENT_RESERVE_IN => self.persistent_reserve_in(command),
            spc::PERSISTENT_RESERVE_OUT => self.persistent_reserve_out(command),
            spc::READ_ATTRIBUTE => self.read_attribute(command),
            spc::WRITE_ATTRIBUTE => self.write_attribute(command),
            spc::REPORT_LUNS => self.report_luns(command),
            spc::MAINTENANCE_IN => self.report_supported_operation_codes(command),
            ssc::REWIND => self.rewind(),
            ssc::READ_BLOCK_LIMITS => self.read_block_limits(command),
            ssc::READ_6 => self.read(command),
            ssc::WRITE_6 => self.write(command),
            ssc::WRITE_FILEMARKS_6 => self.write_filemarks(command),
            ssc::SPACE_6 | ssc::SPACE_16 => self.space(command),
            ssc::LOCATE_10 | ssc::LOCATE_16 => self.locate(command),
            ssc::LOAD_UNLOAD => self.load_unload(command),
            ssc::READ_POSITION => self.read_position(command),
            ssc::REPORT_DENSITY_SUPPORT => self.report_density_support(command),
            _ => Err(invalid_opcode().into()),
        }
    }

    /// The medium, if it is threaded.
    fn ready(&mut self) -> Checked<&mut Medium> {
        match &mut self.medium {
            Some(medium) if self.loaded => Ok(medium),
            _ => Err(no_medium().into()),
        }
    }

    /// Lets the tape do what it has done since the last command.
    fn run_tape(&mut self) -> Checked<()> {
        if self.clock.is_off() {
            return Ok(());
        }
        let credit = self.clock.run(self.buffer.cost());
        let (count, _) = self.buffer.count_within(credit);
        self.move_objects(count)
    }

    /// Moves everything accepted to the medium, and waits for it.
    fn synchronise(&mut self) -> Checked<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.clock.flush(self.buffer.cost());
        self.move_objects(usize::MAX)
    }

    /// Moves the oldest objects from the buffer to the medium. What fails is
    /// lost with all that was accepted after it, and the position is behind
    /// the last object that is on the medium.
    fn move_objects(&mut self, count: usize) -> Checked<()> {
        let Some(medium) = &mut self.medium else {
            return Ok(());
        };
        let before = self.buffer.cost();
        let faults = &mut self.faults;
        let moved = self
            .buffer
            .drain(medium, count, |object| faults.strike_move(object));
        self.clock
            .taken(before - self.buffer.cost(), self.buffer.is_empty());
        moved.map_err(|sense| {
            self.counters.write_errors += 1;
            self.sessions.raise(log_pages::ALERT_HARD_ERROR);
            self.sessions.raise(log_pages::ALERT_WRITE_FAILURE);
            self.clock.reset();
            self.position = self.end_position();
            sense.into()
        })
    }

    /// Where EOD is on the medium.
    fn end_position(&self) -> Position {
        let Some(medium) = &self.medium else {
            return Position::default();
        };
        let object = medium.objects();
        // Behind the last object, this reads nothing from the file.
        let used = medium.used_before(object).unwrap_or(0);
        Position {
            object,
            filemarks: medium.filemarks(),
            used,
        }
    }

    /// Bytes of capacity taken, as the host sees it: a write that is still in
    /// the buffer has already made its place the end.
    fn used(&self) -> u64 {
        if self.buffer.is_empty() {
            self.end_position().used
        } else {
            self.position.used
        }
    }

    /// Puts a cartridge into the drive and threads it: everybody hears of it.
    /// Whatever cartridge was there is returned.
    pub fn insert(&mut self, medium: Medium) -> Option<Medium> {
        let before = self.eject();
        self.medium = Some(medium);
        self.thread();
        self.sessions.attend_all(nexus::MEDIUM_CHANGED);
        before
    }

    /// Takes the cartridge out, with what the buffer holds written to it as
    /// far as that is possible.
    pub fn eject(&mut self) -> Option<Medium> {
        if let Err(stop) = self.synchronise() {
            ::log::warn!(
                "writes were lost when the cartridge was taken out: {:?}",
                stop.sense
            );
        }
        self.loaded = false;
        self.position = Position::default();
        self.medium.take()
    }

    /// Threads the cartridge that is in the drive.
    fn thread(&mut self) {
        self.position = Position::default();
        let Some(medium) = &mut self.medium else {
            return;
        };
        self.loaded = true;
        if let Err(error) = medium.loaded() {
            ::log::warn!("{}: its load count: {error:?}", medium.path().display());
        }
    }

    /// Power off and on: the buffer's content is lost, registrations, modes
    /// and preventions are gone, the tape is rewound, and everybody gets a
    /// unit attention.
    pub fn power_cycle(&mut self) {
        self.reservations.reset();
        self.reset(nexus::POWER_ON);
    }

    /// A reset of the bus or of the logical unit: as [`Drive::power_cycle`],
    /// but registrations and the reservation stay.
    pub fn bus_reset(&mut self) {
        self.reset(nexus::BUS_RESET);
    }

    fn reset(&mut self, attention: (u8, u8)) {
        self.lose_buffer();
        self.mode = Mode::default();
        self.position = Position::default();
        self.sessions.allow_removal();
        self.sessions.attend_all(attention);
    }

    /// Loses what was accepted and is not on the medium, as a power cut does.
    /// (Dropping the drive does the same.)
    pub fn lose_buffer(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        self.buffer.lose();
        self.clock.reset();
        if let Some(medium) = &mut self.medium {
            medium.abandon();
        }
        self.position = self.end_position();
    }

    /// Bytes of capacity that an object of so many bytes takes.
    fn cost(bytes: usize) -> u64 {
        bytes as u64 + OBJECT_OVERHEAD
    }

    /// Puts the position to an object that is on the medium.
    fn seek(&mut self, object: u64) -> Checked<()> {
        self.synchronise()?;
        let medium = self.ready()?;
        let place = |medium: &Medium| -> Result<Position, MediumError> {
            let used = medium.used_before(object)?;
            Ok(Position {
                object,
                filemarks: medium.filemarks_before(object)?,
                used,
            })
        };
        let to = place(medium).map_err(|error| self.lost_place(&error))?;
        self.clock.travel(self.position.used, to.used);
        self.position = to;
        Ok(())
    }
}
