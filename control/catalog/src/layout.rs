//! The header and the directory of a set file, as bytes.
//!
//! ```text
//! header (88 bytes)
//!   0  8  magic
//!   8  4  version
//!  12  4  CRC32C of the directory
//!  16 16  the set's UUID
//!  32  8  number of rows
//!  40  8  number of chunks
//!  48  8  where the directory starts
//!  56  8  bytes of the directory: it ends the file
//!  64 20  zeros
//!  84  4  CRC32C of bytes 0 to 83
//! directory, for each chunk
//!   0  8  where it starts: the map, then the columns
//!   8  4  bytes of the map
//!  12  4  CRC32C of the map
//!  16  4  bytes of the columns
//!  20  4  CRC32C of the columns
//!  24  4  number of rows
//!  28  4  bytes of the first path
//!  32  -  the first path
//! ```
//! All numbers are little-endian.

use uuid::Uuid;

use crate::chunk::CHUNK_ROWS;
use crate::row::PATH_BYTES_MAX;

/// What every set file begins with. The line ends show a transfer as text.
pub(crate) const MAGIC: [u8; 8] = *b"LHSET\r\n\x1a";
/// The version of the format that is written here.
pub(crate) const VERSION: u32 = 1;
/// Length of the header, in bytes.
pub(crate) const HEADER_BYTES: usize = 88;
/// Longest directory that is read: that of some 100 million rows with long
/// paths.
pub(crate) const DIRECTORY_BYTES_MAX: u64 = 1 << 30;
const ENTRY_BYTES: usize = 32;

/// The header of a set file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) set: Uuid,
    pub(crate) rows: u64,
    pub(crate) chunks: u64,
    pub(crate) directory_start: u64,
    pub(crate) directory_len: u64,
    pub(crate) directory_crc: u32,
}

/// Why a header is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Damaged(&'static str),
    Newer(u32),
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.directory_crc.to_le_bytes());
        bytes[16..32].copy_from_slice(self.set.as_bytes());
        bytes[32..40].copy_from_slice(&self.rows.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.chunks.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.directory_start.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.directory_len.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..84]);
        bytes[84..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of a file of `file_len` bytes. The version is looked
    /// at before the checksum: a newer header may be another one.
    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES], file_len: u64) -> Result<Header, Refusal> {
        if bytes[..8] != MAGIC {
            return Err(Refusal::Damaged("it does not begin as a set file does"));
        }
        let version = u32_at(bytes, 8);
        if version > VERSION {
            return Err(Refusal::Newer(version));
        }
        if version != VERSION || crc32c::crc32c(&bytes[..84]) != u32_at(bytes, 84) {
            return Err(Refusal::Damaged("its header fails its checksum"));
        }
        let header = Header {
            set: Uuid::from_slice(&bytes[16..32]).unwrap_or_default(),
            rows: u64_at(bytes, 32),
            chunks: u64_at(bytes, 40),
            directory_start: u64_at(bytes, 48),
            directory_len: u64_at(bytes, 56),
            directory_crc: u32_at(bytes, 12),
        };
        match header.directory_start.checked_add(header.directory_len) {
            Some(end) if end == file_len && header.directory_len <= DIRECTORY_BYTES_MAX => {
                Ok(header)
            }
            _ => Err(Refusal::Damaged(
                "it is shorter or longer than it was written",
            )),
        }
    }
}

/// One chunk, as the directory has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: u64,
    pub(crate) map_len: u32,
    pub(crate) map_crc: u32,
    pub(crate) columns_len: u32,
    pub(crate) columns_crc: u32,
    pub(crate) rows: u32,
    pub(crate) first_path: Vec<u8>,
}

impl Place {
    pub(crate) fn encode_into(&self, directory: &mut Vec<u8>) {
        directory.extend_from_slice(&self.start.to_le_bytes());
        let path_len = u32::try_from(self.first_path.len()).expect("bounded by PATH_BYTES_MAX");
        for number in [
            self.map_len,
            self.map_crc,
            self.columns_len,
            self.columns_crc,
            self.rows,
            path_len,
        ] {
            directory.extend_from_slice(&number.to_le_bytes());
        }
        directory.extend_from_slice(&self.first_path);
    }
}

/// Reads a directory. `None` if it is not the one that `header` speaks of.
pub(crate) fn parse_directory(mut bytes: &[u8], header: &Header) -> Option<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    let mut rows = 0u64;
    let mut at = HEADER_BYTES as u64;
    while !bytes.is_empty() {
        let (entry, rest) = bytes.split_at_checked(ENTRY_BYTES)?;
        let path_len = usize::try_from(u32_at(entry, 28)).ok()?;
        let (first_path, rest) = rest.split_at_checked(path_len)?;
        let place = Place {
            start: u64_at(entry, 0),
            map_len: u32_at(entry, 8),
            map_crc: u32_at(entry, 12),
            columns_len: u32_at(entry, 16),
            columns_crc: u32_at(entry, 20),
            rows: u32_at(entry, 24),
            first_path: first_path.to_vec(),
        };
        let in_order = places
            .last()
            .is_none_or(|last| last.first_path < place.first_path);
        let bounded = (1..=CHUNK_ROWS).contains(&usize::try_from(place.rows).ok()?)
            && (1..=PATH_BYTES_MAX).contains(&path_len);
        if place.start != at || !in_order || !bounded {
            return None;
        }
        at = at.checked_add(u64::from(place.map_len) + u64::from(place.columns_len))?;
        rows += u64::from(place.rows);
        places.push(place);
        bytes = rest;
    }
    let whole = at == header.directory_start
        && rows == header.rows
        && u64::try_from(places.len()).ok()? == header.chunks;
    whole.then_some(places)
}

/// Little-endian number at a place that the caller knows to be there.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// As [`u32_at`].
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            rows in any::<u64>(),
        ) {
            let mut head = [0; HEADER_BYTES];
            let len = bytes.len().min(HEADER_BYTES);
            head[..len].copy_from_slice(&bytes[..len]);
            let _ = Header::parse(&head, rows);
            head[..12].copy_from_slice(b"LHSET\r\n\x1a\x01\0\0\0");
            let _ = Header::parse(&head, rows);
            let header = Header {
                set: Uuid::nil(), rows, chunks: 1, directory_start: 88, directory_len: 0,
                directory_crc: 0,
            };
            let _ = parse_directory(&bytes, &header);
        }
    }

    #[test]
    fn a_header_comes_back_as_it_was() {
        let header = Header {
            set: Uuid::from_u128(77),
            rows: 3,
            chunks: 1,
            directory_start: 500,
            directory_len: 40,
            directory_crc: 9,
        };
        assert_eq!(Header::parse(&header.encode(), 540), Ok(header.clone()));
        assert!(matches!(
            Header::parse(&header.encode(), 541),
            Err(Refusal::Damaged(_))
        ));
        let mut newer = header.encode();
        newer[8] = 2;
        assert_eq!(Header::parse(&newer, 540), Err(Refusal::Newer(2)));
    }
}
