//! `lh-mover list`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use longhaul_catalog::{Catalog, Row, SetFilter, SetRecord, SetState};
use serde_json::{Value, json};

use super::output::{self, row_json, set_labels};
use super::{CatalogArg, JsonArg};
use crate::job::adopt::{self, Choice};
use crate::job::mounts::Mounts;
use crate::job::session::{Purpose, Session};
use crate::job::{ExitStatus, JobError, convert, scan};
use crate::progress::Progress;
use crate::shown::Shown;

/// List volumes, sets, and the files in a set
///
/// Without --set: all sets of the catalog. With --set: the files in that set,
/// or those below the given paths. With --drive, what lies on the volume in the
/// drive is looked up on the tape first.
#[derive(Args)]
pub struct List {
    /// Files and directories to list, with all below them
    #[arg(value_name = "PATH", requires = "set")]
    paths: Vec<PathBuf>,

    /// The set whose files are listed: its number on the volume, or its UUID
    #[arg(long, value_name = "SET")]
    set: Option<Choice>,

    /// Only what lies on this volume
    #[arg(long, value_name = "NAME")]
    volume: Option<String>,

    /// Read the volume in this drive first
    #[arg(long, value_name = "DRIVE", conflicts_with = "volume")]
    drive: Option<String>,

    #[command(flatten)]
    catalog: CatalogArg,
    #[command(flatten)]
    pub(super) json: JsonArg,
}

impl List {
    pub(super) fn run(self, progress: &Arc<Progress>) -> Result<ExitStatus, JobError> {
        let catalog = Catalog::open(&self.catalog.dir()?)?;
        let mut failed = false;
        let volume = match (&self.drive, &self.volume) {
            (Some(drive), _) => {
                let mut session = Session::open(Mounts::drive(drive), Purpose::Read)?;
                let scanned = scan::run(&mut session, &catalog, progress)?;
                session.release();
                for failed in &scanned.failed {
                    say!("lh-mover: {failed}");
                }
                failed = !scanned.failed.is_empty();
                Some(scanned.label.uuid)
            }
            (None, Some(name)) => Some(output::volume_named(&catalog, name)?.uuid),
            (None, None) => None,
        };
        let sets = catalog.sets(&SetFilter {
            volume,
            ..SetFilter::default()
        })?;
        match self.set {
            None => self.print_sets(&catalog, &sets)?,
            Some(choice) => self.print_files(&catalog, &sets, choice)?,
        }
        Ok(if failed {
            ExitStatus::Device
        } else {
            ExitStatus::Done
        })
    }

    fn print_sets(&self, catalog: &Catalog, sets: &[SetRecord]) -> Result<(), JobError> {
        let labels = set_labels(catalog)?;
        if self.json.json {
            let sets: Vec<Value> = sets.iter().map(|set| set_json(set, &labels(set))).collect();
            return output::json(&sets);
        }
        let mut rows = vec![
            [
                "VOLUME",
                "SET",
                "STARTED (UTC)",
                "FILES",
                "SIZE",
                "STATE",
                "HOST",
                "PATHS",
            ]
            .map(String::from)
            .to_vec(),
        ];
        rows.extend(sets.iter().map(|set| {
            let paths: Vec<String> = set
                .paths
                .iter()
                .map(|path| Shown(path).to_string())
                .collect();
            vec![
                labels(set),
                adopt::number(set).to_string(),
                output::time(i128::from(set.started_ms) * 1_000_000),
                set.members.to_string(),
                output::bytes(set.bytes),
                state(set.state).into(),
                set.host.clone(),
                paths.join(" "),
            ]
        }));
        output::print(|out| output::table(out, &rows))
    }

    fn print_files(
        &self,
        catalog: &Catalog,
        sets: &[SetRecord],
        choice: Choice,
    ) -> Result<(), JobError> {
        let mut chosen = sets.iter().filter(|set| match choice {
            Choice::Newest => true,
            Choice::Number(number) => adopt::number(set) == number,
            Choice::Uuid(uuid) => set.uuid == uuid,
        });
        let set = match (chosen.next(), chosen.next()) {
            (Some(set), None) => set,
            (None, _) => return Err(JobError::Usage("the catalog has no such set".into())),
            (Some(_), Some(_)) => {
                let what = "several volumes have a set of that number: name one with --volume";
                return Err(JobError::Usage(what.into()));
            }
        };
        let file = catalog.set_file(set.uuid)?;
        let paths: Result<Vec<_>, _> = self
            .paths
            .iter()
            .map(|path| convert::member_path(path))
            .collect();
        let mut paths = paths?;
        if paths.is_empty() {
            paths.push(Vec::new());
        }
        let mut failed = None;
        output::print(|out| {
            for path in &paths {
                for row in file.subtree(path) {
                    match row {
                        Ok(row) if self.json.json => writeln!(out, "{}", row_json(&row))?,
                        Ok(row) => writeln!(out, "{}", line(&row))?,
                        Err(error) => failed = Some(error),
                    }
                }
            }
            Ok(())
        })?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

fn state(state: SetState) -> &'static str {
    match state {
        SetState::Finished => "finished",
        SetState::Partial => "partial",
        SetState::Unfinished => "unfinished",
    }
}

fn set_json(set: &SetRecord, volume: &str) -> Value {
    let paths: Vec<String> = set
        .paths
        .iter()
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect();
    json!({
        "set": set.uuid,
        "number": adopt::number(set),
        "volume": volume,
        "started_ms": set.started_ms,
        "ended_ms": set.ended_ms,
        "files": set.members,
        "bytes": set.bytes,
        "damaged": set.errors,
        "state": state(set.state),
        "host": set.host,
        "paths": paths,
    })
}

/// A file, as `ls -l` would show it.
fn line(row: &Row) -> String {
    let link = if row.link.is_empty() {
        String::new()
    } else {
        format!(" -> {}", Shown(&row.link))
    };
    format!(
        "{}{} {:>6} {:>6} {:>10}  {}  /{}{link}",
        output::type_letter(row),
        output::mode(row.mode),
        row.uid,
        row.gid,
        row.size,
        output::time(row.mtime_ns),
        Shown(&row.path)
    )
}
