//! The command line for operators: what they say to the coordinator, and how
//! they see what it answers.
//!
//! A command is turned into [`Ask`](longhaul_protocol::Ask)s, and prints words and tables for people,
//! or with `--json` the answers as they are, for scripts. It knows nothing that
//! the coordinator does not tell: a run, a drive, a volume stands as the answer
//! says. What goes wrong is one line on standard error, and an exit code of the
//! table of all programs.
//!
//! | file | noun |
//! | --- | --- |
//! | `target` | where the coordinator is |
//! | `link` | the connection to it |
//! | `console` | asking, and printing what comes |
//! | `node`, `drive`, `volume`, `pool`, `job`, `schedule`, `run`, `events` | their commands |
//! | `job_options` | a job as it is given |
//! | `find`, `restore` | what is on the volumes, and how it comes back |
//! | `status` | how things stand |

mod console;
mod drive;
mod events;
mod failover;
mod find;
mod job;
mod job_options;
pub mod link;
mod node;
mod pool;
mod restore;
mod run;
mod schedule;
mod status;
pub(crate) mod target;
#[cfg(test)]
mod tests;
mod volume;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use longhaul_protocol::ask::one_line;
use longhaul_protocol::{ExitStatus, Name};

use console::Console;
use link::Link;
pub use target::Target;

/// Where all is that was not said to be elsewhere.
const DIR: &str = "/var/lib/longhaul";

/// What every command of an operator takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// The coordinator's address [default: the one in DIR/operator.toml, else
    /// 127.0.0.1:7417]
    #[arg(long, global = true, value_name = "HOST:PORT")]
    coordinator: Option<String>,

    /// Folder with an operator's certificate [default: the one in
    /// DIR/operator.toml, else DIR/operator]
    #[arg(long, global = true, value_name = "DIR")]
    tls: Option<PathBuf>,

    /// Folder of the configuration [default: $LONGHAUL_DIR, else
    /// /var/lib/longhaul]
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Seconds for which a coordinator that cannot be reached is tried again (0
    /// to 3600): it may be moving
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(0..=3600))]
    patience: u64,

    /// Print the answer as JSON, for scripts; `{"error", "exit"}` if it fails
    #[arg(long, global = true)]
    json: bool,
}

/// What operators do.
#[derive(Debug, Subcommand)]
pub enum Operator {
    /// How things stand: nodes, drives, and what runs, waits or has failed
    Status(status::Watch),
    /// Nodes, on which backup services run
    #[command(subcommand)]
    Node(node::Node),
    /// Tape drives
    #[command(subcommand)]
    Drive(drive::Drive),
    /// Volumes
    #[command(subcommand)]
    Volume(volume::Volume),
    /// Pools of volumes and drives
    ///
    /// A pool is there as long as something is in it (`volume add --pool`, `drive
    /// change --pool`), or a job wants something of it.
    #[command(subcommand)]
    Pool(pool::Pool),
    /// Jobs: what is backed up, where to, and how
    #[command(subcommand)]
    Job(job::Job),
    /// Schedules: when jobs are due
    #[command(subcommand)]
    Schedule(schedule::Schedule),
    /// Runs of jobs
    #[command(subcommand)]
    Run(run::Run),
    /// Find files in the sets of the coordinator's catalog
    ///
    /// A pattern without a `/` is matched against names at any depth; one with a
    /// `/` against whole paths. `*` and `?` stop at a `/`, `**` does not. Ends with
    /// 1 if nothing is found, or a set could not be searched.
    Find(find::Find),
    /// Sets: what is on the volumes
    #[command(subcommand)]
    Set(find::Set),
    /// Restore files on a node, by its backup service
    ///
    /// Without PATH, restores the whole set.
    Restore(restore::Restore),
    /// Begin nothing more on a node; what runs there goes on
    Drain {
        /// The node
        node: Name,
    },
    /// Begin something on a node again
    Undrain {
        /// The node
        node: Name,
    },
    /// What becomes of the work of nodes that are lost
    #[command(subcommand)]
    Failover(failover::Failover),
    /// What happened, the newest first
    Events(events::Events),
}

impl Options {
    /// The folder of the configuration: as said, else `$LONGHAUL_DIR`, else
    /// /var/lib/longhaul.
    pub fn dir(&self) -> PathBuf {
        let said = self.dir.clone().or_else(|| {
            let dir = std::env::var_os("LONGHAUL_DIR").filter(|dir| !dir.is_empty());
            dir.map(PathBuf::from)
        });
        said.unwrap_or_else(|| DIR.into())
    }
}

impl Operator {
    fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        match self {
            Operator::Status(command) => command.run(console),
            Operator::Node(command) => command.run(console),
            Operator::Drive(command) => command.run(console),
            Operator::Volume(command) => command.run(console),
            Operator::Pool(command) => command.run(console),
            Operator::Job(command) => command.run(console),
            Operator::Schedule(command) => command.run(console),
            Operator::Run(command) => command.run(console),
            Operator::Find(command) => command.run(console),
            Operator::Set(command) => command.run(console),
            Operator::Restore(command) => command.run(console),
            Operator::Drain { node } => node::drain(console, node, true),
            Operator::Undrain { node } => node::drain(console, node, false),
            Operator::Failover(command) => command.run(console),
            Operator::Events(command) => command.run(console),
        }
    }
}

/// Why a command was not carried out, and what the program ends with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// The exit code.
    pub exit: ExitStatus,
    /// Why.
    pub why: String,
}

impl Failure {
    /// Of something that makes no sense.
    fn usage(why: impl Into<String>) -> Failure {
        let why = why.into();
        let exit = ExitStatus::Usage;
        Failure { exit, why }
    }

    /// Of something that cannot be now.
    fn refused(why: impl Into<String>) -> Failure {
        let why = why.into();
        let exit = ExitStatus::Refused;
        Failure { exit, why }
    }

    /// Of something on this host.
    fn local(doing: &str, error: &io::Error) -> Failure {
        Failure {
            exit: ExitStatus::Operator,
            why: format!("{doing}: {error}"),
        }
    }
}

/// Carries out what an operator wants; says on standard error what goes wrong.
pub fn operate(options: &Options, command: Operator) -> ExitStatus {
    let patience = Duration::from_secs(options.patience);
    let link = Target::find(options).map(|target| Link::to(target, patience));
    let mut out = io::stdout().lock();
    let done = link.and_then(|mut link| {
        let zone = TimeZone::system();
        command.run(&mut Console::new(&mut link, options.json, zone, &mut out))
    });
    done.unwrap_or_else(|failure| fail(&failure, options.json, &mut out))
}

fn fail(failure: &Failure, json: bool, out: &mut dyn Write) -> ExitStatus {
    let why = one_line(&failure.why);
    if json {
        let failed = serde_json::json!({ "error": why, "exit": failure.exit });
        // The exit code and standard error say the same.
        let _ = writeln!(out, "{failed}");
    }
    let _ = writeln!(io::stderr(), "lh-control: {why}");
    failure.exit
}
