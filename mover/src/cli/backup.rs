//! `lh-mover backup`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use longhaul_catalog::Catalog;
use serde_json::json;

use super::display::Display;
use super::{BufferArg, CatalogArg, DriveArg, IntervalArgs, JsonArg, output};
use crate::job::session::{Purpose, Session};
use crate::job::writing::Done;
use crate::job::{ExitStatus, JobError, adopt, backup, label};
use crate::progress::Progress;
use crate::source::{self, Problem, Roots};
use crate::transport;

/// Back directories up to the volume in the drive
///
/// Appends one set to the volume. The volume must have been labelled (see
/// `lh-mover label`), and its last set must be finished. An emulated cartridge
/// that does not exist is created and labelled first.
#[derive(Args)]
pub struct Backup {
    #[command(flatten)]
    drive: DriveArg,

    /// Files and directories to back up
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Leave out what matches: a name at any depth (`*.o`), or, with a `/` in
    /// it, a path from the root (`/home/*/.cache`); may be given more than once
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,

    /// Do not go into other file systems than those of the given paths
    #[arg(long)]
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

impl Backup {
    pub(super) fn run(self, progress: &Arc<Progress>) -> Result<ExitStatus, JobError> {
        let walk =
            source::Options::new(&self.exclude, self.one_file_system).map_err(JobError::Usage)?;
        let roots = Roots::find(&self.paths).map_err(|error| JobError::Usage(error.to_string()))?;
        let catalog = Catalog::open(&self.catalog.dir()?)?;
        let mounts = self.drive.mounts(&self.catalog)?;
        for drive in &mounts.drives {
            create_missing_cartridge(drive, &catalog)?;
        }
        let mut session = Session::open(mounts, Purpose::Write)?;
        let options = backup::Options {
            paths: self.paths.iter().map(absolute).collect(),
            walk,
            buffer_bytes: self.buffer.bytes(),
            intervals: self.intervals.intervals(),
            set: None,
        };
        let display = Display::start(progress);
        estimate(&options, progress);
        let mut problems = Vec::new();
        let result = backup::run(
            &mut session,
            &catalog,
            roots,
            &options,
            progress,
            &mut problems,
        );
        drop(display);
        output::problems(&problems);
        let done = result?;
        session.release();
        summary(&done, &problems, None, self.json.json)
    }
}

/// An emulated cartridge that is not there is made, and labelled. One that is
/// there, blank or not, is left to `label`.
fn create_missing_cartridge(drive: &str, catalog: &Catalog) -> Result<(), JobError> {
    if !transport::create_if_missing(drive)? {
        return Ok(());
    }
    let options = label::Options {
        name: None,
        uuid: None,
        barcode: None,
        record_bytes: longhaul_format::archive::RECORD_BYTES,
        overwrite: None,
    };
    let labelled = label::in_drive(drive, &options)?;
    adopt::labelled(catalog, &labelled)?;
    say!(
        "{drive}: no such cartridge: created a blank one and labelled it as volume {}",
        labelled.volume
    );
    Ok(())
}

/// A path as it means something on another day, from another folder.
pub(super) fn absolute(path: &PathBuf) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.clone())
}

/// For the bar's estimated end, on a terminal: how much there is.
fn estimate(options: &backup::Options, progress: &Arc<Progress>) {
    if !Display::wants_estimate() {
        return;
    }
    let (paths, walk, progress) = (
        options.paths.clone(),
        options.walk.clone(),
        Arc::downgrade(progress),
    );
    // If there is no thread for it, there is no estimate.
    let _ = std::thread::Builder::new()
        .name("lh-estimate".into())
        .spawn(move || {
            if let Ok(roots) = Roots::find(&paths) {
                source::estimate(&roots, &walk, &progress);
            }
        });
}

/// Prints what became of a set; `resumed` says what it was gone on from.
pub(super) fn summary(
    done: &Done,
    problems: &[Problem],
    resumed: Option<(serde_json::Value, String)>,
    as_json: bool,
) -> Result<ExitStatus, JobError> {
    if let Some(why) = &done.not_in_catalog {
        say!(
            "lh-mover: the set is complete on the tape, but not in the catalog: {why}; \
             take it in with `lh-mover scan`"
        );
    }
    if as_json {
        let mut document = json!({
            "set": done.set,
            "number": done.number,
            "volume": done.volume,
            "volumes": done.volumes,
            "files": done.totals.members,
            "bytes": done.totals.bytes,
            "tape_bytes": done.tape_bytes,
            "first_block": done.first_block,
            "position": done.end_block,
            "elapsed_s": done.elapsed.as_secs_f64(),
            "damaged": done.totals.damaged,
            "errors": output::problems_json(problems),
            "in_catalog": done.not_in_catalog.is_none(),
        });
        if let Some((resumed, _)) = resumed {
            document["resumed"] = resumed;
        }
        output::json(&document)?;
    } else {
        output::print(|out| {
            writeln!(
                out,
                "set {} on volume {} ({})",
                done.number, done.volume, done.set
            )?;
            if let Some((_, words)) = &resumed {
                writeln!(out, "  {words}")?;
            }
            writeln!(
                out,
                "  {} files, {} in {} ({})",
                done.totals.members,
                output::bytes(done.totals.bytes),
                output::duration(done.elapsed),
                output::rate(done.totals.bytes, done.elapsed)
            )?;
            writeln!(
                out,
                "  {} on {}, blocks {} to {}; the tape stands at block {}",
                output::bytes(done.tape_bytes),
                match &done.volumes[..] {
                    [] | [_] => "tape".into(),
                    volumes => format!("volumes {}; on the last", volumes.join(", ")),
                },
                done.first_block,
                done.end_block.saturating_sub(1),
                done.end_block
            )?;
            writeln!(out, "  {} errors", problems.len())
        })?;
    }
    let complete = problems.is_empty() && done.not_in_catalog.is_none();
    Ok(if complete {
        ExitStatus::Done
    } else {
        ExitStatus::Incomplete
    })
}
