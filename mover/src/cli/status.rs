//! `lh-mover status`

use clap::Args;

use super::{CatalogArg, DriveArg, JsonArg, output};
use crate::job::session::Purpose;
use crate::job::status::{self, Status as Report};
use crate::job::{ExitStatus, JobError};

/// Show the drive and the volume in it
#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    drive: DriveArg,
    #[command(flatten)]
    catalog: CatalogArg,
    #[command(flatten)]
    pub(super) json: JsonArg,
}

impl Status {
    pub(super) fn run(self) -> Result<ExitStatus, JobError> {
        let mut session = self.drive.session(&self.catalog, Purpose::Read)?;
        let report = status::run(&mut session)?;
        session.release();
        if self.json.json {
            output::json(&report)?;
        } else {
            output::print(|out| output::table(out, &rows(&report)))?;
        }
        Ok(ExitStatus::Done)
    }
}

fn rows(report: &Report) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    row("drive", report.drive.clone());
    row(
        "model",
        format!("{} {} {}", report.vendor, report.product, report.revision),
    );
    if let Some(density) = &report.density {
        row("format", density.clone());
    }
    if let Some(serial) = &report.cartridge_serial {
        row("cartridge", serial.clone());
    }
    if let Some(barcode) = &report.barcode {
        row("barcode", barcode.clone());
    }
    if report.write_protected {
        row("write-protected", "yes".into());
    }
    if let (Some(remaining), Some(capacity)) = (report.remaining_bytes, report.capacity_bytes) {
        let (remaining, capacity) = (output::bytes(remaining), output::bytes(capacity));
        row("capacity", format!("{remaining} of {capacity} left"));
    }
    if !report.tape_alerts.is_empty() {
        row("TapeAlert", report.tape_alerts.join(", "));
    }
    match (report.volume_is, &report.volume) {
        ("ours", Some(name)) => {
            let uuid = report
                .uuid
                .map(|uuid| format!(" ({uuid})"))
                .unwrap_or_default();
            row("volume", format!("{name}{uuid}"));
            row("sets", report.sets.unwrap_or(0).to_string());
            if let Some(number) = report.unfinished_set {
                row(
                    "unfinished",
                    format!("set {number}; end it with `lh-mover close`"),
                );
            }
            if report.full == Some(true) {
                row("full", "yes; take another volume for the next set".into());
            }
        }
        ("foreign", Some(what)) => row("volume", format!("not Longhaul's: {what}")),
        _ => row("volume", "blank; label it with `lh-mover label`".into()),
    }
    rows
}
