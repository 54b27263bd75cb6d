//! One archive from the drive through the parser.

use std::ops::ControlFlow;

use longhaul_ffi::buffer::{ALIGNMENT, Pool};
use longhaul_format::archive::{ArchiveError, Event, ParsedMember, Parser};
use longhaul_format::label::Label;

use super::JobError;
use crate::drive::{Drive, DriveError, Problem};
use crate::pipeline::read::{self, AHEAD, End};
use crate::progress::Progress;

/// What is done with what an archive holds.
pub trait Visitor {
    /// A member begins. Breaking off ends the reading.
    fn member(&mut self, parsed: &ParsedMember) -> ControlFlow<()>;

    /// Some of its data, at this offset of the file.
    fn data(&mut self, offset: u64, bytes: &[u8]);

    /// The member is whole; its last byte is before the stream offset `end`.
    fn member_end(&mut self, end: u64) -> ControlFlow<()>;
}

/// How the reading of an archive ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// At the archive's own end.
    Whole,
    /// The visitor had enough.
    Enough,
    /// The tape file ended before the archive did: it is unfinished.
    Cut,
    /// It makes no sense from some offset on.
    Damaged(ArchiveError),
    /// A block of it cannot be read.
    Unreadable(DriveError),
    /// The job was asked to stop.
    Stopped,
}

impl Ended {
    /// In words.
    pub fn what(&self) -> String {
        match self {
            Ended::Whole => "the archive came to its end".into(),
            Ended::Enough => "enough was read".into(),
            Ended::Cut => "the tape file ends before the archive does".into(),
            Ended::Damaged(error) => error.to_string(),
            Ended::Unreadable(error) => error.to_string(),
            Ended::Stopped => "interrupted".into(),
        }
    }
}

/// Room behind each record, for the drive's protection bytes.
const TAIL_BYTES: usize = ALIGNMENT;

/// A pool for reading the records of a volume, for [`walk`].
///
/// # Errors
/// If there is no memory.
pub fn pool(label: &Label) -> Result<Pool, JobError> {
    let record_bytes = usize::try_from(label.record_bytes).unwrap_or(usize::MAX);
    Pool::new(AHEAD + 2, record_bytes.saturating_add(TAIL_BYTES))
        .map_err(|error| JobError::local("memory for the records", error))
}

/// Goes to the block in which the stream offset `from` lies, of the archive that
/// begins in `first_block`, and reads on from there. A member must begin at
/// `from`.
///
/// # Errors
/// The drive's.
pub fn walk(
    drive: &mut Drive,
    pool: &Pool,
    first_block: u64,
    from: u64,
    visitor: &mut dyn Visitor,
    progress: &Progress,
) -> Result<Ended, JobError> {
    let block_bytes = pool.buffer_bytes() - TAIL_BYTES;
    let record_bytes = block_bytes as u64;
    drive.locate(first_block + from / record_bytes)?;
    let mut skip = usize::try_from(from % record_bytes).expect("below a record's length");
    let mut parser = Parser::at(from);
    let mut ended = None;
    let result = read::blocks(drive, pool, block_bytes, progress, |record| {
        let record = record.get(std::mem::take(&mut skip)..).unwrap_or_default();
        match parse(&mut parser, record, visitor) {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(end)) => {
                ended = Some(end);
                ControlFlow::Break(())
            }
            Err(error) => {
                ended = Some(Ended::Damaged(error));
                ControlFlow::Break(())
            }
        }
    });
    Ok(match (ended, result) {
        // Blocks that were read ahead in vain are no news.
        (Some(ended), _) => ended,
        (None, Ok(End::Stopped)) => Ended::Stopped,
        (None, Ok(_)) => Ended::Cut,
        (None, Err(error)) if is_medium(&error) => Ended::Unreadable(error),
        (None, Err(error)) => return Err(error.into()),
    })
}

/// Whether an error is about this place on the medium, and others may be fine.
pub fn is_medium(error: &DriveError) -> bool {
    matches!(
        error.problem(),
        Problem::Medium(_) | Problem::Altered { .. } | Problem::BlockTooLong { .. }
    )
}

fn parse(
    parser: &mut Parser,
    record: &[u8],
    visitor: &mut dyn Visitor,
) -> Result<Option<Ended>, ArchiveError> {
    let mut events = parser.feed(record);
    while let Some(event) = events.next()? {
        let flow = match event {
            Event::Member(parsed) => visitor.member(&parsed),
            Event::Data { offset, bytes } => {
                visitor.data(offset, bytes);
                ControlFlow::Continue(())
            }
            Event::MemberEnd { end } => visitor.member_end(end),
            // What the tape file is was looked at before. The rest of a member
            // that began on another volume: nothing here knows its beginning.
            Event::Set(_) | Event::Continued(_) => ControlFlow::Continue(()),
            Event::End => return Ok(Some(Ended::Whole)),
        };
        if flow.is_break() {
            return Ok(Some(Ended::Enough));
        }
    }
    Ok(None)
}
