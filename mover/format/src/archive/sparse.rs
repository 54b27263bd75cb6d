//! The map of a sparse file, as GNU tar's sparse format 1.0 has it: decimal
//! numbers, a line each, at the head of the member's data, filled up to a block.
//!
//! ```text
//!  number of entries
//!  offset, length    of each data segment, in order
//!  realsize, 0       only if the file ends in a hole
//! ```
//!
//! GNU tar starts every segment on a block, bsdtar and tarfile take the data as
//! one run: so that both are right, every segment but the last is a whole
//! number of blocks.

use std::borrow::Cow;

use super::{BLOCK_BYTES, HEADERS_MAX};
use crate::member::Segment;
use crate::pax;

/// Makes every segment but the one at the file's end a whole number of blocks,
/// by taking in some bytes of the hole behind it (they read as zeros), and
/// joins those that meet. `None` if the segments are out of order, overlap, are
/// empty, or reach beyond `size`.
pub(super) fn normalise(size: u64, segments: &[Segment]) -> Option<Cow<'_, [Segment]>> {
    let mut free = 0;
    let mut whole = true;
    for (index, segment) in segments.iter().enumerate() {
        let end = segment.offset.checked_add(segment.len)?;
        if segment.len == 0 || segment.offset < free || end > size {
            return None;
        }
        let last = index + 1 == segments.len();
        whole &= last || segment.len.is_multiple_of(BLOCK_BYTES);
        free = end;
    }
    if whole {
        return Some(Cow::Borrowed(segments));
    }
    let mut out: Vec<Segment> = Vec::with_capacity(segments.len());
    for segment in segments {
        let end = segment.offset + segment.len;
        // The previous one may have grown into this one.
        let reached = out.last().map_or(0, |last| last.offset + last.len);
        if end <= reached {
            continue;
        }
        if segment.offset <= reached
            && let Some(last) = out.last_mut()
        {
            last.len = round(last.offset, end - last.offset, size);
        } else {
            let len = round(segment.offset, segment.len, size);
            out.push(Segment {
                offset: segment.offset,
                len,
            });
        }
    }
    Some(Cow::Owned(out))
}

/// `len` up to whole blocks, but not beyond the file's end: what is cut there
/// is the last data segment.
fn round(offset: u64, len: u64, size: u64) -> u64 {
    len.next_multiple_of(BLOCK_BYTES).min(size - offset)
}

/// Appends the map, without the padding behind it.
pub(super) fn push_map(out: &mut Vec<u8>, size: u64, segments: &[Segment]) {
    let end = segments.last().map_or(0, |last| last.offset + last.len);
    let hole = end < size || segments.is_empty();
    let mut line = |number| {
        pax::push_decimal(out, number);
        out.push(b'\n');
    };
    line(segments.len() as u64 + u64::from(hole));
    for segment in segments {
        line(segment.offset);
        line(segment.len);
    }
    if hole {
        line(size);
        line(0);
    }
}

/// Reads a map byte by byte, since it comes in blocks.
#[derive(Debug, Default)]
pub(super) struct MapReader {
    /// Entries announced; `None` before the first line is whole.
    entries: Option<u64>,
    numbers: u64,
    line: u64,
    digits: u32,
    offset: u64,
    end: u64,
    segments: Vec<Segment>,
}

/// The map is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadMap;

impl MapReader {
    /// Takes the next bytes; true once the map is whole (what then is left of
    /// the block is padding).
    pub(super) fn take(&mut self, bytes: &[u8], size: u64) -> Result<bool, BadMap> {
        for &byte in bytes {
            match byte {
                b'0'..=b'9' => {
                    let digit = u64::from(byte - b'0');
                    let line = self
                        .line
                        .checked_mul(10)
                        .and_then(|line| line.checked_add(digit));
                    self.line = line.ok_or(BadMap)?;
                    self.digits += 1;
                    // Leading zeros must not make a line endless.
                    if self.digits > 20 {
                        return Err(BadMap);
                    }
                }
                b'\n' if self.digits > 0 => {
                    let number = std::mem::take(&mut self.line);
                    self.digits = 0;
                    self.number(number, size)?;
                }
                _ => return Err(BadMap),
            }
            if self
                .entries
                .is_some_and(|entries| self.numbers == 2 * entries)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn number(&mut self, number: u64, size: u64) -> Result<(), BadMap> {
        if self.entries.is_none() {
            // An entry takes at least four bytes of a map that has a limit.
            self.entries = Some(number);
            return if number <= HEADERS_MAX / 4 {
                Ok(())
            } else {
                Err(BadMap)
            };
        }
        self.numbers += 1;
        if self.numbers % 2 == 1 {
            self.offset = number;
            return if number >= self.end {
                Ok(())
            } else {
                Err(BadMap)
            };
        }
        let end = self
            .offset
            .checked_add(number)
            .filter(|&end| end <= size)
            .ok_or(BadMap)?;
        self.end = end;
        if number > 0 {
            self.segments.push(Segment {
                offset: self.offset,
                len: number,
            });
        }
        Ok(())
    }

    /// The segments, once the map is whole.
    pub(super) fn into_segments(self) -> Vec<Segment> {
        self.segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(offset: u64, len: u64) -> Segment {
        Segment { offset, len }
    }

    fn map(size: u64, segments: &[Segment]) -> String {
        let mut out = Vec::new();
        push_map(&mut out, size, segments);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_file_that_ends_in_a_hole_ends_its_map_with_its_size() {
        assert_eq!(map(9000, &[segment(0, 512)]), "2\n0\n512\n9000\n0\n");
        assert_eq!(map(9000, &[]), "1\n9000\n0\n");
        assert_eq!(map(9000, &[segment(8488, 512)]), "1\n8488\n512\n");
    }

    #[test]
    fn only_the_last_segment_may_be_a_part_of_a_block() {
        let given = [segment(3, 5), segment(600, 10), segment(2000, 7)];
        let whole = normalise(3000, &given).unwrap();
        assert_eq!(
            *whole,
            [segment(3, 512), segment(600, 512), segment(2000, 512)]
        );
        // One that grows into the next is joined with it.
        let given = [segment(0, 500), segment(510, 20), segment(2000, 7)];
        let whole = normalise(2007, &given).unwrap();
        assert_eq!(*whole, [segment(0, 1024), segment(2000, 7)]);
    }

    #[test]
    fn segments_that_overlap_or_reach_too_far_are_refused() {
        assert_eq!(normalise(100, &[segment(0, 101)]), None);
        assert_eq!(normalise(100, &[segment(0, 10), segment(9, 10)]), None);
        assert_eq!(normalise(100, &[segment(0, 0)]), None);
        assert_eq!(normalise(u64::MAX, &[segment(u64::MAX, 2)]), None);
    }

    proptest! {
        #[test]
        fn round_trip(gaps in proptest::collection::vec((0u64..3000, 1u64..3000), 0..20),
                      tail in 0u64..2000, step in 1usize..600) {
            let mut at = 0;
            let mut given = Vec::new();
            for (hole, len) in gaps {
                given.push(segment(at + hole, len));
                at += hole + len;
            }
            let size = at + tail;
            let whole = normalise(size, &given).unwrap();
            for (index, segment) in whole.iter().enumerate() {
                prop_assert!(index + 1 == whole.len() || segment.len.is_multiple_of(512));
            }
            for old in &given {
                let end = old.offset + old.len;
                let covers = |new: &Segment| new.offset <= old.offset && end <= new.offset + new.len;
                prop_assert!(whole.iter().any(covers));
            }
            let text = map(size, &whole);
            let mut reader = MapReader::default();
            let mut done = false;
            for piece in text.as_bytes().chunks(step) {
                prop_assert!(!done);
                done = reader.take(piece, size).unwrap();
            }
            prop_assert!(done);
            prop_assert_eq!(reader.into_segments(), whole.into_owned());
        }

        #[test]
        fn any_map_is_read_or_refused(text in "[0-9]{0,3}\n([0-9]{0,4}\n){0,12}") {
            let _ = MapReader::default().take(text.as_bytes(), 5000);
        }
    }
}
