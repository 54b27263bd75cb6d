//! A test that uses the rig.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;

use super::parts::{self, Kernel, Part};
use crate::scratch::Scratch;

/// How many hosts run at once where tests have one each: a core a host, on
/// the smallest machine that runs these tests. A test of many has the machine
/// for itself.
const HOSTS_AT_ONCE: u32 = 2;

/// How much of each log a failure prints, in bytes from the end.
const LOG_BYTES: usize = 4_000;

/// A test that runs, and what it has: its scratch folder, which its hosts see
/// too, and its turn.
pub struct Trial {
    name: &'static str,
    scratch: Scratch,
    started: Instant,
    passed: bool,
    /// Why not, if the test could say it.
    why: String,
    _turn: Turn,
}

/// Runs a test that needs these parts of the rig, and so many hosts at once.
///
/// Where a part cannot be had, the test is skipped: a line that begins with
/// `SKIPPED:` says so on standard error, past the test harness's capture.
///
/// # Errors
/// If the test fails, or a part that should be had here cannot be made.
pub fn trial(
    name: &'static str,
    parts: &[Part],
    hosts: u32,
    body: impl FnOnce(&Trial) -> Result<()>,
) -> Result<()> {
    if let Some(reason) = parts::make(parts)? {
        aloud(&format!("SKIPPED: {name}: {reason}"));
        return Ok(());
    }
    let turn = Turn::take(hosts.clamp(1, HOSTS_AT_ONCE));
    let mut trial = Trial {
        name,
        scratch: Scratch::new()?,
        started: Instant::now(),
        passed: false,
        why: String::new(),
        _turn: turn,
    };
    let result = body(&trial);
    match &result {
        Ok(()) => trial.passed = true,
        Err(error) => trial.why = format!("{error:#}"),
    }
    result
}

/// What a test on one kernel, without Fibre Channel, needs.
pub fn plain(kernel: Kernel) -> [Part; 2] {
    [Part::Kernel(kernel), Part::Root]
}

impl Trial {
    /// A path in the test's scratch folder.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.scratch.join(name)
    }

    /// Says a figure that was measured, which `tools/test` shows at its end.
    pub fn figure(&self, words: &str) {
        aloud(&format!("FIGURE: {}: {words}", self.name));
    }

    /// Says when something had come to pass: on failure, and to who asks the
    /// test harness to show it.
    pub fn say(&self, what: &str) {
        eprintln!("{:6.1} s: {what}", self.started.elapsed().as_secs_f64());
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let took = self.started.elapsed().as_secs_f64();
        if self.passed {
            aloud(&format!("TIME: {}: {took:.1} s", self.name));
        } else {
            aloud(&logs(self.scratch.path()).unwrap_or_else(|e| format!("no logs: {e}")));
            let Trial { name, why, .. } = self;
            aloud(&format!("FAILED: {name}: after {took:.1} s: {why}"));
        }
    }
}

/// Says a line past the capture of the test harness, which keeps what a test
/// that passes has to say to itself.
fn aloud(line: &str) {
    // Nobody may be listening, which is no test's failure.
    let _ = writeln!(io::stderr(), "\n{line}");
}

/// What the hosts of a test said: consoles with the kernel's log, and scripts.
fn logs(scratch: &Path) -> Result<String> {
    let mut said = String::new();
    let mut folders = vec![scratch.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = fs::read_dir(&folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        entries.sort();
        for path in entries {
            let is_share = path.join("console").is_file() || path.ends_with("jobs");
            let is_log = path.ends_with("console") || path.extension().is_some_and(|e| e == "out");
            if is_share {
                folders.push(path);
            } else if is_log {
                let bytes = fs::read(&path)?;
                let tail = &bytes[bytes.len().saturating_sub(LOG_BYTES)..];
                let tail = String::from_utf8_lossy(tail);
                writeln!(said, "==> {}\n{tail}", path.display())?;
            }
        }
    }
    Ok(said)
}

/// The right to run so many hosts.
struct Turn {
    hosts: u32,
}

static RUNNING: Mutex<u32> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

impl Turn {
    fn take(hosts: u32) -> Turn {
        let mut running = ENDED
            .wait_while(running(), |running| *running + hosts > HOSTS_AT_ONCE)
            .unwrap_or_else(PoisonError::into_inner);
        *running += hosts;
        Turn { hosts }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *running() -= self.hosts;
        ENDED.notify_all();
    }
}

fn running() -> MutexGuard<'static, u32> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
