//! A person at a terminal, in front of a program.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// How long a person waits for a word.
const PATIENCE: Duration = Duration::from_secs(60);

/// Someone who runs a program at a terminal: its standard input and standard
/// error. The program is killed with the value, if it has not ended before.
#[derive(Debug)]
pub struct Person {
    program: Child,
    terminal: File,
    words: Receiver<Vec<u8>>,
    heard: String,
}

impl Person {
    /// Starts the program at a new terminal.
    ///
    /// # Errors
    /// If there is no terminal, or no such program.
    pub fn at(program: &mut Command) -> Result<Person> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let name = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let terminal = OpenOptions::new().read(true).write(true).open(name)?;
        let program = program
            .stdin(terminal.try_clone()?)
            .stderr(terminal)
            .stdout(Stdio::null())
            .spawn()?;
        let master = File::from(master);
        let mut ear = master.try_clone()?;
        let (tell, words) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The terminal's end is an error: EIO.
            while let Ok(len @ 1..) = ear.read(&mut bytes) {
                if tell.send(bytes[..len].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Person {
            program,
            terminal: master,
            words,
            heard: String::new(),
        })
    }

    /// Waits until the program has said that; what came before is forgotten.
    ///
    /// # Errors
    /// If it ends or says something else for a minute.
    pub fn hears(&mut self, wanted: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.heard.find(wanted) {
                self.heard.drain(..at + wanted.len());
                return Ok(());
            }
            match self
                .words
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(bytes) => self.heard.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    bail!("{wanted:?} was not said, but {:?}", self.heard)
                }
            }
        }
    }

    /// Types.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn says(&mut self, words: &str) -> Result<()> {
        self.terminal
            .write_all(words.as_bytes())
            .context("the terminal")
    }

    /// Waits for the program's end; its exit code, if it was not a signal.
    ///
    /// # Errors
    /// If it does not end within a minute.
    pub fn leaves(mut self) -> Result<Option<i32>> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.program.try_wait()? {
                return Ok(status.code());
            }
            thread::sleep(Duration::from_millis(5));
        }
        while let Ok(bytes) = self.words.try_recv() {
            self.heard.push_str(&String::from_utf8_lossy(&bytes));
        }
        bail!("the program does not end; it said {:?}", self.heard)
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
