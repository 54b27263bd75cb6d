//! The power of a host: what somebody beside its test can cut.

use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The process of a host. Who has it can end or freeze the host, and never hits
/// another process that has got its number since.
#[derive(Debug, Clone)]
pub struct Power(Arc<Mutex<Child>>);

impl Power {
    /// Of a process that leads a group of its own.
    pub(super) fn of(process: Child) -> Power {
        Power(Arc::new(Mutex::new(process)))
    }

    /// How the host has ended, if it has.
    ///
    /// # Errors
    /// If that cannot be found out.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        Ok(self.process().try_wait()?)
    }

    /// Cuts it: nothing of the host runs any more when this returns.
    ///
    /// # Errors
    /// If the process cannot be waited for.
    pub fn cut(&self) -> Result<()> {
        let mut process = self.process();
        if process.try_wait()?.is_none() {
            // What fails here has ended already: the wait tells.
            let _ = kill_process_group(pid(&process)?, Signal::KILL);
            process.wait()?;
        }
        Ok(())
    }

    /// Stops the host where it is, as if it had no time any more.
    ///
    /// # Errors
    /// If it has ended.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen host go on.
    ///
    /// # Errors
    /// If it has ended.
    pub fn wake(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// To the kernel alone: its programs stand still with it.
    fn signal(&self, signal: Signal) -> Result<()> {
        let mut process = self.process();
        let ended = process.try_wait()?;
        anyhow::ensure!(ended.is_none(), "the host has ended: {ended:?}");
        kill_process(pid(&process)?, signal).context("cannot signal the host")
    }

    fn process(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pid(process: &Child) -> Result<Pid> {
    let number = i32::try_from(process.id())?;
    Pid::from_raw(number).context("a process has a number")
}
