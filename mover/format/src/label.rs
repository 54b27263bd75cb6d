//! The first tape file: one VOL1 and nine UVL labels of 80 bytes each.
//!
//! VOL1 is the volume label of ANSI X3.27 and ISO 1001 (ECMA-13, 8.3), so that
//! backup software which checks labels leaves the tape alone. UVL1 to UVL9 are
//! user volume labels (ECMA-13, 8.4): the volume's identity, and the recipe to
//! read the tape without this program. `dd if=/dev/nst0 bs=80` shows them; each
//! UVL ends in a newline for that.
//!
//! ```text
//! VOL1LH0001                    LONGHAUL     LONGHAUL                          4
//! UVL1 LONGHAUL FORMAT=1 RECORD=524288 MEDIA=L9 CREATED=2026-11-24T22:54:11Z
//! UVL2 UUID=67e55044-10b1-426f-9247-bb680e5fe0c8
//! UVL3 To read this tape on Linux: ...
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::archive::{RECORD_BYTES_MAX, RECORD_BYTES_MIN};
use crate::{recipe, utc};

/// Bytes of a label record.
pub const LABEL_BYTES: usize = 80;
/// Records of the label file: VOL1, UVL1 to UVL9.
pub const LABEL_RECORDS: usize = 10;
/// The version of the tape format that this crate writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// What stands as implementation and owner in VOL1.
const IMPLEMENTATION: &str = "LONGHAUL";

/// A volume's name: 1 to 6 characters A-Z and 0-9, as VOL1 has room for; the
/// first six of its barcode where it has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VolumeName(String);

/// The text is no volume name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no volume name: 1 to 6 characters A-Z and 0-9")]
pub struct VolumeNameError {
    text: String,
}

/// What a barcode's last two characters say: the kind of medium (`L9`, `M8`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MediaSuffix(String);

/// The text is no media suffix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no media suffix: two characters A-Z and 0-9")]
pub struct MediaSuffixError {
    text: String,
}

/// A volume's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: VolumeName,
    /// Its identity.
    pub uuid: Uuid,
    /// Bytes of a record, in every tape file but the label.
    pub record_bytes: u64,
    /// When it was labelled: seconds since 1970, UTC; years 1970 to 9999.
    pub created: i64,
    /// The end of its barcode, if it has one.
    pub media: Option<MediaSuffix>,
}

/// Why the first tape file is not a label of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LabelError {
    /// There is no VOL1: data that Longhaul did not write.
    #[error("the tape does not begin with a label: it holds somebody else's data")]
    NotALabel,
    /// A VOL1 of somebody else's.
    #[error(
        "the tape is labelled {volume:?} by another system \
         (implementation {implementation:?}, owner {owner:?})"
    )]
    OtherVol1 {
        /// Volume identifier.
        volume: String,
        /// Implementation identifier.
        implementation: String,
        /// Owner identifier.
        owner: String,
    },
    /// A label of ours in a format that this version can't know.
    #[error("the label is of format {found}, this program knows {FORMAT_VERSION}: use a newer one")]
    Version {
        /// The format in the label.
        found: u32,
    },
    /// A label of ours, but not whole.
    #[error("the label is Longhaul's, but damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
}

impl Label {
    /// The records of the label file, in order.
    pub fn records(&self) -> Vec<[u8; LABEL_BYTES]> {
        let media = self.media.as_ref().map_or("-", MediaSuffix::as_str);
        let created = utc::format(self.created);
        let record = self.record_bytes;
        let mut lines = vec![
            format!(
                "{IMPLEMENTATION} FORMAT={FORMAT_VERSION} RECORD={record} MEDIA={media} \
                 CREATED={created}"
            ),
            format!("UUID={}", self.uuid),
        ];
        lines.extend(recipe::label_lines(record));
        let mut records = vec![vol1(&self.name)];
        records.extend(
            lines
                .iter()
                .zip(1..)
                .map(|(line, number)| uvl(number, line)),
        );
        records
    }

    /// Reads a label file from its records: what the first reads from the
    /// beginning of the tape returned, up to the filemark or ten of them.
    pub fn parse(records: &[impl AsRef<[u8]>]) -> Result<Label, LabelError> {
        let name = parse_vol1(records.first().map(AsRef::as_ref).unwrap_or_default())?;
        let first = parse_uvl(records, 1)?;
        let fields = Fields(&first);
        let version: u32 = fields.number("FORMAT")?;
        if version != FORMAT_VERSION {
            return Err(LabelError::Version { found: version });
        }
        let record_bytes = fields.number("RECORD")?;
        if !(RECORD_BYTES_MIN..=RECORD_BYTES_MAX).contains(&record_bytes) || record_bytes % 512 != 0
        {
            return Err(damaged(format!(
                "it states records of {record_bytes} bytes"
            )));
        }
        let media = match fields.text("MEDIA")? {
            "-" => None,
            text => Some(text.parse().map_err(|_| damaged(format!("MEDIA={text}")))?),
        };
        let created = fields.text("CREATED")?;
        let created = utc::parse(created).ok_or_else(|| damaged(format!("CREATED={created}")))?;
        let second = parse_uvl(records, 2)?;
        let uuid = Fields(&second).text("UUID")?;
        let uuid = uuid.parse().map_err(|_| damaged(format!("UUID={uuid}")))?;
        for number in 3..LABEL_RECORDS {
            parse_uvl(records, number)?;
        }
        Ok(Label {
            name,
            uuid,
            record_bytes,
            created,
            media,
        })
    }

    /// The cartridge's barcode: the name and the media suffix.
    pub fn barcode(&self) -> Option<String> {
        self.media
            .as_ref()
            .map(|media| format!("{}{}", self.name, media.as_str()))
    }
}

fn vol1(name: &VolumeName) -> [u8; LABEL_BYTES] {
    let mut record = [b' '; LABEL_BYTES];
    record[..4].copy_from_slice(b"VOL1");
    put(&mut record[4..10], name.as_str());
    // Volume accessibility (a blank: no restriction), then 13 reserved.
    put(&mut record[24..37], IMPLEMENTATION);
    put(&mut record[37..51], IMPLEMENTATION);
    record[79] = b'4'; // label standard version, ECMA-13 4th edition
    record
}

fn uvl(number: usize, line: &str) -> [u8; LABEL_BYTES] {
    let mut record = [b' '; LABEL_BYTES];
    put(
        &mut record[..LABEL_BYTES - 1],
        &format!("UVL{number} {line}"),
    );
    record[LABEL_BYTES - 1] = b'\n';
    record
}

fn put(field: &mut [u8], text: &str) {
    let len = text.len().min(field.len());
    field[..len].copy_from_slice(&text.as_bytes()[..len]);
}

fn parse_vol1(record: &[u8]) -> Result<VolumeName, LabelError> {
    if record.len() < LABEL_BYTES || !record.starts_with(b"VOL1") {
        return Err(LabelError::NotALabel);
    }
    let text = |from: usize, to: usize| {
        String::from_utf8_lossy(&record[from..to])
            .trim_end()
            .to_owned()
    };
    let (volume, implementation, owner) = (text(4, 10), text(24, 37), text(37, 51));
    if implementation != IMPLEMENTATION {
        return Err(LabelError::OtherVol1 {
            volume,
            implementation,
            owner,
        });
    }
    if record.len() > LABEL_BYTES {
        return Err(damaged(format!("VOL1 is {} bytes long", record.len())));
    }
    volume
        .parse()
        .map_err(|_| damaged(format!("VOL1 names the volume {volume:?}")))
}

/// The text of a UVL record.
fn parse_uvl(records: &[impl AsRef<[u8]>], number: usize) -> Result<String, LabelError> {
    let record = records.get(number).map(AsRef::as_ref).unwrap_or_default();
    let text = std::str::from_utf8(record)
        .ok()
        .filter(|text| text.is_ascii());
    text.filter(|text| text.len() == LABEL_BYTES)
        .and_then(|text| text.strip_prefix(&format!("UVL{number} ")))
        .map(|text| text.trim_end().to_owned())
        .ok_or_else(|| damaged(format!("UVL{number} is missing or unreadable")))
}

fn damaged(what: String) -> LabelError {
    LabelError::Damaged { what }
}

/// The `KEY=VALUE` words of a UVL.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    fn text(&self, key: &str) -> Result<&'a str, LabelError> {
        let mut words = self.0.split(' ').filter_map(|word| word.split_once('='));
        let found = words.find(|&(name, _)| name == key);
        found
            .map(|(_, value)| value)
            .ok_or_else(|| damaged(format!("{key} is missing")))
    }

    fn number<T: FromStr>(&self, key: &str) -> Result<T, LabelError> {
        let text = self.text(key)?;
        text.parse().map_err(|_| damaged(format!("{key}={text}")))
    }
}

/// A-Z and 0-9, the characters of barcodes and volume identifiers.
fn is_code(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

impl VolumeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Name and media suffix out of a barcode: its first six characters, and
    /// the two that may follow. `None` where it is no such barcode.
    pub fn from_barcode(barcode: &str) -> Option<(VolumeName, Option<MediaSuffix>)> {
        let barcode = barcode.trim_end();
        let (name, rest) = barcode.split_at_checked(6.min(barcode.len()))?;
        let media = if rest.is_empty() {
            None
        } else {
            Some(rest.parse().ok()?)
        };
        Some((name.parse().ok()?, media))
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for VolumeName {
    type Err = VolumeNameError;

    fn from_str(text: &str) -> Result<VolumeName, VolumeNameError> {
        VolumeName::try_from(text.to_owned())
    }
}

impl TryFrom<String> for VolumeName {
    type Error = VolumeNameError;

    fn try_from(text: String) -> Result<VolumeName, VolumeNameError> {
        if (1..=6).contains(&text.len()) && is_code(&text) {
            return Ok(VolumeName(text));
        }
        Err(VolumeNameError { text })
    }
}

impl From<VolumeName> for String {
    fn from(name: VolumeName) -> String {
        name.0
    }
}

impl MediaSuffix {
    /// The suffix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MediaSuffix {
    type Err = MediaSuffixError;

    fn from_str(text: &str) -> Result<MediaSuffix, MediaSuffixError> {
        if text.len() == 2 && is_code(text) {
            return Ok(MediaSuffix(text.to_owned()));
        }
        Err(MediaSuffixError {
            text: text.to_owned(),
        })
    }
}
