//! `lh-mover drives`

use clap::Args;

use super::{JsonArg, output};
use crate::job::drives::{self, Holder, Path, Report};
use crate::job::{ExitStatus, JobError};
use crate::transport::Sysfs;

/// List the tape drives and changers that this host can reach
///
/// A device that is in use is shown, and asked nothing.
#[derive(Args)]
pub struct Drives {
    #[command(flatten)]
    pub(super) json: JsonArg,
}

impl Drives {
    pub(super) fn run(self) -> Result<ExitStatus, JobError> {
        let reports = drives::run(&Sysfs::default());
        if self.json.json {
            output::json(&reports)?;
        } else if reports.is_empty() {
            say!("lh-mover: no tape drive or changer is attached to this host");
        } else {
            let mut rows = vec![HEADINGS.map(str::to_owned).to_vec()];
            rows.extend(reports.iter().flat_map(rows_of));
            output::print(|out| output::table(out, &rows))?;
        }
        Ok(ExitStatus::Done)
    }
}

const HEADINGS: [&str; 6] = ["SERIAL", "TYPE", "MODEL", "STATE", "NODES", "TRANSPORT"];

/// A row for each path; what is the device's own stands in the first.
fn rows_of(report: &Report) -> Vec<Vec<String>> {
    let row = |(number, path): (usize, &Path)| {
        let of_device = if number == 0 {
            [
                report.serial.clone(),
                report.kind.to_owned(),
                format!("{} {} {}", report.vendor, report.product, report.revision),
                state(report),
            ]
        } else {
            Default::default()
        };
        let mut row = of_device.to_vec();
        row.push(nodes(path));
        row.push(transport(path));
        row
    };
    report.paths.iter().enumerate().map(row).collect()
}

/// What is going on with the device, in the order of what matters.
fn state(report: &Report) -> String {
    if let Some(process) = &report.in_use {
        return format!("in use by {process}");
    }
    if let Some(holder) = &report.reservation {
        return reserved(holder);
    }
    if let Some(problem) = &report.problem {
        return problem.clone();
    }
    match &report.volume {
        Some(volume) => format!("volume {volume}"),
        None => "free".to_owned(),
    }
}

fn reserved(holder: &Holder) -> String {
    let whose = if holder.is_longhaul {
        "a Longhaul mover"
    } else {
        "another program"
    };
    let port = holder
        .initiator
        .as_ref()
        .map(|initiator| format!(" at {initiator}"))
        .unwrap_or_default();
    format!("reserved by {whose}{port} (key {}h)", holder.key)
}

fn nodes(path: &Path) -> String {
    let nodes = [&path.nst, &path.sg, &path.sch, &path.bsg];
    let names: Vec<String> = nodes
        .into_iter()
        .flatten()
        .map(|node| node.display().to_string())
        .collect();
    if names.is_empty() {
        return path.address.clone();
    }
    names.join(" ")
}

fn transport(path: &Path) -> String {
    let words = path.transport.to_string();
    match path.state.as_str() {
        "running" => words,
        state => format!("{words} ({state})"),
    }
}
