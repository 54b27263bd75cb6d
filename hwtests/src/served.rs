//! An emulated library that `lh-vtl` serves on a socket.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Finished, ours, run};
use crate::scratch::Scratch;

/// A served library. It is killed with the value, if it was not ended before, and
/// with the thread that has started it.
#[derive(Debug)]
pub struct Served {
    process: Child,
    /// The changer's name, for `--library`.
    pub changer: String,
    /// The drives' names, for `--drive`.
    pub drives: Vec<String>,
}

impl Served {
    /// Serves the library in the folder `lib` of `scratch`, on a socket there.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(scratch: &Scratch) -> Result<Served> {
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(ours("lh-vtl")?)
            .arg("serve")
            .arg(scratch.join("lib"))
            .arg("--socket")
            .arg(scratch.join("sock"))
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().context("a pipe")?;
        let mut served = Served {
            process,
            changer: String::new(),
            drives: Vec::new(),
        };
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            match line.split_once(char::is_whitespace) {
                Some(("changer", name)) => served.changer = name.trim().to_owned(),
                Some(("drive", name)) => served.drives.push(name.trim().to_owned()),
                _ if line == "ready" => return Ok(served),
                _ => {}
            }
        }
        anyhow::bail!("lh-vtl ended before it was ready")
    }

    /// The process that serves it.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// `lh-tapelib` with these arguments.
    ///
    /// # Errors
    /// If it could not be run.
    pub fn tapelib(&self, scratch: &Scratch, args: &[&str]) -> Result<Finished> {
        let mut command = Command::new(ours("lh-tapelib")?);
        command.args(["--library", &self.changer]).arg("--state");
        run(command.arg(scratch.join("state")).args(args))
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// If it ends with an error.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        let status = self.process.wait()?;
        ensure!(status.success(), "lh-vtl ended with {status}");
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes a library in the folder `lib` of `scratch`, with these arguments of
/// `lh-vtl create`.
///
/// # Errors
/// If it cannot be made.
pub fn create(scratch: &Scratch, args: &[&str]) -> Result<()> {
    let mut command = Command::new(ours("lh-vtl")?);
    run(command.arg("create").arg(scratch.join("lib")).args(args))?.expect_success()?;
    Ok(())
}
