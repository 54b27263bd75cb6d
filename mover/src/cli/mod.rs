//! The command line of `lh-mover`: one command a file.
//!
//! A command turns arguments into a job's options, runs the job under a
//! display, and prints its summary: words for people on standard
//! output, JSON with `--json`. What goes wrong is said on standard
//! error. The exit codes are one table for all programs
//! ([`ExitStatus`]).

/// Says something on standard error. Where nobody can hear it, it is no reason
/// to give up a backup.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

mod backup;
mod close;
mod display;
mod drives;
mod find;
mod label;
mod list;
mod output;
mod restore;
mod scan;
mod status;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use crate::job::{ExitStatus, JobError};
use crate::progress::Progress;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  done, but some files could not be read or restored; each is named
  2  wrong usage
  3  the drive or the medium failed
  4  refused, to protect data
  5  held by another
  6  interrupted or unfinished; can be resumed or closed
  7  needs a volume or an operator";

/// Backs directories up to tape and restores them.
///
/// A drive is named by its serial number (see `lh-mover drives`) or a device
/// node; `vtape:FILE` is an emulated drive with the cartridge FILE in it.
#[derive(Parser)]
#[command(name = "lh-mover", version, about, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Say more on standard error; twice, still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    Label(label::Label),
    Backup(backup::Backup),
    Close(close::Close),
    List(list::List),
    Find(find::Find),
    Verify(verify::Verify),
    Restore(restore::Restore),
    Status(status::Status),
    Drives(drives::Drives),
    Scan(scan::Scan),
}

impl Command {
    /// Whether a script reads what the command prints.
    fn wants_json(&self) -> bool {
        match self {
            Command::Label(command) => command.json.json,
            Command::Backup(command) => command.json.json,
            Command::Close(command) => command.json.json,
            Command::List(command) => command.json.json,
            Command::Find(command) => command.json.json,
            Command::Verify(command) => command.json.json,
            Command::Restore(command) => command.json.json,
            Command::Status(command) => command.json.json,
            Command::Drives(command) => command.json.json,
            Command::Scan(command) => command.json.json,
        }
    }
}

/// The drive that a command works with.
#[derive(Args)]
struct DriveArg {
    /// The drive: its serial number, a device node (`/dev/nst0`, `/dev/sg3`,
    /// `/dev/tape/by-id/...`, `/dev/bsg/2:0:0:0`), or an emulated one as
    /// `vtape:FILE`, with options behind a `?`: `capacity=64MiB`, `media=discard`, `clock=real|simulated`,
    /// `faults=PLAN.toml`, `buffer=8MiB`, `write-protect=on`
    #[arg(long, value_name = "DRIVE")]
    drive: String,
}

/// Where the catalog lies.
#[derive(Args)]
struct CatalogArg {
    /// Folder of the catalog [default: /var/lib/longhaul for root, else
    /// $XDG_STATE_HOME/longhaul]
    #[arg(long, value_name = "DIR")]
    catalog: Option<PathBuf>,
}

impl CatalogArg {
    /// # Errors
    /// If neither the option nor the environment names a folder.
    fn dir(&self) -> Result<PathBuf, JobError> {
        if let Some(dir) = &self.catalog {
            return Ok(dir.clone());
        }
        if rustix::process::geteuid().is_root() {
            return Ok("/var/lib/longhaul".into());
        }
        let absolute = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .map(|state| state.join("longhaul"))
            .ok_or_else(|| {
                JobError::Usage("neither HOME nor XDG_STATE_HOME is set: name --catalog DIR".into())
            })
    }
}

/// How results are printed.
#[derive(Args)]
struct JsonArg {
    /// Print the result as JSON, for scripts: one document, or for lists of
    /// files a document a line; `{"error", "exit"}` if it fails
    #[arg(long)]
    json: bool,
}

/// Runs the program; the arguments are the process's.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let status = if error.use_stderr() {
                ExitStatus::Usage
            } else {
                ExitStatus::Done
            };
            return status.into();
        }
    };
    let level = match cli.verbose {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    env_logger::Builder::new()
        .filter_level(level)
        .parse_default_env()
        .init();
    let progress = Arc::new(Progress::default());
    if let Err(error) = stop_on_signals(&progress) {
        log::warn!("signals will end the program at once: {error}");
    }
    raise_open_files();
    let json = cli.command.wants_json();
    match run(cli.command, &progress) {
        Ok(status) => status.into(),
        Err(error) => {
            if json {
                let status = error.exit_status() as u8;
                let failed = serde_json::json!({ "error": error.to_string(), "exit": status });
                // The exit code and standard error say the same.
                let _ = output::json(&failed);
            }
            say!("lh-mover: {error}");
            error.exit_status().into()
        }
    }
}

fn run(command: Command, progress: &Arc<Progress>) -> Result<ExitStatus, JobError> {
    match command {
        Command::Label(command) => command.run(),
        Command::Backup(command) => command.run(progress),
        Command::Close(command) => command.run(progress),
        Command::List(command) => command.run(progress),
        Command::Find(command) => command.run(),
        Command::Verify(command) => command.run(progress),
        Command::Restore(command) => command.run(progress),
        Command::Status(command) => command.run(),
        Command::Drives(command) => command.run(),
        Command::Scan(command) => command.run(progress),
    }
}

/// The first SIGINT or SIGTERM asks the job to end where it can be resumed; the
/// second ends the process.
fn stop_on_signals(progress: &Arc<Progress>) -> std::io::Result<()> {
    use nix::sys::signal::{SigSet, Signal};
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    // Blocked in all threads, which inherit it; one thread waits for them.
    signals.thread_block()?;
    let progress = Arc::clone(progress);
    std::thread::Builder::new()
        .name("lh-signals".into())
        .spawn(move || {
            while let Ok(signal) = signals.wait() {
                if progress.stopping() {
                    std::process::exit(ExitStatus::Unfinished as i32);
                }
                say!("lh-mover: {signal}: ending where the job can be taken up again");
                progress.stop();
            }
        })?;
    Ok(())
}

/// A backup holds up to some thousand files open; the usual soft limit is
/// 1,024, the hard one far higher.
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        log::debug!("the limit of open files stays as it is: {error}");
    }
}
