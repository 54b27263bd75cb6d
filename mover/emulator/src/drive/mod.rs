//! The drive's state machine: a CDB and data in; status, sense and data out.
//!
//! Each command family is a file with an `impl Drive` of its own; this one
//! holds the state that they share. The checks that every device makes come
//! before (fault plan, operation code, unit attention, reservation: SAM-6 5.3,
//! SPC-5 5.14); then deferred errors are told, which are what went wrong with
//! writes that were accepted before; then the command is looked at.

mod attribute;
mod attribute_list;
mod cartridge;
pub(crate) mod commands;
mod density;
mod erase;
mod inquiry;
mod load;
mod log;
mod mode;
mod mode_pages;
mod motion;
mod position;
mod read;
mod write;

use std::time::Duration;

use longhaul_scsi::sense::Sense;
use longhaul_scsi::spc::opcode as spc;
use longhaul_scsi::ssc::opcode as ssc;

use crate::clock::{self, Clock, ClockMode};
use crate::faults::{Plan, Reset};
use crate::medium::{Medium, MediumError, OBJECT_OVERHEAD};
use crate::object_buffer::ObjectBuffer;
use crate::spc::response::{Checked, Stop, becoming_ready, invalid_opcode, no_medium};
use crate::spc::{Command, DeviceServer, LogicalUnit};
use mode_pages::Mode;

pub use crate::spc::{Nexus, Response};

/// PRODUCT IDENTIFICATION.
pub const PRODUCT: &str = "VTAPE-LTO9";
/// DENSITY CODE of LTO-9.
const DENSITY: u8 = 0x60;
/// Object buffer of a drive without a clock, in bytes.
pub const BUFFER_BYTES_DEFAULT: u64 = 4 << 20;

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
    unit: LogicalUnit,
    medium: Option<Medium>,
    /// Whether the cartridge that is in the drive is threaded.
    loaded: bool,
    /// When the cartridge that is being threaded will be, in the clock's time.
    loading_until: Option<Duration>,
    position: Position,
    buffer: ObjectBuffer,
    clock: Clock,
    mode: Mode,
    counters: Counters,
    /// What went wrong with accepted writes while no command was there to be
    /// told.
    deferred: Option<Stop>,
    /// `unit.commands` at the last [`Drive::tick`].
    commands_ticked: u64,
}

/// What a run did to the drive, for who wants to know it.
impl Drop for Drive {
    fn drop(&mut self) {
        ::log::info!(
            "emulated drive {}: {} bytes written, {} bytes read, {} back-hitches, {:.3} s",
            self.serial(),
            self.counters.written,
            self.counters.read,
            self.clock.back_hitches(),
            self.clock.elapsed().as_secs_f64()
        );
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
            unit: LogicalUnit::new(
                inquiry::identity(&setup.serial),
                &commands::COMMANDS,
                setup.faults,
            ),
            medium: None,
            loaded: false,
            loading_until: None,
            position: Position::default(),
            buffer: ObjectBuffer::new(buffer_bytes),
            clock: Clock::new(setup.clock, buffer_bytes),
            mode: Mode::default(),
            counters: Counters::default(),
            deferred: None,
            commands_ticked: 0,
        }
    }

    /// The nexus of the initiator with this name: its first command will meet
    /// a unit attention, as after power on.
    pub fn connect(&mut self, initiator: &str) -> Nexus {
        self.unit.sessions.connect(initiator)
    }

    /// UNIT SERIAL NUMBER.
    pub fn serial(&self) -> &str {
        &self.unit.identity.serial
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
        self.unit.commands
    }

    /// Replaces the fault plan.
    pub fn set_faults(&mut self, faults: Plan) {
        self.unit.faults = faults;
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
        self.finish_loading();
        let mut response = self.run(&mut Command {
            nexus,
            cdb,
            out: data_out,
            into: data_in,
        });
        response.took += self.clock.spent();
        response
    }

    fn dispatch(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        match command.cdb[0] {
            spc::TEST_UNIT_READY => self.ready().map(|_| 0),
            spc::MODE_SELECT_6 | spc::MODE_SELECT_10 => self.mode_select(command),
            spc::MODE_SENSE_6 | spc::MODE_SENSE_10 => self.mode_sense(command),
            spc::LOG_SENSE => self.log_sense(command),
            spc::READ_ATTRIBUTE => self.read_attribute(command),
            spc::WRITE_ATTRIBUTE => self.write_attribute(command),
            ssc::REWIND => self.rewind(),
            ssc::READ_BLOCK_LIMITS => self.read_block_limits(command),
            ssc::READ_6 => self.read(command),
            ssc::WRITE_6 => self.write(command),
            ssc::WRITE_FILEMARKS_6 => self.write_filemarks(command),
            ssc::SPACE_6 | ssc::SPACE_16 => self.space(command),
            ssc::LOCATE_10 | ssc::LOCATE_16 => self.locate(command),
            ssc::ERASE_6 => self.erase(command),
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
            _ if self.loading_until.is_some() => Err(becoming_ready().into()),
            _ => Err(no_medium().into()),
        }
    }

    /// Time passes without a command: what is due happens. Whoever serves a
    /// drive calls this from time to time, so that what a host that has died
    /// left in the buffer goes to the medium all the same.
    ///
    /// With a real clock, the tape does what it would have done by now.
    /// Without one, all goes to the medium if no command came since the last
    /// call. What fails is told to the next command.
    pub fn tick(&mut self) {
        self.clock.begin();
        self.finish_loading();
        let moved = if self.clock.mode() == ClockMode::Real {
            self.run_tape()
        } else if self.unit.commands == self.commands_ticked {
            self.synchronise()
        } else {
            Ok(())
        };
        self.commands_ticked = self.unit.commands;
        if let Err(stop) = moved {
            self.deferred.get_or_insert(stop);
        }
    }

    /// Moves all that was accepted to the medium, as before an orderly end of
    /// the process that holds the drive. What fails is told to the next
    /// command.
    pub fn settle(&mut self) {
        self.clock.begin();
        if let Err(stop) = self.synchronise() {
            ::log::warn!(
                "drive {}: accepted writes were lost: {:?}",
                self.serial(),
                stop.sense
            );
            self.deferred.get_or_insert(stop);
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
        let faults = &mut self.unit.faults;
        let moved = self
            .buffer
            .drain(medium, count, |object| faults.strike_move(object));
        self.clock
            .taken(before - self.buffer.cost(), self.buffer.is_empty());
        moved.map_err(|sense| {
            self.counters.write_errors += 1;
            self.unit.sessions.raise(log::ALERT_HARD_ERROR);
            self.unit.sessions.raise(log::ALERT_WRITE_FAILURE);
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

    /// Power off and on: the buffer's content is lost, registrations, modes
    /// and preventions are gone, the tape is rewound, and everybody gets a
    /// unit attention.
    pub fn power_cycle(&mut self) {
        self.reset(Reset::Power);
    }

    /// A reset of the bus or of the logical unit: as [`Drive::power_cycle`],
    /// but registrations and the reservation stay.
    pub fn bus_reset(&mut self) {
        self.reset(Reset::Bus);
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

impl DeviceServer for Drive {
    fn unit(&mut self) -> &mut LogicalUnit {
        &mut self.unit
    }

    fn serve(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let known = self.unit.admit(command)?;
        if !known.ignores_attention {
            if let Some(stop) = self.deferred.take() {
                return Err(stop);
            }
            self.run_tape()?;
        }
        let (loaded, loading) = (self.loaded, self.loading_until.is_some());
        let now = || match (loaded, loading) {
            (true, _) => Sense::default(),
            (false, true) => becoming_ready(),
            (false, false) => no_medium(),
        };
        match self.unit.serve(command, now) {
            Some(served) => served,
            None => self.dispatch(command),
        }
    }

    fn reset(&mut self, reset: Reset) {
        Drive::lose_buffer(self);
        self.mode = Mode::default();
        self.position = Position::default();
        self.deferred = None;
        self.unit.reset(reset);
    }

    fn lose_buffer(&mut self) {
        Drive::lose_buffer(self);
    }

    fn block(&self, opcode: u8) -> Option<u64> {
        let moves = matches!(opcode, ssc::READ_6 | ssc::WRITE_6 | ssc::WRITE_FILEMARKS_6);
        moves.then_some(self.position.object)
    }
}
