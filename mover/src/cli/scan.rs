//! `lh-mover scan`

use std::sync::Arc;

use clap::Args;
use longhaul_catalog::Catalog;
use serde_json::json;

use super::display::Display;
use super::{CatalogArg, DriveArg, JsonArg, output};
use crate::job::session::Purpose;
use crate::job::{ExitStatus, JobError, adopt, scan};
use crate::progress::Progress;

/// Rebuild the catalog from the volume in the drive
///
/// Reads the index of every set. A set without an index is read as a whole.
#[derive(Args)]
pub struct Scan {
    #[command(flatten)]
    drive: DriveArg,
    #[command(flatten)]
    catalog: CatalogArg,
    #[command(flatten)]
    pub(super) json: JsonArg,
}

impl Scan {
    pub(super) fn run(self, progress: &Arc<Progress>) -> Result<ExitStatus, JobError> {
        let catalog = Catalog::open(&self.catalog.dir()?)?;
        let mut session = self.drive.session(&self.catalog, Purpose::Read)?;
        let display = Display::start(progress);
        let result = scan::run(&mut session, &catalog, progress);
        drop(display);
        let scanned = result?;
        session.release();
        for failed in &scanned.failed {
            say!("lh-mover: {failed}");
        }
        if self.json.json {
            let sets = scanned.sets.iter().map(|set| {
                json!({
                    "set": set.uuid,
                    "number": adopt::number(set),
                    "files": set.members,
                    "bytes": set.bytes,
                    "state": set.state.name(),
                })
            });
            output::json(&json!({
                "volume": scanned.label.name,
                "uuid": scanned.label.uuid,
                "sets": sets.collect::<Vec<_>>(),
                "errors": scanned.failed,
            }))?;
        } else {
            output::print(|out| {
                writeln!(
                    out,
                    "volume {} ({}): {} sets are in the catalog",
                    scanned.label.name,
                    scanned.label.uuid,
                    scanned.sets.len()
                )?;
                for set in &scanned.sets {
                    writeln!(
                        out,
                        "  set {}: {} files, {}, {}",
                        adopt::number(set),
                        set.members,
                        output::bytes(set.bytes),
                        set.state.name()
                    )?;
                }
                Ok(())
            })?;
        }
        let complete = scanned.failed.is_empty();
        Ok(if complete {
            ExitStatus::Done
        } else {
            ExitStatus::Device
        })
    }
}
