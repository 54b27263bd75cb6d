//! `lh-bench`: figures that need the crates themselves; `tools/bench` runs it.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use longhaul_catalog::{Catalog, EntryState, EntryType, Row};
use longhaul_tools::{operations, services, transfer};
use uuid::Uuid;

/// Measures parts of Longhaul.
#[derive(Parser)]
#[command(name = "lh-bench", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the catalog file of a set, and find paths in it
    Catalog {
        /// Entries, up to a thousand million
        #[arg(long, default_value_t = 10_000_000,
              value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
        rows: u64,
        /// Searches of each kind
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
        runs: u32,
        /// An empty folder
        dir: PathBuf,
    },
    /// Make the database of a coordinator in which many runs are over
    Operations {
        /// Runs, up to ten million
        #[arg(long, default_value_t = 100_000,
              value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        runs: u32,
        /// An empty folder
        dir: PathBuf,
    },
    /// Start a coordinator on such a database
    Start {
        /// Its folder
        dir: PathBuf,
    },
    /// Keep a coordinator busy with many services, each of which checkpoints
    Services(services::Services),
    /// Write records to a tape drive by one of the kernel's doors, and read
    /// them back
    Transfer(transfer::Transfer),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Catalog { rows, runs, dir } => catalog(rows, runs, &dir),
        Command::Operations { runs, dir } => operations::make(&dir, runs),
        Command::Start { dir } => start(&dir),
        Command::Services(services) => services.run(),
        Command::Transfer(transfer) => transfer.run(),
    }
}

fn catalog(rows: u64, runs: u32, dir: &Path) -> Result<()> {
    let set = Uuid::from_u128(1);
    let begun = Instant::now();
    let catalog = Catalog::open(dir)?;
    let mut builder = catalog.set_builder(set)?;
    for number in 0..rows {
        builder.push(row(number))?;
    }
    builder.finish()?;
    let build_s = begun.elapsed().as_secs_f64();
    let peak = peak_bytes()?;
    let bytes = folder_bytes(dir)?;
    let mut cold = Vec::new();
    let mut warm = Vec::new();
    for run in 0..runs {
        let wanted = row(u64::from(run) * 7_919 * 104_729 % rows);
        empty_page_cache();
        // Opening is part of it: a person's `find` begins there.
        let begun = Instant::now();
        let file = catalog.set_file(set)?;
        let found = file.get(&wanted.path)?;
        cold.push(begun.elapsed().as_secs_f64() * 1000.0);
        ensure!(
            found.as_ref() == Some(&wanted),
            "the catalog gave another row back"
        );
        let other = row((u64::from(run) * 15_485_863 + rows / 2) % rows);
        let begun = Instant::now();
        let found = file.get(&other.path)?;
        warm.push(begun.elapsed().as_secs_f64() * 1000.0);
        ensure!(found == Some(other), "the catalog gave another row back");
    }
    println!("bytes_per_entry={:.1}", bytes as f64 / rows as f64);
    println!("find_cold_ms={:.2}", median(cold));
    println!("find_warm_ms={:.3}", median(warm));
    println!("build_s={build_s:.1}");
    println!("peak_mb={:.0}", peak as f64 / 1e6);
    Ok(())
}

fn start(dir: &Path) -> Result<()> {
    let started = operations::start(dir)?;
    println!("runs={}", started.runs);
    println!("open_s={:.3}", started.open_s);
    println!("start_s={:.3}", started.start_s);
    println!("peak_mb={:.0}", peak_bytes()? as f64 / 1e6);
    Ok(())
}

/// A row as a file server might have it. The digest is as random as digests
/// are; numbers and times vary as they do in a tree.
fn row(number: u64) -> Row {
    let mut digest = [0; 32];
    let mut state = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    for chunk in digest.chunks_mut(8) {
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (state >> 31);
        chunk.copy_from_slice(&state.to_le_bytes());
    }
    let size = state % 200_000;
    let mtime_ns = i128::from(1_600_000_000_000_000_000 + state % 150_000_000_000_000_000);
    let (folder, file) = (number / 100, number % 100);
    Row {
        path: format!(
            "srv/projects/team-{:03}/project-{:04}/folder-{:06}/document-{file:02}-v{}.dat",
            folder / 10_000,
            folder / 100 % 10_000,
            folder,
            state % 10
        )
        .into_bytes(),
        entry_type: EntryType::File,
        state: EntryState::Ok,
        size,
        mode: 0o644,
        uid: 1000 + (state % 50) as u32,
        gid: 1000,
        nlink: 1,
        mtime_ns,
        ctime_ns: mtime_ns + 1_000,
        inode: 2_000_000 + number * 3 % 40_000_000,
        volume: 1,
        block: 11 + number * 100_000 / 524_288,
        offset: number * 100_000 % 524_288 / 512 * 512,
        digest: Some(digest),
        link: Vec::new(),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn folder_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() {
            folder_bytes(&entry.path())?
        } else {
            meta.len()
        };
    }
    Ok(bytes)
}

/// The process's peak resident memory (`VmHWM`, proc_pid_status(5)).
fn peak_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib
        .context("no VmHWM in /proc/self/status")?
        .parse::<u64>()?
        * 1024)
}

/// Only root can; without it the cold figures are warm ones.
fn empty_page_cache() {
    let _ = std::process::Command::new("sync").status();
    let _ = std::fs::write("/proc/sys/vm/drop_caches", "3\n");
}
