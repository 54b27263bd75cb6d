//! Every command of a backup over three volumes fails, in every way: the job
//! goes on with nothing lost, or stops in a state from which `resume` goes on
//! with nothing lost, and says which.
//!
//! What restores is compared with the source; of every few, GNU tar too restores
//! the exported volumes.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::bed::{Bed, Fault};

/// The backup takes three volumes, each of which fails in turn; one is spare.
const VOLUMES: usize = 4;
const FAILING: usize = 3;
/// Of how many restores one is done by GNU tar as well.
const BY_TAR: usize = 17;
/// More commands than a drive ever gets for one volume.
const COMMANDS_MAX: u64 = 400;
/// Behind the last command that can break a backup: a few more, since the number
/// of questions between two writes depends on the clock.
const BEHIND: u64 = 12;

/// A tree that three cartridges take.
fn bed() -> Result<Bed> {
    let files = [
        ("a", 10),
        ("b/c", 70_000),
        ("b/d", 1),
        ("e", 400_000),
        ("f", 32_768),
        ("g", 900_000),
        ("h", 300_000),
        ("z", 3),
    ];
    Bed::new(
        &files,
        &[1 << 20; VOLUMES],
        32 << 10,
        Duration::from_millis(1),
    )
}

/// The number of the last command to the drive of one of the volumes that can
/// break a backup.
fn last_command(bed: &Bed, drive: usize) -> Result<u64> {
    let breaks = |number: u64| -> Result<bool> {
        let plan = format!("[[fault]]\ncommand = {number}\nreset = \"power\"\n");
        let (_, broke) = bed.round()?.attempts(&[Fault { drive, plan }])?;
        Ok(broke > 0)
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

/// The same of each volume, whose backups differ in nothing but the fault.
static LAST_COMMANDS: LazyLock<Result<Vec<u64>>> = LazyLock::new(|| {
    let bed = bed()?;
    (0..FAILING)
        .map(|drive| last_command(&bed, drive))
        .collect()
});

/// Set to anything, every fault meets every command; else only power cuts and
/// lost answers do, and the others every [`STRIDE`]th.
const THOROUGH_VARIABLE: &str = "LONGHAUL_THOROUGH";
const STRIDE: usize = 7;

/// Has commands of every drive meet the fault in turn: each `stride`th.
fn at_commands(name: &str, fault: &str, stride: usize) -> Result<()> {
    let bed = bed()?;
    let stride = match std::env::var_os(THOROUGH_VARIABLE) {
        Some(_) => 1,
        None => stride,
    };
    let last_commands = LAST_COMMANDS
        .as_ref()
        .map_err(|error| anyhow!("{error:#}"))?;
    let mut plans = Vec::new();
    for (drive, &last) in last_commands.iter().enumerate() {
        ensure!(last > 20 && last < COMMANDS_MAX - BEHIND, "{last} commands");
        // Not the same ones for every kind of fault.
        let first = 1 + (name.len() + drive) % stride;
        for number in (first as u64..=last + BEHIND).step_by(stride) {
            let plan = format!("[[fault]]\ncommand = {number}\n{fault}\n");
            plans.push(Fault { drive, plan });
        }
    }
    each(&bed, name, &plans)
}

/// The same for faults that strike at a block.
fn at_blocks(name: &str, fault: &str) -> Result<()> {
    let plan = |number| format!("[[fault]]\nblock = {number}\n{fault}\n");
    let of = |drive| (2..40).map(move |number| (drive, plan(number)));
    let plans = (0..FAILING).flat_map(of);
    let plans: Vec<Fault> = plans.map(|(drive, plan)| Fault { drive, plan }).collect();
    each(&bed()?, name, &plans)
}

fn each(bed: &Bed, name: &str, plans: &[Fault]) -> Result<()> {
    let mut all = 0;
    for (number, fault) in plans.iter().enumerate() {
        let round = bed.round()?;
        let restored = round.attempts(std::slice::from_ref(fault));
        let restored = restored.and_then(|(done, broke)| {
            all += broke;
            round.expect_restores(&done, number % BY_TAR == 0)
        });
        restored.with_context(|| format!("{name}: {fault:?}"))?;
    }
    eprintln!("{name}: {} backups, {all} broke off", plans.len());
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
