//! A set without a usable checkpoint: its archive is read back, and goes on at
//! its last record.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use longhaul_format::index::{Entry, EntryType};
use longhaul_format::label::Label;

use crate::checkpoint::{Cursor, Inside, Place};
use crate::job::JobError;
use crate::job::ledger::Ledger;
use crate::job::session::Session;
use crate::job::survey::Survey;
use crate::job::volume::TapeSet;
use crate::job::walkthrough::Ended;
use crate::pipeline::links::Links;
use crate::pipeline::tree::Joined;
use crate::progress::Progress;

/// Reads the archive back, and tells where it goes on: at the end of its last
/// record. What only the source knows of a file (its inode, other names) is
/// taken from there, where the file is still as it was stored. `None` if all of
/// the archive is there, and only its index is missing.
///
/// # Errors
/// [`JobError::Damaged`] where the archive is; the drive's.
pub(super) fn run(
    session: &mut Session,
    label: &Label,
    set: &TapeSet,
    ledger: &mut Ledger,
    links: &mut Links,
    progress: &Progress,
) -> Result<Option<Cursor>, JobError> {
    log::warn!("{set}: no checkpoint can be used: the archive is read back, which takes long");
    let mut last = None;
    let (mut entries, mut path) = (0, Vec::new());
    let mut survey = Survey::new(label, set, |mut entry: Entry| {
        of_the_source(&mut entry);
        links.stored(&entry);
        entries += 1;
        path.clone_from(&entry.path);
        last = Some(entry.kind);
        ledger.push(entry)
    });
    let ended = survey.run(session, label, progress)?;
    let begun = survey.begun();
    drop(survey);
    match ended {
        Ended::Cut => {}
        Ended::Whole => return Ok(None),
        ended => {
            return Err(JobError::Damaged(format!(
                "{set}: {}; nothing was written; `lh-mover close --give-up-behind-damage` ends it \
                 before the damage",
                ended.what()
            )));
        }
    }
    let records = session
        .drive()
        .position()?
        .block
        .saturating_sub(set.first_block);
    let offset = records.saturating_mul(label.record_bytes);
    let at = |offset, place| Cursor {
        offset,
        entries,
        place,
    };
    Ok(Some(match begun {
        Some(whole) if offset >= whole.data && offset < whole.end => {
            let joined = Joined::default();
            at(offset, Place::Inside(Box::new(Inside { whole, joined })))
        }
        // In the middle of headers that are longer than a record: such begin
        // a record.
        Some(whole) => at(whole.start, Place::At(whole.entry.path)),
        // A file that was given up and was to be stored again looks like any
        // other: so the last one is stored again.
        None if last == Some(EntryType::File) => at(offset, Place::At(path)),
        None => at(offset, Place::Behind(path)),
    }))
}

/// What the archive does not say of a member, if the source still has it as it
/// was stored.
fn of_the_source(entry: &mut Entry) {
    let path = Path::new("/").join(Path::new(std::ffi::OsStr::from_bytes(&entry.path)));
    let Ok(meta) = path.symlink_metadata() else {
        return;
    };
    let mtime_ns = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
    let same = match entry.kind {
        EntryType::File => meta.is_file() && meta.len() == entry.size,
        EntryType::Dir => meta.is_dir(),
        EntryType::Symlink => meta.is_symlink(),
        _ => false,
    };
    if same && mtime_ns == entry.mtime_ns {
        entry.ino = meta.ino();
        entry.nlink = meta.nlink();
        entry.dev = (meta.nlink() > 1 && !meta.is_dir()).then(|| meta.dev());
        entry.ctime_ns = i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec());
    }
}
