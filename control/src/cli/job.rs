//! `lh-control job`

use std::fs::File;
use std::io::{self, Read};

use clap::{Args, Subcommand};
use longhaul_protocol::ask::{Row, Rows, Table};
use longhaul_protocol::frame::MESSAGE_BYTES_MAX;
use longhaul_protocol::job::{self, DriveChoice, Place};
use longhaul_protocol::{Ask, Command, ExitStatus, Name, RunId, Time};
use serde::Deserialize;
use serde_json::Value;

use super::console::{Console, LIST_MAX, strange};
use super::job_options::JobOptions;
use super::{Failure, pool, run};

#[derive(Debug, Subcommand)]
pub enum Job {
    /// List jobs
    List,
    /// Show a job, as a file for `job change`
    Show {
        /// The job
        job: Name,
    },
    /// Add a job: of a file, or by options
    Add(Given),
    /// Change a job: all of it by a file, or what the options say. Runs that are
    /// there already stay as they are
    Change(Given),
    /// Remove a job; its runs stay
    Remove {
        /// The job
        job: Name,
    },
    /// Run a job as soon as it can be
    Run {
        /// The job
        job: Name,
        /// Wait for its end, and end with its exit code; with 7 if it needs an
        /// operator
        #[arg(long)]
        wait: bool,
    },
    /// Stop all runs of a job: what is under way ends at a checkpoint
    Stop {
        /// The job
        job: Name,
    },
    /// Go on with the newest run of a job, if it is held, has failed, or was
    /// stopped
    Resume {
        /// The job
        job: Name,
    },
}

/// A job, in one way or the other.
#[derive(Debug, Args)]
pub struct Given {
    /// With options: the job's name. Without: a file that has the job in TOML
    /// or JSON, `-` for standard input
    #[arg(value_name = "NAME|FILE")]
    what: String,

    #[command(flatten)]
    options: Box<JobOptions>,
}

impl Job {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        match self {
            Job::List => list(console),
            Job::Show { job } => show(console, job),
            Job::Add(given) => {
                let job = given.added()?;
                refuse_if_there(console, Table::Job, &job.name)?;
                set(console, job)
            }
            Job::Change(given) => {
                let job = given.changed(console)?;
                set(console, job)
            }
            Job::Remove { job } => {
                let words = format!("job {job} is no more");
                console.order(Command::RemoveJob { job }, &words)
            }
            Job::Run { job, wait } => begin(console, job, wait),
            Job::Stop { job } => stop(console, job),
            Job::Resume { job } => resume(console, job),
        }
    }
}

/// Whether there is none of this name yet: adding changes nothing.
pub(super) fn refuse_if_there(
    console: &mut Console,
    table: Table,
    name: &Name,
) -> Result<(), Failure> {
    match there(console, table, name)? {
        Some(_) => Err(Failure::refused(format!(
            "{name} is there already: change it, or remove it first"
        ))),
        None => Ok(()),
    }
}

impl Given {
    fn added(self) -> Result<job::Job, Failure> {
        if self.options.is_empty() {
            return read(&self.what);
        }
        let name = name(&self.what)?;
        self.options.job(name)
    }

    fn changed(self, console: &mut Console) -> Result<job::Job, Failure> {
        let (name, job) = match self.options.is_empty() {
            true => {
                let job = read(&self.what)?;
                (job.name.to_string(), Some(job))
            }
            false => (self.what, None),
        };
        let row = console.row(Rows::one(Table::Job, name))?;
        match job {
            Some(job) => Ok(job),
            None => {
                let mut job = job::Job::deserialize(row.row).map_err(|_| strange())?;
                self.options.change(&mut job);
                Ok(job)
            }
        }
    }
}

/// Reads a job of a file, which may be a message long.
fn read(path: &str) -> Result<job::Job, Failure> {
    let failed = |what: String| Failure::usage(format!("{path}: {}", what.trim()));
    let input: io::Result<Box<dyn Read>> = match path {
        "-" => Ok(Box::new(io::stdin())),
        path => File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
    };
    let mut text = String::new();
    let read = input.and_then(|input| {
        let most = MESSAGE_BYTES_MAX as u64 + 1;
        input.take(most).read_to_string(&mut text)
    });
    read.map_err(|error| failed(error.to_string()))?;
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(failed(format!(
            "a job of more than {MESSAGE_BYTES_MAX} bytes"
        )));
    }
    parse(&text).map_err(failed)
}

fn parse(text: &str) -> Result<job::Job, String> {
    let job: job::Job = if text.trim_start().starts_with('{') {
        // As the job is, or as `job show --json` shows it.
        let mut value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let row = value.get_mut("row").map(Value::take);
        serde_json::from_value(row.unwrap_or(value)).map_err(|error| error.to_string())?
    } else {
        toml::from_str(text).map_err(|error| error.to_string())?
    };
    job.check().map_err(|error| error.to_string())?;
    Ok(job)
}

fn list(console: &mut Console) -> Result<ExitStatus, Failure> {
    let rows = console.rows(Rows::all(Table::Job), LIST_MAX)?;
    let headings = ["JOB", "WHERE", "DRIVE", "VOLUMES", "PATHS"];
    console.list(&rows, headings, |_, key, job: job::Job| {
        let place = match job.place {
            Place::Node(node) => format!("node {node}"),
            Place::Application(application) => format!("with {application}"),
        };
        let drive = match job.drive {
            DriveChoice::Serial(serial) => serial.to_string(),
            DriveChoice::Pool(pool) => format!("of {pool}"),
        };
        let paths = job.work.paths.join(" ");
        [key.to_owned(), place, drive, job.volumes.into(), paths]
    })
}

fn show(console: &mut Console, job: Name) -> Result<ExitStatus, Failure> {
    let row = console.row(Rows::one(Table::Job, job))?;
    if console.json {
        console.json(&row)?;
        return Ok(ExitStatus::Done);
    }
    let job = job::Job::deserialize(row.row).map_err(|_| strange())?;
    let text = toml::to_string(&job).map_err(|_| strange())?;
    console.print(|out| out.write_all(text.as_bytes()))?;
    Ok(ExitStatus::Done)
}

/// Sets a job, and says what of it is not there yet: nothing can come of it without.
fn set(console: &mut Console, job: job::Job) -> Result<ExitStatus, Failure> {
    let (volumes, place, drive) = (job.volumes.clone(), job.place.clone(), job.drive.clone());
    let words = format!("job {} is set", job.name);
    let job = Box::new(job);
    console.order(Command::SetJob { job }, &words)?;
    if pool_row(console, &volumes)?.is_none_or(|pool| pool.volumes == 0) {
        console.note(&format!(
            "no volume is in pool {volumes} yet: lh-control volume add"
        ));
    }
    if let Place::Node(node) = place
        && there(console, Table::Node, &node)?.is_none()
    {
        console.note(&format!(
            "node {node} is not known yet: lh-control node add"
        ));
    }
    match drive {
        DriveChoice::Serial(serial) if there(console, Table::Drive, &serial)?.is_none() => {
            console.note(&format!("no node has reported drive {serial} yet"));
        }
        DriveChoice::Pool(name)
            if pool_row(console, &name)?.is_none_or(|pool| pool.drives.is_empty()) =>
        {
            console.note(&format!(
                "no drive is in pool {name} yet: lh-control drive change DRIVE --pool {name}"
            ));
        }
        _ => {}
    }
    Ok(ExitStatus::Done)
}

/// The row of this name, if there is one.
fn there(console: &mut Console, table: Table, name: &Name) -> Result<Option<Row>, Failure> {
    match console.row(Rows::one(table, name)) {
        Ok(row) => Ok(Some(row)),
        Err(failure) if failure.exit == ExitStatus::Usage => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn pool_row(console: &mut Console, name: &Name) -> Result<Option<pool::Row>, Failure> {
    let row = there(console, Table::Pool, name)?;
    row.map(|row| pool::Row::deserialize(row.row).map_err(|_| strange()))
        .transpose()
}

/// A name that is text so far.
pub(super) fn name(text: &str) -> Result<Name, Failure> {
    let name = text.parse();
    name.map_err(|error: longhaul_protocol::name::NoName| Failure::usage(error.to_string()))
}

/// A run that is due now. Said again where a connection breaks, it is the same.
fn due_now(job: Name) -> RunId {
    let now = jiff::Timestamp::now().as_millisecond();
    RunId {
        job,
        due: Time(now),
    }
}

fn begin(console: &mut Console, job: Name, wait: bool) -> Result<ExitStatus, Failure> {
    let run = due_now(job);
    console.ask(&Ask::Command(Command::Run { run: run.clone() }))?;
    begun(console, run, wait)
}

/// Has something done once.
pub(super) fn begin_once(
    console: &mut Console,
    job: job::Job,
    wait: bool,
) -> Result<ExitStatus, Failure> {
    let id = due_now(job.name.clone());
    let (run, job) = (id.clone(), Box::new(job));
    console.ask(&Ask::Command(Command::Once { run, job }))?;
    begun(console, id, wait)
}

fn begun(console: &mut Console, id: RunId, wait: bool) -> Result<ExitStatus, Failure> {
    if wait {
        return run::follow(console, id);
    }
    if console.json {
        console.json(&serde_json::json!({ "run": id.to_string() }))?;
    } else {
        console.say(&format!("run {id} is due"))?;
    }
    Ok(ExitStatus::Done)
}

fn stop(console: &mut Console, job: Name) -> Result<ExitStatus, Failure> {
    let runs = run::rows(console, Some(&job), LIST_MAX)?;
    let open = runs.iter().filter(|(_, row)| row.state.is_open());
    let open: Vec<RunId> = open.map(|(id, _)| id.clone()).collect();
    if open.is_empty() {
        return Err(Failure::refused(format!("no run of job {job} is open")));
    }
    for run in &open {
        let run = run.clone();
        console.ask(&Ask::Command(Command::Stop { run }))?;
    }
    let open: Vec<String> = open.iter().map(RunId::to_string).collect();
    console.say(&format!("stopped: {}", open.join(" ")))?;
    Ok(ExitStatus::Done)
}

fn resume(console: &mut Console, job: Name) -> Result<ExitStatus, Failure> {
    use crate::core::state::RunState;
    let runs = run::rows(console, Some(&job), LIST_MAX)?;
    let newest = runs
        .iter()
        .find(|(_, row)| !matches!(row.state, RunState::Waiting | RunState::Active));
    match newest {
        Some((run, row)) if !matches!(row.state, RunState::Done(_)) => {
            run::resume(console, run.clone())
        }
        _ => Err(Failure::refused(format!(
            "the newest run of job {job} is neither held nor has it failed"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_of_toml_and_of_json() {
        let toml = "name = 'db'\nvolumes = 'daily'\nplace.node = 'n1'\ndrive.pool = 'fast'\n\
                    [work]\npaths = ['/srv']\nbefore = { command = 'sync' }";
        let json = r#" {"name": "db", "volumes": "daily", "place": {"node": "n1"},
            "drive": {"pool": "fast"},
            "work": {"paths": ["/srv"], "before": {"command": "sync", "required": true}}}"#;
        let job = parse(toml).expect("a job");
        assert_eq!(parse(json).as_ref(), Ok(&job));
        let row = format!(r#"{{"key": "db", "row": {json}}}"#);
        assert_eq!(parse(&row).as_ref(), Ok(&job));
        // And what is shown is read again.
        let shown = toml::to_string(&job).expect("TOML");
        assert_eq!(parse(&shown), Ok(job));
        for (bad, word) in [
            ("", "name"),
            ("{}", "name"),
            (&toml.replace("volumes", "volume"), "volume"),
            (&toml.replace("/srv", "srv"), "absolute"),
        ] {
            let error = parse(bad).expect_err(bad);
            assert!(error.contains(word), "{error}");
        }
    }
}
