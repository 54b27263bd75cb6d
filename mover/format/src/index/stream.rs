//! The lines of an index to and from a stream.

use std::io::{self, BufRead, Read as _, Write};

use thiserror::Error;

use super::{Entry, Head, INDEX_VERSION, LINE_MAX};

/// Why an index can't be read. Lines count from 1, which is the head.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The stream fails (a damaged file shows here too, as a zstd error).
    #[error("line {line} of the index can't be read")]
    Io {
        /// The line.
        line: u64,
        /// The cause.
        source: io::Error,
    },
    /// The line is longer than any that an index has.
    #[error("line {line} of the index is longer than {LINE_MAX} bytes")]
    LineTooLong {
        /// The line.
        line: u64,
    },
    /// The line is no entry, or the first one no head.
    #[error("line {line} of the index is damaged")]
    Line {
        /// The line.
        line: u64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The stream ends within a line, or before the head.
    #[error("the index ends within line {line}: it was cut short")]
    Truncated {
        /// The line.
        line: u64,
    },
    /// An index of a later form.
    #[error("the index is of form {found}, this program knows {INDEX_VERSION}: use a newer one")]
    Version {
        /// The form.
        found: u32,
    },
}

/// Writes an index.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins with the head. `out` should be buffered.
    pub fn new(out: W, head: &Head) -> io::Result<Writer<W>> {
        let mut writer = Writer {
            out,
            line: Vec::new(),
        };
        writer.put(head)?;
        Ok(writer)
    }

    /// Appends an entry.
    pub fn push(&mut self, entry: &Entry) -> io::Result<()> {
        self.put(entry)
    }

    /// Gives the stream back, unflushed.
    pub fn finish(self) -> W {
        self.out
    }

    fn put(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)?;
        if self.line.len() > LINE_MAX {
            let what = format!("a line of the index would be longer than {LINE_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }
}

/// Reads an index: the head at once, then entry by entry, as an iterator. After
/// an error there is nothing more.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    head: Head,
    line: Vec<u8>,
    number: u64,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the head.
    pub fn new(mut input: R) -> Result<Reader<R>, IndexError> {
        /// What every form of the index says first.
        #[derive(serde::Deserialize)]
        struct Form {
            longhaul_index: u32,
        }
        let mut line = Vec::new();
        if !read_line(&mut input, &mut line, 1)? {
            return Err(IndexError::Truncated { line: 1 });
        }
        let damaged = |source| IndexError::Line { line: 1, source };
        let form: Form = serde_json::from_slice(&line).map_err(damaged)?;
        if form.longhaul_index != INDEX_VERSION {
            return Err(IndexError::Version {
                found: form.longhaul_index,
            });
        }
        let head = serde_json::from_slice(&line).map_err(damaged)?;
        Ok(Reader {
            input,
            head,
            line,
            number: 1,
            ended: false,
        })
    }

    /// The head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    fn entry(&mut self) -> Result<Option<Entry>, IndexError> {
        self.number += 1;
        let line = self.number;
        if !read_line(&mut self.input, &mut self.line, line)? {
            return Ok(None);
        }
        serde_json::from_slice(&self.line)
            .map(Some)
            .map_err(|source| IndexError::Line { line, source })
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Entry, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.entry().transpose();
        self.ended = !matches!(entry, Some(Ok(_)));
        entry
    }
}

/// Reads a line, without its newline; false at the end of the stream.
fn read_line(
    input: &mut impl BufRead,
    line: &mut Vec<u8>,
    number: u64,
) -> Result<bool, IndexError> {
    line.clear();
    input
        .take(LINE_MAX as u64 + 1)
        .read_until(b'\n', line)
        .map_err(|source| IndexError::Io {
            line: number,
            source,
        })?;
    match line.last() {
        None => Ok(false),
        Some(b'\n') => {
            line.pop();
            Ok(true)
        }
        Some(_) if line.len() > LINE_MAX => Err(IndexError::LineTooLong { line: number }),
        Some(_) => Err(IndexError::Truncated { line: number }),
    }
}
