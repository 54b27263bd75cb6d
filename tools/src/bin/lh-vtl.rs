//! `lh-vtl`: the virtual tape library.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use longhaul_emulator::Library;
use longhaul_emulator::clock::ClockMode;
use longhaul_emulator::library::Plan;
use longhaul_emulator::size::parse_size;
use longhaul_emulator::url::Media;
use longhaul_tools::vtl::{self, CartridgeInfo, Failure};

/// The virtual tape library: emulated drives, a changer, and cartridges
/// (.vtape files).
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
    /// Tell what is on a cartridge (reads all of it).
    Info {
        /// The cartridge file.
        cartridge: PathBuf,
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Serve a library on a Unix socket until SIGTERM or SIGINT: its devices are
    /// vtape:unix:PATH#SERIAL then, for programs on this host.
    ///
    /// Each device is printed with its name, and then `ready`.
    Serve {
        /// The library's folder.
        dir: PathBuf,
        /// The socket. One that nobody listens on any more is replaced.
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
    },
}

fn main() -> ExitCode {
    env_logger::Builder::new()
        .filter_level(log::LevelFilter::Warn)
        .parse_default_env()
        .init();
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
        Command::Info { cartridge, json } => vtl::info(&cartridge).map(|info| show(&info, json)),
        Command::Serve { dir, socket } => vtl::serve_on_socket(&dir, &socket, |units| {
            for (unit, address) in units {
                let kind = if unit.is_changer() {
                    "changer"
                } else {
                    "drive"
                };
                println!("{kind:<8} {address}");
            }
            println!("ready");
        }),
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
