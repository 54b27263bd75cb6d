//! `lh-mover checkpoints`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{CatalogArg, JsonArg, output};
use crate::checkpoint::recovered::Recovered;
use crate::checkpoint::{Place, journal};
use crate::job::{ExitStatus, JobError};
use crate::shown::Shown;

/// Show the checkpoints of sets that are not finished
///
/// Reads the journals in the catalog's folder, or the one that is named; a
/// backup may be running meanwhile. A journal is one file: to resume on another
/// node, copy it there.
#[derive(Args)]
pub struct Checkpoints {
    /// Only this journal
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    #[command(flatten)]
    catalog: CatalogArg,
    #[command(flatten)]
    pub(super) json: JsonArg,
}

impl Checkpoints {
    pub(super) fn run(self) -> Result<ExitStatus, JobError> {
        let mut paths = match self.journal {
            Some(path) => vec![path],
            None => journal::all(&self.catalog.dir()?).collect(),
        };
        paths.sort();
        let mut status = ExitStatus::Done;
        for path in paths {
            match Recovered::look(&path) {
                Ok(recovered) if self.json.json => output::json(&document(&recovered))?,
                Ok(recovered) => print(&recovered)?,
                Err(error) => {
                    say!("lh-mover: {error}");
                    status = ExitStatus::Incomplete;
                }
            }
        }
        Ok(status)
    }
}

fn document(recovered: &Recovered) -> serde_json::Value {
    json!({
        "journal": recovered.path(),
        "head": recovered.head,
        "volumes": recovered.volumes,
        "entries": recovered.entries,
        "checkpoints": recovered.checkpoints,
    })
}

fn print(recovered: &Recovered) -> Result<(), JobError> {
    let head = &recovered.head;
    output::print(|out| {
        writeln!(out, "{}", recovered.path().display())?;
        let first = &recovered.volumes[0];
        writeln!(
            out,
            "  set {} on volume {} ({}), begun {} on {}",
            head.sequence,
            first.name,
            head.set,
            output::time(i128::from(head.started) * 1_000_000_000),
            head.host
        )?;
        let paths = head.asked.paths.iter();
        let paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
        writeln!(out, "  of {}", paths.join(" "))?;
        if recovered.checkpoints.is_empty() {
            writeln!(out, "  no checkpoint")?;
        }
        for checkpoint in &recovered.checkpoints {
            let cursor = &checkpoint.cursor;
            let volume = recovered
                .volumes
                .iter()
                .find(|volume| volume.sequence == checkpoint.volume)
                .map_or_else(String::new, |volume| volume.name.to_string());
            let (path, _) = cursor.place.path();
            let place = match cursor.place {
                Place::Inside(_) => "in",
                Place::At(_) => "before",
                Place::Behind(_) => "behind",
            };
            writeln!(
                out,
                "  {}  volume {volume} block {}: {} files, {}; {place} {}",
                output::time(i128::from(checkpoint.taken_ms) * 1_000_000),
                checkpoint.block,
                cursor.entries,
                output::bytes(cursor.offset),
                Shown(path)
            )?;
        }
        Ok(())
    })
}
