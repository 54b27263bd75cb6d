//! What programs of this node ask of its backup service, and are answered: a line of
//! JSON each, on a socket of this host.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use longhaul_protocol::{Event, ExitStatus};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest request or answer, in bytes: the longest path, or the longest texts of
/// an event, with each byte escaped.
pub const LINE_BYTES_MAX: usize = 32 << 10;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// The node's own cluster service has told this.
    Alert {
        /// What.
        event: Event,
    },
    /// A file system is to leave the node. Answered when nothing is open below it;
    /// from now on nothing is begun there.
    Release {
        /// Where it is mounted: an absolute path.
        mount: PathBuf,
    },
    /// A file system has come to the node, and may be backed up again.
    Admit {
        /// Where it is mounted: an absolute path.
        mount: PathBuf,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// It is done.
    Done,
    /// It is not.
    Refused {
        /// Why.
        why: String,
    },
}

/// Why there is no answer, or not the one that was wanted.
#[derive(Debug, Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("no backup service listens at {}", .0.display())]
    NoService(PathBuf),
    /// The service says so.
    #[error("the backup service refuses: {0}")]
    Refused(String),
    /// Not in time.
    #[error("the backup service has not answered within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The connection broke, or what came makes no sense.
    #[error("the backup service at {}: {source}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
}

impl AskError {
    /// The exit code that tells a script what to do.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            AskError::NoService(_) | AskError::Broken { .. } => ExitStatus::Unreachable,
            AskError::Refused(_) => ExitStatus::Refused,
            AskError::TimedOut(_) => ExitStatus::Unfinished,
        }
    }
}

/// Asks the service that listens at this socket, and waits for its answer for so
/// long at most.
///
/// # Errors
/// [`AskError`].
pub fn ask(socket: &Path, request: &Request, limit: Duration) -> Result<(), AskError> {
    let (path, request) = (socket.to_owned(), request.clone());
    let (to, answer) = sync_channel(1);
    // Nothing limits how long it takes to connect but this.
    let asking = thread::Builder::new().spawn(move || {
        // If nobody waits any more, it is in vain.
        let _ = to.send(talk(&path, &request));
    });
    let broken = |source: io::Error| match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            AskError::NoService(socket.to_owned())
        }
        _ => AskError::Broken {
            path: socket.to_owned(),
            source,
        },
    };
    asking.map_err(broken)?;
    match answer.recv_timeout(limit) {
        Ok(Ok(Answer::Done)) => Ok(()),
        Ok(Ok(Answer::Refused { why })) => Err(AskError::Refused(why)),
        Ok(Err(error)) => Err(broken(error)),
        Err(_) => Err(AskError::TimedOut(limit)),
    }
}

fn talk(path: &Path, request: &Request) -> io::Result<Answer> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(&line)?;
    let mut answer = String::new();
    let most = LINE_BYTES_MAX as u64;
    BufReader::new(stream.take(most)).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&answer)?)
}
