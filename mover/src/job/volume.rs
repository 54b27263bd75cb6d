//! What lies on a volume: its label, its sets, its end.
//!
//! A volume of ours is: label file, filemark; then for each set its archive,
//! filemark, its index, filemark. So what the last tape file is, and whether a
//! filemark closes it, tells whether the last set is finished.

use std::fmt;

use longhaul_ffi::buffer::Buffer;
use longhaul_format::archive::{Event, Parser, RECORD_BYTES_MAX, SetHead, SetKind};
use longhaul_format::index::Volume;
use longhaul_format::label::{LABEL_RECORDS, Label, LabelError, VolumeName};
use longhaul_format::mam;
use uuid::Uuid;

use super::JobError;
use super::walkthrough::is_medium;
use crate::drive::{Drive, Position, Problem, Read, SpaceStop};
use crate::pipeline::entry::Extent;

/// Most bytes of a label's record: anybody's is far shorter. A foreign block may
/// be longer; a host adapter that does not take so long a transfer has no part
/// in the question whose the volume is.
const LABEL_BYTES: usize = 64 << 10;

/// A set, as it lies on the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapeSet {
    /// What its archive's head says.
    pub head: SetHead,
    /// Filemarks before its archive.
    pub tape_file: u64,
    /// The block in which its archive begins.
    pub first_block: u64,
    /// The block in which its index begins, if one was begun.
    pub index_block: Option<u64>,
    /// Whether the filemark that closes the index is there.
    pub finished: bool,
}

/// What stands at a volume's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// The next set may begin.
    Ready {
        /// Its number on the volume, from 1.
        next: u32,
        /// The end of data.
        end: Position,
    },
    /// A set without an end.
    Unfinished(TapeSet),
}

impl TapeSet {
    /// Where its archive lies on this volume.
    pub fn extent(&self, record_bytes: u64) -> Extent {
        Extent::of(
            &self.volume_of(&self.head.volume, self.head.volume_uuid),
            record_bytes,
        )
    }

    /// The volume as one of the set's.
    pub fn volume_of(&self, name: &VolumeName, uuid: Uuid) -> Volume {
        Volume {
            sequence: self.head.part,
            name: name.clone(),
            uuid,
            block: self.first_block,
            stream_offset: self.head.offset,
        }
    }
}

impl fmt::Display for TapeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "set {} of volume {}",
            self.head.sequence, self.head.volume
        )
    }
}

/// What the first tape file is.
#[derive(Debug)]
pub enum First {
    /// Nothing was ever written.
    Blank,
    /// Somebody else's data.
    Foreign {
        /// What it is called, if it has a name.
        name: Option<String>,
        /// In words.
        what: String,
    },
    /// A label of ours; the drive stands behind its filemark.
    Ours(Label),
}

/// Looks at the beginning of the volume.
///
/// # Errors
/// The drive's.
pub fn first(drive: &mut Drive) -> Result<First, JobError> {
    drive.rewind()?;
    let mut buffer = Buffer::zeroed(LABEL_BYTES);
    let mut records: Vec<Vec<u8>> = Vec::new();
    let mut closed = false;
    loop {
        let (read, back) = drive.read(buffer, LABEL_BYTES);
        buffer = back;
        match read {
            Ok(Read::Block(len)) => records.push(buffer[..len.min(4096)].to_vec()),
            Ok(Read::Filemark) => {
                closed = true;
                break;
            }
            Ok(Read::EndOfData | Read::EndOfPartition) if records.is_empty() => {
                return Ok(First::Blank);
            }
            Ok(Read::EndOfData | Read::EndOfPartition) => break,
            Err(error) if matches!(error.problem(), Problem::BlockTooLong { .. }) => {
                records.push(buffer[..4096].to_vec());
                break;
            }
            Err(error) => return Err(error.into()),
        }
        if records.len() > LABEL_RECORDS {
            break;
        }
    }
    Ok(match Label::parse(&records) {
        Ok(label) if closed => First::Ours(label),
        Ok(label) => First::Foreign {
            name: Some(label.name.to_string()),
            what: "its label was begun and not ended".into(),
        },
        Err(error @ LabelError::OtherVol1 { .. }) => {
            let LabelError::OtherVol1 { volume, .. } = &error else {
                unreachable!()
            };
            First::Foreign {
                name: Some(volume.clone()),
                what: error.to_string(),
            }
        }
        Err(error) => First::Foreign {
            name: None,
            what: error.to_string(),
        },
    })
}

/// Reads the label, and compares it with what the cartridge's memory says.
///
/// # Errors
/// [`JobError::Refused`] with a sentence for a blank, a foreign and a
/// mismatched volume; the drive's.
pub fn read_label(drive: &mut Drive) -> Result<Label, JobError> {
    let name = drive.label().to_owned();
    let label = match first(drive)? {
        First::Ours(label) => label,
        First::Blank => {
            return Err(JobError::Refused(format!(
                "{name}: the volume is blank; label it first: lh-mover label --drive …"
            )));
        }
        First::Foreign { what, .. } => {
            return Err(JobError::Refused(format!(
                "{name}: this is no volume of Longhaul's: {what}; nothing was written"
            )));
        }
    };
    let refuse = |what: String| {
        Err(JobError::Refused(format!(
            "{name}: the cartridge does not match its label {}: {what}; nothing was written",
            label.name
        )))
    };
    let memory = drive.volume_identity()?.user_label;
    if let Some(uuid) = memory
        .as_deref()
        .and_then(|text| mam::uuid(text.as_bytes()))
        && uuid != label.uuid
    {
        return refuse(format!(
            "its memory says volume {uuid}, the label {}",
            label.uuid
        ));
    }
    if let (Some(has), Some(says)) = (barcode(drive)?, label.barcode())
        && has != says
    {
        return refuse(format!("it has barcode {has}, the label {says}"));
    }
    Ok(label)
}

/// The cartridge's barcode: as the library reads it, or else as its memory says
/// that it was when it was labelled.
///
/// # Errors
/// The drive's.
pub fn barcode(drive: &mut Drive) -> Result<Option<String>, JobError> {
    let read = drive.medium_identity()?.volume_identifier;
    let known = match read {
        Some(read) => Some(read),
        None => drive.volume_identity()?.barcode,
    };
    Ok(known
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty()))
}

/// The tape file of a volume's set number `number`, from 1: each set but the
/// last takes two.
pub fn tape_file(number: u32) -> u64 {
    (u64::from(number) * 2).saturating_sub(1)
}

/// What stands at the end of the volume, whose label was just read. If the next
/// set may begin, the drive then stands at the end of data.
///
/// # Errors
/// The drive's; [`JobError::Refused`] if the last tape file is none of ours.
pub fn tail(drive: &mut Drive, label: &Label) -> Result<Tail, JobError> {
    let data = drive.position()?;
    let end = drive.locate_end_of_data()?;
    if end.block <= data.block {
        return Ok(Tail::Ready { next: 1, end });
    }
    // What lies between the last filemark and the end of data?
    let last = behind_filemark(drive, 1)?;
    let closed = last == end.block;
    let start = if closed {
        behind_filemark(drive, 1)?
    } else {
        last
    };
    let head = head_at(drive, start, label)?;
    match head.kind {
        SetKind::Index if closed => {
            let next = head.sequence.checked_add(1).ok_or_else(|| {
                JobError::Refused(format!("volume {} has too many sets", label.name))
            })?;
            let again = drive.locate_end_of_data()?;
            if again.block != end.block {
                return Err(JobError::Medium(format!(
                    "{}: the end of data lies at block {}, and before at {}",
                    drive.label(),
                    again.block,
                    end.block
                )));
            }
            Ok(Tail::Ready { next, end: again })
        }
        SetKind::Index => {
            drive.locate(start)?;
            behind_filemark(drive, 1)?;
            let first_block = behind_filemark(drive, 1)?;
            let head = head_at(drive, first_block, label)?;
            unfinished(drive, head, first_block, Some(start))
        }
        SetKind::Set => unfinished(drive, head, start, None),
    }
}

fn unfinished(
    drive: &mut Drive,
    head: SetHead,
    first_block: u64,
    index_block: Option<u64>,
) -> Result<Tail, JobError> {
    let position = drive.locate(first_block)?;
    let tape_file = position.file.unwrap_or_else(|| tape_file(head.sequence));
    Ok(Tail::Unfinished(TapeSet {
        head,
        tape_file,
        first_block,
        index_block,
        finished: false,
    }))
}

/// Goes back over `count` filemarks, and tells the block behind the last one.
/// The drive stands before that filemark.
fn behind_filemark(drive: &mut Drive, count: i64) -> Result<u64, JobError> {
    let spaced = drive.space_filemarks(-count)?;
    match spaced.stop {
        Some(SpaceStop::Beginning) => Ok(0),
        _ => Ok(spaced.position.block + 1),
    }
}

/// The head of the tape file that begins at `block`.
///
/// # Errors
/// The drive's; [`JobError::Refused`] if it is no tape file of ours.
pub fn head_at(drive: &mut Drive, block: u64, label: &Label) -> Result<SetHead, JobError> {
    drive.locate(block)?;
    head_here(drive, label)?
        .ok_or_else(|| JobError::Medium(format!("{}: nothing is at block {block}", drive.label())))
}

/// Reads the record at which the drive stands, which begins a tape file; `None`
/// at the end of data.
fn head_here(drive: &mut Drive, label: &Label) -> Result<Option<SetHead>, JobError> {
    let record_bytes = usize::try_from(label.record_bytes).unwrap_or(RECORD_BYTES_MAX as usize);
    let (read, buffer) = drive.read(Buffer::zeroed(record_bytes), record_bytes);
    let len = match read? {
        Read::Block(len) => len,
        Read::EndOfData | Read::EndOfPartition => return Ok(None),
        Read::Filemark => {
            return Err(JobError::Medium(format!(
                "{}: an empty tape file",
                drive.label()
            )));
        }
    };
    head_of(&buffer[..len]).map(Some).ok_or_else(|| {
        JobError::Refused(format!(
            "{}: volume {} holds a tape file that is not Longhaul's; nothing was written",
            drive.label(),
            label.name
        ))
    })
}

/// The head that stands first in an archive's first record.
fn head_of(record: &[u8]) -> Option<SetHead> {
    let mut parser = Parser::new();
    let mut feed = parser.feed(record);
    match feed.next() {
        Ok(Some(Event::Set(head))) => Some(head),
        _ => None,
    }
}

/// All sets of a volume whose label was just read, by spacing over filemarks.
///
/// # Errors
/// The drive's; [`JobError::Medium`] where the medium contradicts itself.
pub fn sets(drive: &mut Drive, label: &Label) -> Result<Vec<TapeSet>, JobError> {
    let mut sets = Vec::new();
    let mut begun: Option<TapeSet> = None;
    loop {
        let here = drive.position()?;
        let head = match head_here(drive, label) {
            Ok(Some(head)) => head,
            Ok(None) => break,
            // One bad block does not hide the sets behind it.
            Err(JobError::Drive(error)) if is_medium(&error) => {
                log::warn!("{error}: tape file at block {}", here.block);
                sets.extend(begun.take());
                drive.locate(here.block)?;
                if drive.space_filemarks(1)?.stop.is_some() {
                    break;
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        let closed = drive.space_filemarks(1)?.stop.is_none();
        match (head.kind, begun.take()) {
            (SetKind::Index, Some(mut set)) if set.head.set == head.set => {
                set.index_block = Some(here.block);
                set.finished = closed;
                sets.push(set);
            }
            (SetKind::Index, other) => {
                sets.extend(other);
                log::warn!(
                    "{}: an index without its set at block {}",
                    drive.label(),
                    here.block
                );
            }
            (SetKind::Set, other) => {
                sets.extend(other);
                begun = Some(TapeSet {
                    tape_file: here.file.unwrap_or(0),
                    first_block: here.block,
                    index_block: None,
                    finished: false,
                    head,
                });
            }
        }
        if !closed {
            break;
        }
    }
    sets.extend(begun);
    Ok(sets)
}
