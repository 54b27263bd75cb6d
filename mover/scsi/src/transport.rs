//! The one seam to hardware: a command in; status, sense and residual out.
//!
//! Real, emulated, recorded and faulty drives are all a [`Transport`], and
//! decorators compose over it. The seam lies below the encoding of commands,
//! so every test drives the very bytes that a real drive would see.
//!
//! A transport owns the data buffer while the command runs, and gives it back
//! with the outcome: submission and completion are separate calls, and **one
//! command is in flight, never two** (SAM-6 lets a device server reorder, and
//! Linux promises no order between two queued commands when one is requeued).

use std::fmt;
use std::time::Duration;

use longhaul_ffi::buffer::Buffer;

use crate::cdb::Cdb;
use crate::sense::Sense;
use crate::status::Status;

/// A command, ready to be sent.
#[derive(Debug)]
pub struct Request {
    /// The command descriptor block, 6 to 32 bytes.
    pub cdb: Cdb,
    /// What moves, and where to or from.
    pub data: Data,
    /// How long the device may take.
    pub timeout: Duration,
}

/// The data phase of a command. `len` is the transfer length in bytes, at most
/// the buffer's.
#[derive(Debug, Default)]
pub enum Data {
    /// No data phase.
    #[default]
    None,
    /// From the device.
    In {
        /// Filled from its start.
        buffer: Buffer,
        /// Bytes asked for.
        len: usize,
    },
    /// To the device.
    Out {
        /// Sent from its start.
        buffer: Buffer,
        /// Bytes to send.
        len: usize,
    },
}

impl Data {
    /// Bytes asked to move.
    pub fn len(&self) -> usize {
        match self {
            Data::None => 0,
            Data::In { len, .. } | Data::Out { len, .. } => *len,
        }
    }

    /// Whether nothing is asked to move.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffer, if there is one.
    pub fn into_buffer(self) -> Option<Buffer> {
        match self {
            Data::None => None,
            Data::In { buffer, .. } | Data::Out { buffer, .. } => Some(buffer),
        }
    }
}

/// How a command ended, as far as the initiator can know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The device's status, or why none came back.
    pub status: Result<Status, TransportError>,
    /// Autosense, where the device sent any.
    pub sense: Option<Sense>,
    /// Transfer length minus bytes that moved, as the transport counted them.
    /// Some transports get it wrong at a filemark (they say 0): where the
    /// sense data has an INFORMATION field, that one is right.
    pub residual: i64,
}

impl Outcome {
    /// GOOD, nothing to say.
    pub fn good() -> Outcome {
        Outcome {
            status: Ok(Status::Good),
            sense: None,
            residual: 0,
        }
    }
}

impl fmt::Display for Outcome {
    /// What there is to say of it: the sense data of a CHECK CONDITION, else the
    /// status, else why there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, &self.sense) {
            (Err(error), _) => error.fmt(f),
            (Ok(Status::CheckCondition), Some(sense)) => sense.fmt(f),
            (Ok(status), _) => status.fmt(f),
        }
    }
}

/// Why no status came back from the device. The names in brackets are Linux's
/// host bytes (`include/scsi/scsi_status.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportError {
    /// The device or the path to it is gone (DID_NO_CONNECT, ENODEV, ENXIO).
    NoConnect,
    /// The device did not answer in time; whether it executed the command is
    /// unknown (DID_TIME_OUT).
    TimedOut,
    /// The path broke in the middle; unknown whether it was executed
    /// (DID_TRANSPORT_DISRUPTED, DID_ERROR, DID_ABORT, DID_RESET, EINTR).
    Disrupted,
    /// Not sent: a resource was short for the moment (DID_BUS_BUSY,
    /// DID_IMM_RETRY, DID_REQUEUE, EAGAIN).
    NotSent,
    /// Not sent: the transfer is too large for this host adapter (EINVAL,
    /// ENOMEM, EIO before submission).
    TooLarge,
    /// Anything else, with the number the kernel gave.
    Other(i32),
}

impl TransportError {
    /// Whether the device certainly did not execute the command.
    pub fn not_executed(self) -> bool {
        matches!(self, TransportError::NotSent | TransportError::TooLarge)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransportError::NoConnect => f.write_str("the path to the device is gone"),
            TransportError::TimedOut => f.write_str("the device did not answer in time"),
            TransportError::Disrupted => f.write_str("the path to the device broke off"),
            TransportError::NotSent => f.write_str("the host adapter was busy; nothing was sent"),
            TransportError::TooLarge => {
                f.write_str("the transfer is too large for the host adapter; nothing was sent")
            }
            TransportError::Other(number) => write!(f, "the kernel reported error {number}"),
        }
    }
}

/// A command that has ended: its outcome, and its data phase's buffer back.
#[derive(Debug)]
pub struct Completion {
    /// How it ended.
    pub outcome: Outcome,
    /// The buffer that came with the request.
    pub data: Data,
}

/// A path to one logical unit.
///
/// The contract: [`submit`](Transport::submit) is called only while nothing is
/// in flight, [`complete`](Transport::complete) only while something is; an
/// implementation may panic otherwise, and on nothing else.
pub trait Transport: Send {
    /// Starts a command.
    fn submit(&mut self, request: Request);

    /// Waits for the command in flight.
    fn complete(&mut self) -> Completion;

    /// How the device is called towards people: its name on this host.
    fn name(&self) -> String;

    /// Goes over to another path to the same device, if there is one: the
    /// present one is dead. The new one is another I_T nexus, or may be: it
    /// holds no reservation, and has unit attentions of its own. Nothing is in
    /// flight.
    fn change_path(&mut self) -> bool {
        false
    }

    /// Starts a command and waits for it.
    fn execute(&mut self, request: Request) -> Completion {
        self.submit(request);
        self.complete()
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn submit(&mut self, request: Request) {
        (**self).submit(request);
    }

    fn complete(&mut self) -> Completion {
        (**self).complete()
    }

    fn name(&self) -> String {
        (**self).name()
    }

    fn change_path(&mut self) -> bool {
        (**self).change_path()
    }
}
