//! Running programs, ours and others'.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, str};

use anyhow::{Context, Result, bail, ensure};

/// Names the folder of our programs, where they are not beside the tests.
pub const PROGRAMS_VARIABLE: &str = "LONGHAUL_BIN_DIR";

/// How long a program may run before the test gives it up.
const PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(5);

/// The folder of our programs.
///
/// # Errors
/// If the test is not where cargo puts tests.
pub fn folder() -> Result<PathBuf> {
    match env::var_os(PROGRAMS_VARIABLE) {
        Some(folder) => Ok(PathBuf::from(folder)),
        // A test is target/PROFILE/deps/NAME-HASH.
        None => Ok(env::current_exe()?
            .parent()
            .and_then(Path::parent)
            .context("the test has no folder above its own")?
            .to_owned()),
    }
}

/// One of our programs, by name: `lh-mover`, `lh-vtl`.
///
/// # Errors
/// If it has not been built beside the test that asks.
pub fn ours(name: &str) -> Result<PathBuf> {
    let path = folder()?.join(name);
    ensure!(
        path.is_file(),
        "{} is missing; build the programs first, with the same profile \
         (cargo build --workspace --bins), or set {PROGRAMS_VARIABLE}",
        path.display()
    );
    Ok(path)
}

/// Has `lh-vtl` export a cartridge's tape files to a folder.
///
/// # Errors
/// If it does not.
pub fn export(cartridge: &Path, to: &Path) -> Result<()> {
    let args = [
        OsStr::new("export"),
        cartridge.as_os_str(),
        OsStr::new("--to"),
        to.as_os_str(),
    ];
    run_ours("lh-vtl", args)?.expect_success()?;
    Ok(())
}

/// A number of the environment: of rounds, or a seed.
pub fn number(variable: &str, usual: u64) -> u64 {
    let given = env::var(variable).ok().and_then(|text| text.parse().ok());
    given.unwrap_or(usual)
}

/// Whether a program of this name is installed.
pub fn is_installed(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// What a program said, and how it ended.
pub struct Finished {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// The exit code; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Standard output as text, where it is UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text, where it is UTF-8.
    pub fn words(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The same, if the exit code is this one.
    ///
    /// # Errors
    /// With all that the program said, if it is another.
    pub fn expect_code(self, code: i32) -> Result<Finished> {
        ensure!(
            self.code() == Some(code),
            "exit code {code} was expected of\n{self}"
        );
        Ok(self)
    }

    /// The same, if the exit code is 0.
    ///
    /// # Errors
    /// As [`Finished::expect_code`].
    pub fn expect_success(self) -> Result<Finished> {
        self.expect_code(0)
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}\n{}\n{}",
            self.command,
            self.status,
            self.text(),
            self.words()
        )
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Runs one of our programs to its end.
///
/// # Errors
/// If it is not built, cannot be started, or does not end.
pub fn run_ours<A: AsRef<OsStr>>(
    name: &str,
    arguments: impl IntoIterator<Item = A>,
) -> Result<Finished> {
    run(Command::new(ours(name)?).args(arguments))
}

/// Runs a command to its end, with nothing on its standard input.
///
/// # Errors
/// If it cannot be started, or does not end within five minutes: then it is
/// killed.
pub fn run(command: &mut Command) -> Result<Finished> {
    run_within(command, PATIENCE)
}

/// The same, with another end to the patience.
///
/// # Errors
/// As [`run`].
pub fn run_within(command: &mut Command, patience: Duration) -> Result<Finished> {
    let line = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {line}"))?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let status = wait(&mut child, &line, patience)?;
    let stdout = stdout.join().expect("reading a pipe does not panic")?;
    let stderr = stderr.join().expect("reading a pipe does not panic")?;
    Ok(Finished {
        command: line,
        status,
        stdout,
        stderr,
    })
}

/// Reads a pipe on a thread of its own: a program that fills one pipe waits.
fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<io::Result<Vec<u8>>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    })
}

fn wait(child: &mut Child, line: &str, patience: Duration) -> Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            bail!(
                "{line} did not end within {} s, and was killed",
                patience.as_secs()
            );
        }
        thread::sleep(POLL);
    }
}
