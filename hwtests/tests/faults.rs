//! Every command of a backup over three volumes fails, in every way: the job
//! goes on with nothing lost, or stops in a state from which `resume` goes on
//! with nothing lost, and says which.
//!
//! What restores is compared with the source; of every few, GNU tar too restores
//! the exported volumes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::jobs::Jobs;
use longhaul_hwtests::program::{ours, run};
use longhaul_hwtests::scratch::{Scratch, remove_tree};
use longhaul_mover::job::writing::Done;
use longhaul_mover::job::{ExitStatus, JobError};

/// The backup takes three volumes, each of which fails in turn; one is spare.
const VOLUMES: usize = 4;
const FAILING: usize = 3;
/// Records of this size, in bytes, on cartridges of 1 MiB.
const RECORD_BYTES: u64 = 32 << 10;
/// Of how many restores one is done by GNU tar as well.
const BY_TAR: u64 = 17;
/// More commands than a drive ever gets for one volume.
const COMMANDS_MAX: u64 = 400;
/// Behind the last command that can break a backup: a few more, since the number
/// of questions between two writes depends on the clock.
const BEHIND: u64 = 12;

/// A tree that three cartridges take, and blank labelled cartridges.
struct Bed {
    scratch: Scratch,
    tree: PathBuf,
}

impl Bed {
    fn new() -> Result<Bed> {
        let scratch = Scratch::in_memory()?;
        let tree = scratch.join("src");
        fs::create_dir_all(tree.join("b"))?;
        for (name, len) in [
            ("a", 10),
            ("b/c", 70_000),
            ("b/d", 1),
            ("e", 400_000),
            ("f", 32_768),
            ("g", 900_000),
            ("h", 300_000),
            ("z", 3),
        ] {
            let content: Vec<u8> = (0..len)
                .map(|at: u32| (at / 5) as u8 ^ name.as_bytes()[0])
                .collect();
            fs::write(tree.join(name), content)?;
        }
        let bed = Bed { scratch, tree };
        let jobs = Jobs::new(&bed.scratch.join("labels"), Duration::ZERO)?;
        for number in 0..VOLUMES {
            let file = bed.scratch.join(format!("blank-{number}.vtape"));
            let drive = format!("vtape:{}?capacity=1MiB", file.display());
            jobs.label(&drive, &format!("FAULT{number}"), RECORD_BYTES)?;
        }
        Ok(bed)
    }

    /// A folder with a copy of each cartridge, and the drives that they are in;
    /// the last ones have a fault plan.
    fn drives(&self, faulty: usize, plan: &str) -> Result<Round> {
        let dir = self.scratch.join("round");
        if dir.exists() {
            remove_tree(&dir)?;
        }
        fs::create_dir(&dir)?;
        fs::write(dir.join("plan.toml"), plan)?;
        let mut round = Round {
            jobs: Jobs::new(&dir.join("catalog"), Duration::from_millis(1))?,
            dir,
            plain: Vec::new(),
            drives: Vec::new(),
        };
        for number in 0..VOLUMES {
            let file = round.file(number);
            sparse_copy(&self.scratch.join(format!("blank-{number}.vtape")), &file)?;
            let plain = format!("vtape:{}?buffer=128KiB", file.display());
            let plan = round.dir.join("plan.toml");
            round.drives.push(match number == faulty {
                true => format!("{plain}&faults={}", plan.display()),
                false => plain.clone(),
            });
            round.plain.push(plain);
        }
        Ok(round)
    }

    /// Fails, unless the tree below `to` is the source.
    fn expect_restored(&self, to: &Path) -> Result<()> {
        let below = to.join(self.tree.strip_prefix("/")?);
        let (was, is) = (contents(&self.tree)?, contents(&below)?);
        let names = |all: &[(PathBuf, Vec<u8>)]| -> Vec<PathBuf> {
            all.iter().map(|(name, _)| name.clone()).collect()
        };
        ensure!(names(&was) == names(&is), "restored: {:?}", names(&is));
        for ((name, was), (_, is)) in was.iter().zip(&is) {
            ensure!(was == is, "{} differs", name.display());
        }
        Ok(())
    }
}

/// One backup with one fault.
struct Round {
    dir: PathBuf,
    jobs: Jobs,
    plain: Vec<String>,
    drives: Vec<String>,
}

impl Round {
    fn file(&self, number: usize) -> PathBuf {
        self.dir.join(format!("{number}.vtape"))
    }

    /// Backs up, goes on if it broke off, and restores. Tells whether it broke
    /// off.
    fn run(&self, bed: &Bed, by_tar: bool) -> Result<bool> {
        let backup = self.jobs.backup(&self.drives, &bed.tree);
        let broke = backup.is_err();
        let done = match backup {
            Ok(done) => done,
            Err(error) => self
                .go_on(bed, &error)
                .with_context(|| format!("after: {error}"))?,
        };
        let number = |name: &String| name.trim_start_matches("FAULT").parse();
        let volumes: Result<Vec<usize>, _> = done.volumes.iter().map(number).collect();
        let volumes = volumes?;
        // The last volume tells of the newest set.
        let last = *volumes.last().context("a volume")?;
        let mut turned = self.plain.clone();
        turned.rotate_left(last);
        let to = self.dir.join("restored");
        self.jobs.restore(&turned, &to)?;
        bed.expect_restored(&to)?;
        if by_tar {
            self.tar(bed, &volumes)?;
        }
        Ok(broke)
    }

    fn go_on(&self, bed: &Bed, error: &JobError) -> Result<Done> {
        use ExitStatus::{Device, Held, Operator, Refused, Unfinished};
        let status = error.exit_status();
        ensure!(
            matches!(status, Device | Held | Operator | Refused | Unfinished),
            "{status:?}"
        );
        // What never began needs no resumption, but a backup.
        Ok(if self.jobs.is_begun()? {
            ensure!(error.to_string().contains("lh-mover resume"), "not said");
            self.jobs.resume(&self.plain, None)?.0.done
        } else {
            self.jobs.backup(&self.plain, &bed.tree)?
        })
    }

    /// Exports the volumes and has GNU tar restore them.
    fn tar(&self, bed: &Bed, volumes: &[usize]) -> Result<()> {
        let to = self.dir.join("by-tar");
        fs::create_dir(&to)?;
        let mut tar = Command::new("tar");
        tar.args(["-M", "-b", "64", "-xp", "-C"]).arg(&to);
        tar.arg("--warning=no-unknown-keyword");
        for &number in volumes {
            let files = self.dir.join(format!("files-{number}"));
            let mut export = Command::new(ours("lh-vtl")?);
            export.arg("export").arg(self.file(number));
            run(export.arg("--to").arg(&files))?.expect_success()?;
            tar.arg("-f").arg(files.join("001"));
        }
        run(&mut tar)?.expect_success()?;
        bed.expect_restored(&to)
    }
}

/// All below a folder: files with their content.
fn contents(dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.push((path.strip_prefix(dir)?.to_owned(), fs::read(&path)?));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A cartridge is a sparse file.
fn sparse_copy(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Command::new("cp");
    run(copy.arg("--sparse=always").arg(from).arg(to))?.expect_success()?;
    Ok(())
}

/// The number of the last command to the drive of one of the volumes that can
/// break a backup.
fn last_command(bed: &Bed, faulty: usize) -> Result<u64> {
    let breaks = |number: u64| -> Result<bool> {
        let plan = format!("[[fault]]\ncommand = {number}\nreset = \"power\"\n");
        let round = bed.drives(faulty, &plan)?;
        Ok(round.jobs.backup(&round.drives, &bed.tree).is_err())
    };
    let (mut low, mut high) = (1, COMMANDS_MAX);
    while low < high {
        let middle = (low + high).div_ceil(2);
        match breaks(middle)? {
            true => low = middle,
            false => high = middle - 1,
        }
    }
    Ok(low)
}

/// Set to anything, every fault meets every command; else only power cuts and
/// lost answers do, and the others every [`STRIDE`]th.
const THOROUGH_VARIABLE: &str = "LONGHAUL_THOROUGH";
const STRIDE: usize = 7;

/// Has commands of every drive meet the fault in turn: each `stride`th.
fn at_commands(name: &str, fault: &str, stride: usize) -> Result<()> {
    let bed = Bed::new()?;
    let stride = match std::env::var_os(THOROUGH_VARIABLE) {
        Some(_) => 1,
        None => stride,
    };
    let (mut rounds, mut broke) = (0, 0);
    for faulty in 0..FAILING {
        let last = last_command(&bed, faulty)?;
        ensure!(last > 20 && last < COMMANDS_MAX - BEHIND, "{last} commands");
        // Not the same ones for every kind of fault.
        let first = 1 + (name.len() + faulty) % stride;
        for number in (first as u64..=last + BEHIND).step_by(stride) {
            let plan = format!("[[fault]]\ncommand = {number}\n{fault}\n");
            rounds += 1;
            let round = bed.drives(faulty, &plan)?;
            let outcome = round.run(&bed, rounds % BY_TAR == 0);
            let outcome = outcome
                .with_context(|| format!("{name} at command {number} of volume {faulty}"))?;
            broke += u64::from(outcome);
        }
    }
    eprintln!("{name}: {rounds} backups, {broke} broke off");
    Ok(())
}

/// The same for faults that strike at a block.
fn at_blocks(name: &str, fault: &str) -> Result<()> {
    let bed = Bed::new()?;
    let (mut rounds, mut broke) = (0, 0);
    for faulty in 0..FAILING {
        for number in 2..40 {
            rounds += 1;
            let plan = format!("[[fault]]\nblock = {number}\n{fault}\n");
            let round = bed.drives(faulty, &plan)?;
            let outcome = round.run(&bed, rounds % BY_TAR == 0);
            let outcome =
                outcome.with_context(|| format!("{name} at block {number} of volume {faulty}"))?;
            broke += u64::from(outcome);
        }
    }
    eprintln!("{name}: {rounds} backups, {broke} broke off");
    Ok(())
}

macro_rules! faults {
    ($($test:ident: $run:ident($fault:expr $(, $stride:expr)?);)*) => {$(
        #[test]
        fn $test() -> Result<()> {
            $run(stringify!($test), $fault $(, $stride)?)
        }
    )*};
}

faults! {
    // The drive loses its buffer, its position and its reservation.
    power_cut: at_commands("reset = \"power\"", 1);
    bus_reset: at_commands("reset = \"bus\"", STRIDE);
    // The host never hears of it.
    lost_answer: at_commands("executed = true\ntransport = \"timed-out\"", 1);
    a_command_that_never_returns: at_commands("transport = \"timed-out\"", STRIDE);
    path_lost: at_commands("transport = \"disrupted\"", STRIDE);
    path_and_buffer_lost: at_commands("transport = \"disrupted\"\nlose-buffer = true", STRIDE);
    no_connection: at_commands("transport = \"no-connect\"", STRIDE);
    not_sent: at_commands("transport = \"not-sent\"", STRIDE);
    aborted: at_commands("sense = { key = 11, asc = 0x4b, ascq = 0 }", STRIDE);
    aborted_behind: at_commands(
        "executed = true\nsense = { key = 11, asc = 0x4b, ascq = 0 }", STRIDE);
    // The drive is busy for a while.
    task_set_full: at_commands("status = \"task-set-full\"", STRIDE);
    busy: at_commands("status = \"busy\"", STRIDE);
    becoming_ready: at_commands("sense = { key = 2, asc = 0x04, ascq = 0x01 }", STRIDE);
    // It needs somebody.
    not_ready: at_commands("sense = { key = 2, asc = 0x04, ascq = 0x03 }", STRIDE);
    reservation_conflict: at_commands("status = \"reservation-conflict\"", STRIDE);
    // News.
    power_on: at_commands("sense = { key = 6, asc = 0x29, ascq = 0 }", STRIDE);
    mode_parameters_changed: at_commands("sense = { key = 6, asc = 0x2a, ascq = 1 }", STRIDE);
    microcode_changed: at_commands("sense = { key = 6, asc = 0x3f, ascq = 1 }", STRIDE);
    cleaning_requested: at_commands(
        "executed = true\nsense = { key = 1, asc = 0x00, ascq = 0x17 }", STRIDE);
    // It fails.
    write_error: at_commands("sense = { key = 3, asc = 0x0c, ascq = 0 }", STRIDE);
    cleaning_required: at_commands("sense = { key = 4, asc = 0x30, ascq = 0x03 }", STRIDE);
    hardware_error: at_commands("sense = { key = 4, asc = 0x44, ascq = 0 }", STRIDE);
    volume_overflow: at_commands("sense = { key = 13, asc = 0, ascq = 2 }", STRIDE);
    transfer_cut_short: at_commands("transfer = 100", STRIDE);
    bit_flipped: at_commands("corrupt = 70", STRIDE);
    deferred_error: at_blocks(
        "sense = { key = 3, asc = 0x0c, ascq = 0, deferred = true }");
}
