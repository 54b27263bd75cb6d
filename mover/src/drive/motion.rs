//! LOCATE, SPACE, REWIND: moving the tape without data.
//!
//! Going to a place is always repeatable, so outcomes here need no rule, only
//! a limit. Every motion ends with READ POSITION: where the tape stands is
//! what the drive says, never what it was asked for.

use longhaul_scsi::cdb::{Cdb, Command};
use longhaul_scsi::sense::Sense;
use longhaul_scsi::ssc::motion::{Destination, Locate10, Locate16, Rewind, Space6, SpaceOver};
use longhaul_scsi::transport::{Data, Request};
use longhaul_scsi::verdict::{Doing, Verdict, verdict};

use super::command::{Ask, Tries};
use super::error::{DriveError, Problem};
use super::position::{Position, Track};
use super::recovery::Step;
use super::session::Drive;

const LOCATE: &str = "LOCATE(16)";
const SPACE: &str = "SPACE(6)";
const REWIND: &str = "REWIND";

/// Largest count of one SPACE(6): 23 bits and a sign.
pub const SPACE_MAX: i64 = 0x7f_ffff;

/// Where a SPACE ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spaced {
    /// Blocks or filemarks that were passed, below 0 if backwards.
    pub passed: i64,
    /// What stopped it before its count was up.
    pub stop: Option<SpaceStop>,
    /// Where the tape stands now.
    pub position: Position,
}

/// What a SPACE met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpaceStop {
    /// A filemark, while spacing over blocks. The tape stands behind it (in
    /// the direction of the motion).
    Filemark,
    /// The end of data.
    EndOfData,
    /// The end of the partition.
    EndOfPartition,
    /// The beginning of the partition.
    Beginning,
}

impl Drive {
    /// Goes to the logical object `block` of partition `partition`.
    ///
    /// # Errors
    /// [`Problem::BeyondEndOfData`] if the tape ends before; then it stands at
    /// its end of data.
    pub fn locate_in(&mut self, partition: u32, block: u64) -> Result<Position, DriveError> {
        self.leave()?;
        let here = match self.track {
            Track::Known { partition, .. } => partition,
            Track::Unknown => self.recover_position()?.partition,
        };
        let change = (partition != here).then_some(partition);
        let verdict = match self.send_locate(change, block) {
            // From the other side the drive may find it.
            Err(error) if matches!(error.problem(), Problem::NotFound(_)) => {
                self.moved(REWIND, Rewind::new(false).cdb())?;
                self.send_locate(change, block)?
            }
            verdict => verdict?,
        };
        let position = self.recover_position()?;
        if position.block == block && position.partition == partition {
            return Ok(position);
        }
        let (wanted, found) = (block, position.block);
        let problem = if verdict == Verdict::EndOfData {
            Problem::BeyondEndOfData {
                wanted,
                end: Some(found),
            }
        } else {
            Problem::Misplaced { wanted, found }
        };
        Err(self.fail(LOCATE, problem))
    }

    /// Goes to the logical object `block` of the first partition.
    ///
    /// # Errors
    /// As [`locate_in`](Drive::locate_in).
    pub fn locate(&mut self, block: u64) -> Result<Position, DriveError> {
        self.locate_in(0, block)
    }

    /// Goes to the end of data of the present partition.
    ///
    /// # Errors
    /// Those of the drive.
    pub fn locate_end_of_data(&mut self) -> Result<Position, DriveError> {
        self.leave()?;
        self.moved(SPACE, Space6::new(SpaceOver::EndOfData, 0).cdb())?;
        self.recover_position()
    }

    /// Goes to the beginning of the partition.
    ///
    /// # Errors
    /// Those of the drive; [`Problem::Misplaced`] if it is not there then.
    pub fn rewind(&mut self) -> Result<Position, DriveError> {
        self.leave()?;
        self.moved(REWIND, Rewind::new(false).cdb())?;
        let position = self.recover_position()?;
        match position.block {
            0 => Ok(position),
            found => Err(self.fail(REWIND, Problem::Misplaced { wanted: 0, found })),
        }
    }

    /// Passes `count` filemarks, backwards if it is below 0. Ends behind the
    /// last one, in the direction of the motion.
    ///
    /// # Errors
    /// Those of the drive; a count above [`SPACE_MAX`] is refused.
    pub fn space_filemarks(&mut self, count: i64) -> Result<Spaced, DriveError> {
        self.space(SpaceOver::Filemarks, count)
    }

    /// Passes `count` blocks, backwards if it is below 0. A filemark stops it.
    ///
    /// # Errors
    /// Those of the drive; a count above [`SPACE_MAX`] is refused.
    pub fn space_blocks(&mut self, count: i64) -> Result<Spaced, DriveError> {
        self.space(SpaceOver::Blocks, count)
    }

    fn space(&mut self, over: SpaceOver, count: i64) -> Result<Spaced, DriveError> {
        if !(-SPACE_MAX..=SPACE_MAX).contains(&count) {
            let problem = Problem::Unexpected(format!("a space of {count} was asked for"));
            return Err(self.fail(SPACE, problem));
        }
        self.leave()?;
        let start = self.recover_position()?;
        let cdb = Space6::new(over, count as i32).cdb();
        let mut tries = Tries::new(self.patience);
        loop {
            self.track = Track::Unknown;
            let request = Request {
                cdb,
                data: Data::None,
                timeout: self.timeout(&cdb),
            };
            let outcome = self.transport.execute(request).outcome;
            let step = self.step(SPACE, Doing::Position, &outcome)?;
            if let Step::Done(verdict) = step {
                let position = self.recover_position()?;
                let told = outcome.sense.as_ref().and_then(Sense::residual);
                return Ok(Spaced::of(over, count, (verdict, told), start, position));
            }
            tries
                .pause_for(step)
                .map_err(|problem| self.fail(SPACE, problem))?;
            // A space counts from where the tape stands, so it is repeated
            // only from where it began.
            self.calm(SPACE)?;
            self.locate_in(start.partition, start.block)?;
        }
    }

    /// Before the tape leaves a place where it was written: what the buffer
    /// holds is brought to the medium, and an error with it is told now.
    pub(super) fn leave(&mut self) -> Result<(), DriveError> {
        if self.unsynchronised > 0 && !self.is_stopped() && self.track != Track::Unknown {
            self.synchronize()?;
        }
        Ok(())
    }

    /// Sends a motion until it was executed.
    fn moved(&mut self, name: &'static str, cdb: Cdb) -> Result<Verdict, DriveError> {
        self.track = Track::Unknown;
        let doing = Doing::Position;
        let completion = self.ask(Ask {
            name,
            doing,
            cdb,
            data: Data::None,
        })?;
        Ok(verdict(&completion.outcome, doing))
    }

    /// LOCATE(16), or LOCATE(10) on drives that know no other.
    fn send_locate(&mut self, change: Option<u32>, block: u64) -> Result<Verdict, DriveError> {
        let change = change.map(u8::try_from).transpose().map_err(|_| {
            let what = "a partition above 255 was asked for".to_owned();
            self.fail(LOCATE, Problem::Unexpected(what))
        })?;
        let locate = Locate16::new(Destination::Object(block));
        let cdb = change
            .map_or(locate, |partition| locate.in_partition(partition))
            .cdb();
        let error = match self.moved(LOCATE, cdb) {
            Err(error) if matches!(error.problem(), Problem::Unsupported(_)) => error,
            result => return result,
        };
        let Ok(block) = u32::try_from(block) else {
            return Err(error);
        };
        let locate = Locate10::new(block);
        let cdb = change
            .map_or(locate, |partition| locate.in_partition(partition))
            .cdb();
        self.moved("LOCATE(10)", cdb)
    }
}

impl Spaced {
    /// What a SPACE did. The positions before and after tell it; where the
    /// drive counts no filemarks, the residual does.
    fn of(
        over: SpaceOver,
        count: i64,
        (verdict, residual): (Verdict, Option<i64>),
        start: Position,
        position: Position,
    ) -> Spaced {
        let missing = residual.unwrap_or(0).unsigned_abs();
        let by_residual = (count.unsigned_abs().saturating_sub(missing) as i64) * count.signum();
        let passed = match (over, start.file, position.file) {
            (SpaceOver::Filemarks, Some(before), Some(after)) => difference(after, before),
            (SpaceOver::Blocks, Some(before), Some(after)) => {
                difference(position.block, start.block).wrapping_sub(difference(after, before))
            }
            _ => by_residual,
        };
        let stop = match verdict {
            Verdict::Filemark => Some(SpaceStop::Filemark),
            Verdict::EndOfData => Some(SpaceStop::EndOfData),
            Verdict::EndOfPartition => Some(SpaceStop::EndOfPartition),
            Verdict::BeginningOfPartition => Some(SpaceStop::Beginning),
            _ => None,
        };
        Spaced {
            passed,
            stop,
            position,
        }
    }
}

/// Positions are far below 2^63 on any medium; a drive that says otherwise
/// gets a number that is wrong, and not a panic.
fn difference(after: u64, before: u64) -> i64 {
    after.wrapping_sub(before) as i64
}
