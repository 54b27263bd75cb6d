//! A chunk: some thousand rows that follow each other in path order.

use fst::{IntoStreamer, Map, MapBuilder, Streamer};

use crate::columns;
use crate::layout::Place;
use crate::pattern::Pattern;
use crate::row::Row;

/// Most rows of a chunk. It bounds memory while building, and what must be
/// read to find one path: some 90 bytes a row.
pub const CHUNK_ROWS: usize = 8192;
/// A chunk ends when its paths and link targets have this many bytes in all,
/// even if it has few rows.
pub(crate) const CHUNK_TEXT_BYTES: usize = 8 << 20;
/// Longest map or column block of a chunk that is read. Above what
/// [`CHUNK_TEXT_BYTES`] and one more row of the longest paths can come to.
pub(crate) const CHUNK_PART_BYTES_MAX: u32 = 256 << 20;

/// A chunk's two parts as bytes, and its place at `start` in the file.
pub(crate) struct Encoded {
    pub(crate) map: Vec<u8>,
    pub(crate) columns: Vec<u8>,
    pub(crate) place: Place,
}

/// Encodes rows, which are in the strict byte order of their paths, and not
/// none.
pub(crate) fn encode(rows: &[Row], start: u64) -> Result<Encoded, fst::Error> {
    let mut builder = MapBuilder::memory();
    for (index, row) in rows.iter().enumerate() {
        builder.insert(&row.path, index as u64)?;
    }
    let map = builder.into_inner()?;
    let columns = columns::encode(rows);
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a chunk's text is bounded");
    let place = Place {
        start,
        map_len: length(&map),
        map_crc: crc32c::crc32c(&map),
        columns_len: length(&columns),
        columns_crc: crc32c::crc32c(&columns),
        rows: u32::try_from(rows.len()).expect("bounded by CHUNK_ROWS"),
        first_path: rows.first().map(|row| row.path.clone()).unwrap_or_default(),
    };
    Ok(Encoded {
        map,
        columns,
        place,
    })
}

/// What to look for.
#[derive(Debug, Clone)]
pub(crate) enum Query {
    All,
    Prefix(Vec<u8>),
    /// This path, and what lies below it as a directory.
    Subtree(Vec<u8>),
    Glob(Pattern),
}

impl Query {
    /// What every path that is found begins with.
    pub(crate) fn common_prefix(&self) -> &[u8] {
        match self {
            Query::All => b"",
            Query::Prefix(prefix) | Query::Subtree(prefix) => prefix,
            Query::Glob(pattern) => pattern.literal_prefix(),
        }
    }
}

/// Paths found in a chunk, in order, and the rows in which they stand.
pub(crate) type Hits = Vec<(Vec<u8>, usize)>;

/// The map of a chunk, over bytes whose checksum was right.
#[derive(Debug)]
pub(crate) struct PathMap(Map<Vec<u8>>);

impl PathMap {
    /// `None` if the bytes are no map.
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<PathMap> {
        Map::new(bytes).ok().map(PathMap)
    }

    pub(crate) fn get(&self, path: &[u8]) -> Option<usize> {
        self.0.get(path).and_then(|row| usize::try_from(row).ok())
    }

    pub(crate) fn search(&self, query: &Query) -> Hits {
        match query {
            Query::All => self.range(b"", |_| true),
            Query::Prefix(prefix) => self.range(prefix, |_| true),
            Query::Subtree(path) => self.range(path, |found| {
                matches!(found.get(path.len()), None | Some(b'/'))
            }),
            Query::Glob(pattern) => collect(self.0.search(pattern).into_stream(), |_| true, b""),
        }
    }

    fn range(&self, prefix: &[u8], keep: impl Fn(&[u8]) -> bool) -> Hits {
        collect(self.0.range().ge(prefix).into_stream(), keep, prefix)
    }
}

/// Collects while paths begin with `prefix`.
fn collect<A: fst::Automaton>(
    mut stream: fst::map::Stream<'_, A>,
    keep: impl Fn(&[u8]) -> bool,
    prefix: &[u8],
) -> Hits {
    let mut hits = Hits::new();
    while let Some((path, row)) = stream.next() {
        if !path.starts_with(prefix) {
            break;
        }
        if keep(path) {
            hits.push((path.to_vec(), usize::try_from(row).unwrap_or(usize::MAX)));
        }
    }
    hits
}
