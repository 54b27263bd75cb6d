//! The client's end: a [`Transport`] to a served device.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use longhaul_scsi::transport::{Completion, Data, Outcome, Request, Transport, TransportError};

use super::address::Address;
use super::wire::{Answer, CommandHead, DATA_BYTES_MAX, Hello, Welcome, wrong};

/// How long a server may take to greet.
const GREETING: Duration = Duration::from_secs(5);
/// Where the kernel keeps the host's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Why there is no path to a served device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody listens.
    #[error("{}: nobody serves a library there; start `lh-vtl serve DIR --socket PATH`",
        .socket.display())]
    NotServed {
        /// The socket.
        socket: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The library has no such device.
    #[error("{}: the library has no device with serial {serial}", .socket.display())]
    NoSuchDevice {
        /// The socket.
        socket: PathBuf,
        /// The serial number asked for.
        serial: String,
    },
    /// Another process of this initiator has the path.
    #[error("{address}: in use by process {pid}, as initiator {initiator}")]
    InUse {
        /// The device.
        address: String,
        /// The initiator's name.
        initiator: String,
        /// The process.
        pid: u32,
    },
    /// The server has no room.
    #[error("{}: the server has all the connections that it takes", .socket.display())]
    TooMany {
        /// The socket.
        socket: PathBuf,
    },
    /// The other end speaks otherwise.
    #[error("{}: what listens there is no library of this version", .socket.display())]
    Protocol {
        /// The socket.
        socket: PathBuf,
        /// What was wrong.
        source: io::Error,
    },
}

/// A path to a device of a library that another process serves.
///
/// If the connection breaks, the command in flight ends without a status, and
/// the next one connects anew, as the same initiator.
#[derive(Debug)]
pub struct Remote {
    address: Address,
    initiator: String,
    stream: Option<UnixStream>,
    in_flight: Option<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    data: Data,
    /// How long the answer may take; or why there will be none.
    waits: Result<Duration, TransportError>,
}

impl Remote {
    /// Connects to a device.
    ///
    /// # Errors
    /// [`ConnectError`]: nobody serves it, no such device, in use.
    pub fn connect(address: Address) -> Result<Remote, ConnectError> {
        let initiator = address.initiator.clone().unwrap_or_else(host_name);
        let stream = greet(&address, &initiator)?;
        Ok(Remote {
            address,
            initiator,
            stream: Some(stream),
            in_flight: None,
        })
    }

    fn send(&mut self, request: &Request) -> Result<Duration, TransportError> {
        if request.data.len() > DATA_BYTES_MAX {
            return Err(TransportError::TooLarge);
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let greeted = greet(&self.address, &self.initiator).map_err(|error| {
                    log::warn!("{error}");
                    TransportError::NoConnect
                })?;
                none.insert(greeted)
            }
        };
        let sent = write(stream, request);
        sent.map_err(|error| {
            log::warn!("{}: {error}", self.address);
            self.stream = None;
            TransportError::Disrupted
        })?;
        Ok(request.timeout)
    }

    fn receive(&mut self, waits: Duration, data: &mut Data) -> Outcome {
        let asked = data.len();
        let Some(stream) = &mut self.stream else {
            return failed(TransportError::Disrupted, asked);
        };
        match read(stream, waits, data) {
            Ok(answer) => Outcome {
                status: answer.status,
                sense: answer.sense,
                residual: asked as i64 - answer.moved as i64,
            },
            Err(error) => {
                // The answer may still come, and must not be taken for that of
                // the next command.
                self.stream = None;
                let late = matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                );
                log::warn!("{}: {error}", self.address);
                let failure = if late {
                    TransportError::TimedOut
                } else {
                    TransportError::Disrupted
                };
                failed(failure, asked)
            }
        }
    }
}

impl Transport for Remote {
    fn submit(&mut self, request: Request) {
        assert!(self.in_flight.is_none(), "a command is in flight already");
        let waits = self.send(&request);
        let data = request.data;
        self.in_flight = Some(InFlight { data, waits });
    }

    fn complete(&mut self) -> Completion {
        let InFlight { mut data, waits } = self.in_flight.take().expect("a command is in flight");
        let outcome = match waits {
            Ok(waits) => self.receive(waits, &mut data),
            Err(error) => failed(error, data.len()),
        };
        Completion { outcome, data }
    }

    fn name(&self) -> String {
        self.address.to_string()
    }
}

fn failed(error: TransportError, asked: usize) -> Outcome {
    Outcome {
        status: Err(error),
        sense: None,
        residual: asked as i64,
    }
}

/// The name that a host has in the SAN, if nobody says otherwise: so all its
/// processes, and those to come, are one nexus.
fn host_name() -> String {
    let name = fs::read_to_string(HOST_NAME).unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

fn greet(address: &Address, initiator: &str) -> Result<UnixStream, ConnectError> {
    let socket = || address.socket.clone();
    let mut stream =
        UnixStream::connect(&address.socket).map_err(|source| ConnectError::NotServed {
            socket: socket(),
            source,
        })?;
    let hello = Hello {
        pid: std::process::id(),
        serial: address.serial.clone(),
        initiator: initiator.to_owned(),
    };
    let welcome = exchange(&mut stream, &hello);
    let welcome = welcome.map_err(|source| ConnectError::Protocol {
        socket: socket(),
        source,
    })?;
    match welcome {
        Welcome::Open => Ok(stream),
        Welcome::NoSuchDevice => Err(ConnectError::NoSuchDevice {
            socket: socket(),
            serial: address.serial.clone(),
        }),
        Welcome::InUse(pid) => Err(ConnectError::InUse {
            address: address.to_string(),
            initiator: initiator.to_owned(),
            pid,
        }),
        Welcome::TooMany => Err(ConnectError::TooMany { socket: socket() }),
        Welcome::NotUnderstood => Err(ConnectError::Protocol {
            socket: socket(),
            source: wrong("it did not understand the greeting"),
        }),
    }
}

fn exchange(stream: &mut UnixStream, hello: &Hello) -> io::Result<Welcome> {
    stream.set_read_timeout(Some(GREETING))?;
    // A server without room answers and hangs up before it is greeted.
    let greeted = hello.write(stream);
    Welcome::read(stream).map_err(|error| greeted.err().unwrap_or(error))
}

fn write(stream: &mut UnixStream, request: &Request) -> io::Result<()> {
    let cdb = request.cdb.as_bytes();
    let (data_out, data_in): (&[u8], usize) = match &request.data {
        Data::None => (&[], 0),
        Data::In { len, .. } => (&[], *len),
        Data::Out { buffer, len } => (&buffer[..*len], 0),
    };
    let head = CommandHead {
        cdb: cdb.len(),
        data_out: data_out.len(),
        data_in,
    };
    // A device that takes no more is as late as one that does not answer.
    stream.set_write_timeout(nonzero(request.timeout))?;
    let mut small = Vec::with_capacity(CommandHead::BYTES + cdb.len());
    head.write(&mut small)?;
    small.extend(cdb);
    stream.write_all(&small)?;
    stream.write_all(data_out)
}

fn read(stream: &mut UnixStream, waits: Duration, data: &mut Data) -> io::Result<Answer> {
    stream.set_read_timeout(nonzero(waits))?;
    let answer = Answer::read(stream)?;
    if answer.moved > data.len() {
        return Err(wrong("an answer that moves more than was asked for"));
    }
    if let Data::In { buffer, .. } = data {
        stream.read_exact(&mut buffer[..answer.moved])?;
    }
    Ok(answer)
}

/// A timeout as sockets take it: none is not 0.
fn nonzero(timeout: Duration) -> Option<Duration> {
    Some(timeout.max(Duration::from_millis(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_hangs_up_before_it_is_greeted_is_heard() {
        let (mut client, mut server) = UnixStream::pair().expect("a pair");
        Welcome::TooMany.write(&mut server).expect("room");
        drop(server);
        let hello = Hello {
            pid: 1,
            serial: "LHVTL00001".to_owned(),
            initiator: "host".to_owned(),
        };
        let welcome = exchange(&mut client, &hello).expect("an answer");
        assert_eq!(welcome, Welcome::TooMany);
    }
}
