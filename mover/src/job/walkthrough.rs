//! One archive from the drive through the parser, over all its volumes.

use std::ops::ControlFlow;

use longhaul_ffi::buffer::{ALIGNMENT, Pool};
use longhaul_format::archive::{ArchiveError, Event, ParsedMember, Parser};
use longhaul_format::label::Label;

use uuid::Uuid;

use super::JobError;
use super::session::Session;
use crate::drive::{Drive, DriveError, Problem};
use crate::pipeline::entry::Extent;
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

/// A pool for reading the records of a volume, for [`Reel::walk`].
///
/// # Errors
/// If there is no memory.
pub fn pool(label: &Label) -> Result<Pool, JobError> {
    let record_bytes = usize::try_from(label.record_bytes).unwrap_or(usize::MAX);
    Pool::new(AHEAD + 2, record_bytes.saturating_add(TAIL_BYTES))
        .map_err(|error| JobError::local("memory for the records", error))
}

/// A set's archive, on all its volumes.
pub struct Reel<'a> {
    /// The drive with one of the volumes in it.
    pub session: &'a mut Session,
    /// The set's volumes in order, with what of the archive lies on them.
    pub parts: Vec<Part>,
}

/// What of an archive lies on one volume.
#[derive(Debug, Clone)]
pub struct Part {
    /// Where.
    pub extent: Extent,
    /// The volume; `None` if it is the one in the drive whatever it is.
    pub volume: Option<(String, Uuid)>,
}

impl<'a> Reel<'a> {
    /// An archive that lies, as far as it goes, on the volume in the drive.
    pub fn here(session: &'a mut Session, extent: Extent) -> Reel<'a> {
        let volume = None;
        let parts = vec![Part { extent, volume }];
        Reel { session, parts }
    }

    /// The stream offset at which a member begins, by its place on tape.
    pub fn offset_of(parts: &[Part], volume: u32, block: u64, offset: u64) -> u64 {
        let part = parts.iter().find(|part| part.extent.volume == volume);
        part.map_or(0, |part| {
            let extent = &part.extent;
            block
                .saturating_sub(extent.block)
                .saturating_mul(extent.record_bytes)
                .saturating_add(offset)
                .saturating_add(extent.offset)
        })
    }

    /// The part in which the stream offset lies: its number, from 0.
    fn part_of(&self, at: u64) -> usize {
        let behind = self.parts.partition_point(|part| part.extent.offset <= at);
        behind.saturating_sub(1)
    }

    /// Has the drive stand at the record in which the stream offset lies; tells
    /// where in the record that is.
    fn go_to(&mut self, part: usize, at: u64) -> Result<usize, JobError> {
        let Some(Part { extent, volume }) = self.parts.get(part) else {
            return Err(JobError::Medium("a set without a volume".into()));
        };
        if let Some((name, uuid)) = volume {
            self.session.bring(name, *uuid)?;
        }
        let (block, skip) = extent.locate(at);
        self.session.drive().locate(block)?;
        Ok(usize::try_from(skip).expect("below a record's length"))
    }

    /// Reads on from the stream offset `from`, over all volumes. A member must
    /// begin there.
    ///
    /// # Errors
    /// The drive's; [`JobError::NeedsVolume`] if one of the volumes is not to be
    /// had.
    pub fn walk(
        &mut self,
        pool: &Pool,
        from: u64,
        visitor: &mut dyn Visitor,
        progress: &Progress,
    ) -> Result<Ended, JobError> {
        let mut parser = Parser::at(from);
        let mut part = self.part_of(from);
        let mut skip = self.go_to(part, from)?;
        loop {
            let end = self.parts.get(part + 1).map(|next| next.extent.offset);
            let drive = self.session.drive();
            let ended = walk_part(drive, pool, (&mut parser, skip), end, visitor, progress)?;
            match ended {
                Ended::Cut if end == Some(parser.position()) => {
                    part += 1;
                    skip = self.go_to(part, parser.position())?;
                }
                ended => return Ok(ended),
            }
        }
    }
}

/// Reads what lies on one volume from where the drive stands, without the first
/// `skip` bytes, up to the stream offset `end`.
fn walk_part(
    drive: &mut Drive,
    pool: &Pool,
    (parser, mut skip): (&mut Parser, usize),
    end: Option<u64>,
    visitor: &mut dyn Visitor,
    progress: &Progress,
) -> Result<Ended, JobError> {
    let block_bytes = pool.buffer_bytes() - TAIL_BYTES;
    if end == Some(parser.position()) {
        return Ok(Ended::Cut);
    }
    let mut ended = None;
    let result = read::blocks(drive, pool, block_bytes, progress, |record| {
        let record = record.get(std::mem::take(&mut skip)..).unwrap_or_default();
        match parse(parser, record, visitor) {
            // What may lie behind the cut belongs to nothing.
            Ok(None) if end == Some(parser.position()) => {
                ended = Some(Ended::Cut);
                ControlFlow::Break(())
            }
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
