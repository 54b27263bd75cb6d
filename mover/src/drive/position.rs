//! Where the tape stands, and what has reached the medium.
//!
//! READ POSITION has three forms (SSC-5 7.8). The long one counts filemarks and
//! has room for every position, so it is asked first; the short one is for
//! drives without it. Both tell the *host's* side: where the next object goes,
//! the drive's buffer included. The extended form (and the short one, where the
//! position fits in 32 bits) also tells the *medium's* side: the first object
//! that has not yet left the buffer.

use longhaul_scsi::cdb::Command;
use longhaul_scsi::ssc::read_position::{
    self as wire, Form, LONG_BYTES, LongPosition, ReadPosition, SHORT_BYTES,
};

use super::error::{DriveError, Loss, Problem};
use super::session::Drive;

const READ_POSITION: &str = "READ POSITION";

/// Where the next read or write happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The partition, from 0.
    pub partition: u32,
    /// The logical object identifier: blocks *and* filemarks between the
    /// beginning of the partition and here.
    pub block: u64,
    /// Filemarks before here; `None` where the drive can't say.
    pub file: Option<u64>,
    /// BOP: at the beginning of the partition.
    pub beginning: bool,
    /// EOP: behind early warning.
    pub early_warning: bool,
    /// BPEW: behind programmable early warning.
    pub programmable_early_warning: bool,
}

/// What lies on the medium, by the drive's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frontier {
    /// The first logical object that is not yet on the medium: all before it
    /// are.
    pub first_unwritten: u64,
    /// The object that the next write makes.
    pub next: u64,
    /// The partition that both are in.
    pub partition: u32,
}

/// What the drive's position is by our own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Track {
    /// As counted, or as READ POSITION last said.
    Known {
        partition: u32,
        block: u64,
        file: Option<u64>,
    },
    /// Nobody knows. No write is sent.
    Unknown,
}

impl Track {
    /// Counts objects that were written or read.
    pub(super) fn advance(&mut self, blocks: u64, filemarks: u64) {
        if let Track::Known { block, file, .. } = self {
            // 2^64 objects are more than any medium has.
            *block = block.saturating_add(blocks).saturating_add(filemarks);
            *file = file.map(|file| file.saturating_add(filemarks));
        }
    }

    /// Whether a position contradicts the count.
    fn is_elsewhere(&self, position: &Position) -> bool {
        match *self {
            Track::Unknown => false,
            Track::Known {
                partition,
                block,
                file,
            } => {
                partition != position.partition
                    || block != position.block
                    || file.is_some_and(|file| position.file.is_some_and(|now| now != file))
            }
        }
    }

    pub(super) fn block(&self) -> Option<u64> {
        match self {
            Track::Known { block, .. } => Some(*block),
            Track::Unknown => None,
        }
    }
}

impl From<Position> for Track {
    fn from(position: Position) -> Track {
        let Position {
            partition,
            block,
            file,
            ..
        } = position;
        Track::Known {
            partition,
            block,
            file,
        }
    }
}

/// Which forms the drive was found to know.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Forms {
    no_long: bool,
    no_extended: bool,
}

impl Drive {
    /// Where the tape stands, by our own count if nothing unexpected has
    /// happened; else the drive is asked.
    ///
    /// # Errors
    /// [`Problem::NoPosition`] if the drive does not know; else its own.
    pub fn position(&mut self) -> Result<Position, DriveError> {
        let counted = self.track;
        let position = self.ask_position()?;
        match counted.block() {
            Some(expected) if counted.is_elsewhere(&position) => {
                let found = position.block;
                Err(self.lose(READ_POSITION, Loss::PositionMoved { expected, found }))
            }
            _ => {
                self.track = position.into();
                Ok(position)
            }
        }
    }

    /// Asks the drive where the tape stands, and takes its word for it. This is
    /// the way out of an unknown position; a session that was stopped stays
    /// stopped.
    ///
    /// # Errors
    /// As [`position`](Drive::position).
    pub fn recover_position(&mut self) -> Result<Position, DriveError> {
        let position = self.ask_position()?;
        self.track = position.into();
        self.doubt = false;
        Ok(position)
    }

    /// Whether the position is known, so that a write would be sent.
    pub fn knows_position(&self) -> bool {
        self.track != Track::Unknown
    }

    /// What has reached the medium, without stopping the tape. `None` where
    /// the drive can't say, or contradicts what was written.
    ///
    /// # Errors
    /// [`Problem::Lost`] if the tape is elsewhere than our writes brought it;
    /// else those of the drive.
    pub fn frontier(&mut self) -> Result<Option<Frontier>, DriveError> {
        let counted = self.track;
        let Some(position) = self.ask_frontier()? else {
            return Ok(None);
        };
        let (Some(next), Some(first_unwritten)) = (position.first, position.last) else {
            return Ok(None);
        };
        // Without a count of what is in the buffer the drive may well repeat
        // the host's side as the medium's.
        let buffer = position.in_buffer;
        if buffer.objects.is_none() || buffer.bytes.is_none() || first_unwritten > next {
            return Ok(None);
        }
        match counted {
            Track::Known {
                partition, block, ..
            } if block != next || partition != position.partition => {
                let cause = Loss::PositionMoved {
                    expected: block,
                    found: next,
                };
                Err(self.lose(READ_POSITION, cause))
            }
            _ => Ok(Some(Frontier {
                first_unwritten,
                next,
                partition: position.partition,
            })),
        }
    }

    /// READ POSITION in the longest form that the drive knows.
    pub(super) fn ask_position(&mut self) -> Result<Position, DriveError> {
        if !self.forms.no_long {
            let cdb = ReadPosition::new(Form::Long).cdb();
            match self.ask_in(READ_POSITION, cdb, LONG_BYTES) {
                Err(error) if matches!(error.problem(), Problem::Unsupported(_)) => {
                    self.forms.no_long = true;
                }
                answer => return self.long(&answer?),
            }
        }
        let position = self.ask_short()?;
        let block = position
            .first
            .ok_or_else(|| self.fail(READ_POSITION, Problem::NoPosition))?;
        Ok(Position {
            partition: position.partition,
            block,
            file: None,
            beginning: position.edge.beginning,
            early_warning: position.edge.early_warning,
            programmable_early_warning: position.edge.programmable_early_warning,
        })
    }

    fn long(&mut self, bytes: &[u8]) -> Result<Position, DriveError> {
        let position = LongPosition::parse(bytes).map_err(|error| self.malformed(&error))?;
        let Some((partition, block)) = position.object else {
            return Err(self.fail(READ_POSITION, Problem::NoPosition));
        };
        Ok(Position {
            partition,
            block,
            file: position.file,
            beginning: position.edge.beginning,
            early_warning: position.edge.early_warning,
            programmable_early_warning: position.edge.programmable_early_warning,
        })
    }

    fn ask_short(&mut self) -> Result<wire::Position, DriveError> {
        let cdb = ReadPosition::new(Form::Short).cdb();
        let bytes = self.ask_in(READ_POSITION, cdb, SHORT_BYTES)?;
        wire::Position::parse_short(&bytes).map_err(|error| self.malformed(&error))
    }

    /// The extended form, or the short one where there is no other.
    fn ask_frontier(&mut self) -> Result<Option<wire::Position>, DriveError> {
        if !self.forms.no_extended {
            let cdb = ReadPosition::new(Form::Extended).cdb();
            match self.ask_in(READ_POSITION, cdb, LONG_BYTES) {
                Err(error) if matches!(error.problem(), Problem::Unsupported(_)) => {
                    self.forms.no_extended = true;
                }
                answer => {
                    let position = wire::Position::parse_extended(&answer?);
                    return position.map(Some).map_err(|error| self.malformed(&error));
                }
            }
        }
        match self.ask_short() {
            Err(error) if matches!(error.problem(), Problem::Unsupported(_)) => Ok(None),
            position => position.map(Some),
        }
    }

    fn malformed(&self, error: &longhaul_scsi::ParseError) -> DriveError {
        self.fail(READ_POSITION, Problem::Malformed(error.to_string()))
    }
}
