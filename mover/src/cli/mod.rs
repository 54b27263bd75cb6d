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

mod agents;
mod attempt;
mod backup;
mod checkpoints;
mod close;
mod display;
mod drives;
mod find;
mod label;
mod list;
mod output;
mod restore;
mod resume;
mod scan;
mod serve;
mod status;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use longhaul_protocol::exit::EXIT_CODES;

use crate::checkpoint::tracker::Intervals;
use crate::drive::Key;
use crate::job;
use crate::job::mounts::Mounts;
use crate::job::session::{Purpose, Session};
use crate::job::{ExitStatus, JobError, state_dir};
use crate::progress::Progress;

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
    Resume(resume::Resume),
    Checkpoints(checkpoints::Checkpoints),
    Close(close::Close),
    List(list::List),
    Find(find::Find),
    Verify(verify::Verify),
    Restore(restore::Restore),
    Status(status::Status),
    Drives(drives::Drives),
    Scan(scan::Scan),
    Serve(serve::Serve),
    #[command(hide = true)]
    Attempt(attempt::Attempt),
    #[command(hide = true)]
    Alert(agents::Alert),
    #[command(hide = true)]
    Release(agents::Release),
    #[command(hide = true)]
    Admit(agents::Admit),
}

impl Command {
    /// Whether a script reads what the command prints.
    fn wants_json(&self) -> bool {
        match self {
            Command::Label(command) => command.json.json,
            Command::Backup(command) => command.json.json,
            Command::Resume(command) => command.json.json,
            Command::Checkpoints(command) => command.json.json,
            Command::Close(command) => command.json.json,
            Command::List(command) => command.json.json,
            Command::Find(command) => command.json.json,
            Command::Verify(command) => command.json.json,
            Command::Restore(command) => command.json.json,
            Command::Status(command) => command.json.json,
            Command::Drives(command) => command.json.json,
            Command::Scan(command) => command.json.json,
            Command::Serve(_)
            | Command::Attempt(_)
            | Command::Alert(_)
            | Command::Release(_)
            | Command::Admit(_) => false,
        }
    }
}

/// The drive that a command works with.
#[derive(Args)]
struct DriveArg {
    /// The drive: its serial number, a device node (`/dev/nst0`, `/dev/sg3`,
    /// `/dev/tape/by-id/...`, `/dev/bsg/2:0:0:0`), a served one as
    /// `vtape:unix:PATH#SERIAL`, or an emulated one as `vtape:FILE`, with options behind a `?`:
    /// `capacity=64MiB`, `media=discard`, `clock=real|simulated`,
    /// `faults=PLAN.toml`, `buffer=8MiB`, `write-protect=on`; with --library,
    /// one of its drives [default there: one that is empty]. Given more than
    /// once: drives that each hold a volume, used in this order
    #[arg(long, value_name = "DRIVE", required_unless_present = "library")]
    drive: Vec<String>,

    /// The library's changer: its serial number or /dev/sgN. The volume is
    /// brought to a drive first
    #[arg(long, value_name = "CHANGER", requires = "library_volume")]
    library: Option<String>,

    /// The volumes to be used, in order (`A,B,C`): barcodes, or the first six
    /// characters of them. With --library they are brought to the drive; else
    /// the volume in it must be this one, and the others are asked for
    #[arg(
        long = "volume",
        id = "library_volume",
        value_name = "VOLUME",
        value_delimiter = ','
    )]
    volume: Vec<String>,

    /// Take the drive from the holder of this reservation key, which is gone;
    /// the key is the one that a refused command names
    #[arg(long, value_name = "KEY", value_parser = Key::parse)]
    take_over: Option<Key>,
}

/// Volumes, or drives, that one job may use.
const MOUNTS_MAX: usize = 1000;

impl DriveArg {
    /// Where the job's volumes come from.
    ///
    /// # Errors
    /// If there are too many.
    fn mounts(&self, catalog: &CatalogArg) -> Result<Mounts, JobError> {
        if self.drive.len().max(self.volume.len()) > MOUNTS_MAX {
            let what = format!("one job may use {MOUNTS_MAX} volumes; name fewer");
            return Err(JobError::Usage(what));
        }
        if self.library.is_some() && self.drive.len() > 1 {
            let what = "with --library, name one drive at most; the volumes take turns in it";
            return Err(JobError::Usage(what.into()));
        }
        let mut mounts = Mounts::default();
        mounts.drives.clone_from(&self.drive);
        mounts.library.clone_from(&self.library);
        mounts.volumes.clone_from(&self.volume);
        mounts.take_over.extend(self.take_over);
        if self.library.is_some() {
            mounts.state = catalog.dir()?;
        }
        Ok(mounts)
    }

    /// Opens a session with the drive.
    ///
    /// # Errors
    /// Those of [`Session::open`].
    fn session(&self, catalog: &CatalogArg, purpose: Purpose) -> Result<Session, JobError> {
        Session::open(self.mounts(catalog)?, purpose)
    }
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
        state_dir(self.catalog.clone())
    }
}

/// Memory for what is under way.
#[derive(Args)]
struct BufferArg {
    /// Memory for data on its way to the drive, in MiB (8 to 8192)
    #[arg(long, value_name = "MIB", default_value_t = job::backup::BUFFER_BYTES >> 20,
          value_parser = clap::value_parser!(u64)
              .range(job::backup::BUFFER_BYTES_MIN >> 20..=job::backup::BUFFER_BYTES_MAX >> 20))]
    buffer_mib: u64,
}

impl BufferArg {
    fn bytes(&self) -> u64 {
        self.buffer_mib << 20
    }
}

/// How often checkpoints are taken.
#[derive(Args)]
struct IntervalArgs {
    /// Seconds between two checkpoints (0.01 to 86400); taking one does not stop
    /// the tape
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    checkpoint_interval: Duration,

    /// Seconds between two flushes, where the drive cannot say what it has
    /// written (0.01 to 86400); each stops the tape
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    flush_interval: Duration,
}

impl IntervalArgs {
    fn intervals(&self) -> Intervals {
        Intervals {
            checkpoint: self.checkpoint_interval,
            flush: self.flush_interval,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=86400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number of seconds from 0.01 to 86400".into()),
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
        0 if matches!(cli.command, Command::Serve(_)) => log::LevelFilter::Info,
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    env_logger::Builder::new()
        .filter_level(level)
        .parse_default_env()
        .init();
    // These have no job of their own.
    match cli.command {
        Command::Serve(command) => command.run().into(),
        Command::Alert(command) => command.run().into(),
        Command::Release(command) => command.run().into(),
        Command::Admit(command) => command.run().into(),
        command => run_job(command).into(),
    }
}

/// Runs a job's command, with signals that end it in an orderly way.
fn run_job(command: Command) -> ExitStatus {
    raise_open_files();
    let progress = Arc::new(Progress::default());
    if let Err(error) = stop_on_signals(&progress) {
        log::warn!("signals will end the program at once: {error}");
    }
    let json = command.wants_json();
    match run(command, &progress) {
        Ok(status) => status,
        Err(error) => {
            if json {
                let status = error.exit_status() as u8;
                let failed = serde_json::json!({ "error": error.to_string(), "exit": status });
                // The exit code and standard error say the same.
                let _ = output::json(&failed);
            }
            say!("lh-mover: {error}");
            error.exit_status()
        }
    }
}

fn run(command: Command, progress: &Arc<Progress>) -> Result<ExitStatus, JobError> {
    match command {
        Command::Label(command) => command.run(),
        Command::Backup(command) => command.run(progress),
        Command::Resume(command) => command.run(progress),
        Command::Checkpoints(command) => command.run(),
        Command::Close(command) => command.run(progress),
        Command::List(command) => command.run(progress),
        Command::Find(command) => command.run(),
        Command::Verify(command) => command.run(progress),
        Command::Restore(command) => command.run(progress),
        Command::Status(command) => command.run(),
        Command::Drives(command) => command.run(),
        Command::Scan(command) => command.run(progress),
        Command::Attempt(command) => command.run(progress),
        Command::Serve(command) => Ok(command.run()),
        Command::Alert(command) => Ok(command.run()),
        Command::Release(command) => Ok(command.run()),
        Command::Admit(command) => Ok(command.run()),
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

/// Files that a backup may hold open at a time, about.
const OPEN_FILES: i32 = 8192;

/// A backup holds up to some thousand files open; the usual soft limit is
/// 1,024, the hard one far higher.
///
/// To be called while there is one thread: the kernel makes the table of open
/// files larger by doubling it, and with several threads each time waits for
/// an RCU grace period (fs/file.c, `expand_fdtable`): 0.15 s of a backup in
/// which nothing moves.
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        log::debug!("the limit of open files stays as it is: {error}");
    }
    // Where the limit is lower, the table will grow as it is used.
    drop(rustix::io::fcntl_dupfd_cloexec(
        std::io::stderr(),
        OPEN_FILES - 1,
    ));
}
