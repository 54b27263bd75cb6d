//! What a backup service says.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::run::{Epoch, Token};
use crate::{AttemptId, Event, ExitStatus, Name, Time};

/// Most bytes of a file in one message; as base64 they are a third more.
pub const PART_BYTES_MAX: usize = 512 << 10;
/// Drives that one node may report.
pub const DRIVES_MAX: usize = 1000;

/// A message to the coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case")]
pub enum Report {
    /// The first message.
    Hello(Hello),
    /// The service is there; said at least as often as the welcome asks for.
    Alive {
        /// When it was said, by the node's clock.
        now: Time,
    },
    /// The drives and changers that the node reaches, all of them.
    Devices {
        /// Tape drives (up to [`DRIVES_MAX`]).
        drives: Vec<DriveSeen>,
        /// Serial numbers of changers.
        changers: Vec<Name>,
    },
    /// The attempts that are under way, and those whose end was not heard yet:
    /// all of them. Said after each welcome.
    Attempts {
        /// One by one.
        attempts: Vec<AttemptSeen>,
    },
    /// A piece of an attempt's journal.
    Journal {
        /// Whose.
        attempt: AttemptId,
        /// Under which assignment.
        token: Token,
        /// The piece.
        part: Part,
    },
    /// The medium holds all up to here; the journal that says so comes before.
    Checkpoint {
        /// Whose.
        attempt: AttemptId,
        /// Under which assignment.
        token: Token,
        /// What was reached.
        point: Point,
    },
    /// An attempt has ended, one way or another.
    Ended {
        /// Which.
        attempt: AttemptId,
        /// Under which assignment.
        token: Token,
        /// How.
        outcome: Outcome,
    },
    /// A piece of the catalog's file of the set that an attempt has done.
    SetFile {
        /// Whose.
        attempt: AttemptId,
        /// Under which assignment.
        token: Token,
        /// The piece.
        part: Part,
    },
    /// The node's own cluster service has told this. It may be late, is not said
    /// again, and others say it, too.
    Happened {
        /// What.
        event: Event,
    },
}

/// Who a service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`](crate::VERSION).
    pub version: u16,
    /// The cluster that it belongs to.
    pub cluster: Uuid,
    /// Its node; the certificate must say the same.
    pub node: Name,
    /// New with every start of the service.
    pub boot: Uuid,
    /// The newest epoch that it has seen.
    pub epoch: Epoch,
    /// The node's clock.
    pub now: Time,
}

/// A drive as a node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveSeen {
    /// UNIT SERIAL NUMBER.
    pub serial: Name,
    /// Vendor and product, for people.
    pub product: String,
    /// The changer that loads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<Name>,
    /// Why this node cannot use it, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// An attempt as the service has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptSeen {
    /// Which.
    pub attempt: AttemptId,
    /// Under which assignment.
    pub token: Token,
    /// On which drive.
    pub drive: Name,
    /// The volumes that it was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Uuid>,
    /// Bytes of its journal.
    pub journal_bytes: u64,
    /// What was reached last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<Point>,
    /// How it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// A piece of a file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// The bytes, up to [`PART_BYTES_MAX`].
    #[serde(with = "base64_bytes")]
    pub bytes: Vec<u8>,
}

/// How far an attempt has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// When it was taken, by the node's clock.
    pub taken: Time,
    /// The volume.
    pub volume: Uuid,
    /// The logical object behind it.
    pub block: u64,
    /// Members of the archive before it.
    pub members: u64,
    /// Bytes of the archive before it.
    pub bytes: u64,
    /// The journal says so in its first so many bytes.
    pub journal_bytes: u64,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// As every program of ours ends. One that is [held](ExitStatus::Held) by
    /// another holds nothing itself.
    pub exit: ExitStatus,
    /// All volumes that it was given are full, or cannot be used: it goes on on
    /// another one.
    #[serde(default)]
    pub needs_volume: bool,
    /// What the medium holds of the set is damaged, and cannot be gone on with: all is
    /// backed up anew, on another volume.
    #[serde(default)]
    pub damaged: bool,
    /// Its service has had it end, or not begin, since it must not go on there now: its
    /// file system is to leave, or the node has no quorum. It has not failed.
    #[serde(default)]
    pub left_off: bool,
    /// It has written nothing to its volumes, so they are as they were before.
    #[serde(default)]
    pub wrote_nothing: bool,
    /// No process of it was ever there, so it cannot have its drive.
    #[serde(default)]
    pub not_begun: bool,
    /// Why it is not 0, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was done beside a set, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The TapeAlert flags that the drive had set, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<String>,
    /// What is at fault, as far as the drive tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// The set that is on the volumes, if one is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SetDone>,
    /// When it ended, by the node's clock.
    pub ended: Time,
}

/// What is at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The drive, and why.
    Drive(String),
    /// The cartridge of this volume, and why.
    Volume(Uuid, String),
    /// Either the drive or the cartridge of this volume, and why: which of them it
    /// is, shows when one is used without the other.
    Either(Uuid, String),
    /// The path from the node to the drive, and not the drive: why.
    Path(String),
    /// The library, and no drive: why.
    Library(String),
    /// Nothing, but this volume was not to be had: why.
    Absent(Uuid, String),
    /// Nothing, but this volume is in that drive, which the node cannot unload.
    Elsewhere(Uuid, Name),
}

/// A set that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetDone {
    /// The set.
    pub uuid: Uuid,
    /// Where it lies: one part on each volume, in order.
    pub parts: Vec<SetPart>,
    /// Bytes of a record on them.
    pub record_bytes: u32,
    /// The host whose files these are.
    pub host: String,
    /// When it was begun, by the node's clock.
    pub started: Time,
    /// Files, directories and the like in it.
    pub members: u64,
    /// Bytes of their data.
    pub bytes: u64,
    /// Files that could not be read whole.
    pub damaged: u64,
    /// Bytes of the catalog's file of it, which is said before the end is; 0 if
    /// there is none, and the set has to be read from the tape.
    pub file_bytes: u64,
}

/// The part of a set on one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetPart {
    /// The volume.
    pub volume: Uuid,
    /// Filemarks before it.
    pub tape_file: u64,
    /// Logical object identifier of its first block.
    pub first_block: u64,
    /// Offset in the archive of what comes first there, in bytes.
    pub stream_offset: u64,
}

impl Outcome {
    /// An end of which there is nothing more to say.
    pub fn done(ended: Time) -> Outcome {
        Outcome {
            exit: ExitStatus::Done,
            needs_volume: false,
            damaged: false,
            left_off: false,
            wrote_nothing: false,
            not_begun: false,
            error: None,
            words: None,
            alerts: Vec::new(),
            faults: Vec::new(),
            set: None,
            ended,
        }
    }

    /// An end without a set, and why.
    pub fn without_set(exit: ExitStatus, why: impl Into<String>, ended: Time) -> Outcome {
        Outcome {
            exit,
            error: Some(why.into()),
            ..Outcome::done(ended)
        }
    }

    /// Why the node found no path to the drive, if it did not.
    pub fn no_path(&self) -> Option<&str> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::Path(why) => Some(why.as_str()),
            _ => None,
        })
    }

    /// Says one more thing that went wrong: what was done is not all that it should
    /// be.
    pub fn add_flaw(&mut self, what: String) {
        if self.exit == ExitStatus::Done {
            self.exit = ExitStatus::Incomplete;
        }
        self.error = Some(match self.error.take() {
            Some(error) => format!("{error}; {what}"),
            None => what,
        });
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes at {}", self.bytes.len(), self.offset)
    }
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::PART_BYTES_MAX;

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        if bytes.len() > PART_BYTES_MAX {
            return Err(D::Error::custom(format!(
                "a part of {} bytes, and {PART_BYTES_MAX} are the most",
                bytes.len()
            )));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Decoder, encode};

    #[test]
    fn the_largest_part_fits_into_a_message() {
        let report = Report::SetFile {
            attempt: AttemptId {
                run: crate::RunId {
                    job: "x".repeat(64).parse().expect("a name"),
                    due: Time(i64::MIN),
                },
                number: u32::MAX,
            },
            token: Token(u32::MAX),
            part: Part {
                offset: u64::MAX,
                bytes: vec![0xff; PART_BYTES_MAX],
            },
        };
        let mut decoder = Decoder::default();
        decoder.push(&encode(&report).expect("fits"));
        assert_eq!(decoder.message().expect("whole"), Some(report));
    }

    #[test]
    fn a_part_that_is_too_large_is_refused() {
        let text = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            vec![0; PART_BYTES_MAX + 1],
        );
        let json = format!(r#"{{"offset":0,"bytes":"{text}"}}"#);
        serde_json::from_str::<Part>(&json).expect_err("too large");
    }
}
