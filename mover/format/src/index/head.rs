//! The first line of the index: the set, its volumes, and where it was cut.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::label::VolumeName;

/// The head of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The form of the index: [`super::INDEX_VERSION`].
    pub longhaul_index: u32,
    /// The set's identity.
    pub set: Uuid,
    /// Its number on the volume on which it begins, from 1.
    pub sequence: u32,
    /// Whether members may be missing: the set was closed unfinished.
    pub partial: bool,
    /// The volumes, in order.
    pub volumes: Vec<Volume>,
    /// Bytes of a record.
    pub record_bytes: u64,
    /// When the backup began, UTC, as `2026-11-24T22:54:11Z`.
    #[serde(with = "utc_text")]
    pub started: i64,
    /// When its last member was written.
    #[serde(with = "utc_text")]
    pub ended: i64,
    /// The host that it is of.
    pub host: String,
    /// What was asked to be backed up; names that are not UTF-8 with
    /// replacement characters, since this is for people.
    pub paths: Vec<String>,
    /// Name and version of the program that wrote it.
    pub tool: String,
    /// Entries that follow.
    pub members: u64,
    /// Bytes of file data in the archive, without holes.
    pub bytes: u64,
    /// Entries whose state is not ok.
    pub damaged: u64,
}

/// A volume of the set, and where the set was cut to begin on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its number in the set, from 1: what an entry's `volume` means.
    pub sequence: u32,
    /// Its name.
    pub name: VolumeName,
    /// Its identity.
    pub uuid: Uuid,
    /// The first record of the set on it: its logical object identifier.
    pub block: u64,
    /// The stream offset of the archive that continues in that record (behind
    /// it, if the record is the one that a cut inserts); 0 on the first volume.
    pub stream_offset: u64,
}

/// Times in the head are for people: text, to the second.
mod utc_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::utc;

    pub(super) fn serialize<S: Serializer>(seconds: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&utc::format(*seconds))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        let text = String::deserialize(from)?;
        utc::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no time")))
    }
}
