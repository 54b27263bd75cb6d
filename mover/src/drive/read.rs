//! Blocks from the tape.
//!
//! SILI stays 0. With it set, and a block length of 0 in the mode parameters,
//! a device server passes over the *rest of a block that is longer than the
//! buffer* without a word (SSC-5, READ(6)). With it clear, a block of just the
//! length that was asked for ends with GOOD, which is every record but the odd
//! ones, and any other says its length in INFORMATION.

use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::cdb::Command;
use longhaul_scsi::sense::Sense;
use longhaul_scsi::ssc::transfer::Read6;
use longhaul_scsi::transport::{Completion, Data, Outcome, Request};
use longhaul_scsi::verdict::{Doing, Verdict};

use super::command::Tries;
use super::error::{DriveError, Problem};
use super::position::Track;
use super::recovery::Step;
use super::session::Drive;

const READ: &str = "READ(6)";

/// What a read met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// A block, whole, of that many bytes.
    Block(usize),
    /// A filemark, which was passed.
    Filemark,
    /// The end of data. The tape has not moved.
    EndOfData,
    /// The end of the partition. The tape has not moved.
    EndOfPartition,
}

impl Drive {
    /// Reads the next block into the start of `buffer`, at most `len` bytes.
    ///
    /// # Errors
    /// [`Problem::BlockTooLong`] if the block has more bytes than `len`; the
    /// tape then stands behind it, and the buffer holds its first `len` bytes.
    /// [`Problem::Medium`] and [`Problem::Altered`] after repetitions; the
    /// position is then unknown.
    pub fn read(&mut self, mut buffer: Buffer, len: usize) -> (Result<Read, DriveError>, Buffer) {
        let len = len.min(buffer.len());
        let start = match self.may_read(len) {
            Ok(start) => start,
            Err(error) => return (Err(error), buffer),
        };
        let room = len + self.bytes_behind();
        if room <= buffer.len() {
            return self.carry_read(buffer, len, start);
        }
        let (result, came) = self.carry_read(Buffer::zeroed(room), len, start);
        buffer[..len].copy_from_slice(&came[..len]);
        (result, buffer)
    }

    /// Reads a block of at most `len` bytes, and what stands behind it.
    fn carry_read(
        &mut self,
        buffer: Buffer,
        len: usize,
        start: Track,
    ) -> (Result<Read, DriveError>, Buffer) {
        let mut data = Data::In { buffer, len };
        let mut tries = Tries::new(self.patience);
        let result = loop {
            let asked = len + self.bytes_behind();
            if let Data::In { len, .. } = &mut data {
                *len = asked;
            }
            // `may_read` has held this against the field's 24 bits.
            let cdb = Read6::variable(asked as u32, false).cdb();
            let timeout = self.timeout(&cdb);
            let Completion {
                outcome,
                data: back,
            } = self.transport.execute(Request { cdb, data, timeout });
            data = back;
            let step = match self.step(READ, Doing::Read, &outcome) {
                Err(error) => break Err(error),
                Ok(Step::Done(verdict)) => match self.met(verdict, &outcome, asked) {
                    Ok(Read::Block(len)) => match self.confirm(&data, len) {
                        Ok(()) => break Ok(Read::Block(len)),
                        Err(problem) => Step::Unknown(problem),
                    },
                    met => break met,
                },
                Ok(Step::Fail(Problem::TooLarge { .. })) if self.protects() => {
                    match self.forgo_protection() {
                        Ok(()) => continue,
                        Err(error) => break Err(error),
                    }
                }
                Ok(step) => step,
            };
            if let Err(error) = self.before_next_try(step, start, &mut tries) {
                break Err(error);
            }
        };
        (
            result,
            data.into_buffer().unwrap_or_else(|| Buffer::zeroed(1)),
        )
    }

    fn may_read(&mut self, len: usize) -> Result<Track, DriveError> {
        if len == 0 || len > READ_BYTES_MAX - self.bytes_behind() {
            let problem = Problem::Unexpected(format!("a read of {len} bytes was asked for"));
            return Err(self.fail(READ, problem));
        }
        if self.track == Track::Unknown {
            self.recover_position()?;
        }
        self.settle_modes()?;
        Ok(self.track)
    }

    /// Brings the tape back to where the read began. Medium errors get the
    /// same chance: a second pass over a spot often reads it.
    fn before_next_try(
        &mut self,
        step: Step,
        start: Track,
        tries: &mut Tries,
    ) -> Result<(), DriveError> {
        if matches!(step, Step::NotSent) {
            return tries
                .pause_for(step)
                .map_err(|problem| self.fail(READ, problem));
        }
        self.track = Track::Unknown;
        let step = match step {
            // The drive's own check of what it has read.
            Step::Fail(Problem::Medium(sense) | Problem::Protection(sense)) => {
                Step::Unknown(Problem::Medium(sense))
            }
            other => other,
        };
        tries
            .pause_for(step)
            .map_err(|problem| self.fail(READ, problem))?;
        self.calm(READ)?;
        self.settle_modes()?;
        if let Track::Known {
            partition, block, ..
        } = start
        {
            self.locate_in(partition, block)?;
        }
        Ok(())
    }

    /// What the drive has read.
    fn met(
        &mut self,
        verdict: Verdict,
        outcome: &Outcome,
        asked: usize,
    ) -> Result<Read, DriveError> {
        let told = outcome.sense.as_ref().and_then(Sense::residual);
        let residual = match verdict {
            Verdict::Filemark => {
                self.track.advance(0, 1);
                return Ok(Read::Filemark);
            }
            Verdict::EndOfData => return Ok(Read::EndOfData),
            Verdict::EndOfPartition => return Ok(Read::EndOfPartition),
            // INFORMATION is the drive's count, the residual the transport's.
            Verdict::IncorrectLength => told.unwrap_or(outcome.residual),
            _ => outcome.residual,
        };
        self.track.advance(1, 0);
        let len = asked - self.bytes_behind();
        match usize::try_from(residual) {
            Ok(missing) => Ok(Read::Block(len.saturating_sub(missing))),
            Err(_) => {
                let block = (len as u64).saturating_add(residual.unsigned_abs());
                Err(self.fail(READ, Problem::BlockTooLong { block, buffer: len }))
            }
        }
    }
}

/// Most bytes that one READ(6) can ask for: 24 bits.
pub const READ_BYTES_MAX: usize = 0x00ff_ffff;
