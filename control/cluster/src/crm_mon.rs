//! The program that is asked how things stand.

use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::xml::XML_BYTES_MAX;
use crate::{ClusterError, NotUnderstood, Snapshot, cut};

/// Between two looks whether it has ended, once it has said all.
const LOOK: Duration = Duration::from_millis(5);
/// Most bytes that are kept of its errors.
const ERRORS_BYTES_MAX: usize = 64 << 10;
/// One answer with all resources, and all that was fenced, one by one. What is left
/// out grows with everything that ever ran. The same from Pacemaker 2.1 to 3.
const OPTIONS: [&str; 5] = [
    "--one-shot",
    "--output-as=xml",
    "--inactive",
    "--fence-history=3",
    "--exclude=attributes,bans,failcounts,operations,tickets",
];

/// Pacemaker's `crm_mon`, and how long it may take.
///
/// It needs root or the group `haclient`. It gets no variable of the environment of
/// its caller: some have it read a file instead of asking the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrmMon {
    /// Where it is: an absolute path.
    pub path: PathBuf,
    /// When it has not answered by then, it is ended. Up to [`LIMIT_MAX`](CrmMon::LIMIT_MAX).
    pub limit: Duration,
}

impl Default for CrmMon {
    /// Where Debian has it, and 10 s.
    fn default() -> CrmMon {
        CrmMon {
            path: "/usr/sbin/crm_mon".into(),
            limit: Duration::from_secs(10),
        }
    }
}

/// What a program has said, and how it ended.
struct Said {
    output: Vec<u8>,
    errors: Vec<u8>,
    status: ExitStatus,
}

/// A child that does not outlive us.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing is killed that has ended already: the handle knows.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl CrmMon {
    /// The longest limit.
    pub const LIMIT_MAX: Duration = Duration::from_secs(60);

    /// Asks how things stand now.
    ///
    /// # Errors
    /// If there is no such program, it does not answer in time, it reaches no
    /// cluster, or what it says is not understood.
    pub fn snapshot(&self) -> Result<Snapshot, ClusterError> {
        let said = self.ask()?;
        let path = || self.path.clone();
        match Snapshot::from_xml(&said.output) {
            Ok(snapshot) if said.status.success() => Ok(snapshot),
            Err(NotUnderstood::NotConnected(said)) => Err(ClusterError::NotRunning { said }),
            Err(source) if said.status.success() => Err(ClusterError::NotUnderstood {
                path: path(),
                source,
            }),
            Err(NotUnderstood::Refused { message, .. }) => Err(ClusterError::Failed {
                path: path(),
                how: said.status.to_string(),
                said: message,
            }),
            _ => Err(ClusterError::Failed {
                path: path(),
                how: said.status.to_string(),
                said: cut(&String::from_utf8_lossy(&said.errors)),
            }),
        }
    }

    fn ask(&self) -> Result<Said, ClusterError> {
        let limit = self.limit.min(CrmMon::LIMIT_MAX);
        let end = Instant::now() + limit;
        let timed_out = || ClusterError::TimedOut {
            path: self.path.clone(),
            limit,
        };
        let run = |source| ClusterError::Run {
            path: self.path.clone(),
            source,
        };
        let mut child = Running(self.start()?);
        // One byte more than is taken shows that there is more.
        let output = keep(child.0.stdout.take(), XML_BYTES_MAX + 1).map_err(run)?;
        let errors = keep(child.0.stderr.take(), ERRORS_BYTES_MAX).map_err(run)?;
        let rest = || end.saturating_duration_since(Instant::now());
        let heard = |said: Receiver<_>| match said.recv_timeout(rest()) {
            Ok(bytes) => Ok(bytes),
            Err(RecvTimeoutError::Timeout) => Err(timed_out()),
            Err(RecvTimeoutError::Disconnected) => Ok(Vec::new()),
        };
        let (output, errors) = (heard(output)?, heard(errors)?);
        loop {
            if let Some(status) = child.0.try_wait().map_err(run)? {
                return Ok(Said {
                    output,
                    errors,
                    status,
                });
            }
            if rest().is_zero() {
                return Err(timed_out());
            }
            thread::sleep(LOOK);
        }
    }

    fn start(&self) -> Result<Child, ClusterError> {
        let mut command = Command::new(&self.path);
        command
            .args(OPTIONS)
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().map_err(|source| match source.kind() {
            ErrorKind::NotFound => ClusterError::Missing {
                path: self.path.clone(),
            },
            _ => ClusterError::Run {
                path: self.path.clone(),
                source,
            },
        })
    }
}

/// Reads all of a pipe, so that its writer never waits, and keeps the beginning.
/// The thread ends when nobody has the other end any more.
fn keep(pipe: Option<impl Read + Send + 'static>, most: usize) -> io::Result<Receiver<Vec<u8>>> {
    let (kept, said) = channel();
    let mut pipe = pipe.ok_or_else(|| io::Error::other("there is no pipe"))?;
    thread::Builder::new()
        .name("crm_mon".into())
        .spawn(move || {
            let mut bytes = Vec::new();
            let beginning = pipe.by_ref().take(u64::try_from(most).unwrap_or(u64::MAX));
            if { beginning }.read_to_end(&mut bytes).is_ok() {
                let _ = io::copy(&mut pipe, &mut io::sink());
            }
            // Nobody hears it who has given up.
            let _ = kept.send(bytes);
        })?;
    Ok(said)
}
