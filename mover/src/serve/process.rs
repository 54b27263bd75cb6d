//! The processes of attempts.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::SystemTime;

use crossbeam_channel::Sender;
use longhaul_protocol::order::Stop;
use longhaul_protocol::report::Outcome;
use longhaul_protocol::{AttemptId, ExitStatus, Time};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Happened;
use crate::job::attempt::{Event, Task};

/// Longest event, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// The processes that run. Each dies with the thread that has started it.
#[derive(Debug)]
pub struct Processes {
    running: BTreeMap<AttemptId, Running>,
    to: Sender<Happened>,
}

#[derive(Debug)]
struct Running {
    process: Pid,
    /// To end.
    is_told: bool,
    /// Closed, it says that nobody is there any more.
    _stdin: ChildStdin,
}

impl Processes {
    /// None yet; what they say goes to `to`.
    pub fn new(to: Sender<Happened>) -> Processes {
        Processes {
            running: BTreeMap::new(),
            to,
        }
    }

    /// Starts the process of an attempt. If that cannot be, the attempt has ended.
    pub fn start(&mut self, task: &Task) {
        let id = task.start.attempt.clone();
        match self.spawn(task) {
            Ok(running) => drop(self.running.insert(id, running)),
            Err(error) => {
                let why = format!("its process cannot be started: {error}");
                let outcome = Outcome {
                    wrote_nothing: true,
                    ..broken_off(why)
                };
                // Whoever listens to this is who called it.
                let _ = self.to.send(Happened::Ended(id, outcome));
            }
        }
    }

    fn spawn(&self, task: &Task) -> std::io::Result<Running> {
        // Our own program, whatever has become of its file.
        let mut child = Command::new("/proc/self/exe")
            .arg0("lh-mover")
            .args(verbosity())
            .arg("attempt")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let process = Pid::from_raw(child.id().cast_signed());
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("it has no standard input or output"));
        };
        let mut line = serde_json::to_vec(task)?;
        line.push(b'\n');
        if let Err(error) = stdin.write_all(&line) {
            // Its end says more than that it did not listen.
            log::warn!("attempt {}: {error}", task.start.attempt);
        }
        let (id, to) = (task.start.attempt.clone(), self.to.clone());
        thread::spawn(move || listen(child, stdout, &id, &to));
        Ok(Running {
            process,
            is_told: false,
            _stdin: stdin,
        })
    }

    /// Tells a process to end: at a checkpoint once, however many want that. The second
    /// SIGTERM would be the end of it.
    pub fn signal(&mut self, id: &AttemptId, how: Stop) {
        let Some(running) = self.running.get_mut(id) else {
            return;
        };
        let signal = match how {
            Stop::Checkpoint if running.is_told => return,
            Stop::Checkpoint => Signal::SIGTERM,
            Stop::Now => Signal::SIGKILL,
        };
        running.is_told = true;
        if let Err(error) = kill(running.process, signal) {
            log::warn!("attempt {id}: {signal}: {error}");
        }
    }

    /// A process has ended.
    pub fn forget(&mut self, id: &AttemptId) {
        self.running.remove(id);
    }

    /// Those that run.
    pub fn all(&self) -> Vec<AttemptId> {
        self.running.keys().cloned().collect()
    }
}

/// As much as this service says itself.
fn verbosity() -> &'static [&'static str] {
    match log::max_level() {
        log::LevelFilter::Off | log::LevelFilter::Error | log::LevelFilter::Warn => &[],
        log::LevelFilter::Info => &["-v"],
        log::LevelFilter::Debug | log::LevelFilter::Trace => &["-vv"],
    }
}

/// Passes on what a process says, until it has ended.
fn listen(mut child: Child, stdout: impl Read, id: &AttemptId, to: &Sender<Happened>) {
    let mut from = BufReader::new(stdout);
    let mut told = None;
    loop {
        let mut line = Vec::new();
        match (&mut from)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
        {
            Ok(1..) => {}
            Ok(0) => break,
            Err(error) => {
                log::warn!("attempt {id}: {error}");
                break;
            }
        }
        match serde_json::from_slice(&line) {
            Ok(Event::Reached(point)) => {
                if to.send(Happened::Reached(id.clone(), point)).is_err() {
                    break;
                }
            }
            Ok(Event::Ended(outcome)) => told = Some(outcome),
            Err(error) => log::warn!("attempt {id} says what is no event: {error}"),
        }
    }
    drop(from);
    // Before it is gone, its drive is open, and its commands may be under way.
    let ended = child.wait();
    let outcome = told.unwrap_or_else(|| {
        broken_off(match ended {
            Ok(status) => format!("its process has ended without a word: {status}"),
            Err(error) => format!("its process cannot be waited for: {error}"),
        })
    });
    let _ = to.send(Happened::Ended(id.clone(), outcome));
}

fn broken_off(why: String) -> Outcome {
    Outcome::without_set(ExitStatus::Unfinished, why, Time::from(SystemTime::now()))
}
