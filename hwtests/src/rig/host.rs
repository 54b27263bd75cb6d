//! A host: one User Mode Linux process, and what runs in it.
//!
//! A host and its test share a folder. Scripts are laid into it and run by the
//! host's first process (`rig/init`), each with a file of what it said and one
//! of how it ended, so that many can run at once and none needs a network. The
//! console, with the kernel's log, goes to another file there; what a pipe beside it
//! is told comes from the console, and has the host look for scripts.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::network::Network;
use super::parts::{self, Kernel};
use super::power::Power;
use super::trial::Trial;
use crate::program;

/// How long a host may take to be up, and to be off.
const BOOT_PATIENCE: Duration = Duration::from_secs(60);
/// How long a script may take where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// What a host is made of.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Its kernel.
    pub kernel: Kernel,
    /// Its memory, in MiB. The machine below gives what is used of it.
    pub memory_mib: u32,
    /// After so many seconds it ends by itself, whatever has become of its
    /// test.
    pub limit_s: u32,
}

impl Machine {
    /// With what is enough for a test of some minutes.
    pub fn of(kernel: Kernel) -> Machine {
        Machine {
            kernel,
            memory_mib: 2048,
            limit_s: 600,
        }
    }
}

/// A running host. Dropping it cuts its power.
pub struct Host {
    name: String,
    power: Power,
    share: PathBuf,
    jobs: u32,
}

/// A script that was started in a host.
#[derive(Debug, Clone)]
pub struct Job {
    files: PathBuf,
    script: String,
}

/// How a script ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The script.
    pub script: String,
    /// Its exit status.
    pub code: i32,
    /// What it wrote to standard output and standard error.
    pub said: String,
}

impl Ended {
    /// The same, if the exit status is this one.
    ///
    /// # Errors
    /// With all that the script said, if it is another.
    pub fn expect_code(self, code: i32) -> Result<Ended> {
        ensure!(
            self.code == code,
            "exit status {}, not {code}, of\n{}\nwhich said\n{}",
            self.code,
            self.script,
            self.said
        );
        Ok(self)
    }

    /// The same, if the exit status is 0.
    ///
    /// # Errors
    /// As [`Ended::expect_code`].
    pub fn expect_success(self) -> Result<Ended> {
        self.expect_code(0)
    }
}

impl Host {
    /// Boots host number `node`, 1 to 9, and waits until it is up. Its name is
    /// `nNODE`.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn boot(trial: &Trial, kernel: Kernel, node: u8) -> Result<Host> {
        let mut host = Host::switch_on(trial, Machine::of(kernel), node, None)?;
        host.wait_until_up()?;
        Ok(host)
    }

    /// The same, on networks that were made for so many hosts.
    ///
    /// # Errors
    /// As [`Host::boot`].
    pub fn boot_on(network: &Network, trial: &Trial, kernel: Kernel, node: u8) -> Result<Host> {
        let mut host = Host::switch_on(trial, Machine::of(kernel), node, Some(network))?;
        host.wait_until_up()?;
        Ok(host)
    }

    /// The same, without waiting for it, so that several boot at once.
    pub(super) fn switch_on(
        trial: &Trial,
        machine: Machine,
        node: u8,
        network: Option<&Network>,
    ) -> Result<Host> {
        let share = new_share(trial, node)?;
        let boot = parts::scripts().join("boot");
        let boot = boot.to_str().context("the rig's folder is not UTF-8")?;
        let mut command = match network {
            Some(network) => network.command(boot),
            None => {
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "KILL", boot]);
                command
            }
        };
        command.env("MEMORY", format!("{}M", machine.memory_mib));
        command.arg(parts::folder()?).arg(machine.kernel.version());
        command.arg(node.to_string()).arg(&share);
        command.arg(format!("LIMIT={}", machine.limit_s));
        if let Some(network) = network {
            command.args(network.kernel_arguments(node));
        }
        let console = File::create(share.join("console"))?;
        command
            .stdin(Stdio::null())
            .stderr(console.try_clone()?)
            .stdout(console);
        // User Mode Linux has processes of its own: killed as one.
        let process = command
            .process_group(0)
            .spawn()
            .context("cannot start setpriv")?;
        Ok(Host {
            name: format!("n{node}"),
            power: Power::of(process),
            share,
            jobs: 0,
        })
    }

    pub(super) fn wait_until_up(&mut self) -> Result<()> {
        let up = self.share.join("up");
        self.wait_until(BOOT_PATIENCE, "is not up", || Ok(up.exists()))
    }

    /// What its power hangs on.
    pub fn power(&self) -> &Power {
        &self.power
    }

    /// What a host calls a file of the machine that it runs on.
    pub fn path_of(file: &Path) -> String {
        format!("/host{}", file.display())
    }

    /// The folder that the host sees as /share.
    pub fn share(&self) -> &Path {
        &self.share
    }

    /// Runs a script (`sh -eu`) to its end, which must be a good one, and gives
    /// what it said.
    ///
    /// # Errors
    /// With all that it said, if it fails or takes longer than a minute.
    pub fn run(&mut self, script: &str) -> Result<String> {
        Ok(self.run_within(script, PATIENCE)?.expect_success()?.said)
    }

    /// Runs a script to its end, whatever that is.
    ///
    /// # Errors
    /// If it takes longer than so long, or the host dies.
    pub fn run_within(&mut self, script: &str, patience: Duration) -> Result<Ended> {
        let job = self.start(script)?;
        self.finish(&job, patience)
    }

    /// Starts a script. Our programs are in its path.
    ///
    /// # Errors
    /// If the shared folder cannot be written to.
    pub fn start(&mut self, script: &str) -> Result<Job> {
        self.jobs += 1;
        let programs = program::folder()?.canonicalize()?;
        let script = &format!("PATH=$PATH:{}\n{script}", Host::path_of(&programs));
        let job = Job {
            files: self.share.join(format!("jobs/{}", self.jobs)),
            script: script.to_owned(),
        };
        let part = job.file("part");
        fs::write(&part, script)?;
        fs::rename(&part, job.file("sh"))?;
        self.ring()?;
        Ok(job)
    }

    /// Has the host look at what was laid down for it.
    fn ring(&self) -> Result<()> {
        // Open for both, it waits for nobody.
        let bell = self.share.join("bell");
        let mut bell = File::options().read(true).write(true).open(bell)?;
        Ok(bell.write_all(b"\n")?)
    }

    /// Waits until a script has ended.
    ///
    /// # Errors
    /// As [`Host::run_within`].
    pub fn finish(&mut self, job: &Job, patience: Duration) -> Result<Ended> {
        let complaint = format!("has not ended\n{}", job.script);
        self.wait_until(patience, &complaint, || Ok(job.has_ended()))?;
        Ok(Ended {
            script: job.script.clone(),
            code: fs::read_to_string(job.file("status"))?.trim().parse()?,
            said: job.said()?,
        })
    }

    /// Waits until a script has said a line with this text in it, and gives
    /// the line.
    ///
    /// # Errors
    /// If it does not say it in time, or ends before.
    pub fn wait_for_line(&mut self, job: &Job, text: &str, patience: Duration) -> Result<String> {
        let complaint = format!("has not said {text:?}\n{}", job.script);
        let mut found = None;
        self.wait_until(patience, &complaint, || {
            // Looked at before what it said: an end hides no last line.
            let has_ended = job.has_ended();
            let said = job.said()?;
            found = said
                .split_inclusive('\n')
                .find(|line| line.contains(text) && line.ends_with('\n'))
                .map(|line| line.trim_end().to_owned());
            ensure!(
                found.is_some() || !has_ended,
                "ended without {text:?}:\n{}\n{said}",
                job.script
            );
            Ok(found.is_some())
        })?;
        found.context("a line that was found")
    }

    /// Shuts the host down, and waits until it is off.
    ///
    /// # Errors
    /// If it does not end in time; its power is cut then.
    pub fn power_off(self) -> Result<()> {
        fs::write(self.share.join("off"), "")?;
        self.ring()?;
        let start = Instant::now();
        while self.power.ended()?.is_none() {
            ensure!(start.elapsed() < BOOT_PATIENCE, "{} stays on", self.name);
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Cuts the host's power: nothing of it runs any more when this returns.
    pub fn kill(self) {
        drop(self);
    }

    fn wait_until(
        &mut self,
        patience: Duration,
        complaint: &str,
        mut is_true: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let start = Instant::now();
        while !is_true().with_context(|| format!("{}: a script", self.name))? {
            if let Some(status) = self.power.ended()? {
                bail!("{} died ({status}), and {complaint}", self.name);
            }
            ensure!(
                start.elapsed() < patience,
                "{}: after {} s, it {complaint}",
                self.name,
                patience.as_secs()
            );
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // What cannot be waited for has ended already.
        let _ = self.power.cut();
    }
}

impl Job {
    fn file(&self, kind: &str) -> PathBuf {
        self.files.with_extension(kind)
    }

    /// Whether its script has come to its end.
    pub fn has_ended(&self) -> bool {
        let status = self.file("status").metadata();
        status.is_ok_and(|status| status.len() > 0)
    }

    /// What it has said so far.
    ///
    /// # Errors
    /// If the shared folder cannot be read.
    pub fn said(&self) -> Result<String> {
        let out = self.file("out");
        if !out.exists() {
            return Ok(String::new());
        }
        let said = fs::read(&out).with_context(|| format!("{}", out.display()))?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

/// A folder for a host's files: a host that boots again gets another.
fn new_share(trial: &Trial, node: u8) -> Result<PathBuf> {
    for boot in 1..=99 {
        let share = trial.join(format!("n{node}-{boot}"));
        if !share.exists() {
            fs::create_dir_all(share.join("jobs"))?;
            return Ok(share);
        }
    }
    bail!("host {node} was booted a hundred times");
}
