//! `lh-tapelib`: a tape library from the command line.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use longhaul_mover::job::library::Library;
use longhaul_mover::job::{ExitStatus, JobError};
use longhaul_tools::tapelib::{Place, document, table};

/// Works a tape library: shows what lies where, and moves volumes.
///
/// Exit codes: 0 done; 2 usage; 3 the changer or a drive; 4 refused, to protect
/// data; 5 a place is taken, or a drive is held by another; 7 a person has to
/// look into the library.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The changer: its serial number, /dev/sgN, or vtape:unix:PATH#SERIAL
    #[arg(long, value_name = "CHANGER", global = true, env = "LONGHAUL_LIBRARY")]
    library: Option<String>,

    /// Folder for the notes of moves under way [default: /var/lib/longhaul for
    /// root, else $XDG_STATE_HOME/longhaul]
    #[arg(long, value_name = "DIR", global = true)]
    state: Option<PathBuf>,

    /// Print one JSON object instead of a table
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what lies where.
    Inventory,
    /// Bring a volume to a drive, and wait until it can be used.
    Load {
        /// The volume: its barcode, or the first six characters of it.
        volume: String,
        /// The drive's serial number [default: the first empty one].
        #[arg(long, value_name = "SERIAL")]
        drive: Option<String>,
    },
    /// Have a drive let its volume go, and bring it to its slot.
    Unload {
        /// The drive's serial number, or the volume.
        what: String,
        /// The element it goes to [default: the slot that it came from].
        #[arg(long, value_name = "ELEMENT")]
        to: Option<u16>,
    },
    /// Move a volume from one element to another: to a mail slot, for example.
    Move {
        /// The volume, or the address of the element that it is in.
        from: Place,
        /// The address of the element that it goes to.
        to: u16,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let level = log::LevelFilter::Warn;
    env_logger::Builder::new()
        .filter_level(level)
        .parse_default_env()
        .init();
    match run(arguments) {
        Ok(()) => ExitStatus::Done.into(),
        Err(error) => {
            eprintln!("lh-tapelib: {error}");
            error.exit_status().into()
        }
    }
}

fn run(arguments: Arguments) -> Result<(), JobError> {
    let name = arguments.library.ok_or_else(|| {
        JobError::Usage("name the changer with --library (lh-mover drives lists them)".into())
    })?;
    let state = longhaul_mover::job::state_dir(arguments.state)?;
    let mut library = Library::open(&name, &state)?;
    let inventory = match arguments.command {
        Command::Inventory => library.inventory()?,
        Command::Load { volume, drive } => {
            library.load(&volume, drive.as_deref())?;
            library.inventory()?
        }
        Command::Unload { what, to } => library.unload(&what, to)?,
        Command::Move { from, to } => {
            let from = from.address(&mut library)?;
            library.carry(from, to)?
        }
    };
    if arguments.json {
        println!("{}", document(library.label(), &inventory));
    } else {
        print!("{}", table(&inventory));
    }
    Ok(())
}
