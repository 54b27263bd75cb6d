//! `lh-mover attempt`: what the backup service starts. Not for people.

use std::io::{BufRead, Read, Write};
use std::sync::Arc;

use clap::Args;

use crate::job::attempt::{self, Event, Task};
use crate::job::{ExitStatus, JobError};
use crate::progress::Progress;
use crate::serve::store;

/// Longest task, in bytes: as long as a message of the coordinator's.
const TASK_BYTES_MAX: u64 = 2 << 20;

/// Carry out an attempt that a coordinator has ordered
///
/// Started by `lh-mover serve`, which says what is to be done on standard input.
#[derive(Args)]
pub struct Attempt {}

impl Attempt {
    pub(super) fn run(self, progress: &Arc<Progress>) -> Result<ExitStatus, JobError> {
        // By it an agent finds what still holds a file system; the kernel has called
        // it after the link by which it was started.
        nix::sys::prctl::set_name(c"lh-mover")
            .map_err(|error| JobError::local("PR_SET_NAME", error.into()))?;
        // Whoever has started this is the only one who knows of it.
        let dies_too =
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        dies_too.map_err(|error| JobError::local("PR_SET_PDEATHSIG", error.into()))?;
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .take(TASK_BYTES_MAX)
            .read_line(&mut line)
            .map_err(|error| JobError::local("reading the task", error))?;
        let task: Task = serde_json::from_str(&line)
            .map_err(|error| JobError::Usage(format!("no task: {error}")))?;
        // A service that is started again waits until nobody has it.
        let _lock = store::lock_attempt(&task.dir)
            .map_err(|error| JobError::local(task.dir.display().to_string(), error))?;
        end_with_parent();
        let outcome = attempt::run(&task, progress, say);
        let exit = outcome.exit;
        if let Some(error) = &outcome.error {
            say!("lh-mover: attempt {}: {error}", task.start.attempt);
        }
        say(Event::Ended(outcome));
        Ok(exit)
    }
}

/// Ends the process when nobody is at the other end any more, as when its parent
/// had died before it could ask to be told.
fn end_with_parent() {
    std::thread::spawn(|| {
        let mut rest = [0; 64];
        while std::io::stdin().read(&mut rest).is_ok_and(|len| len > 0) {}
        std::process::exit(ExitStatus::Unfinished as i32);
    });
}

fn say(event: Event) {
    let Ok(mut line) = serde_json::to_vec(&event) else {
        return;
    };
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    // If nobody listens, the parent is gone, and so is this process in a moment.
    let _ = out.write_all(&line).and_then(|()| out.flush());
}
