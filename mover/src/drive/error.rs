//! What can go wrong with a drive, in words a person can act on.
//!
//! A condition that the caller can use (a filemark, early warning, the end of
//! data) is a value, never one of these.

use std::fmt;
use std::sync::Arc;

use longhaul_scsi::sense::Sense;
use longhaul_scsi::transport::TransportError;

use super::reservation::Key;

/// What went wrong, on which drive, and during which command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{drive}: {during}: {problem}")]
pub struct DriveError {
    drive: Arc<str>,
    during: &'static str,
    problem: Box<Problem>,
}

impl DriveError {
    pub(crate) fn new(drive: &Arc<str>, during: &'static str, problem: Problem) -> DriveError {
        DriveError {
            drive: Arc::clone(drive),
            during,
            problem: Box::new(problem),
        }
    }

    /// The drive: its name on this host and, once known, its serial number.
    pub fn drive(&self) -> &str {
        &self.drive
    }

    /// The command or step that failed, in the standards' words.
    pub fn during(&self) -> &'static str {
        self.during
    }

    /// What went wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Who has to do something about it.
    pub fn kind(&self) -> Kind {
        self.problem.kind()
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// INQUIRY says that this is no sequential-access device (type 01h).
    #[error(
        "this is not a tape drive (peripheral device type {device_type:02x}h); \
             name another device"
    )]
    NotATapeDrive {
        /// What it is (SPC-5 6.6.2).
        device_type: u8,
    },
    /// Another path to the drive led to another drive.
    #[error(
        "this path leads to the drive with serial number {found:?}, not {expected:?}; \
             look at the host adapter's zoning"
    )]
    AnotherDrive {
        /// The drive that the session began with.
        expected: String,
        /// What INQUIRY said now.
        found: String,
    },
    /// 3Ah: there is no cartridge in the drive.
    #[error("there is no cartridge in the drive; load one")]
    NoMedium,
    /// The drive did not become ready in the time given.
    #[error("the drive did not become ready within {waited_s} s ({last}); wait, or look at it")]
    NotReady {
        /// How long was waited, in seconds.
        waited_s: u64,
        /// What it said last.
        last: String,
    },
    /// 04h/00h, 04h/02h: a cartridge is there, and was not loaded.
    #[error("the cartridge is not loaded ({0}); load it")]
    NotLoaded(Box<Sense>),
    /// 53h/00h and its like.
    #[error(
        "the cartridge could not be loaded or ejected ({0}); \
             look at both, and take another drive"
    )]
    LoadFailed(Box<Sense>),
    /// 53h/02h: another host keeps the cartridge in the drive.
    #[error("another host prevents the removal of the cartridge; end its job first")]
    RemovalPrevented,
    /// 0Bh/01h.
    #[error("the drive is too hot ({0}); let it cool down")]
    TooHot(Box<Sense>),
    /// Only a person can help: manual intervention, a door, an offline drive.
    #[error("the drive needs an operator ({0})")]
    NeedsOperator(Box<Sense>),
    /// The medium is not for this drive, or has a format that it can't use.
    #[error("this drive can't use this cartridge ({0}); take another cartridge or drive")]
    WrongMedium(Box<Sense>),
    /// 27h: the tab, the drive or the medium's generation forbids writing.
    #[error(
        "the cartridge is write-protected; nothing was written; \
             unprotect it or take another"
    )]
    WriteProtected,
    /// A write-once cartridge, or a drive in append-only mode.
    #[error(
        "nothing may be written over here ({0}); write behind the end of data, \
             or take another cartridge"
    )]
    AppendRefused(Box<Sense>),
    /// 0Dh: the volume takes no more.
    #[error("the volume is full; {}; go on on another volume",
            if *.written { "the last record was still written" }
            else { "the last record was not written" })]
    VolumeFull {
        /// Whether the record or filemark that met the end is on the volume.
        written: bool,
    },
    /// A write was asked for while nobody knows where the tape stands.
    #[error(
        "the position on the tape is not known; nothing was written; \
             ask the drive for its position first"
    )]
    PositionUnknown,
    /// What was accepted into the drive's buffer may not be on the medium.
    /// The session writes no more.
    #[error(
        "{cause}; up to {unsynchronised} objects accepted since the last synchronisation \
             may be lost"
    )]
    Lost {
        /// What happened.
        cause: Loss,
        /// Objects that were accepted and not yet synchronised (an upper
        /// bound: some may have reached the medium).
        unsynchronised: u64,
    },
    /// Somebody else's reservation, found when we asked for ours.
    #[error(
        "the drive is held by {key}{} (reservation type {kind:x}h); \
             stop that job, or take the drive over by name",
        initiator.as_ref().map_or(String::new(), |name| format!(" of initiator {name}"))
    )]
    Held {
        /// The holder's key; all zeros if the drive would not say.
        key: Key,
        /// SCOPE/TYPE of its reservation (SPC-5 6.16.3.4), 0 if unknown.
        kind: u8,
        /// The host's iSCSI name, WWPN or SAS address, if the drive tells it.
        initiator: Option<String>,
    },
    /// RESERVATION CONFLICT, or a unit attention that tells that our
    /// reservation or registration was taken (2Ah). It is never taken back
    /// here.
    #[error("the drive was taken from this job ({why}); it writes no more")]
    Fenced {
        /// How it was noticed.
        why: String,
    },
    /// The drive has no persistent reservations.
    #[error(
        "the drive does not do persistent reservations (SPC-5 5.13), so nothing would keep \
             another node from writing to the volume"
    )]
    NoReservations,
    /// A medium error (03h), while reading or writing.
    #[error("medium error ({0}); try another drive; if it stays, retire the cartridge")]
    Medium(Box<Sense>),
    /// 14h: an object or a filemark is not where it should be.
    #[error(
        "the place is not to be found on the tape ({0}); \
             try another drive; if it stays, retire the cartridge"
    )]
    NotFound(Box<Sense>),
    /// 14h/03h: the tape was never ended, as after a power cut.
    #[error(
        "the tape has no end-of-data mark, as after a power cut; \
             what was checkpointed can still be read"
    )]
    EndOfDataMissing,
    /// 10h/01h: the block's protection bytes did not match.
    #[error(
        "the record changed on its way to the drive ({0}); it was not written; \
             look at this host's memory, its adapter and the path"
    )]
    Protection(Box<Sense>),
    /// A block that was read is not what its protection bytes say.
    #[error(
        "the record changed on its way from the drive (CRC32C {found:08x}h instead of \
             {told:08x}h); look at this host's memory, its adapter and the path"
    )]
    Altered {
        /// CRC32C that the drive gave with it.
        told: u32,
        /// CRC32C of what came.
        found: u32,
    },
    /// 26h/10h, 74h: an encryption key is missing or wrong.
    #[error("the drive refuses for want of an encryption key ({0})")]
    KeyRefused(Box<Sense>),
    /// A hardware error (04h).
    #[error("the drive is broken or jammed ({0}); use another drive")]
    Hardware(Box<Sense>),
    /// A block longer than the buffer; the rest of it was not transferred.
    #[error(
        "the block on the tape has {block} bytes and the buffer only {buffer}; \
             the volume was written with a larger record size"
    )]
    BlockTooLong {
        /// Length of the block on the tape, in bytes.
        block: u64,
        /// Bytes asked for.
        buffer: usize,
    },
    /// The place asked for lies behind the end of data.
    #[error("block {wanted} lies behind the end of data{}", at(.end))]
    BeyondEndOfData {
        /// Logical object identifier asked for.
        wanted: u64,
        /// Where the data ends, if the drive could tell.
        end: Option<u64>,
    },
    /// The drive stands elsewhere than it was told to go.
    #[error("the drive was sent to block {wanted} and stands at block {found}")]
    Misplaced {
        /// Logical object identifier asked for.
        wanted: u64,
        /// Logical object identifier that READ POSITION gave.
        found: u64,
    },
    /// READ POSITION answered that it does not know.
    #[error("the drive does not know its position; rewind")]
    NoPosition,
    /// GOOD status, and fewer bytes moved than the block has.
    #[error(
        "{residual} bytes of a record did not reach the drive; \
             look at the host adapter's limits; the set is damaged at its end"
    )]
    ShortWrite {
        /// Transfer length minus bytes that moved.
        residual: i64,
    },
    /// The record size is outside of what the drive takes.
    #[error("a record of {len} bytes is outside of the drive's limits ({min} to {max} bytes)")]
    RecordSize {
        /// Asked for, in bytes.
        len: usize,
        /// READ BLOCK LIMITS, in bytes.
        min: u32,
        /// READ BLOCK LIMITS, in bytes; 0 if it named none.
        max: u32,
    },
    /// The kernel or the host adapter takes no transfer of that length (EINVAL,
    /// EIO, ENOMEM before it was sent).
    #[error(
        "this host adapter takes no transfer of {bytes} bytes; nothing was sent; \
             label the volume with smaller records, or raise the adapter's limits"
    )]
    TooLarge {
        /// Asked for, in bytes.
        bytes: i64,
    },
    /// A mode was set, and the drive says that it has another.
    #[error("the drive was told to use {what} {wanted} and uses {found}")]
    Mode {
        /// Which setting.
        what: &'static str,
        /// As set.
        wanted: u32,
        /// As read back.
        found: u32,
    },
    /// ILLEGAL REQUEST: the drive does not know the command or a field.
    #[error("the drive does not do this ({0})")]
    Unsupported(Box<Sense>),
    /// BUSY or TASK SET FULL for longer than the back-off allows, or the host
    /// adapter had no resources. The command was not executed.
    #[error("still busy after {tries} tries; nothing was done; try again later")]
    Busy {
        /// How often the command was sent.
        tries: u32,
    },
    /// The path failed. Where it says so the command's effect is known.
    #[error("{0}; look at cables, switches and the kernel's log")]
    Path(TransportError),
    /// ABORTED COMMAND that did not go away.
    #[error("the drive aborted the command ({0}); look at the path to it")]
    Aborted(Box<Sense>),
    /// Parameter data that contradicts its own lengths.
    #[error("the drive's answer makes no sense: {0}")]
    Malformed(String),
    /// An outcome that the recovery table has no better word for.
    #[error("unexpected: {0}")]
    Unexpected(String),
}

/// Why accepted writes may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// 29h: power on, reset, nexus loss; and unit attentions that are not known.
    Reset,
    /// 28h/00h: the cartridge may be another.
    MediumChanged,
    /// 71h/73h: an earlier, accepted write failed later.
    DeferredError,
    /// The position is not where our writes must have brought it.
    PositionMoved {
        /// Logical object identifier by our own count.
        expected: u64,
        /// What READ POSITION said.
        found: u64,
    },
    /// The drive forgot our registration without a word: it lost power.
    RegistrationGone,
    /// The path never came back, so nobody could ask for the position.
    PathLost,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Reset => f.write_str("the drive was reset, or lost power"),
            Loss::MediumChanged => f.write_str("the cartridge may have been changed"),
            Loss::DeferredError => f.write_str("a write that had been accepted failed later"),
            Loss::PositionMoved { expected, found } => write!(
                f,
                "the tape should stand at block {expected} and stands at block {found}"
            ),
            Loss::RegistrationGone => f.write_str("the drive forgot this job's registration"),
            Loss::PathLost => f.write_str("the path to the drive was lost during a write"),
        }
    }
}

/// Who has to do something about an error: the exit codes of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 3: the drive, the path to it, or the medium.
    Device,
    /// 4: refused, to protect data.
    Refused,
    /// 5: held by, or lost to, another.
    Held,
    /// 6: the set is unfinished and can be resumed.
    Unfinished,
    /// 7: needs a volume or an operator.
    Operator,
}

impl Kind {
    /// The exit code of a program that ends with such an error.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Device => 3,
            Kind::Refused => 4,
            Kind::Held => 5,
            Kind::Unfinished => 6,
            Kind::Operator => 7,
        }
    }
}

impl Problem {
    /// Who has to do something about it.
    pub fn kind(&self) -> Kind {
        match self {
            Problem::NoMedium
            | Problem::NeedsOperator(_)
            | Problem::VolumeFull { .. }
            | Problem::NotLoaded(_)
            | Problem::WrongMedium(_) => Kind::Operator,
            Problem::WriteProtected
            | Problem::AppendRefused(_)
            | Problem::PositionUnknown
            | Problem::NoReservations => Kind::Refused,
            Problem::Held { .. } | Problem::Fenced { .. } | Problem::RemovalPrevented => Kind::Held,
            Problem::Lost { .. } => Kind::Unfinished,
            _ => Kind::Device,
        }
    }
}

fn at(end: &Option<u64>) -> String {
    end.map(|end| format!(", which is at block {end}"))
        .unwrap_or_default()
}
