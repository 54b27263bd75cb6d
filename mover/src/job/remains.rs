//! What remains of a set that did not come to its end: its journal, and what its last
//! volume holds of it.

use std::path::Path;

use longhaul_catalog::Catalog;
use longhaul_format::archive::{SetHead, SetKind};
use longhaul_format::index::Volume;
use longhaul_format::label::Label;

use super::JobError;
use super::volume::{Tail, TapeSet, tape_file};
use crate::checkpoint::journal;
use crate::checkpoint::recovered::Recovered;

/// The journal of the set that is to be gone on with, if there is one.
pub(super) fn journal_of(
    catalog: &Catalog,
    named: Option<&Path>,
    label: &Label,
    tail: &Tail,
) -> Result<Option<Recovered>, JobError> {
    if let Some(path) = named {
        let recovered = Recovered::read(path)?;
        if let Tail::Unfinished(set) = tail
            && recovered.head.set != set.head.set
            && recovered.is_on(label.uuid)
        {
            return Err(JobError::Refused(format!(
                "{} is of set {}, and the volume ends in set {}; nothing was written",
                path.display(),
                recovered.head.set,
                set.head.set
            )));
        }
        return Ok(Some(recovered));
    }
    if let Tail::Unfinished(set) = tail {
        let path = journal::path_of(catalog.dir(), set.head.set);
        return match path.exists() {
            true => Ok(Some(Recovered::read(&path)?)),
            false => Ok(None),
        };
    }
    let all = journal::all(catalog.dir()).filter_map(|path| Recovered::read(&path).ok());
    let (here, elsewhere): (Vec<_>, Vec<_>) = all.partition(|found| found.is_on(label.uuid));
    if let Some(newest) = here.into_iter().max_by_key(|found| found.head.started) {
        return Ok(Some(newest));
    }
    let mut waiting = elsewhere
        .into_iter()
        .filter(|found| found.ended().is_some());
    match (waiting.next(), waiting.next()) {
        (Some(one), Some(other)) => Err(JobError::Usage(format!(
            "several sets wait for another volume ({} and {}): name the journal with --journal",
            one.path().display(),
            other.path().display()
        ))),
        (found, _) => Ok(found),
    }
}

/// There is no such set on this volume.
pub(super) fn nothing(label: &Label) -> JobError {
    JobError::Usage(format!(
        "volume {} ends in no unfinished set; there is nothing to resume",
        label.name
    ))
}

/// Removes a journal that nobody needs any more.
pub(super) fn give_up(recovered: Recovered) {
    if let Err(error) = std::fs::remove_file(recovered.path()) {
        log::warn!("{}: {error}", recovered.path().display());
    }
}

/// What the last volume of a set holds of it.
pub(super) struct Here {
    pub set: TapeSet,
    /// Whether there is anything; else only the place for it is known.
    pub is_there: bool,
}

/// Holds journal and tape against each other.
pub(super) fn here(
    recovered: &Recovered,
    last: &Volume,
    label: &Label,
    tail: Tail,
) -> Result<Here, JobError> {
    let contradiction = |what: String| {
        Err(JobError::Refused(format!(
            "{} is of set {}, and volume {} {what}; nothing was written",
            recovered.path().display(),
            recovered.head.set,
            label.name
        )))
    };
    match tail {
        Tail::Unfinished(set) if set.head.set != recovered.head.set => {
            contradiction(format!("ends in set {}", set.head.set))
        }
        Tail::Unfinished(set) if set.first_block != last.block => contradiction(format!(
            "has it at block {} instead of {}",
            set.first_block, last.block
        )),
        Tail::Unfinished(set) => Ok(Here {
            set,
            is_there: true,
        }),
        Tail::Ready { next, end } if end.block == last.block => Ok(Here {
            set: TapeSet {
                tape_file: end.file.unwrap_or_else(|| tape_file(next)),
                first_block: end.block,
                index_block: None,
                finished: false,
                head: SetHead {
                    sequence: next,
                    part: last.sequence,
                    offset: last.stream_offset,
                    ..set_head(recovered)?
                },
            },
            is_there: false,
        }),
        Tail::Ready { .. } => contradiction("does not end in it".into()),
    }
}

/// The head of a set as it stands on the volume on which the set begins.
pub(super) fn set_head(recovered: &Recovered) -> Result<SetHead, JobError> {
    let Some(first) = recovered.volumes.first() else {
        return Err(JobError::Usage("the journal names no volume".into()));
    };
    Ok(SetHead {
        kind: SetKind::Set,
        set: recovered.head.set,
        sequence: recovered.head.sequence,
        volume: first.name.clone(),
        volume_uuid: first.uuid,
        started: recovered.head.started,
        part: 1,
        offset: 0,
    })
}
