//! Sets taken into the catalog: from an index, or, for a set that has none,
//! from its archive.

use std::fs::File;
use std::io::{Seek, Write};
use std::ops::ControlFlow;

use longhaul_catalog::{Catalog, SetFile, SetFilter, SetPart, SetRecord, SetState, Volume};
use longhaul_format::archive::ParsedMember;
use longhaul_format::index::{Head, INDEX_NAME, Reader};
use longhaul_format::label::Label;
use uuid::Uuid;

use super::label::Labelled;
use super::session::Session;
use super::survey::Survey;
use super::volume::{TapeSet, tape_file};
use super::walkthrough::{self, Ended, Part, Reel, Visitor};
use super::{JobError, convert};
use crate::checkpoint::journal;
use crate::pipeline::entry::Extent;
use crate::progress::Progress;

/// Which set of a volume a person means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The newest.
    Newest,
    /// By its number on the volume.
    Number(u32),
    /// By its identity.
    Uuid(Uuid),
}

impl std::str::FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Choice, String> {
        if let Ok(number) = text.parse() {
            return Ok(Choice::Number(number));
        }
        text.parse().map(Choice::Uuid).map_err(|_| {
            format!("{text:?} is neither the number of a set on its volume nor a UUID")
        })
    }
}

/// A set of the volume in the drive, and its rows.
pub struct Chosen {
    /// The volume's label.
    pub label: Label,
    /// What the catalog says of the set.
    pub record: SetRecord,
    /// Its rows.
    pub file: SetFile,
    /// Its number on the volume on which it begins.
    pub number: u32,
    /// Where its archive lies.
    pub parts: Vec<Part>,
}

/// The number of a set on the volume on which it begins.
pub fn number(record: &SetRecord) -> u32 {
    record.parts.first().map_or(0, number_of)
}

/// The number of a set on a volume: its archive is every second tape file behind
/// the label; 0 where nobody has looked.
fn number_of(part: &SetPart) -> u32 {
    u32::try_from(part.tape_file.div_ceil(2)).unwrap_or(u32::MAX)
}

/// Finds a set of the volume in the drive: in the catalog, or, if that does not
/// know it, on the tape, from where it is taken into the catalog first.
///
/// # Errors
/// [`JobError::Usage`] if the volume has no such set; the drive's, the catalog's.
pub fn choose(
    session: &mut Session,
    catalog: &Catalog,
    choice: Choice,
    progress: &Progress,
) -> Result<Chosen, JobError> {
    let label = session.label()?;
    let record = match known(session, catalog, &label, choice)? {
        Some(record) => record,
        None => {
            volume(catalog, &label)?;
            let sets = session.sets(&label)?;
            let set = sets
                .iter()
                .rfind(|set| wanted(set, choice))
                .ok_or_else(|| {
                    JobError::Usage(match choice {
                        Choice::Newest => format!("volume {} holds no set", label.name),
                        Choice::Number(n) => format!("volume {} holds no set {n}", label.name),
                        Choice::Uuid(u) => format!("volume {} does not hold set {u}", label.name),
                    })
                })?;
            match up_to_date(catalog, set, label.uuid)? {
                Some(record) => record,
                None => adopt(session, catalog, &label, set, progress)?,
            }
        }
    };
    let file = catalog.set_file(record.uuid)?;
    let (parts, number) = (parts(catalog, &record)?, number(&record));
    Ok(Chosen {
        label,
        record,
        file,
        number,
        parts,
    })
}

/// Where the archive of a set lies.
fn parts(catalog: &Catalog, record: &SetRecord) -> Result<Vec<Part>, JobError> {
    let part = |(sequence, part): (u32, &SetPart)| {
        let volume = catalog.volume(part.volume)?.ok_or_else(|| {
            JobError::Medium(format!("the catalog does not know volume {}", part.volume))
        })?;
        let on = longhaul_format::index::Volume {
            sequence,
            name: volume
                .name
                .parse()
                .map_err(|_| JobError::Medium(format!("{} is no volume's name", volume.name)))?,
            uuid: part.volume,
            block: part.first_block,
            stream_offset: part.stream_offset,
        };
        Ok(Part {
            extent: Extent::of(&on, volume.record_bytes.into()),
            volume: Some((volume.name, volume.uuid)),
        })
    };
    (1..).zip(&record.parts).map(part).collect()
}

fn wanted(set: &TapeSet, choice: Choice) -> bool {
    match choice {
        Choice::Newest => true,
        Choice::Number(number) => set.head.sequence == number,
        Choice::Uuid(uuid) => set.head.set == uuid,
    }
}

/// A finished set of that number or identity that the catalog knows, if the
/// tape has the same one at the same place. The newest is the tape's to tell.
fn known(
    session: &mut Session,
    catalog: &Catalog,
    label: &Label,
    choice: Choice,
) -> Result<Option<SetRecord>, JobError> {
    let filter = SetFilter {
        volume: Some(label.uuid),
        ..SetFilter::default()
    };
    let sets = catalog.sets(&filter)?.into_iter();
    let mut sets = sets.filter(|set| match choice {
        Choice::Newest => false,
        Choice::Number(wanted) => {
            let here = set.parts.iter().find(|part| part.volume == label.uuid);
            here.map_or(0, number_of) == wanted
        }
        Choice::Uuid(uuid) => set.uuid == uuid,
    });
    let (Some(record), None) = (sets.next(), sets.next()) else {
        return Ok(None);
    };
    let here = record.parts.iter().find(|part| part.volume == label.uuid);
    let first = here.map(|part| part.first_block);
    let (Some(block), true) = (first, record.state != SetState::Unfinished) else {
        return Ok(None);
    };
    let on_tape = super::volume::head_at(session.drive(), block, label);
    let same = on_tape.is_ok_and(|head| head.set == record.uuid);
    Ok((same && catalog.set_file(record.uuid).is_ok()).then_some(record))
}

/// What the catalog has of this set, if that is all of it. A set that was
/// unfinished then may be finished now.
fn up_to_date(
    catalog: &Catalog,
    set: &TapeSet,
    volume: Uuid,
) -> Result<Option<SetRecord>, JobError> {
    let known = catalog.set(set.head.set)?;
    // The index stands behind the part on the last volume.
    let goes_on = |known: &SetRecord| known.parts.last().is_some_and(|last| last.volume != volume);
    let whole = known
        .filter(|known| known.state != SetState::Unfinished && (set.finished || goes_on(known)));
    Ok(whole.filter(|_| catalog.set_file(set.head.set).is_ok()))
}

/// Takes a set into the catalog.
///
/// # Errors
/// The drive's, the catalog's; [`JobError::Medium`] for an index that cannot be
/// read.
pub fn adopt(
    session: &mut Session,
    catalog: &Catalog,
    label: &Label,
    set: &TapeSet,
    progress: &Progress,
) -> Result<SetRecord, JobError> {
    if let Some(whole) = up_to_date(catalog, set, label.uuid)?.filter(|_| !set.finished) {
        return Ok(whole);
    }
    if let Some(block) = set.index_block.filter(|_| set.finished) {
        let indexed = read_index(session, catalog, label, block, progress)
            .and_then(|index| index_file(catalog, label, set, index));
        match indexed {
            Err(JobError::Medium(what)) => log::warn!("{what}; the archive of {set} is read"),
            other => return other,
        }
    }
    if set.head.part > 1 {
        return Err(JobError::NeedsVolume(format!(
            "{set} is a part of set {}, which begins on another volume and goes on on a third; \
             its index is on the last: load that, and `lh-mover scan`",
            set.head.set
        )));
    }
    archive(session, catalog, label, set, progress)
}

/// The volume in the catalog.
///
/// # Errors
/// The catalog's.
pub fn volume(catalog: &Catalog, label: &Label) -> Result<(), JobError> {
    catalog.put_volume(&Volume {
        uuid: label.uuid,
        name: label.name.to_string(),
        barcode: label.barcode(),
        record_bytes: u32::try_from(label.record_bytes).unwrap_or(u32::MAX),
        created_ms: label.created.saturating_mul(1000),
        capacity_bytes: None,
    })?;
    Ok(())
}

/// A volume that was just labelled: what the catalog knew of one of that name
/// was overwritten.
///
/// # Errors
/// The catalog's.
pub fn labelled(catalog: &Catalog, labelled: &Labelled) -> Result<(), JobError> {
    if let Some(old) = catalog.volume_by_name(&labelled.volume)?
        && old.uuid != labelled.uuid
    {
        if labelled.replaced != Some(old.uuid) {
            log::warn!(
                "the catalog knows another volume named {} ({}); it is left as it is, and the \
                 new one is not entered: give it another name",
                old.name,
                old.uuid
            );
            return Ok(());
        }
        let filter = SetFilter {
            volume: Some(old.uuid),
            ..SetFilter::default()
        };
        for set in catalog.sets(&filter)? {
            catalog.remove_set(set.uuid)?;
        }
        catalog.remove_volume(old.uuid)?;
    }
    volume(catalog, &labelled.label)
}

/// Reads the index archive at `block` and unpacks the index into a file without
/// a name.
fn read_index(
    session: &mut Session,
    catalog: &Catalog,
    label: &Label,
    block: u64,
    progress: &Progress,
) -> Result<File, JobError> {
    let dir = catalog.dir();
    let local = |error| JobError::local(format!("a file in {}", dir.display()), error);
    let file = tempfile::tempfile_in(dir).map_err(local)?;
    let mut unpack = Unpack {
        file,
        inside: false,
        whole: false,
        error: None,
    };
    let pool = walkthrough::pool(label)?;
    let extent = Extent {
        volume: 1,
        block,
        offset: 0,
        record_bytes: label.record_bytes,
    };
    let ended = Reel::here(session, extent).walk(&pool, 0, &mut unpack, progress)?;
    if let Some(error) = unpack.error {
        return Err(local(error));
    }
    if !unpack.whole {
        return Err(JobError::Medium(format!(
            "{}: the index at block {block} cannot be read ({})",
            session.drive().label(),
            ended.what()
        )));
    }
    unpack.file.rewind().map_err(local)?;
    Ok(unpack.file)
}

struct Unpack {
    file: File,
    inside: bool,
    whole: bool,
    error: Option<std::io::Error>,
}

impl Visitor for Unpack {
    fn member(&mut self, parsed: &ParsedMember) -> ControlFlow<()> {
        self.inside = parsed.member.path == INDEX_NAME.as_bytes();
        ControlFlow::Continue(())
    }

    fn data(&mut self, _offset: u64, bytes: &[u8]) {
        if self.inside
            && let Err(error) = self.file.write_all(bytes)
        {
            self.error.get_or_insert(error);
        }
    }

    fn member_end(&mut self, _end: u64) -> ControlFlow<()> {
        self.whole |= self.inside;
        if self.inside {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Takes a set into the catalog by its index, `index.jsonl.zst`.
///
/// # Errors
/// [`JobError::Medium`] for an index that makes no sense; the catalog's.
fn index_file(
    catalog: &Catalog,
    label: &Label,
    set: &TapeSet,
    index: File,
) -> Result<SetRecord, JobError> {
    let bad = |what: String| JobError::Medium(format!("the index of {set}: {what}"));
    let lines = journal::lines(index).map_err(|error| bad(error.to_string()))?;
    let reader = Reader::new(lines).map_err(|error| bad(error.to_string()))?;
    let head = reader.head().clone();
    if head.set != set.head.set {
        return Err(bad(format!("it is of set {}", head.set)));
    }
    let mut builder = catalog.set_builder(head.set)?;
    for entry in reader {
        builder.push(convert::row(entry.map_err(|error| bad(error.to_string()))?))?;
    }
    builder.finish()?;
    record(catalog, label, set, head)
}

/// Enters a set whose rows are in their place.
///
/// # Errors
/// The catalog's.
pub fn record(
    catalog: &Catalog,
    label: &Label,
    set: &TapeSet,
    head: Head,
) -> Result<SetRecord, JobError> {
    volume(catalog, label)?;
    let mut parts = Vec::with_capacity(head.volumes.len());
    for on in &head.volumes {
        parts.push(indexed_part(catalog, label, set, &head, on)?);
    }
    let record = SetRecord {
        uuid: head.set,
        parts,
        started_ms: head.started.saturating_mul(1000),
        ended_ms: Some(head.ended.saturating_mul(1000)),
        host: head.host,
        paths: head.paths.into_iter().map(String::into_bytes).collect(),
        members: head.members,
        bytes: head.bytes,
        errors: head.damaged,
        state: if head.partial {
            SetState::Partial
        } else {
            SetState::Finished
        },
    };
    catalog.put_set(&record)?;
    Ok(record)
}

/// Takes an unfinished set into the catalog, by reading its archive.
fn archive(
    session: &mut Session,
    catalog: &Catalog,
    label: &Label,
    set: &TapeSet,
    progress: &Progress,
) -> Result<SetRecord, JobError> {
    log::info!("{set} has no index: its archive is read");
    let mut builder = catalog.set_builder(set.head.set)?;
    let mut survey = Survey::new(label, set, |entry| builder.push(convert::row(entry)));
    let ended = survey.run(session, label, progress)?;
    let totals = survey.totals();
    if let Ended::Damaged(_) | Ended::Unreadable(_) = ended {
        log::warn!("{set}: {}; what lies behind is not known", ended.what());
    }
    builder.finish()?;
    volume(catalog, label)?;
    let record = SetRecord {
        uuid: set.head.set,
        parts: vec![part(label, set)],
        started_ms: set.head.started.saturating_mul(1000),
        ended_ms: None,
        host: String::new(),
        paths: Vec::new(),
        members: totals.members,
        bytes: totals.bytes,
        errors: totals.damaged,
        state: SetState::Unfinished,
    };
    catalog.put_set(&record)?;
    Ok(record)
}

fn part(label: &Label, set: &TapeSet) -> SetPart {
    SetPart {
        volume: label.uuid,
        tape_file: set.tape_file,
        first_block: set.first_block,
        stream_offset: set.head.offset,
    }
}

/// One of the volumes that an index names. The one in the drive is `label`'s;
/// of the others no more is known than the index says.
fn indexed_part(
    catalog: &Catalog,
    label: &Label,
    set: &TapeSet,
    head: &Head,
    on: &longhaul_format::index::Volume,
) -> Result<SetPart, JobError> {
    if on.uuid == label.uuid {
        return Ok(part(label, set));
    }
    if catalog.volume(on.uuid)?.is_none() {
        catalog.put_volume(&Volume {
            uuid: on.uuid,
            name: on.name.to_string(),
            barcode: None,
            record_bytes: u32::try_from(head.record_bytes).unwrap_or(u32::MAX),
            created_ms: head.started.saturating_mul(1000),
            capacity_bytes: None,
        })?;
    }
    Ok(SetPart {
        volume: on.uuid,
        tape_file: if on.sequence == 1 {
            tape_file(head.sequence)
        } else {
            0
        },
        first_block: on.block,
        stream_offset: on.stream_offset,
    })
}
