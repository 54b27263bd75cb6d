//! Writing a set file, in one stream.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use uuid::Uuid;

use crate::chunk::{self, CHUNK_ROWS, CHUNK_TEXT_BYTES};
use crate::error::{Error, Result};
use crate::layout::{DIRECTORY_BYTES_MAX, HEADER_BYTES, Header};
use crate::row::{PATH_BYTES_MAX, Row};
use crate::set_file::SetFile;

/// How the names of files that are not finished end.
const TEMPORARY_SUFFIX: &str = ".new";

/// Writes the file of paths of one set. Rows come in the byte order of their
/// paths; a path that comes again directly after itself (a damaged member that
/// was stored again) takes the earlier row's place. Nothing is seen under the
/// set's name before [`SetBuilder::finish`]; a builder that is dropped before
/// leaves nothing behind.
///
/// Memory: one chunk of rows, some megabytes, and the first path of each chunk.
#[derive(Debug)]
pub struct SetBuilder {
    set: Uuid,
    /// Locked as long as the builder lives, so that nobody sweeps it away.
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    finished: bool,
    /// Where the next chunk starts.
    end: u64,
    rows: u64,
    chunks: u64,
    directory: Vec<u8>,
    pending: Vec<Row>,
    pending_text_bytes: usize,
}

impl SetBuilder {
    pub(crate) fn new(set: Uuid, target: PathBuf) -> Result<SetBuilder> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let temporary =
            target.with_added_extension(format!("{}-{serial}{TEMPORARY_SUFFIX}", process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(Error::io("create", &temporary))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::Error(source) => Error::io("lock", &temporary)(source),
            TryLockError::WouldBlock => {
                Error::io("lock", &temporary)(io::ErrorKind::ResourceBusy.into())
            }
        })?;
        Ok(SetBuilder {
            set,
            file,
            temporary,
            target,
            finished: false,
            end: HEADER_BYTES as u64,
            rows: 0,
            chunks: 0,
            directory: Vec::new(),
            pending: Vec::new(),
            pending_text_bytes: 0,
        })
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if its path comes before the last one,
    /// [`Error::PathLength`] if the path is empty, or it or the link's target
    /// is too long: in both cases the row is left out, and the builder can go
    /// on. [`Error::Io`] if the file cannot be written.
    pub fn push(&mut self, row: Row) -> Result<()> {
        for (text, least) in [(&row.path, 1), (&row.link, 0)] {
            if !(least..=PATH_BYTES_MAX).contains(&text.len()) {
                return Err(Error::PathLength { len: text.len() });
            }
        }
        if let Some(last) = self.pending.last_mut() {
            if last.path == row.path {
                self.pending_text_bytes += row.link.len();
                *last = row;
                return Ok(());
            }
            if last.path > row.path {
                return Err(Error::OutOfOrder {
                    path: row.path,
                    after: last.path.clone(),
                });
            }
        }
        if self.pending.len() == CHUNK_ROWS || self.pending_text_bytes >= CHUNK_TEXT_BYTES {
            self.write_chunk()?;
        }
        self.pending_text_bytes += row.path.len() + row.link.len();
        self.pending.push(row);
        Ok(())
    }

    fn write_chunk(&mut self) -> Result<()> {
        let chunk = chunk::encode(&self.pending, self.end)
            .map_err(|error| self.io("write")(io::Error::other(error)))?;
        for part in [&chunk.map, &chunk.columns] {
            self.file
                .write_all_at(part, self.end)
                .map_err(self.io("write"))?;
            self.end += part.len() as u64;
        }
        chunk.place.encode_into(&mut self.directory);
        self.rows += self.pending.len() as u64;
        self.chunks += 1;
        self.pending.clear();
        self.pending_text_bytes = 0;
        Ok(())
    }

    /// Ends the file, makes it durable, and puts it in its place: over the
    /// set's earlier one, if there was one.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written, synchronised or renamed; the
    /// earlier file is then still in place.
    pub fn finish(mut self) -> Result<SetFile> {
        if !self.pending.is_empty() {
            self.write_chunk()?;
        }
        let directory_len = self.directory.len() as u64;
        if directory_len > DIRECTORY_BYTES_MAX {
            return Err(Error::TooLarge {
                field: "a set's directory",
                value: directory_len,
            });
        }
        self.file
            .write_all_at(&self.directory, self.end)
            .map_err(self.io("write"))?;
        let header = Header {
            set: self.set,
            rows: self.rows,
            chunks: self.chunks,
            directory_start: self.end,
            directory_len,
            directory_crc: crc32c::crc32c(&self.directory),
        };
        self.file
            .write_all_at(&header.encode(), 0)
            .map_err(self.io("write"))?;
        self.file.sync_all().map_err(self.io("synchronise"))?;
        fs::rename(&self.temporary, &self.target).map_err(self.io("rename"))?;
        self.finished = true;
        sync_folder_of(&self.target)?;
        SetFile::open(&self.target, self.set)
    }

    fn io(&self, action: &'static str) -> impl Fn(io::Error) -> Error + '_ {
        Error::io(action, &self.temporary)
    }
}

impl Drop for SetBuilder {
    fn drop(&mut self) {
        if !self.finished {
            // What stays is swept away when the catalog is next opened.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_folder_of(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    File::open(folder)
        .and_then(|dir| dir.sync_all())
        .map_err(Error::io("synchronise", folder))
}

/// Removes what builders that died left in `folder`. A living one holds a lock
/// on its file.
pub(crate) fn sweep(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(Error::io("read", folder))?;
    for entry in entries {
        let path = entry.map_err(Error::io("read", folder))?.path();
        if !path.to_string_lossy().ends_with(TEMPORARY_SUFFIX) {
            continue;
        }
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if file.try_lock().is_ok() {
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}
