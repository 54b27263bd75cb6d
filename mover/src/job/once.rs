//! What a coordinator has done once, and is no backup: a restore, a label.

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
use super::restore::{self, Restored};
use super::session::{Purpose, Session};
use super::{JobError, label};
use crate::progress::Progress;
use crate::restore::Overwrite;
use crate::source::Problem;

/// Restores. The set's rows come from its index on the tape: this node need not
/// know the set.
pub(super) fn restore(task: &Task, restore: &Restore, progress: &Progress) -> Outcome {
    let mut problems = Vec::new();
    let result = restored(task, restore, progress, &mut problems);
    let mut outcome = match result {
        Ok(restored) => done(words(&restored)),
        Err(error) => failed(&error),
    };
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
) -> Result<Restored, JobError> {
    let catalog = Catalog::open(&task.dir)?;
    let mut mounts = attempt::mounts(task, None);
    // The index is on the last volume.
    mounts.used = mounts.volumes.len().saturating_sub(1);
    let mut session = Session::open(mounts, Purpose::Read)?;
    let chosen = adopt::choose(&mut session, &catalog, Choice::Uuid(restore.set), progress)?;
    let options = restore::Options {
        paths: task.start.work.paths.iter().map(PathBuf::from).collect(),
        to: PathBuf::from(&restore.to),
        overwrite: match restore.overwrite {
            job::Overwrite::Never => Overwrite::Never,
            job::Overwrite::Older => Overwrite::Older,
            job::Overwrite::Always => Overwrite::Always,
        },
    };
    let restored = restore::run(&mut session, &chosen, &options, progress, problems)?;
    session.release();
    Ok(restored)
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
    let labelled = || -> Result<String, JobError> {
        let mut mounts = attempt::mounts(task, None);
        mounts.volumes = label.barcode.iter().map(ToString::to_string).collect();
        mounts.identities = Vec::new();
        let mut session = Session::open(mounts, Purpose::Write)?;
        let options = label::Options {
            name: Some(label.name.to_string()),
            uuid: Some(label.uuid),
            barcode: label.barcode.as_ref().map(ToString::to_string),
            record_bytes: RECORD_BYTES,
            overwrite: label.overwrite.as_ref().map(ToString::to_string),
        };
        let labelled = label::run(&mut session, &options)?;
        session.release();
        let of = labelled.record_bytes;
        Ok(format!(
            "labelled volume {}, records of {of} bytes",
            labelled.volume
        ))
    };
    labelled().map_or_else(|error| failed(&error), done)
}

fn done(words: String) -> Outcome {
    Outcome {
        exit: ExitStatus::Done,
        needs_volume: false,
        damaged: false,
        wrote_nothing: false,
        error: None,
        words: Some(words),
        set: None,
        ended: Time::from(SystemTime::now()),
    }
}

fn failed(error: &JobError) -> Outcome {
    let ended = Time::from(SystemTime::now());
    Outcome::without_set(error.exit_status(), error.to_string(), ended)
}
