//! The head of an archive: a `g` header whose `comment` names the set, so that
//! the first record of a tape file says what the tape file is.

use uuid::Uuid;

use crate::label::VolumeName;
use crate::{pax, utc};

const MARK: &str = "Longhaul archive";

/// What a tape file of Longhaul's holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// The files of a backup set.
    Set,
    /// README and index of the set before it.
    Index,
}

/// The head of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetHead {
    /// The set, or its index.
    pub kind: SetKind,
    /// The set's identity; its index has the same.
    pub set: Uuid,
    /// Number of the set on this volume, from 1.
    pub sequence: u32,
    /// The volume on which the set begins.
    pub volume: VolumeName,
    /// That volume's identity.
    pub volume_uuid: Uuid,
    /// When the backup began: seconds since 1970, UTC; whole years 1970 to 9999.
    pub started: i64,
    /// The volume's number in the set, from 1.
    pub part: u32,
    /// Stream offset of the archive that comes behind the record in which this
    /// head stands, if it is one that a cut inserts; 0 on the first volume.
    pub offset: u64,
}

impl SetHead {
    /// The comment that stands in the header.
    pub(super) fn comment(&self) -> String {
        let kind = match self.kind {
            SetKind::Set => "set",
            SetKind::Index => "index",
        };
        let part = match self.part {
            1 => String::new(),
            part => format!("; part={part}; offset={}", self.offset),
        };
        format!(
            "{MARK}; kind={kind}; set={}; sequence={}; volume={}; volume_uuid={}; started={}{part}",
            self.set,
            self.sequence,
            self.volume,
            self.volume_uuid,
            utc::format(self.started),
        )
    }

    /// Reads a head out of a comment; `None` if the comment is something else,
    /// such as a pad.
    pub(super) fn parse(comment: &[u8]) -> Option<SetHead> {
        let text = std::str::from_utf8(comment).ok()?.trim_end_matches(' ');
        let fields = text.strip_prefix(MARK)?.strip_prefix("; ")?;
        let field = |name: &str| {
            let mut pairs = fields.split("; ").filter_map(|pair| pair.split_once('='));
            pairs.find(|&(key, _)| key == name).map(|(_, value)| value)
        };
        Some(SetHead {
            kind: match field("kind")? {
                "set" => SetKind::Set,
                "index" => SetKind::Index,
                _ => return None,
            },
            set: field("set")?.parse().ok()?,
            sequence: field("sequence")?.parse().ok()?,
            volume: field("volume")?.parse().ok()?,
            volume_uuid: field("volume_uuid")?.parse().ok()?,
            started: utc::parse(field("started")?)?,
            part: field("part").map_or(Some(1), |part| part.parse().ok())?,
            offset: field("offset").map_or(Some(0), |offset| offset.parse().ok())?,
        })
    }

    /// The body of the header: one record of `len` bytes, or of one byte less
    /// where no record has that length (none has 100 or 1,000); longer where
    /// the comment does not fit.
    pub(super) fn body(&self, len: usize) -> Vec<u8> {
        let mut comment = self.comment().into_bytes();
        let overhead = pax::record_len(b"comment".len(), 0);
        // The blanks at its end make the record as long as it has to be; a
        // longer record has a longer length, hence the second look.
        comment.resize(len.saturating_sub(overhead).max(comment.len()), b' ');
        while pax::record_len(b"comment".len(), comment.len()) > len && comment.ends_with(b" ") {
            comment.pop();
        }
        let mut body = Vec::with_capacity(len);
        pax::push_record(&mut body, b"comment", &comment);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head() -> SetHead {
        SetHead {
            kind: SetKind::Index,
            set: Uuid::from_u128(7),
            sequence: u32::MAX,
            volume: "LH0001".parse().unwrap(),
            volume_uuid: Uuid::from_u128(8),
            started: 1_764_024_851,
            part: 1,
            offset: 0,
        }
    }

    #[test]
    fn the_body_is_as_long_as_asked_and_says_the_same() {
        for len in [512, 1024] {
            let body = head().body(len);
            assert_eq!(body.len(), len);
            let (_, comment) = pax::Records::new(&body).next().unwrap().unwrap();
            assert_eq!(SetHead::parse(comment), Some(head()));
        }
    }

    #[test]
    fn another_comment_is_no_head() {
        assert_eq!(SetHead::parse(b"        "), None);
        assert_eq!(SetHead::parse(MARK.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_comment_is_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            let _ = SetHead::parse(&bytes);
            let _ = SetHead::parse(&[head().comment().as_bytes(), &bytes].concat());
        }
    }
}
