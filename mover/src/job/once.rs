//! What a coordinator has done once, and is no backup: a restore, a label, a drive
//! that is unloaded.

use std::path::PathBuf;
use std::time::SystemTime;

use longhaul_catalog::Catalog;
use longhaul_format::archive::RECORD_BYTES;
use longhaul_protocol::job::{self, Label, Restore};
use longhaul_protocol::report::Outcome;
use longhaul_protocol::{ExitStatus, Time};
use longhaul_words::bytes;

use super::adopt::{self, Choice};
use super::attempt::{self, Task};
use super::blame::{self, Heard};
use super::restore::{self, Restored};
use super::session::{self, Purpose};
use super::{JobError, label};
use crate::drive::{self, Drive};
use crate::progress::Progress;
use crate::restore::Overwrite;
use crate::source::Problem;
use crate::transport;

/// Restores. The set's rows come from its index on the tape: this node need not
/// know the set.
pub(super) fn restore(task: &Task, restore: &Restore, progress: &Progress) -> Outcome {
    let mut problems = Vec::new();
    let (result, heard) = restored(task, restore, progress, &mut problems);
    let mut outcome = ended(result.map(|restored| words(&restored)), &heard);
    if let Some(what) = attempt::counted(&problems) {
        outcome.add_flaw(what);
    }
    outcome
}

fn restored(
    task: &Task,
    restore: &Restore,
    progress: &Progress,
    problems: &mut Vec<Problem>,
) -> (Result<Restored, JobError>, Heard) {
    let catalog = match Catalog::open(&task.dir) {
        Ok(catalog) => catalog,
        Err(error) => return (Err(error.into()), Heard::default()),
    };
    let mut mounts = attempt::mounts(task, None);
    // The index is on the last volume.
    mounts.used = mounts.volumes.len().saturating_sub(1);
    let options = restore::Options {
        paths: task.start.work.paths.iter().map(PathBuf::from).collect(),
        to: PathBuf::from(&restore.to),
        overwrite: match restore.overwrite {
            job::Overwrite::Never => Overwrite::Never,
            job::Overwrite::Older => Overwrite::Older,
            job::Overwrite::Always => Overwrite::Always,
        },
    };
    blame::with_drive(mounts, Purpose::Read, None, |session| {
        let chosen = adopt::choose(session, &catalog, Choice::Uuid(restore.set), progress)?;
        restore::run(session, &chosen, &options, progress, problems)
    })
}

fn words(restored: &Restored) -> String {
    let mut words = format!(
        "{} files restored, {}",
        restored.members,
        bytes(restored.bytes)
    );
    if restored.skipped > 0 {
        words.push_str(&format!(", {} left as they were", restored.skipped));
    }
    if restored.owners_left > 0 {
        let left = restored.owners_left;
        words.push_str(&format!(", {left} without their owners"));
    }
    words
}

/// Makes a cartridge a volume: the one in the drive, or one that the library
/// brings there.
pub(super) fn label(task: &Task, label: &Label) -> Outcome {
    let mut mounts = attempt::mounts(task, None);
    mounts.volumes = label.barcode.iter().map(ToString::to_string).collect();
    mounts.identities = Vec::new();
    let (result, heard) = blame::with_drive(mounts, Purpose::Write, Some(label.uuid), |session| {
        let options = label::Options {
            name: Some(label.name.to_string()),
            uuid: Some(label.uuid),
            barcode: label.barcode.as_ref().map(ToString::to_string),
            record_bytes: RECORD_BYTES,
            overwrite: label.overwrite.as_ref().map(ToString::to_string),
        };
        label::run(session, &options)
    });
    let is_typed = matches!(&result, Err(error) if error.exit_status() == ExitStatus::Usage);
    let words = result.map(|labelled| {
        let (volume, of) = (labelled.volume, labelled.record_bytes);
        format!("labelled volume {volume}, records of {of} bytes")
    });
    let mut outcome = ended(words, &heard);
    if is_typed {
        // Somebody has typed its barcode.
        outcome.exit = ExitStatus::Usage;
    }
    outcome
}

/// Has the drive let its volume go, whoever has left it there, and brings that back to
/// its slot, for another drive.
pub(super) fn unload(task: &Task) -> Outcome {
    let mounts = attempt::mounts(task, None);
    let serial = task.start.drive.as_str();
    let unloaded = || -> Result<String, JobError> {
        let volume = mounts.expected().unwrap_or_default();
        if mounts.library()?.barcode_in(serial, volume)?.is_none() {
            return Ok(format!("volume {volume} is not in drive {serial}"));
        }
        let name = mounts.drives.first().map_or(serial, String::as_str);
        let mut drive = Drive::open(transport::open(name)?)?;
        let key = task.key(task.start.token);
        session::fence(&mut drive, key, &mounts.take_over)?;
        match drive.unload() {
            Err(error) if !matches!(error.problem(), drive::Problem::NoMedium) => Err(error)?,
            Ok(()) | Err(_) => {}
        }
        // The robot takes it whoever has the drive: but nobody comes in between.
        mounts.library()?.put_back(serial)?;
        drive.release()?;
        Ok(format!("volume {volume} was brought out of drive {serial}"))
    };
    ended(unloaded(), &Heard::default())
}

/// What was done, in words, or why not.
fn ended(result: Result<String, JobError>, heard: &Heard) -> Outcome {
    let now = Time::from(SystemTime::now());
    let error = result.as_ref().err();
    let mut outcome = match &result {
        Ok(words) => Outcome {
            words: Some(words.clone()),
            ..Outcome::done(now)
        },
        Err(error) => Outcome::without_set(blame::exit_of(error), error.to_string(), now),
    };
    heard.enter(&mut outcome, error);
    outcome
}
