//! `lh-mover verify`

use std::sync::Arc;

use clap::Args;
use longhaul_catalog::Catalog;
use serde_json::json;

use super::display::Display;
use super::{CatalogArg, DriveArg, JsonArg, output};
use crate::job::adopt::{self, Choice};
use crate::job::session::Purpose;
use crate::job::{ExitStatus, JobError, verify};
use crate::progress::Progress;

/// Read a set back and compare every digest
#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    drive: DriveArg,

    /// The set: its number on the volume, or its UUID [default: the newest]
    #[arg(long, value_name = "SET")]
    set: Option<Choice>,

    #[command(flatten)]
    catalog: CatalogArg,
    #[command(flatten)]
    pub(super) json: JsonArg,
}

impl Verify {
    pub(super) fn run(self, progress: &Arc<Progress>) -> Result<ExitStatus, JobError> {
        let catalog = Catalog::open(&self.catalog.dir()?)?;
        let mut session = self.drive.session(&self.catalog, Purpose::Read)?;
        let choice = self.set.unwrap_or(Choice::Newest);
        let chosen = adopt::choose(&mut session, &catalog, choice, progress)?;
        progress.expect(chosen.record.bytes);
        let display = Display::start(progress);
        let result = verify::run(&mut session, &chosen, progress);
        drop(display);
        let verified = result?;
        session.release();
        output::problems(&verified.problems);
        output::problems(&verified.damaged);
        if self.json.json {
            output::json(&json!({
                "set": chosen.record.uuid,
                "number": chosen.number,
                "volume": chosen.label.name,
                "files": verified.members,
                "bytes": verified.bytes,
                "without_digest": verified.without_digest,
                "records_confirmed": verified.confirmed,
                "errors": output::problems_json(&verified.problems),
                "damaged": output::problems_json(&verified.damaged),
            }))?;
        } else {
            output::print(|out| {
                writeln!(
                    out,
                    "set {} on volume {}: {} files, {} are as the index says; {} errors, {} were damaged before",
                    chosen.number,
                    chosen.label.name,
                    verified.members,
                    output::bytes(verified.bytes),
                    verified.problems.len(),
                    verified.damaged.len()
                )?;
                match verified.confirmed {
                    Some(records) => writeln!(
                        out,
                        "{records} records are what the drive's own checksums say"
                    ),
                    None => writeln!(out, "the drive gives no checksums of its own"),
                }
            })?;
        }
        // What cannot be read back is the medium's fault; what was damaged
        // before is not.
        Ok(match (&verified.problems[..], &verified.damaged[..]) {
            ([], []) => ExitStatus::Done,
            ([], _) => ExitStatus::Incomplete,
            _ => ExitStatus::Device,
        })
    }
}
