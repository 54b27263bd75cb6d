//! `lh-mover close`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use longhaul_catalog::Catalog;
use serde_json::json;

use super::display::Display;
use super::{CatalogArg, DriveArg, JsonArg, output};
use crate::job::close::{self, Closed};
use crate::job::session::Purpose;
use crate::job::{ExitStatus, JobError};
use crate::progress::Progress;

/// End the unfinished set at the end of the volume
///
/// Keeps all whole files of a backup that did not come to its end, and writes
/// the archive's end and an index that is marked partial. The volume can then
/// be appended to again.
#[derive(Args)]
pub struct Close {
    #[command(flatten)]
    drive: DriveArg,

    /// The set's journal, if it lies on several volumes and the journal was
    /// brought from another node [default: the one in the catalog's folder]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// Where the set is damaged, keep only what lies before the damage; what
    /// lies behind it is overwritten
    #[arg(long)]
    give_up_behind_damage: bool,

    #[command(flatten)]
    catalog: CatalogArg,
    #[command(flatten)]
    pub(super) json: JsonArg,
}

impl Close {
    pub(super) fn run(self, progress: &Arc<Progress>) -> Result<ExitStatus, JobError> {
        let catalog = Catalog::open(&self.catalog.dir()?)?;
        let mut session = self.drive.session(&self.catalog, Purpose::Write)?;
        let options = close::Options {
            journal: self.journal,
            give_up_behind_damage: self.give_up_behind_damage,
        };
        let display = Display::start(progress);
        let mut problems = Vec::new();
        let result = close::run(&mut session, &catalog, &options, progress, &mut problems);
        drop(display);
        output::problems(&problems);
        let Closed {
            done: closed,
            whole,
        } = result?;
        session.release();
        if let Some(why) = &closed.not_in_catalog {
            say!("lh-mover: closed, but not in the catalog: {why}; use `lh-mover scan`");
        }
        if self.json.json {
            output::json(&json!({
                "set": closed.set,
                "number": closed.number,
                "volume": closed.volume,
                "volumes": closed.volumes,
                "partial": !whole,
                "files": closed.totals.members,
                "bytes": closed.totals.bytes,
                "elapsed_s": closed.elapsed.as_secs_f64(),
                "in_catalog": closed.not_in_catalog.is_none(),
            }))?;
        } else {
            output::print(|out| {
                writeln!(
                    out,
                    "closed set {} on volume {} ({}): {} files, {}{}",
                    closed.number,
                    closed.volume,
                    closed.set,
                    closed.totals.members,
                    output::bytes(closed.totals.bytes),
                    if whole {
                        ""
                    } else {
                        "; partial: the backup did not come to its end"
                    }
                )
            })?;
        }
        let known = closed.not_in_catalog.is_none();
        Ok(if known {
            ExitStatus::Done
        } else {
            ExitStatus::Incomplete
        })
    }
}
