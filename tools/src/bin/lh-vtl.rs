//! `lh-vtl`: the virtual tape library.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use longhaul_emulator::library::Unit;
use longhaul_tools::vtl::serve::{self, Door, DoorArguments};
use longhaul_tools::vtl::{self, CartridgeInfo, Failure};

/// The virtual tape library: serves one, and looks at its cartridges.
///
/// Exit codes: 0 done; 2 usage; 3 the cartridge cannot be read; 4 refused, to
/// protect data; 5 held by another process; 7 the target needs an operator.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write each tape file of a cartridge as a plain file: 000, 001, ...
    ///
    /// Tape file 000 is the volume's label; then each backup set is a pax
    /// archive, followed by its index: `tar -tvf DIR/001` lists the first set.
    Export {
        /// The cartridge file.
        cartridge: PathBuf,
        /// Folder to write to; it is made if there is none. Files that are
        /// there are never overwritten.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Present a library to the kernel as SCSI devices, until SIGTERM or SIGINT.
    ///
    /// Without more words it appears on this host: /dev/schN, /dev/nstN, /dev/sgN.
    /// LUN 0 is the changer, LUN n the nth drive. Prints `ready` when it can be
    /// used. Needs root and the kernel's target (target_core_user); see docs/vtl.md.
    Serve {
        /// The library's folder.
        dir: PathBuf,
        #[command(flatten)]
        door: DoorArguments,
    },
    /// Tell what is on a cartridge (reads all of it).
    Info {
        /// The cartridge file.
        cartridge: PathBuf,
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let done = match Arguments::parse().command {
        Command::Export {
            cartridge,
            to,
            json,
        } => export(&cartridge, &to, json),
        Command::Serve { dir, door } => match door.door() {
            Ok(door) => present(&dir, &door),
            Err(what) => Arguments::command()
                .error(clap::error::ErrorKind::ValueValidation, what)
                .exit(),
        },
        Command::Info { cartridge, json } => vtl::info(&cartridge).map(|info| show(&info, json)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let code = failure.exit_code();
            eprintln!("lh-vtl: {:#}", anyhow::Error::from(failure));
            ExitCode::from(code)
        }
    }
}

fn present(dir: &Path, door: &Door) -> Result<(), Failure> {
    serve::serve(dir, door, |units| {
        for (lun, unit) in units.iter().enumerate() {
            let kind = match unit {
                Unit::Changer(_) => "changer",
                Unit::Drive(_) => "drive",
            };
            println!("LUN {lun}: {kind} {}", unit.serial());
        }
        println!("ready");
    })
}

fn export(cartridge: &Path, to: &Path, json: bool) -> Result<(), Failure> {
    let files = vtl::export(cartridge, to)?;
    if json {
        let files: Vec<_> = files
            .iter()
            .map(|file| {
                let path = file.path.to_string_lossy();
                serde_json::json!({ "path": path, "blocks": file.blocks, "bytes": file.bytes })
            })
            .collect();
        println!("{}", serde_json::json!({ "tape_files": files }));
        return Ok(());
    }
    for file in files {
        println!(
            "{}: {} blocks, {} bytes",
            file.path.display(),
            file.blocks,
            file.bytes
        );
    }
    Ok(())
}

fn show(info: &CartridgeInfo, json: bool) {
    if json {
        println!("{}", serde_json::json!(info));
        return;
    }
    let barcode = if info.barcode.is_empty() {
        "none"
    } else {
        &info.barcode
    };
    println!("barcode     {barcode}");
    println!("serial      {}", info.serial);
    println!("uuid        {}", info.uuid);
    println!("capacity    {} bytes", info.capacity_bytes);
    println!("used        {} bytes", info.used_bytes);
    println!("objects     {}", info.objects);
    println!("filemarks   {}", info.filemarks);
    if info.unreadable > 0 {
        println!("unreadable  {} objects", info.unreadable);
    }
    if info.write_protected {
        println!("write protected");
    }
    if info.discards {
        println!("drops the data of large blocks (media=discard)");
    }
    for (number, file) in info.tape_files.iter().enumerate() {
        println!(
            "tape file {number:03}: {} blocks of {} to {} bytes, {} bytes",
            file.blocks, file.block_bytes_least, file.block_bytes_most, file.bytes
        );
    }
}
