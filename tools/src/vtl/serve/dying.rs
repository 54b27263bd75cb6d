//! A process that was killed and cannot die.
//!
//! Making the target's links, the kernel scans it, in the name of the process
//! that makes them. If that process is killed meanwhile, nobody answers the
//! scan any more, and the process can only die when the scan has ended: it
//! still holds the library. So the next one ends the scan.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use longhaul_emulator::Error;
use longhaul_emulator::library::Library;

use super::target;

/// How long a process may take to die once nothing keeps it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one that holds the library is looked at before it is believed to
/// live: one that has taken its SIGKILL and not yet closed its files shows none.
const DOUBT: Duration = Duration::from_millis(500);

/// Opens a library, after the process that held it if that one was killed.
pub(super) fn open(root: &Path, dir: &Path) -> Result<Library, Error> {
    let begun = Instant::now();
    loop {
        match Library::open(dir) {
            Err(Error::Held { pid: Some(pid), .. })
                if begun.elapsed() < if is_dying(pid) { PATIENCE } else { DOUBT } =>
            {
                if is_dying(pid) {
                    // One after the other: a scan is many commands.
                    target::end_commands_of(root, pid);
                }
                thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

/// Whether a process has SIGKILL before it.
fn is_dying(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| has_sigkill(&status))
}

/// Whether SIGKILL is pending for its first thread (proc_pid_status(5)).
fn has_sigkill(status: &str) -> bool {
    const SIGKILL: u64 = 1 << (9 - 1);
    let mut fields = status.lines().filter_map(|line| line.split_once(':'));
    let pending = fields.find(|(name, _)| *name == "SigPnd");
    pending
        .and_then(|(_, mask)| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & SIGKILL != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_was_killed_is_dying() {
        assert!(!is_dying(std::process::id()));
        assert!(!is_dying(u32::MAX));
        assert!(has_sigkill(
            "Name:\tlh-vtl\nSigPnd:\t0000000000000100\nShdPnd:\t0\n"
        ));
        assert!(!has_sigkill(
            "SigPnd:\t0000000000004200\nShdPnd:\t0000000000000100\n"
        ));
        assert!(!has_sigkill("SigPnd:\tx\n"));
    }
}
