//! Blocks and filemarks to the tape.
//!
//! A write is submitted and completed in two calls, so that the caller can
//! fill the next buffer while this one is with the drive. A write that is
//! refused here (an unknown position, a stopped session) is refused at
//! completion, so that the caller sees every end of a write at one place, and
//! gets its buffer back there.

use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::cdb::Command;
use longhaul_scsi::sense::Sense;
use longhaul_scsi::ssc::transfer::{Write6, WriteFilemarks6};
use longhaul_scsi::transport::{Completion, Data, Outcome, Request};
use longhaul_scsi::verdict::{Doing, Executed, Verdict, executed};

use super::command::Tries;
use super::error::{DriveError, Problem};
use super::position::{Position, Track};
use super::recovery::Step;
use super::session::Drive;

const WRITE: &str = "WRITE(6)";
const WRITE_FILEMARKS: &str = "WRITE FILEMARKS(6)";

/// Most filemarks that one call writes: more is a mistake of the caller.
pub const FILEMARKS_MAX: u32 = 1024;

/// A block or filemark that the drive accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Whether the end of the volume is near.
    pub early_warning: EarlyWarning,
}

/// How near the end of the volume is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EarlyWarning {
    /// Not near.
    None,
    /// The programmable early warning zone was entered. Drives tell it once,
    /// or with every write: treat it as a state.
    Programmable,
    /// Behind early warning: what is written still counts, and there is room
    /// for little more than the end of the set.
    Early,
}

/// A write between submission and completion.
#[derive(Debug)]
pub(super) enum InFlight {
    /// With the drive.
    Sent {
        /// Bytes of the block alone.
        len: usize,
        /// The caller's buffer, if it was not the one that was sent.
        kept: Option<Buffer>,
    },
    /// Refused before it was sent.
    Refused { buffer: Buffer, error: DriveError },
}

/// Logical objects that a command makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Objects {
    pub(super) blocks: u64,
    pub(super) filemarks: u64,
}

impl Objects {
    pub(super) const NONE: Objects = Objects {
        blocks: 0,
        filemarks: 0,
    };
    const BLOCK: Objects = Objects {
        blocks: 1,
        filemarks: 0,
    };

    pub(super) fn total(self) -> u64 {
        self.blocks + self.filemarks
    }
}

/// What became of a command that makes objects.
enum After {
    /// The drive said so.
    Accepted(Written),
    /// READ POSITION said so.
    Found(Written),
    /// That many of its objects are still to be made.
    Missing(u64),
}

/// How often, and how, a write was sent again.
struct Resend {
    tries: Tries,
    /// Once is right after an outcome that READ POSITION cleared up. A drive
    /// that needs it twice in a row for one block is not to be trusted.
    used: bool,
}

impl Drive {
    /// Starts the write of one block, the first `len` bytes of `buffer`. The
    /// limits on `len` are [`limits`](Drive::limits). `crc` is the block's
    /// CRC32C, where it is known already. The bytes behind the block are the
    /// drive's to use for it; a buffer without any is copied, if the drive
    /// wants a checksum.
    ///
    /// # Panics
    /// If a write is in flight: one is, never two.
    pub fn submit_write(&mut self, buffer: Buffer, len: usize, crc: Option<u32>) {
        assert!(self.in_flight.is_none(), "a second write in flight");
        let in_flight = match self.may_write_block(len, buffer.len()) {
            Err(error) => InFlight::Refused { buffer, error },
            Ok(()) => {
                let (buffer, kept) = self.protected(buffer, len, crc);
                self.send_write(Data::Out { buffer, len }, len);
                InFlight::Sent { len, kept }
            }
        };
        self.in_flight = Some(in_flight);
    }

    /// Waits for the write in flight, and carries it to an end that is known.
    /// The buffer comes back in any case.
    ///
    /// # Errors
    /// [`Problem::VolumeFull`], [`Problem::WriteProtected`],
    /// [`Problem::Protection`] and [`Problem::Busy`] leave the position known,
    /// and say what was written.
    /// After most others the session writes no more.
    ///
    /// # Panics
    /// If no write is in flight.
    pub fn complete_write(&mut self) -> (Result<Written, DriveError>, Buffer) {
        match self.in_flight.take().expect("a write in flight") {
            InFlight::Refused { buffer, error } => (Err(error), buffer),
            InFlight::Sent { len, kept } => {
                let (written, sent) = self.carry_block(len);
                (written, kept.unwrap_or(sent))
            }
        }
    }

    /// Writes one block and waits for it.
    pub fn write(&mut self, buffer: Buffer, len: usize) -> (Result<Written, DriveError>, Buffer) {
        self.submit_write(buffer, len, None);
        self.complete_write()
    }

    /// Writes `count` filemarks. Without `immediate` the drive answers only
    /// once they, and all that was written before them, are on the medium.
    ///
    /// # Errors
    /// As [`complete_write`](Drive::complete_write); a `count` above
    /// [`FILEMARKS_MAX`] is refused.
    pub fn write_filemarks(&mut self, count: u32, immediate: bool) -> Result<Written, DriveError> {
        self.may_write(WRITE_FILEMARKS)?;
        if count > FILEMARKS_MAX {
            let problem = Problem::Unexpected(format!("{count} filemarks at once were asked for"));
            return Err(self.fail(WRITE_FILEMARKS, problem));
        }
        self.carry_filemarks(count, immediate)
    }

    /// Waits until everything that was written is on the medium (WRITE
    /// FILEMARKS with a count of 0 and IMMED 0).
    ///
    /// # Errors
    /// As [`write_filemarks`](Drive::write_filemarks).
    pub fn synchronize(&mut self) -> Result<Written, DriveError> {
        self.write_filemarks(0, false)
    }

    fn may_write_block(&mut self, len: usize, buffer_len: usize) -> Result<(), DriveError> {
        self.may_write(WRITE)?;
        if len > buffer_len {
            let what = format!("{len} bytes of a buffer of {buffer_len} were to be written");
            return Err(self.fail(WRITE, Problem::Unexpected(what)));
        }
        self.check_record_size(len)
            .map_err(|problem| self.fail(WRITE, problem))
    }

    /// Whether anything may be written at all.
    fn may_write(&mut self, during: &'static str) -> Result<(), DriveError> {
        if let Some(problem) = self.stopped.clone() {
            return Err(self.fail(during, problem));
        }
        if self.track == Track::Unknown {
            return Err(self.fail(during, Problem::PositionUnknown));
        }
        if self.doubt {
            self.settle(during, Objects::NONE)?;
        }
        self.settle_modes()
    }

    /// Sends a block of `len` bytes, and what stands behind it.
    fn send_write(&mut self, mut data: Data, len: usize) {
        let sent = len + self.bytes_behind();
        if let Data::Out { len, .. } = &mut data {
            *len = sent;
        }
        // `check_record_size` has held this against the field's 24 bits.
        let cdb = Write6::variable(sent as u32).cdb();
        let timeout = self.timeout(&cdb);
        self.transport.submit(Request { cdb, data, timeout });
    }

    fn carry_block(&mut self, len: usize) -> (Result<Written, DriveError>, Buffer) {
        let mut resend = Resend {
            tries: Tries::new(self.patience),
            used: false,
        };
        loop {
            let Completion { outcome, data } = self.transport.complete();
            match self.after(WRITE, &outcome, Objects::BLOCK, &mut resend) {
                Ok(After::Accepted(written) | After::Found(written)) => {
                    return (Ok(written), buffer_of(data));
                }
                Ok(After::Missing(_)) => self.send_write(data, len),
                Err(error) => return (Err(error), buffer_of(data)),
            }
        }
    }

    fn carry_filemarks(&mut self, count: u32, immediate: bool) -> Result<Written, DriveError> {
        let mut resend = Resend {
            tries: Tries::new(self.patience),
            used: false,
        };
        let mut missing = count;
        loop {
            let cdb = WriteFilemarks6::new(missing, immediate).cdb();
            let timeout = self.timeout(&cdb);
            let request = Request {
                cdb,
                data: Data::None,
                timeout,
            };
            let outcome = self.transport.execute(request).outcome;
            let objects = Objects {
                blocks: 0,
                filemarks: missing.into(),
            };
            match self.after(WRITE_FILEMARKS, &outcome, objects, &mut resend)? {
                // The position proves that the filemarks were accepted, not
                // that they are on the medium: only an answer proves that.
                After::Found(_) if !immediate => missing = 0,
                After::Accepted(written) if !immediate => {
                    self.unsynchronised = 0;
                    return Ok(written);
                }
                After::Found(written) | After::Accepted(written) => return Ok(written),
                After::Missing(filemarks) => missing = filemarks as u32,
            }
        }
    }

    /// What became of a write or of filemarks, and with what `resend` allows.
    fn after(
        &mut self,
        name: &'static str,
        outcome: &Outcome,
        objects: Objects,
        resend: &mut Resend,
    ) -> Result<After, DriveError> {
        let problem = match self.step(name, Doing::Write, outcome)? {
            Step::Done(verdict) => {
                let accepted = self.accepted(name, verdict, outcome, objects);
                return accepted.map(After::Accepted);
            }
            step @ Step::NotSent => {
                let pause = resend.tries.pause_for(step);
                pause.map_err(|problem| self.fail(name, problem))?;
                return Ok(After::Missing(objects.total()));
            }
            Step::Fail(problem @ Problem::VolumeFull { .. }) => {
                return Err(self.full(name, problem, objects));
            }
            // The drive has refused what arrived. What was sent may be right.
            Step::Fail(problem @ Problem::Protection(_)) if objects.blocks > 0 => problem,
            Step::Fail(Problem::TooLarge { .. }) if objects.blocks > 0 && self.protects() => {
                self.forgo_protection()?;
                return Ok(After::Missing(objects.total()));
            }
            Step::Fail(problem) => return Err(self.write_failed(name, problem, outcome)),
            Step::Wait(problem) | Step::Attention(problem) | Step::Unknown(problem) => problem,
        };
        let (done, position) = self.settle(name, objects)?;
        let missing = objects.total() - done;
        if done > 0 && matches!(problem, Problem::Protection(_)) {
            return Err(self.stop(name, problem));
        }
        if missing == 0 && done > 0 {
            return Ok(After::Found(Written {
                early_warning: EarlyWarning::at(&position),
            }));
        }
        if std::mem::replace(&mut resend.used, true) {
            return Err(self.fail(name, problem));
        }
        Ok(After::Missing(missing))
    }

    /// The drive said GOOD, or told of a condition that a write may have.
    fn accepted(
        &mut self,
        name: &'static str,
        verdict: Verdict,
        outcome: &Outcome,
        objects: Objects,
    ) -> Result<Written, DriveError> {
        let told = outcome.sense.as_ref().and_then(Sense::residual);
        // A filemark has no data phase; for it only INFORMATION counts.
        let counted = if objects.blocks > 0 {
            outcome.residual
        } else {
            0
        };
        let residual = told.unwrap_or(counted);
        let early_warning = EarlyWarning::told(verdict);
        if residual == 0 {
            self.track.advance(objects.blocks, objects.filemarks);
            self.unsynchronised = self.unsynchronised.saturating_add(objects.total());
            return Ok(Written { early_warning });
        }
        let (done, _) = self.settle(name, objects)?;
        let problem = if done == 0 && early_warning == EarlyWarning::Early {
            Problem::VolumeFull { written: false }
        } else {
            // A record that was cut short may be on the tape: nothing good can
            // follow it.
            let problem = Problem::ShortWrite { residual };
            self.stopped = Some(problem.clone());
            problem
        };
        Err(self.fail(name, problem))
    }

    /// The volume is full. READ POSITION tells whether the object fitted; the
    /// residual, only if it can't.
    fn full(&mut self, name: &'static str, told: Problem, objects: Objects) -> DriveError {
        match self.settle(name, objects) {
            Ok((done, _)) => {
                let written = done > 0 && done == objects.total();
                self.fail(name, Problem::VolumeFull { written })
            }
            // Lost, or fenced: that is what the caller has to know.
            Err(error) if self.is_stopped() => error,
            Err(_) => self.fail(name, told),
        }
    }

    /// A write failed for good. What the buffer holds is in doubt, unless the
    /// drive refused it before anything moved, and its cartridge is still
    /// there.
    fn write_failed(
        &mut self,
        name: &'static str,
        problem: Problem,
        outcome: &Outcome,
    ) -> DriveError {
        if executed(outcome) == Executed::No && problem != Problem::NoMedium {
            return self.fail(name, problem);
        }
        self.stop(name, problem)
    }
}

impl EarlyWarning {
    fn told(verdict: Verdict) -> EarlyWarning {
        match verdict {
            Verdict::ProgrammableEarlyWarning => EarlyWarning::Programmable,
            Verdict::EarlyWarning => EarlyWarning::Early,
            _ => EarlyWarning::None,
        }
    }

    fn at(position: &Position) -> EarlyWarning {
        match (position.early_warning, position.programmable_early_warning) {
            (true, _) => EarlyWarning::Early,
            (false, true) => EarlyWarning::Programmable,
            (false, false) => EarlyWarning::None,
        }
    }
}

/// A write's data phase has a buffer; a transport that loses it breaks the
/// contract of [`Transport`](longhaul_scsi::transport::Transport), and all
/// that can still be done is to go on with another.
fn buffer_of(data: Data) -> Buffer {
    data.into_buffer().unwrap_or_else(|| Buffer::zeroed(1))
}
