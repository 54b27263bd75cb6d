//! The index, growing beside the archive.
//!
//! Entries are compressed into a file without a name as they come. The head is
//! known only at the end, but stands first in the index: it is a Zstandard
//! frame of its own, and `zstd -dc` reads frames one after the other.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use longhaul_format::index::{Entry, Head, LINE_MAX, State};
use serde::Serialize;
use zstd::stream::write::Encoder;

/// Compression level: the index is a few percent of the data at most, and the
/// digest's core has other things to do.
const LEVEL: i32 = 1;

/// What the index of a set counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Members of every kind.
    pub members: u64,
    /// Bytes of all regular files, holes included.
    pub bytes: u64,
    /// Members that are not as their source was.
    pub damaged: u64,
}

/// The index entries of a set that is being written.
pub struct Spool {
    /// Lines are gathered before they are compressed: small pieces cost more.
    frames: BufWriter<Encoder<'static, File>>,
    line: Vec<u8>,
    totals: Totals,
}

impl Totals {
    /// Counts an entry.
    pub fn count(&mut self, entry: &Entry) {
        self.members += 1;
        self.bytes = self.bytes.saturating_add(entry.size);
        self.damaged += u64::from(entry.state == State::Damaged);
    }
}

impl Spool {
    /// An empty spool, in a file without a name in `dir`.
    ///
    /// # Errors
    /// If no file can be made there.
    pub fn new(dir: &Path) -> io::Result<Spool> {
        let encoder = Encoder::new(tempfile::tempfile_in(dir)?, LEVEL)?;
        let frames = BufWriter::with_capacity(256 * 1024, encoder);
        Ok(Spool {
            frames,
            line: Vec::new(),
            totals: Totals::default(),
        })
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn push(&mut self, entry: &Entry) -> io::Result<()> {
        self.totals.count(entry);
        write_line(&mut self.frames, &mut self.line, entry)
    }

    /// What was counted so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The whole index, head first, as a file that stands at its start.
    ///
    /// # Errors
    /// If a file cannot be written or made.
    pub fn finish(self, head: &Head, dir: &Path) -> io::Result<File> {
        let encoder = self
            .frames
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        let mut entries = encoder.finish()?;
        entries.seek(SeekFrom::Start(0))?;
        let mut encoder = Encoder::new(tempfile::tempfile_in(dir)?, LEVEL)?;
        write_line(&mut encoder, &mut Vec::new(), head)?;
        let mut index = encoder.finish()?;
        io::copy(&mut entries, &mut index)?;
        index.flush()?;
        index.seek(SeekFrom::Start(0))?;
        Ok(index)
    }
}

/// One line of JSON: `line` is scratch space.
fn write_line(out: &mut impl Write, line: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    line.clear();
    serde_json::to_writer(&mut *line, value)?;
    if line.len() > LINE_MAX {
        let what = format!(
            "an index line of {} bytes, where {LINE_MAX} may be",
            line.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    line.push(b'\n');
    out.write_all(line)
}

/// Reads an index file: plain JSON lines out of Zstandard frames.
///
/// # Errors
/// If decompression cannot start.
pub fn open(index: impl io::Read) -> io::Result<impl io::BufRead> {
    Ok(BufReader::with_capacity(
        256 * 1024,
        zstd::stream::read::Decoder::new(index)?,
    ))
}
