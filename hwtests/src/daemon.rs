//! Programs of ours that run until they are told to end, or are killed.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::program::ours;
use crate::until;

/// A program that runs. It is killed with the value, and with the thread that
/// has started it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts one of our programs; what it says is appended to a file.
    ///
    /// # Errors
    /// If it is not built, or cannot be started.
    pub fn start(program: &str, args: &[&str], log: &Path) -> Result<Daemon> {
        let said = OpenOptions::new().create(true).append(true).open(log)?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(ours(program)?)
            .args(args)
            .stdin(Stdio::null())
            .stdout(File::create("/dev/null")?)
            .stderr(said)
            .spawn()
            .context("setpriv, of util-linux")?;
        Ok(Daemon {
            child,
            log: log.to_owned(),
        })
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it, and those before it with the same file, have said.
    pub fn said(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.pid(), signal)?)
    }

    /// kill -9, and waits until it is gone.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM; how it ended, which may take so long.
    ///
    /// # Errors
    /// If it does not end.
    pub fn end(mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let child = &mut self.child;
        until::within(within, "it ends after SIGTERM", || Ok(child.try_wait()?))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes that this one has started, and that have not ended.
///
/// # Errors
/// If /proc cannot be read.
pub fn children(parent: Pid) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may be gone meanwhile.
        if let Some((of, state)) = parent_and_state(pid)
            && of == parent.as_raw_nonzero().get()
            && state != 'Z'
        {
            found.extend(Pid::from_raw(pid));
        }
    }
    Ok(found)
}

/// Of proc(5)'s stat: the fields behind the name, which is in brackets.
fn parent_and_state(pid: i32) -> Option<(i32, char)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((fields.next()?.parse().ok()?, state))
}

/// The only process that this one has started.
///
/// # Errors
/// If there is none, or there are several.
pub fn only_child(parent: Pid) -> Result<Pid> {
    match children(parent)?[..] {
        [one] => Ok(one),
        ref others => bail!("one process was expected, and not {others:?}"),
    }
}
