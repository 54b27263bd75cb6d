//! `lh-mover resume`

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use longhaul_catalog::Catalog;
use serde_json::json;

use super::backup::{absolute, summary};
use super::display::Display;
use super::{BufferArg, CatalogArg, DriveArg, IntervalArgs, JsonArg, output};
use crate::checkpoint::journal::Asked;
use crate::job::resume::{self, Point, Resumed};
use crate::job::session::Purpose;
use crate::job::{ExitStatus, JobError};
use crate::progress::Progress;

/// Go on with the unfinished set at the end of the volume
///
/// Goes on from the newest checkpoint that the tape is found to hold, and ends
/// the set. What to back up is in the set's journal; unchanged files are not
/// read again.
#[derive(Args)]
pub struct Resume {
    #[command(flatten)]
    drive: DriveArg,

    /// The set's journal, if it was brought from another node [default: the one
    /// in the catalog's folder]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// What to go on from
    #[arg(long, value_enum, default_value_t = Restart::Checkpoint)]
    restart: Restart,

    /// What to back up, if the journal is lost: all paths of the backup
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// What to leave out, if the journal is lost, as for `backup`
    #[arg(long, value_name = "PATTERN", requires = "paths")]
    exclude: Vec<String>,

    /// Do not go into other file systems, if the journal is lost
    #[arg(long, requires = "paths")]
    one_file_system: bool,

    #[command(flatten)]
    buffer: BufferArg,
    #[command(flatten)]
    intervals: IntervalArgs,
    #[command(flatten)]
    catalog: CatalogArg,
    #[command(flatten)]
    pub(super) json: JsonArg,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Restart {
    /// The newest checkpoint that holds; what the tape holds, without one
    Checkpoint,
    /// Nothing: end the set as it is, and back everything up anew
    Fresh,
}

impl Resume {
    pub(super) fn run(self, progress: &Arc<Progress>) -> Result<ExitStatus, JobError> {
        let catalog = Catalog::open(&self.catalog.dir()?)?;
        let mut session = self.drive.session(&self.catalog, Purpose::Write)?;
        let options = resume::Options {
            journal: self.journal,
            asked: Asked {
                paths: self.paths.iter().map(absolute).collect(),
                excludes: self.exclude,
                one_file_system: self.one_file_system,
            },
            afresh: self.restart == Restart::Fresh,
            buffer_bytes: self.buffer.bytes(),
            intervals: self.intervals.intervals(),
            set: None,
            closed: Vec::new(),
        };
        let display = Display::start(progress);
        let mut problems = Vec::new();
        let result = resume::run(&mut session, &catalog, &options, progress, &mut problems);
        drop(display);
        output::problems(&problems);
        let Resumed { done, point, note } = result?;
        session.release();
        if let Some(note) = &note {
            say!("lh-mover: {note}");
        }
        let resumed = told(point, note.as_deref());
        summary(&done, &problems, Some(resumed), self.json.json)
    }
}

/// What a set was gone on from, as JSON and in words.
fn told(point: Point, note: Option<&str>) -> (serde_json::Value, String) {
    let words = |what: &str, members, bytes| {
        format!(
            "resumed from {what}: {members} files and {} of the archive were there",
            output::bytes(bytes)
        )
    };
    match point {
        Point::Checkpoint {
            taken_ms,
            members,
            bytes,
        } => (
            json!({"from": "checkpoint", "taken_ms": taken_ms, "files": members,
                   "archive_bytes": bytes, "note": note}),
            words("a checkpoint", members, bytes),
        ),
        Point::Tape { members, bytes } => (
            json!({"from": "tape", "files": members, "archive_bytes": bytes, "note": note}),
            words("what the tape holds", members, bytes),
        ),
        Point::End { members, bytes } => (
            json!({"from": "end", "files": members, "archive_bytes": bytes, "note": note}),
            words("its end", members, bytes),
        ),
        Point::Nothing => (json!({"from": "nothing"}), "backed up afresh".into()),
    }
}
