//! `lh-acceptance`: does a drive do what Longhaul relies on?
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use longhaul_hwtests::conformance::{GROUPS, Group, run};
use longhaul_mover::drive::{Drive, Identity};
use longhaul_mover::{job, transport};
use longhaul_scsi::transport::Transport;

/// A first load of an LTO-9 cartridge may take two hours.
const READY_WAIT: Duration = Duration::from_secs(140 * 60);

/// Runs the conformance suite on a tape drive, and prints a report.
///
/// THE CARTRIDGE IN THE DRIVE IS WRITTEN OVER. It has to be the one that is
/// named: by the barcode that its library or its memory tells, or by its label.
/// Exit codes: 0 all is well; 1 the drive failed a case; 2 usage; 4 another
/// cartridge is in the drive.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The drive: serial number, /dev/nstN, /dev/sgN, vtape:...
    #[arg(long)]
    drive: String,

    /// The barcode of the scratch cartridge that is in the drive
    #[arg(
        long,
        value_name = "BARCODE",
        required_unless_present = "anonymous_scratch_medium"
    )]
    scratch_volume: Option<String>,

    /// The drive cannot tell which medium is in it, and whatever it is may be
    /// written over
    #[arg(long, conflicts_with = "scratch_volume")]
    anonymous_scratch_medium: bool,

    /// Another nexus of the same drive, for the cases that need two
    #[arg(long, value_name = "DRIVE")]
    other_nexus: Option<String>,

    /// Only these groups
    #[arg(long, value_name = "GROUP", value_delimiter = ',', value_parser = group)]
    groups: Vec<Group>,

    /// Fill the medium to its end too, which takes hours on a large one
    #[arg(long)]
    to_the_end: bool,

    /// The device returns other data than was written to it
    #[arg(long)]
    loses_data: bool,
}

fn group(name: &str) -> Result<Group, String> {
    let found = GROUPS.iter().find(|(known, _)| *known == name);
    found.map(|(_, group)| *group).ok_or_else(|| {
        let all: Vec<_> = GROUPS.iter().map(|(known, _)| *known).collect();
        format!("there are {}", all.join(", "))
    })
}

fn main() -> ExitCode {
    env_logger::init();
    let arguments = Arguments::parse();
    match accept(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lh-acceptance: {error:#}");
            let refused = error.downcast_ref::<WrongMedium>().is_some();
            ExitCode::from(if refused { 4 } else { 2 })
        }
    }
}

/// Runs the suite; gives the number of cases that failed.
fn accept(arguments: &Arguments) -> Result<usize> {
    let (first, identity) = identified(arguments)?;
    let mut nexuses = vec![first];
    if let Some(other) = &arguments.other_nexus {
        let transport = transport::open(other).with_context(|| other.clone())?;
        let drive = Drive::open(transport)?;
        if drive.identity().serial != identity.serial {
            bail!("{other} is another drive: {}", drive.identity());
        }
        nexuses.push(drive.into_transport());
    }
    println!("drive      {identity}");
    println!("path       {}", nexuses[0].name());
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("kernel     {}", kernel.trim());
    println!("longhaul   {}", env!("CARGO_PKG_VERSION"));
    let mut groups = arguments.groups.clone();
    if groups.is_empty() {
        groups = GROUPS.iter().map(|(_, group)| *group).collect();
        groups.retain(|group| *group != Group::Ends || arguments.to_the_end);
    }
    let report = run(nexuses, &groups, !arguments.loses_data, |case| {
        println!("{case}");
    });
    print!("{report}");
    Ok(report.failed())
}

/// Opens the drive, and makes sure that the scratch cartridge is in it.
fn identified(arguments: &Arguments) -> Result<(Box<dyn Transport>, Identity)> {
    let name = &arguments.drive;
    let transport = transport::open(name).with_context(|| name.clone())?;
    let mut drive = Drive::open(transport)?;
    drive.ready(READY_WAIT)?;
    let identity = drive.identity().clone();
    if let Some(wanted) = &arguments.scratch_volume {
        let has = match job::volume::barcode(&mut drive)? {
            Some(barcode) => barcode,
            None => label(&mut drive).unwrap_or_else(|| "of no name".into()),
        };
        if has != *wanted {
            bail!(WrongMedium {
                has,
                wanted: wanted.clone()
            });
        }
    }
    Ok((drive.into_transport(), identity))
}

/// The name that the label on the tape gives the volume.
fn label(drive: &mut Drive) -> Option<String> {
    drive.rewind().ok()?;
    let label = job::volume::read_label(drive).ok()?;
    Some(label.name.as_str().to_owned())
}

/// Another cartridge than the one that may be written over.
#[derive(Debug)]
struct WrongMedium {
    has: String,
    wanted: String,
}

impl std::fmt::Display for WrongMedium {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let WrongMedium { has, wanted } = self;
        write!(
            f,
            "the cartridge in the drive is {has} and not {wanted}; nothing was written"
        )
    }
}

impl std::error::Error for WrongMedium {}
