//! `lh-mover restore`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};
use longhaul_catalog::Catalog;
use serde_json::json;

use super::display::Display;
use super::{CatalogArg, DriveArg, JsonArg, output};
use crate::job::adopt::{self, Choice};
use crate::job::session::Purpose;
use crate::job::{ExitStatus, JobError, restore};
use crate::progress::Progress;
use crate::restore::Overwrite;

/// Restore files from a set
///
/// Goes straight to the blocks in which the files lie. Without PATH, restores
/// the whole set; without --to, to the original place.
#[derive(Args)]
pub struct Restore {
    #[command(flatten)]
    drive: DriveArg,

    /// Files, and directories with all below them, as they were backed up
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// The set: its number on the volume, or its UUID [default: the newest]
    #[arg(long, value_name = "SET")]
    set: Option<Choice>,

    /// Directory to restore below; it stands for `/`
    #[arg(long, value_name = "DIR", default_value = "/")]
    to: PathBuf,

    /// What to do with files that exist
    #[arg(long, value_enum, default_value_t = OverwriteArg::Never)]
    overwrite: OverwriteArg,

    #[command(flatten)]
    catalog: CatalogArg,
    #[command(flatten)]
    pub(super) json: JsonArg,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OverwriteArg {
    /// Leave them as they are
    Never,
    /// Replace those that are older than the ones in the set
    Older,
    /// Replace them all
    Always,
}

impl From<OverwriteArg> for Overwrite {
    fn from(arg: OverwriteArg) -> Overwrite {
        match arg {
            OverwriteArg::Never => Overwrite::Never,
            OverwriteArg::Older => Overwrite::Older,
            OverwriteArg::Always => Overwrite::Always,
        }
    }
}

impl Restore {
    pub(super) fn run(self, progress: &Arc<Progress>) -> Result<ExitStatus, JobError> {
        let begun = Instant::now();
        let catalog = Catalog::open(&self.catalog.dir()?)?;
        let mut session = self.drive.session(&self.catalog, Purpose::Read)?;
        let choice = self.set.unwrap_or(Choice::Newest);
        let chosen = adopt::choose(&mut session, &catalog, choice, progress)?;
        let options = restore::Options {
            paths: self.paths,
            to: self.to,
            overwrite: self.overwrite.into(),
        };
        if options.paths.is_empty() {
            progress.expect(chosen.record.bytes);
        }
        let display = Display::start(progress);
        let mut problems = Vec::new();
        let result = restore::run(&mut session, &chosen, &options, progress, &mut problems);
        drop(display);
        output::problems(&problems);
        let restored = result?;
        session.release();
        let elapsed = begun.elapsed();
        if self.json.json {
            output::json(&json!({
                "set": chosen.record.uuid,
                "number": chosen.number,
                "volume": chosen.label.name,
                "files": restored.members,
                "bytes": restored.bytes,
                "skipped": restored.skipped,
                "owners_left": restored.owners_left,
                "elapsed_s": elapsed.as_secs_f64(),
                "errors": output::problems_json(&problems),
            }))?;
        } else {
            output::print(|out| {
                writeln!(
                    out,
                    "restored {} files, {} in {} ({}) from set {} on volume {}",
                    restored.members,
                    output::bytes(restored.bytes),
                    output::duration(elapsed),
                    output::rate(restored.bytes, elapsed),
                    chosen.number,
                    chosen.label.name
                )?;
                if restored.skipped > 0 {
                    let skipped = restored.skipped;
                    writeln!(out, "  {skipped} left as they are (see --overwrite)")?;
                }
                if restored.owners_left > 0 {
                    let left = restored.owners_left;
                    writeln!(
                        out,
                        "  {left} now belong to you: only root can restore owners"
                    )?;
                }
                writeln!(out, "  {} errors", problems.len())
            })?;
        }
        let complete = problems.is_empty();
        Ok(if complete {
            ExitStatus::Done
        } else {
            ExitStatus::Incomplete
        })
    }
}
