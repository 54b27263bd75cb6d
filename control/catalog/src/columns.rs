//! The columns of a chunk: every field of its rows but the path.
//!
//! A number is stored as its distance from the chunk's least value of that
//! field, in the fewest whole bytes that hold the greatest distance: neighbours
//! in a tree were made at about the same time, by the same owner, and lie in
//! near blocks, so most columns need one to three bytes, and one whose values
//! are all equal needs none.
//!
//! ```text
//! for each number column: width in bytes (1), least value (16)
//! width of a digest: 0 or 32 (1); bytes of link targets (4)
//! the number columns' values, column after column
//! digests, if any row has one
//! link targets, one after the other
//! ```
//! All numbers are little-endian.

use crate::row::{EntryState, EntryType, Row};

/// The number columns, in the order in which they lie in the file.
const NUMBERS: usize = 13;
const NUMBER_HEAD: usize = 17;
const HEAD_BYTES: usize = NUMBERS * NUMBER_HEAD + 1 + 4;
const DIGEST_BYTES: usize = 32;
/// Bit of `kind` that says that the row has a digest.
const HAS_DIGEST: u8 = 0x20;

/// The columns of some rows, as bytes.
pub(crate) fn encode(rows: &[Row]) -> Vec<u8> {
    let numbers = gather(rows);
    let links: usize = rows.iter().map(|row| row.link.len()).sum();
    let digests = rows.iter().any(|row| row.digest.is_some());
    let mut bytes = Vec::with_capacity(HEAD_BYTES + rows.len() * 90 + links);
    let frames = numbers.each_ref().map(|values| Frame::of(values));
    for frame in &frames {
        bytes.push(frame.width);
        bytes.extend_from_slice(&frame.least.to_le_bytes());
    }
    bytes.push(if digests { DIGEST_BYTES as u8 } else { 0 });
    let links_len = u32::try_from(links).expect("a chunk's links are bounded by the builder");
    bytes.extend_from_slice(&links_len.to_le_bytes());
    for (frame, values) in frames.iter().zip(&numbers) {
        for &value in values {
            let distance = value.wrapping_sub(frame.least).to_le_bytes();
            bytes.extend_from_slice(&distance[..usize::from(frame.width)]);
        }
    }
    if digests {
        for row in rows {
            bytes.extend_from_slice(&row.digest.unwrap_or_default());
        }
    }
    for row in rows {
        bytes.extend_from_slice(&row.link);
    }
    bytes
}

/// The rows' numbers, turned to columns.
fn gather(rows: &[Row]) -> [Vec<i128>; NUMBERS] {
    let mut numbers: [Vec<i128>; NUMBERS] = std::array::from_fn(|_| Vec::with_capacity(rows.len()));
    let mut link_end = 0;
    for row in rows {
        link_end += row.link.len() as i128;
        let values = [
            kind(row).into(),
            row.size.into(),
            row.mode.into(),
            row.uid.into(),
            row.gid.into(),
            row.nlink.into(),
            row.mtime_ns,
            row.ctime_ns,
            row.inode.into(),
            row.volume.into(),
            row.block.into(),
            row.offset.into(),
            link_end,
        ];
        for (column, value) in numbers.iter_mut().zip(values) {
            column.push(value);
        }
    }
    numbers
}

/// Type, state and the presence of a digest, in one byte.
fn kind(row: &Row) -> u8 {
    let digest = if row.digest.is_some() { HAS_DIGEST } else { 0 };
    (row.entry_type as u8) | (row.state as u8) << 3 | digest
}

/// Where a column's values start to count, and how wide they are.
#[derive(Debug, Clone, Copy)]
struct Frame {
    width: u8,
    least: i128,
}

impl Frame {
    fn of(values: &[i128]) -> Frame {
        let least = values.iter().copied().min().unwrap_or(0);
        let greatest = values.iter().copied().max().unwrap_or(0);
        // As unsigned, the difference of two i128 is always right.
        let span = greatest.wrapping_sub(least) as u128;
        Frame {
            width: (128 - span.leading_zeros()).div_ceil(8) as u8,
            least,
        }
    }
}

/// The columns of a chunk, over bytes whose checksum was right.
#[derive(Debug)]
pub(crate) struct Columns {
    bytes: Vec<u8>,
    frames: [Frame; NUMBERS],
    /// Where each number column starts in `bytes`.
    starts: [usize; NUMBERS],
    digests: Option<usize>,
    links: usize,
}

impl Columns {
    /// Looks at the columns of `rows` rows. `None` if the bytes are not that.
    pub(crate) fn parse(bytes: Vec<u8>, rows: usize) -> Option<Columns> {
        let (head, _) = bytes.split_at_checked(HEAD_BYTES)?;
        let mut frames = [Frame { width: 0, least: 0 }; NUMBERS];
        let mut starts = [0; NUMBERS];
        let mut at = HEAD_BYTES;
        for (column, entry) in head.chunks_exact(NUMBER_HEAD).take(NUMBERS).enumerate() {
            let width = entry[0];
            if width > 16 {
                return None;
            }
            let least = i128::from_le_bytes(entry[1..].try_into().ok()?);
            frames[column] = Frame { width, least };
            starts[column] = at;
            at = at.checked_add(rows.checked_mul(usize::from(width))?)?;
        }
        let digests = match head[NUMBERS * NUMBER_HEAD] {
            0 => None,
            32 => {
                let start = at;
                at = at.checked_add(rows.checked_mul(DIGEST_BYTES)?)?;
                Some(start)
            }
            _ => return None,
        };
        let links_len = u32::from_le_bytes(head[HEAD_BYTES - 4..].try_into().ok()?);
        let whole = at.checked_add(usize::try_from(links_len).ok()?)?;
        (whole == bytes.len()).then_some(Columns {
            bytes,
            frames,
            starts,
            digests,
            links: at,
        })
    }

    /// Row `index`, with this path. `None` if the bytes hold no row there.
    pub(crate) fn row(&self, index: usize, path: Vec<u8>) -> Option<Row> {
        let kind = u8::try_from(self.number(0, index)?).ok()?;
        let link_start = match index.checked_sub(1) {
            Some(before) => usize::try_from(self.number(12, before)?).ok()?,
            None => 0,
        };
        let link_end = usize::try_from(self.number(12, index)?).ok()?;
        Some(Row {
            path,
            entry_type: EntryType::from_code(kind & 0x07)?,
            state: EntryState::from_code(kind >> 3 & 0x03)?,
            size: self.number(1, index)?.try_into().ok()?,
            mode: self.number(2, index)?.try_into().ok()?,
            uid: self.number(3, index)?.try_into().ok()?,
            gid: self.number(4, index)?.try_into().ok()?,
            nlink: self.number(5, index)?.try_into().ok()?,
            mtime_ns: self.number(6, index)?,
            ctime_ns: self.number(7, index)?,
            inode: self.number(8, index)?.try_into().ok()?,
            volume: self.number(9, index)?.try_into().ok()?,
            block: self.number(10, index)?.try_into().ok()?,
            offset: self.number(11, index)?.try_into().ok()?,
            digest: if kind & HAS_DIGEST == 0 {
                None
            } else {
                Some(self.digest(index)?)
            },
            link: self
                .bytes
                .get(self.links..)?
                .get(link_start..link_end)?
                .to_vec(),
        })
    }

    fn number(&self, column: usize, index: usize) -> Option<i128> {
        let Frame { width, least } = self.frames[column];
        let width = usize::from(width);
        let start = self.starts[column].checked_add(index.checked_mul(width)?)?;
        let mut distance = [0; 16];
        distance[..width].copy_from_slice(self.bytes.get(start..start + width)?);
        Some(least.wrapping_add(i128::from_le_bytes(distance)))
    }

    fn digest(&self, index: usize) -> Option<[u8; DIGEST_BYTES]> {
        let start = self
            .digests?
            .checked_add(index.checked_mul(DIGEST_BYTES)?)?;
        self.bytes
            .get(start..start.checked_add(DIGEST_BYTES)?)?
            .try_into()
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_equal_values_takes_no_room() {
        assert_eq!(Frame::of(&[7, 7, 7]).width, 0);
        assert_eq!(Frame::of(&[-1, 254]).width, 1);
        assert_eq!(Frame::of(&[-1, 255]).width, 2);
        assert_eq!(Frame::of(&[i128::MIN, i128::MAX]).width, 16);
        assert_eq!(Frame::of(&[]).width, 0);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_no_panic(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
            widths in proptest::collection::vec(0u8..18, NUMBERS),
            rows in 0usize..5,
        ) {
            let mut bytes = bytes;
            for (column, width) in widths.iter().enumerate() {
                if let Some(byte) = bytes.get_mut(column * NUMBER_HEAD) {
                    *byte = *width;
                }
            }
            if let Some(columns) = Columns::parse(bytes, rows) {
                for index in 0..rows + 1 {
                    let _ = columns.row(index, Vec::new());
                }
            }
        }
    }
}
