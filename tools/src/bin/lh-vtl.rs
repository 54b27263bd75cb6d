//! `lh-vtl`: the virtual tape library.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use longhaul_emulator::clock::ClockMode;
use longhaul_emulator::library::{Library, Plan, Unit};
use longhaul_emulator::size::parse_size;
use longhaul_emulator::url::Media;
use longhaul_tools::vtl::serve::{self, Door, DoorArguments};
use longhaul_tools::vtl::{self, CartridgeInfo, Failure};

/// The virtual tape library: makes and serves one, and looks at its cartridges.
///
/// Exit codes: 0 done; 2 usage; 3 the cartridge or library cannot be read;
/// 4 refused, to protect data; 5 held by another process; 7 the target needs
/// an operator.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a library in a folder, with blank cartridges LH0001L9, LH0002L9, ...
    /// in its first slots.
    Create {
        /// The library's folder.
        dir: PathBuf,
        /// Tape drives, 1 to 64.
        #[arg(long, default_value_t = 2)]
        drives: u16,
        /// Storage slots, 1 to 4096.
        #[arg(long, default_value_t = 20)]
        slots: u16,
        /// Cartridges, as many as there are slots at most.
        #[arg(long, default_value_t = 10)]
        cartridges: u16,
        /// Mail slots, up to 64.
        #[arg(long, default_value_t = 1)]
        mail_slots: u16,
        /// Bytes until the end of each medium, such as 64MiB or 18TB.
        #[arg(long, value_name = "SIZE", default_value = "18TB", value_parser = parse_size)]
        capacity: u64,
        /// Whether cartridges keep data: keep or discard (only positions, and
        /// blocks of at most 16 KiB).
        #[arg(long, default_value = "keep", value_parser = parse_media)]
        media: Media,
        /// Whose time drives and changer keep: none, real (as long as an LTO-9
        /// drive takes) or simulated.
        #[arg(long, default_value_t = ClockMode::None)]
        clock: ClockMode,
    },
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
        /// Serve programs of this host on a socket instead, without the kernel:
        /// the devices are vtape:unix:PATH#SERIAL then. See docs/library.md.
        #[arg(long, value_name = "PATH", conflicts_with_all = ["iscsi", "fc", "initiator"])]
        socket: Option<PathBuf>,
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
        Command::Create {
            dir,
            drives,
            slots,
            cartridges,
            mail_slots,
            capacity,
            media,
            clock,
        } => {
            let plan = Plan {
                drives,
                slots,
                mail_slots,
                cartridges,
                capacity,
                media,
                clock,
            };
            Library::create(&dir, &plan).map_err(Failure::from)
        }
        Command::Export {
            cartridge,
            to,
            json,
        } => export(&cartridge, &to, json),
        Command::Serve {
            dir,
            socket: Some(socket),
            ..
        } => serve_on_socket(&dir, &socket),
        Command::Serve { dir, door, .. } => match door.door() {
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

fn parse_media(text: &str) -> Result<Media, String> {
    match text {
        "keep" => Ok(Media::Keep),
        "discard" => Ok(Media::Discard),
        _ => Err(format!("{text:?} is not keep or discard")),
    }
}

fn serve_on_socket(dir: &Path, socket: &Path) -> Result<(), Failure> {
    vtl::serve_on_socket(dir, socket, |units| {
        for (unit, address) in units {
            let kind = if unit.is_changer() {
                "changer"
            } else {
                "drive"
            };
            println!("{kind:<8} {address}");
        }
        println!("ready");
    })
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
