//! How commands end.

use std::time::Duration;

use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::TransportError;

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status, or the transport's failure that a fault plan asked for.
    pub status: Result<Status, TransportError>,
    /// Sense data, with CHECK CONDITION.
    pub sense: Option<Sense>,
    /// Bytes that moved in the data phase.
    pub transferred: usize,
    /// How long it took by the drive's clock, hangs of a fault plan included.
    /// With [`ClockMode::Real`](crate::clock::ClockMode::Real), or after a
    /// hang, whoever holds the drive answers so much later.
    pub took: Duration,
}

/// Why a command did not end with GOOD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    pub status: Status,
    pub sense: Option<Sense>,
    pub transferred: usize,
}

/// What a command's function returns.
pub(crate) type Checked<T> = Result<T, Stop>;

impl From<Sense> for Stop {
    fn from(sense: Sense) -> Stop {
        Stop {
            status: Status::CheckCondition,
            sense: Some(sense),
            transferred: 0,
        }
    }
}

impl Stop {
    pub(crate) fn status(status: Status) -> Stop {
        Stop {
            status,
            sense: None,
            transferred: 0,
        }
    }

    /// CHECK CONDITION although so many bytes moved.
    pub(crate) fn after(sense: Sense, transferred: usize) -> Stop {
        Stop {
            status: Status::CheckCondition,
            sense: Some(sense),
            transferred,
        }
    }
}

/// INVALID FIELD IN CDB, pointing at a byte.
pub(crate) fn invalid_cdb(byte: u16) -> Sense {
    Sense::new(SenseKey::IllegalRequest, 0x24, 0x00).with_cdb_field(byte)
}

/// INVALID FIELD IN PARAMETER LIST, pointing at a byte.
pub(crate) fn invalid_parameter(byte: usize) -> Sense {
    let byte = u16::try_from(byte).unwrap_or(u16::MAX);
    Sense::new(SenseKey::IllegalRequest, 0x26, 0x00).with_parameter_field(byte)
}

/// PARAMETER LIST LENGTH ERROR.
pub(crate) fn list_length() -> Sense {
    Sense::new(SenseKey::IllegalRequest, 0x1a, 0x00)
}

/// INVALID COMMAND OPERATION CODE.
pub(crate) fn invalid_opcode() -> Sense {
    Sense::new(SenseKey::IllegalRequest, 0x20, 0x00)
}

/// MEDIUM NOT PRESENT.
pub(crate) fn no_medium() -> Sense {
    Sense::new(SenseKey::NotReady, 0x3a, 0x00)
}

/// LOGICAL UNIT IS IN PROCESS OF BECOMING READY.
pub(crate) fn becoming_ready() -> Sense {
    Sense::new(SenseKey::NotReady, 0x04, 0x01)
}

/// LOGICAL BLOCK GUARD CHECK FAILED.
pub(crate) fn guard_failed() -> Sense {
    Sense::new(SenseKey::HardwareError, 0x10, 0x01)
}

/// WRITE PROTECTED.
pub(crate) fn write_protected() -> Sense {
    Sense::new(SenseKey::DataProtect, 0x27, 0x00)
}

/// END-OF-DATA DETECTED.
pub(crate) fn end_of_data() -> Sense {
    Sense::new(SenseKey::BlankCheck, 0x00, 0x05)
}

/// FILEMARK DETECTED.
pub(crate) fn filemark() -> Sense {
    Sense::new(SenseKey::NoSense, 0x00, 0x01).with_filemark()
}

/// BEGINNING-OF-PARTITION/MEDIUM DETECTED.
pub(crate) fn beginning() -> Sense {
    Sense::new(SenseKey::NoSense, 0x00, 0x04).with_eom()
}

/// END-OF-PARTITION/MEDIUM DETECTED as early warning.
pub(crate) fn early_warning() -> Sense {
    Sense::new(SenseKey::NoSense, 0x00, 0x02).with_eom()
}

/// PROGRAMMABLE EARLY WARNING DETECTED.
pub(crate) fn programmable_early_warning() -> Sense {
    Sense::new(SenseKey::NoSense, 0x00, 0x07).with_eom()
}

/// VOLUME OVERFLOW at the end of the partition.
pub(crate) fn overflow() -> Sense {
    Sense::new(SenseKey::VolumeOverflow, 0x00, 0x02).with_eom()
}
