//! `lh-control find`, `lh-control set`

use clap::{Args, Subcommand};
use longhaul_protocol::ask::{self, Row};
use longhaul_protocol::{Ask, ExitStatus, Name, Time};
use longhaul_words::bytes;
use serde::Deserialize;
use uuid::Uuid;

use super::Failure;
use super::console::{Console, LIST_MAX};

#[derive(Debug, Args)]
pub struct Find {
    /// Name, path or pattern
    pattern: String,

    /// Only in this set
    #[arg(long, value_name = "UUID")]
    set: Option<Uuid>,

    #[command(flatten)]
    sets: Sets,

    /// At most so many files
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(LIST_MAX)))]
    most: u32,
}

#[derive(Debug, Subcommand)]
pub enum Set {
    /// List sets, the newest first
    List(Sets),
    /// Show a set
    Show {
        /// The set
        set: Uuid,
    },
}

/// Which sets.
#[derive(Debug, Default, Args)]
pub struct Sets {
    /// Only sets of this job, as far as its runs are remembered
    #[arg(long, value_name = "JOB")]
    job: Option<Name>,

    /// Only sets of this host's files
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// Only so many of these sets, the newest
    #[arg(long, value_name = "N")]
    newest: Option<u32>,
}

/// A set's row.
#[derive(Debug, Deserialize)]
pub(super) struct SetRow {
    pub started: Time,
    pub host: String,
    pub paths: Vec<String>,
    pub volumes: Vec<VolumeOf>,
    pub bytes: u64,
    pub state: String,
}

/// A volume that a set lies on.
#[derive(Debug, Deserialize)]
pub(super) struct VolumeOf {
    pub name: Option<String>,
    pub uuid: Uuid,
}

/// A path's row.
#[derive(Deserialize)]
struct PathRow {
    set: Uuid,
    started: Time,
    path: String,
    size: u64,
}

/// The row of a set that could not be searched.
#[derive(Deserialize)]
struct NotSearched {
    set: Uuid,
    error: String,
}

impl Sets {
    fn query(self) -> ask::Find {
        ask::Find {
            job: self.job,
            host: self.host,
            newest: self.newest,
            ..ask::Find::default()
        }
    }
}

/// What is found, up to so much; whether there is more.
fn found(console: &mut Console, query: &ask::Find, most: u32) -> Result<(Vec<Row>, bool), Failure> {
    console.pages(most, |after, most| {
        Ask::Find(ask::Find {
            after,
            most,
            ..query.clone()
        })
    })
}

/// The newest set that is meant.
pub(super) fn newest(
    console: &mut Console,
    set: Option<Uuid>,
    job: Option<Name>,
) -> Result<(Uuid, SetRow), Failure> {
    let query = ask::Find {
        set,
        job: job.filter(|_| set.is_none()),
        newest: Some(1),
        ..ask::Find::default()
    };
    let (rows, _) = found(console, &query, 1)?;
    let row = rows.into_iter().next();
    let read =
        row.and_then(|row| Some((row.key.parse().ok()?, SetRow::deserialize(row.row).ok()?)));
    read.ok_or_else(|| {
        Failure::usage("the coordinator's catalog has no such set: lh-control set list")
    })
}

impl Find {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        let query = ask::Find {
            pattern: Some(self.pattern),
            set: self.set,
            ..self.sets.query()
        };
        let (rows, is_cut) = found(console, &query, self.most)?;
        let is_path = |row: &Row| PathRow::deserialize(&row.row).is_ok();
        let is_whole = !rows.is_empty() && rows.iter().all(is_path);
        for row in &rows {
            if let Ok(NotSearched { set, error }) = NotSearched::deserialize(&row.row) {
                console.note(&format!("set {set} was not searched: {error}"));
            }
        }
        if console.json {
            console.json(&rows)?;
        } else {
            let paths = rows
                .iter()
                .filter_map(|row| PathRow::deserialize(&row.row).ok());
            for PathRow {
                set,
                started,
                path,
                size,
            } in paths
            {
                let (started, size) = (console.time(started), bytes(size));
                console.say(&format!("{set}  {started}  {size:>9}  {path}"))?;
            }
        }
        if is_cut {
            console.note(&format!("there is more: --most {}", self.most));
        }
        Ok(match is_whole {
            true => ExitStatus::Done,
            false => ExitStatus::Incomplete,
        })
    }
}

impl Set {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        match self {
            Set::List(sets) => {
                let (rows, _) = found(console, &sets.query(), LIST_MAX)?;
                let headings = ["SET", "STARTED", "HOST", "SIZE", "VOLUMES", "PATHS"];
                console.list(&rows, headings, |console, key, row: SetRow| {
                    let volumes: Vec<String> = row.volumes.iter().map(VolumeOf::shown).collect();
                    [
                        key.to_owned(),
                        console.time(row.started),
                        row.host,
                        bytes(row.bytes),
                        volumes.join(" "),
                        row.paths.join(" "),
                    ]
                })
            }
            Set::Show { set } => {
                let query = ask::Find {
                    set: Some(set),
                    ..ask::Find::default()
                };
                let (rows, _) = found(console, &query, 1)?;
                let row = rows.first();
                let row = row.ok_or_else(|| Failure::usage(format!("there is no set {set}")))?;
                console.show(row)
            }
        }
    }
}

impl VolumeOf {
    fn shown(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uuid.to_string())
    }
}
