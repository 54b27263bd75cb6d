//! Members to stream offsets: the rules of the archive, and no data.

use thiserror::Error;

use super::headers::{self, Plan, Scratch};
use super::{
    BLOCK_BYTES, HEADERS_MAX, LARGE, LARGE_ALIGN, RECORD_BYTES_MAX, RECORD_BYTES_MIN, STREAM_MAX,
    SetHead, end_member, padded,
};
use crate::member::{Kind, Member, Segment};

/// Where members go in the stream of an archive. Each call answers with what
/// comes next, without a gap to what came before. An error leaves the layout
/// as it was: the caller names the member, and goes on with the next.
#[derive(Debug)]
pub struct Layout {
    record_bytes: u64,
    at: u64,
    /// The last thing before `at` may be a `g` header.
    after_global: bool,
    scratch: Scratch,
}

/// A piece of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many zeros.
    Zeros(u64),
    /// Bytes of the member's file.
    File {
        /// Where in the file they begin.
        offset: u64,
        /// How many, above 0.
        len: u64,
    },
}

impl Part {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::Zeros(len) | Part::File { len, .. } => *len,
        }
    }

    /// Whether it has no bytes; no part of a [`Placement`] is so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A member's place. The parts follow each other, and the first follows the
/// last placement's end, so a pad comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Stream offset of the member's first own header, behind any pad.
    pub start: u64,
    /// Stream offset of its file data.
    pub data: u64,
    /// Stream offset behind it, whole blocks.
    pub end: u64,
    /// What is to be written, up to `end`.
    pub parts: Vec<Part>,
}

/// Why something has no place in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// The record size is out of range, or not whole blocks.
    #[error(
        "records of {record_bytes} bytes can't be used: choose a multiple of 512 \
         from {RECORD_BYTES_MIN} to {RECORD_BYTES_MAX}"
    )]
    RecordSize {
        /// What was asked for.
        record_bytes: u64,
    },
    /// The archive can't go on at this offset: no member ends there.
    #[error("an archive can't go on at byte {at}: no member of it ends there")]
    Position {
        /// The offset.
        at: u64,
    },
    /// The map of the file's holes is too long.
    #[error(
        "{path}: its headers with the map of its holes would take {bytes} bytes, more than \
         {HEADERS_MAX}: store it without holes"
    )]
    MapTooLong {
        /// The member.
        path: String,
        /// Length of its headers and map.
        bytes: u64,
    },
    /// Attributes, ACLs and names are too long.
    #[error("{path}: its headers would take {bytes} bytes, more than {HEADERS_MAX}")]
    HeadersTooLong {
        /// The member.
        path: String,
        /// Length of its headers.
        bytes: u64,
    },
    /// The record that a cut inserts does not fit in one.
    #[error(
        "to go on on another volume, this archive would need a record of {bytes} bytes, and has \
         records of {record_bytes}"
    )]
    Continuation {
        /// What it would take.
        bytes: u64,
        /// What there is.
        record_bytes: u64,
    },
    /// The archive would outgrow the numbers that count it.
    #[error("{path}: the archive would grow beyond 2^62 bytes")]
    StreamTooLong {
        /// The member.
        path: String,
    },
    /// The member is not one.
    #[error("{path} can't be stored: {reason}")]
    NotStorable {
        /// The member.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Where a member's headers begin, how long they are, and where it ends.
struct Fit {
    start: u64,
    headers: u64,
    end: u64,
}

impl Layout {
    /// A new archive in records of `record_bytes`; [`Layout::begin`] is first.
    pub fn new(record_bytes: u64) -> Result<Layout, LayoutError> {
        let range = RECORD_BYTES_MIN..=RECORD_BYTES_MAX;
        if !range.contains(&record_bytes) || !record_bytes.is_multiple_of(BLOCK_BYTES) {
            return Err(LayoutError::RecordSize { record_bytes });
        }
        let scratch = Scratch::default();
        Ok(Layout {
            record_bytes,
            at: 0,
            after_global: false,
            scratch,
        })
    }

    /// An archive that goes on at stream offset `at`: the end of a member (or
    /// of the head), or the record boundary where a large member began that is
    /// to be dropped.
    pub fn resume(record_bytes: u64, at: u64) -> Result<Layout, LayoutError> {
        let mut layout = Layout::new(record_bytes)?;
        if !at.is_multiple_of(BLOCK_BYTES) || at > STREAM_MAX || layout.gap(at) == BLOCK_BYTES {
            return Err(LayoutError::Position { at });
        }
        layout.at = at;
        // Before a boundary there may be the pad of the member that is dropped.
        layout.after_global = at <= layout.head_bytes() || at.is_multiple_of(record_bytes);
        Ok(layout)
    }

    /// The layout behind a member that was begun, and its place once more: its
    /// first own header at stream offset `start`, its headers `headers` bytes
    /// long, as a checkpoint says.
    pub fn within(
        record_bytes: u64,
        member: &Member,
        start: u64,
        headers: u64,
    ) -> Result<(Layout, Placement), LayoutError> {
        let mut layout = Layout::new(record_bytes)?;
        let position = LayoutError::Position { at: start };
        if !start.is_multiple_of(BLOCK_BYTES) || start > STREAM_MAX {
            return Err(position);
        }
        let Ok(plan) = headers::plan(member, &mut layout.scratch) else {
            return Err(position);
        };
        let fits = headers == plan.bytes
            || (headers > plan.bytes
                && headers <= HEADERS_MAX
                && headers.is_multiple_of(BLOCK_BYTES)
                && (plan.extended || headers >= plan.bytes + 2 * BLOCK_BYTES));
        let end = start + headers + padded(plan.stored);
        if !fits || layout.gap(end) == BLOCK_BYTES || end > STREAM_MAX {
            return Err(position);
        }
        layout.at = start;
        let fit = Fit {
            start,
            headers,
            end,
        };
        let parts = layout.parts(member, &plan, &fit);
        layout.at = end;
        let placement = Placement {
            start,
            data: start + headers,
            end,
            parts,
        };
        Ok((layout, placement))
    }

    /// The size of a record in bytes.
    pub fn record_bytes(&self) -> u64 {
        self.record_bytes
    }

    /// Stream offset of what comes next.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The head of the archive, at its very beginning.
    pub fn begin(&mut self, set: &SetHead) -> Placement {
        debug_assert_eq!(self.at, 0, "an archive has one head");
        let start = self.at;
        let body = set.body((self.head_bytes() - BLOCK_BYTES) as usize);
        let head = headers::global(&body);
        self.at += head.len() as u64;
        self.after_global = true;
        Placement {
            start,
            data: self.at,
            end: self.at,
            parts: vec![Part::Bytes(head)],
        }
    }

    /// The place of the next member.
    pub fn place(&mut self, member: &Member) -> Result<Placement, LayoutError> {
        let path = || String::from_utf8_lossy(&member.path).into_owned();
        let plan = headers::plan(member, &mut self.scratch).map_err(|reason| {
            LayoutError::NotStorable {
                path: path(),
                reason,
            }
        })?;
        let fit = self.fit(&plan);
        if fit.headers > HEADERS_MAX {
            let (path, bytes) = (path(), fit.headers);
            return Err(match plan.segments {
                Some(_) => LayoutError::MapTooLong { path, bytes },
                None => LayoutError::HeadersTooLong { path, bytes },
            });
        }
        if fit.end > STREAM_MAX {
            return Err(LayoutError::StreamTooLong { path: path() });
        }
        let parts = self.parts(member, &plan, &fit);
        self.at = fit.end;
        self.after_global = false;
        Ok(Placement {
            start: fit.start,
            data: fit.start + fit.headers,
            end: fit.end,
            parts,
        })
    }

    /// The archive's end: two blocks of zeros, and zeros up to the boundary.
    pub fn finish(&mut self) -> Placement {
        let start = self.at;
        let mut parts = Vec::with_capacity(2);
        if self.after_global {
            parts.push(Part::Bytes(end_member().to_vec()));
            self.at += BLOCK_BYTES;
        }
        let end = (self.at + 2 * BLOCK_BYTES).next_multiple_of(self.record_bytes);
        parts.push(Part::Zeros(end - self.at));
        self.at = end;
        self.after_global = false;
        Placement {
            start,
            data: start,
            end,
            parts,
        }
    }

    /// Bytes of the head: two blocks, or three where two would leave just one
    /// to the first boundary.
    fn head_bytes(&self) -> u64 {
        let two = 2 * BLOCK_BYTES;
        if self.gap(two) == BLOCK_BYTES {
            two + BLOCK_BYTES
        } else {
            two
        }
    }

    /// Bytes from `at` to the next record boundary; 0 on one.
    fn gap(&self, at: u64) -> u64 {
        at.next_multiple_of(self.record_bytes) - at
    }

    /// Tries lengths of the headers, shortest first, until no rule is broken.
    /// At most three are tried: with each, the end moves on by a step, and may
    /// jump once, when the headers no longer fit before the boundary.
    fn fit(&self, plan: &Plan<'_>) -> Fit {
        let large = plan.stored >= LARGE;
        let mut headers = plan.bytes;
        if large {
            headers = headers.next_multiple_of(LARGE_ALIGN);
        }
        loop {
            let gap = self.gap(self.at);
            let boundary = large || headers > gap;
            let start = if boundary { self.at + gap } else { self.at };
            let end = start + headers + padded(plan.stored);
            if self.gap(end) != BLOCK_BYTES {
                return Fit {
                    start,
                    headers,
                    end,
                };
            }
            headers += if large && !LARGE_ALIGN.is_multiple_of(self.record_bytes) {
                LARGE_ALIGN
            } else if headers == plan.bytes && !plan.extended {
                2 * BLOCK_BYTES
            } else {
                BLOCK_BYTES
            };
        }
    }

    fn parts(&mut self, member: &Member, plan: &Plan<'_>, fit: &Fit) -> Vec<Part> {
        let segments = plan.segments.as_deref().unwrap_or_default();
        let mut parts = Vec::with_capacity(4 + segments.len());
        if fit.start > self.at {
            parts.push(Part::Bytes(headers::pad(fit.start - self.at)));
        }
        parts.push(Part::Bytes(plan.write(fit.headers, &mut self.scratch)));
        if plan.segments.is_none()
            && let Kind::File {
                size: len @ 1.., ..
            } = member.kind
        {
            parts.push(Part::File { offset: 0, len });
        }
        let file = |&Segment { offset, len }| Part::File { offset, len };
        parts.extend(segments.iter().map(file));
        let zeros = padded(plan.stored) - plan.stored;
        if zeros > 0 {
            parts.push(Part::Zeros(zeros));
        }
        parts
    }
}
