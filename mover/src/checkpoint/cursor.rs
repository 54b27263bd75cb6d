//! Where an archive goes on.

use longhaul_format::archive::Cut;
use longhaul_format::index::Entry;
use serde::{Deserialize, Serialize};

use crate::pipeline::tree::Joined;

/// All that is needed to go on with an archive at a record boundary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// Stream offset of the boundary, in bytes.
    pub offset: u64,
    /// Members that end before it.
    pub entries: u64,
    /// Where the source goes on.
    pub place: Place,
}

/// Where the source goes on. Paths are members' paths, in the archive's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// With what comes behind this path.
    Behind(#[serde(with = "name")] Vec<u8>),
    /// With this path, or what comes behind it. The empty path is before all.
    At(#[serde(with = "name")] Vec<u8>),
    /// In the middle of a file's data.
    Inside(Box<Inside>),
}

/// A member that lies on both sides of a record boundary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Whole {
    /// What the index will say of it; its digest is still to come.
    pub entry: Entry,
    /// The device that its inode number is of.
    pub dev: u64,
    /// Stream offset of its first own header.
    pub start: u64,
    /// Stream offset of its file data.
    pub data: u64,
    /// Stream offset behind it.
    pub end: u64,
    /// Bytes of file data that are stored of it, without padding.
    pub stored: u64,
    /// CRC32C of its headers: what they say must still be so when the rest of
    /// its data is read.
    pub headers: u32,
    /// Whether it was given up, since its file was not what it was before an
    /// interruption: what is still to come of it are zeros.
    pub given_up: bool,
}

impl Whole {
    /// Whether a volume may end at this stream offset in its data: before the
    /// first byte of a file with holes GNU tar would count wrong.
    pub fn may_cut(&self, at: u64) -> bool {
        at > self.data || self.stored == self.entry.size
    }
}

/// A boundary within a file's data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inside {
    /// The member.
    pub whole: Whole,
    /// The digest of its data so far.
    pub joined: Joined,
}

/// A cursor that the medium holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// When it was taken: milliseconds since 1970.
    pub taken_ms: i64,
    /// The set's volume, from 1.
    pub volume: u32,
    /// The block behind the last record that it covers: where writing goes on.
    pub block: u64,
    /// CRC32C of the records before that block, oldest first.
    pub records: Vec<u32>,
    /// Where the archive goes on.
    pub cursor: Cursor,
    /// Whether the set's part on this volume ends here: it goes on on another.
    #[serde(default)]
    pub ended: bool,
}

impl Cursor {
    /// The very beginning of an archive.
    pub fn beginning() -> Cursor {
        Cursor {
            offset: 0,
            entries: 0,
            place: Place::At(Vec::new()),
        }
    }
}

impl Cursor {
    /// What lies on both sides of a volume's end here, in the archive's words.
    pub fn cut(&self) -> Cut<'_> {
        let Place::Inside(inside) = &self.place else {
            return Cut::Between;
        };
        let whole = &inside.whole;
        let done = self.offset.saturating_sub(whole.data);
        Cut::Inside {
            path: &whole.entry.path,
            size: whole.entry.size,
            left: whole.stored.saturating_sub(done),
        }
    }
}

impl Place {
    /// The path that the source has come to, and whether that itself is still
    /// to be stored.
    pub fn path(&self) -> (&[u8], bool) {
        match self {
            Place::Behind(path) => (path, false),
            Place::At(path) => (path, true),
            Place::Inside(inside) => (&inside.whole.entry.path, true),
        }
    }

    /// Whether `path` still is to be stored.
    pub fn is_before(&self, path: &[u8]) -> bool {
        let (at, included) = self.path();
        path > at || (included && path == at)
    }
}

/// Names are bytes: JSON has them as text where they are UTF-8.
pub(crate) mod name {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Name {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(crate) fn serialize<S: Serializer>(name: &[u8], to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(name) {
            Ok(text) => Name::Text(text.to_owned()),
            Err(_) => Name::Bytes(name.to_vec()),
        }
        .serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        Ok(match Name::deserialize(from)? {
            Name::Text(text) => text.into_bytes(),
            Name::Bytes(bytes) => bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_knows_what_is_behind_it() {
        let behind = Place::Behind(b"a/b".to_vec());
        assert!(!behind.is_before(b"a/"));
        assert!(!behind.is_before(b"a/b"));
        assert!(behind.is_before(b"a/b0"));
        assert!(Place::At(b"a/b".to_vec()).is_before(b"a/b"));
        assert!(Place::At(Vec::new()).is_before(b"a"));
    }

    #[test]
    fn names_of_any_bytes_survive_json() {
        for name in [&b"plain"[..], b"\xff\xfe", b"", b"\"quoted\"\n"] {
            let place = Place::Behind(name.to_vec());
            let json = serde_json::to_string(&place).unwrap();
            assert_eq!(serde_json::from_str::<Place>(&json).unwrap(), place);
        }
    }
}
