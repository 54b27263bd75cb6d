//! One line of the index: a member, and where it lies.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::member::{Kind, Time};

const NANOS: i128 = 1_000_000_000;

/// A BLAKE3 digest.
pub type Digest = [u8; 32];

/// A member in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path as in the archive, a directory's with `/` at its end; in JSON
    /// `path`, or `path_b64` if it is not UTF-8.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryType,
    /// Length of a file in bytes, with its holes; else 0.
    pub size: u64,
    /// Last modification, nanoseconds since 1970 ([`nanoseconds`]).
    pub mtime_ns: i128,
    /// Last change of its inode, nanoseconds since 1970.
    pub ctime_ns: i128,
    /// Device number, of a file with several names: its inode number is of
    /// that device.
    pub dev: Option<u64>,
    /// Inode number.
    pub ino: u64,
    /// Number of names.
    pub nlink: u64,
    /// Permission bits as `stat` shows them, 0 to 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What a hard link or symbolic link points to; in JSON `link` or
    /// `link_b64`.
    pub link: Option<Vec<u8>>,
    /// The volume on which it begins: its sequence number in the set, from 1.
    pub volume: u32,
    /// The record with its first header: the logical object identifier on that
    /// volume, for LOCATE (`mt seek`).
    pub block: u64,
    /// Where in that record the header begins, in bytes.
    pub offset: u64,
    /// Digest of a file's data as it is stored, if it is known: of a sparse
    /// file, its segments one after the other, without the holes.
    pub blake3: Option<Digest>,
    /// Whether it can be trusted.
    pub state: State,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryType {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A hard link: another name of an earlier member.
    Link,
    /// A symbolic link.
    Symlink,
    /// A character special file.
    Char,
    /// A block special file.
    Block,
    /// A FIFO.
    Fifo,
}

/// Whether a member can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was read whole.
    #[default]
    Ok,
    /// Its content is not what the file held: it changed, vanished or could
    /// not be read while it was stored.
    Damaged,
    /// It is stored again further on; that one counts.
    Superseded,
}

/// A time as the index has it.
pub fn nanoseconds(time: Time) -> i128 {
    i128::from(time.seconds) * NANOS + i128::from(time.nanoseconds)
}

/// A time out of the index; `None` if its seconds do not fit 64 bits.
pub fn time(nanoseconds: i128) -> Option<Time> {
    Some(Time {
        seconds: i64::try_from(nanoseconds.div_euclid(NANOS)).ok()?,
        nanoseconds: nanoseconds.rem_euclid(NANOS) as u32,
    })
}

impl From<&Kind> for EntryType {
    fn from(kind: &Kind) -> EntryType {
        match kind {
            Kind::File { .. } => EntryType::File,
            Kind::HardLink { .. } => EntryType::Link,
            Kind::Symlink { .. } => EntryType::Symlink,
            Kind::CharDevice { .. } => EntryType::Char,
            Kind::BlockDevice { .. } => EntryType::Block,
            Kind::Directory => EntryType::Dir,
            Kind::Fifo => EntryType::Fifo,
        }
    }
}

/// An entry as it stands in JSON.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    path_b64: Option<Cow<'a, str>>,
    #[serde(rename = "type")]
    kind: EntryType,
    size: u64,
    mtime_ns: i128,
    ctime_ns: i128,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dev: Option<u64>,
    ino: u64,
    nlink: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    link: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    link_b64: Option<Cow<'a, str>>,
    volume: u32,
    block: u64,
    offset: u64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    blake3: Option<Cow<'a, str>>,
    state: State,
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (path, path_b64) = to_text(&self.path);
        let (link, link_b64) = self.link.as_deref().map_or((None, None), to_text);
        Line {
            path,
            path_b64,
            kind: self.kind,
            size: self.size,
            mtime_ns: self.mtime_ns,
            ctime_ns: self.ctime_ns,
            dev: self.dev,
            ino: self.ino,
            nlink: self.nlink,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            link,
            link_b64,
            volume: self.volume,
            block: self.block,
            offset: self.offset,
            blake3: self
                .blake3
                .as_ref()
                .map(|digest| Cow::Owned(to_hex(digest))),
            state: self.state,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entry, D::Error> {
        let line = Line::deserialize(deserializer)?;
        Entry::try_from(line).map_err(serde::de::Error::custom)
    }
}

impl TryFrom<Line<'_>> for Entry {
    type Error = &'static str;

    fn try_from(line: Line<'_>) -> Result<Entry, &'static str> {
        let path = from_text(line.path, line.path_b64)?.ok_or("the entry has no path")?;
        if path.is_empty() || path.contains(&0) {
            return Err("the entry's path is empty or has a NUL in it");
        }
        let digest = line
            .blake3
            .map(|hex| from_hex(&hex).ok_or("blake3 is not 64 hex digits"));
        Ok(Entry {
            path,
            kind: line.kind,
            size: line.size,
            mtime_ns: line.mtime_ns,
            ctime_ns: line.ctime_ns,
            dev: line.dev,
            ino: line.ino,
            nlink: line.nlink,
            mode: line.mode,
            uid: line.uid,
            gid: line.gid,
            link: from_text(line.link, line.link_b64)?,
            volume: line.volume,
            block: line.block,
            offset: line.offset,
            blake3: digest.transpose()?,
            state: line.state,
        })
    }
}

/// A name as text, or as base64.
fn to_text(name: &[u8]) -> (Option<Cow<'_, str>>, Option<Cow<'_, str>>) {
    match std::str::from_utf8(name) {
        Ok(text) => (Some(text.into()), None),
        Err(_) => (None, Some(BASE64.encode(name).into())),
    }
}

fn from_text(
    text: Option<Cow<'_, str>>,
    base64: Option<Cow<'_, str>>,
) -> Result<Option<Vec<u8>>, &'static str> {
    match (text, base64) {
        (Some(text), None) => Ok(Some(text.into_owned().into_bytes())),
        (None, Some(base64)) => {
            let name = BASE64
                .decode(base64.as_bytes())
                .map_err(|_| "a name is not base64")?;
            Ok(Some(name))
        }
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err("a name stands both as text and as base64"),
    }
}

fn to_hex(digest: &Digest) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    digest
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn from_hex(text: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    if text.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        for &digit in pair {
            *byte = *byte << 4 | char::from(digit).to_digit(16)? as u8;
        }
    }
    Some(digest)
}
