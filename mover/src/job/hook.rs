//! The commands beside an attempt: before it, and afterwards.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus as Exit, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use longhaul_protocol::ExitStatus;
use longhaul_protocol::job::Hook;
use longhaul_protocol::order::Start;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::JobError;
use crate::progress::Progress;

/// How long a command may take: a database that is brought to rest, a snapshot.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);
/// How often is looked whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// The commands of an attempt. They find out by their environment what they are
/// beside: `LONGHAUL_JOB`, `LONGHAUL_RUN`, `LONGHAUL_ATTEMPT`, `LONGHAUL_DRIVE`,
/// and afterwards `LONGHAUL_EXIT`, the exit code.
pub struct Hooks<'a> {
    start: &'a Start,
    progress: &'a Arc<Progress>,
}

impl<'a> Hooks<'a> {
    /// Those of this order.
    pub fn new(start: &'a Start, progress: &'a Arc<Progress>) -> Hooks<'a> {
        Hooks { start, progress }
    }

    /// Runs the command before, if there is one.
    ///
    /// # Errors
    /// [`JobError::Unfinished`] if it fails and is required.
    pub fn before(&self) -> Result<(), JobError> {
        match &self.start.work.before {
            Some(hook) => self.run("before", hook, None),
            None => Ok(()),
        }
    }

    /// Runs the command afterwards, if there is one, whatever came of the rest.
    ///
    /// # Errors
    /// As [`before`](Hooks::before).
    pub fn after(&self, exit: ExitStatus) -> Result<(), JobError> {
        match &self.start.work.after {
            Some(hook) => self.run("afterwards", hook, Some(exit)),
            None => Ok(()),
        }
    }

    fn run(&self, when: &str, hook: &Hook, exit: Option<ExitStatus>) -> Result<(), JobError> {
        let ended = self.command(hook, exit).and_then(|mut command| {
            let mut child = command.spawn()?;
            // Afterwards it is run though the attempt was asked to end.
            wait(&mut child, || exit.is_none() && self.progress.stopping())
        });
        let what = match ended {
            Ok(ended) if ended.success() => return Ok(()),
            Ok(ended) => ended.to_string(),
            Err(error) => error.to_string(),
        };
        let what = format!("the command {when} ({:.100}): {what}", hook.command);
        match hook.required {
            true => Err(JobError::Unfinished(what)),
            false => {
                log::warn!("{what}; it is gone on without it");
                Ok(())
            }
        }
    }

    fn command(&self, hook: &Hook, exit: Option<ExitStatus>) -> io::Result<Command> {
        let attempt = &self.start.attempt;
        // Standard output is for events.
        let said = io::stderr().as_fd().try_clone_to_owned()?;
        let mut command = Command::new("sh");
        command
            .args(["-c", &hook.command])
            .env("LONGHAUL_JOB", attempt.run.job.as_str())
            .env("LONGHAUL_RUN", attempt.run.to_string())
            .env("LONGHAUL_ATTEMPT", attempt.number.to_string())
            .env("LONGHAUL_DRIVE", self.start.drive.as_str())
            .stdin(Stdio::null())
            .stdout(said)
            .process_group(0);
        if let Some(exit) = exit {
            command.env("LONGHAUL_EXIT", u8::from(exit).to_string());
        }
        Ok(command)
    }
}

/// Waits for a process group's first process, and ends the group if that takes
/// too long or is not wanted any more.
fn wait(child: &mut Child, is_over: impl Fn() -> bool) -> io::Result<Exit> {
    let begun = Instant::now();
    loop {
        if let Some(exit) = child.try_wait()? {
            return Ok(exit);
        }
        let is_late = begun.elapsed() > PATIENCE;
        if is_late || is_over() {
            if let Ok(group) = i32::try_from(child.id()) {
                // Who is gone already needs no signal.
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
            child.wait()?;
            let why = if is_late {
                "it took too long"
            } else {
                "interrupted"
            };
            return Err(io::Error::other(why));
        }
        std::thread::sleep(PAUSE);
    }
}
