//! Reading a set file.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

use uuid::Uuid;

use crate::chunk::{CHUNK_PART_BYTES_MAX, Hits, PathMap, Query};
use crate::columns::Columns;
use crate::error::{Error, Result};
use crate::layout::{HEADER_BYTES, Header, Place, Refusal, VERSION, parse_directory};
use crate::pattern::Pattern;
use crate::row::Row;

/// The paths of one set, in a file that never changes: a later file of the
/// same set takes this one's name, and who has it open keeps this one.
///
/// Searching reads and checks only the chunks that can hold an answer, and
/// keeps the last one.
#[derive(Debug)]
pub struct SetFile {
    path: PathBuf,
    file: File,
    set: Uuid,
    rows: u64,
    places: Vec<Place>,
    last_paths: Mutex<Option<(usize, Arc<PathMap>)>>,
    last_columns: Mutex<Option<(usize, Arc<Columns>)>>,
}

impl SetFile {
    /// Opens the file of set `set` at `path`.
    pub(crate) fn open(path: &Path, set: Uuid) -> Result<SetFile> {
        let file = File::open(path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => Error::NoSetFile { set },
            _ => Error::io("open", path)(source),
        })?;
        let file_len = file.metadata().map_err(Error::io("look at", path))?.len();
        let mut head = [0; HEADER_BYTES];
        read_at(&file, path, &mut head, 0)?;
        let header = Header::parse(&head, file_len).map_err(|refusal| match refusal {
            Refusal::Damaged(what) => Error::corrupt(path, what),
            Refusal::Newer(found) => Error::NewerVersion {
                path: path.to_owned(),
                found,
                known: VERSION,
            },
        })?;
        if header.set != set {
            return Err(Error::corrupt(
                path,
                format!("it is that of set {}", header.set),
            ));
        }
        let directory_damaged = || Error::corrupt(path, "its directory fails its checksum");
        let len = usize::try_from(header.directory_len).map_err(|_| directory_damaged())?;
        let mut directory = vec![0; len];
        read_at(&file, path, &mut directory, header.directory_start)?;
        if crc32c::crc32c(&directory) != header.directory_crc {
            return Err(directory_damaged());
        }
        let places = parse_directory(&directory, &header).ok_or_else(directory_damaged)?;
        Ok(SetFile {
            path: path.to_owned(),
            file,
            set,
            rows: header.rows,
            places,
            last_paths: Mutex::default(),
            last_columns: Mutex::default(),
        })
    }

    /// The set.
    pub fn set(&self) -> Uuid {
        self.set
    }

    /// Number of rows.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The row of exactly this path (a directory's ends in `/`).
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the chunk that should hold it fails its checksum,
    /// [`Error::Io`] if it cannot be read.
    pub fn get(&self, path: &[u8]) -> Result<Option<Row>> {
        let after = self
            .places
            .partition_point(|place| &place.first_path[..] <= path);
        let Some(chunk) = after.checked_sub(1) else {
            return Ok(None);
        };
        match self.paths(chunk)?.get(path) {
            Some(index) => self.row(chunk, index, path.to_vec()).map(Some),
            None => Ok(None),
        }
    }

    /// All rows, in the byte order of their paths.
    pub fn iter(&self) -> Rows<'_> {
        self.search(Query::All)
    }

    /// The rows whose paths begin with these bytes, in order.
    pub fn prefix(&self, prefix: &[u8]) -> Rows<'_> {
        self.search(Query::Prefix(prefix.to_vec()))
    }

    /// The row of this path, and, if it is a directory, those of all below it,
    /// in order. The path may end in `/` or not; an empty one means all.
    pub fn subtree(&self, path: &[u8]) -> Rows<'_> {
        match path.last() {
            None => self.search(Query::All),
            Some(b'/') => self.search(Query::Prefix(path.to_vec())),
            Some(_) => self.search(Query::Subtree(path.to_vec())),
        }
    }

    /// The rows whose paths match, in order.
    pub fn glob(&self, pattern: &Pattern) -> Rows<'_> {
        self.search(Query::Glob(pattern.clone()))
    }

    /// Reads and checks the whole file.
    ///
    /// # Errors
    /// [`Error::Corrupt`] at the first chunk that is not as it was written.
    pub fn check(&self) -> Result<()> {
        for chunk in 0..self.places.len() {
            self.paths(chunk)?;
            self.columns(chunk)?;
        }
        Ok(())
    }

    fn search(&self, query: Query) -> Rows<'_> {
        let prefix = query.common_prefix();
        // The chunk before the first that starts at or behind the prefix may
        // hold it too; those that start behind all paths with it cannot.
        let first = self
            .places
            .partition_point(|place| &place.first_path[..] < prefix);
        let end = self.places.partition_point(|place| {
            &place.first_path[..] < prefix || place.first_path.starts_with(prefix)
        });
        let hits = Hits::new().into_iter();
        Rows {
            file: self,
            query,
            chunk: 0,
            hits,
            next: first.saturating_sub(1),
            end,
        }
    }

    fn row(&self, chunk: usize, index: usize, path: Vec<u8>) -> Result<Row> {
        self.columns(chunk)?
            .row(index, path)
            .ok_or_else(|| self.damaged(chunk, "holds a row that cannot be"))
    }

    fn paths(&self, chunk: usize) -> Result<Arc<PathMap>> {
        let place = &self.places[chunk];
        cached(&self.last_paths, chunk, || {
            let bytes = self.part(chunk, place.start, place.map_len, place.map_crc)?;
            PathMap::parse(bytes).ok_or_else(|| self.damaged(chunk, "has no map of paths"))
        })
    }

    fn columns(&self, chunk: usize) -> Result<Arc<Columns>> {
        let place = &self.places[chunk];
        cached(&self.last_columns, chunk, || {
            let start = place.start + u64::from(place.map_len);
            let bytes = self.part(chunk, start, place.columns_len, place.columns_crc)?;
            usize::try_from(place.rows)
                .ok()
                .and_then(|rows| Columns::parse(bytes, rows))
                .ok_or_else(|| self.damaged(chunk, "has no columns"))
        })
    }

    /// Reads a part of a chunk and checks it.
    fn part(&self, chunk: usize, start: u64, len: u32, crc: u32) -> Result<Vec<u8>> {
        if len > CHUNK_PART_BYTES_MAX {
            return Err(self.damaged(chunk, "is longer than chunks are"));
        }
        let mut bytes = vec![0; len as usize];
        read_at(&self.file, &self.path, &mut bytes, start)?;
        if crc32c::crc32c(&bytes) != crc {
            return Err(self.damaged(chunk, "fails its checksum"));
        }
        Ok(bytes)
    }

    fn damaged(&self, chunk: usize, what: &str) -> Error {
        Error::corrupt(
            &self.path,
            format!("chunk {chunk} of {} {what}", self.places.len()),
        )
    }
}

/// What is kept of chunk `chunk`, made if it is not the last one.
fn cached<T>(
    last: &Mutex<Option<(usize, Arc<T>)>>,
    chunk: usize,
    make: impl FnOnce() -> Result<T>,
) -> Result<Arc<T>> {
    // A cache is right whatever thread panicked: it holds whole values.
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((held, value)) = &*last
        && *held == chunk
    {
        return Ok(Arc::clone(value));
    }
    let value = Arc::new(make()?);
    *last = Some((chunk, Arc::clone(&value)));
    Ok(value)
}

fn read_at(file: &File, path: &Path, bytes: &mut [u8], at: u64) -> Result<()> {
    file.read_exact_at(bytes, at)
        .map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::corrupt(path, "it is shorter than it was written")
            }
            _ => Error::io("read", path)(source),
        })
}

/// The rows that a search finds, in the byte order of their paths. After an
/// error it goes on with the next chunk.
#[derive(Debug)]
pub struct Rows<'a> {
    file: &'a SetFile,
    query: Query,
    /// The chunk in which `hits` were found.
    chunk: usize,
    hits: vec::IntoIter<(Vec<u8>, usize)>,
    /// The chunk to be searched next, and the one before which to stop.
    next: usize,
    end: usize,
}

impl Iterator for Rows<'_> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        loop {
            if let Some((path, index)) = self.hits.next() {
                return Some(self.file.row(self.chunk, index, path));
            }
            if self.next >= self.end {
                return None;
            }
            self.chunk = self.next;
            self.next += 1;
            match self.file.paths(self.chunk) {
                Ok(paths) => self.hits = paths.search(&self.query).into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl<'a> IntoIterator for &'a SetFile {
    type Item = Result<Row>;
    type IntoIter = Rows<'a>;

    fn into_iter(self) -> Rows<'a> {
        self.iter()
    }
}
