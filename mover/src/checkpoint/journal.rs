//! The journal of a set that is being written: index entries, checkpoints.
//!
//! It is one file, `journals/SET.journal` below the catalog's folder, and only
//! ever grows (`frame.rs` has its form). Entries are gathered,
//! compressed and appended; a checkpoint is appended behind the entries that it
//! covers, and counts once the file is on the disk. When the set is done, the
//! entries become its index, and the journal is removed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use longhaul_format::index::{self, Entry, LINE_MAX, Volume};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zstd::stream::write::Encoder;

use super::Checkpoint;
use super::frame::{self, Kind, MAGIC};
use crate::pipeline::entry::Totals;
use crate::source::Problem;

/// Compression level: the index is a few percent of the data at most, and the
/// cores have other things to do.
const LEVEL: i32 = 1;

/// Lines are gathered to so many bytes before they are compressed.
const GATHERED: usize = 256 << 10;

/// What is being backed up: enough to go on with it on another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The set's identity.
    pub set: Uuid,
    /// Its number on the volume on which it begins.
    pub sequence: u32,
    /// When the backup began: seconds since 1970.
    pub started: i64,
    /// The host that it is of.
    pub host: String,
    /// What was asked for.
    pub asked: Asked,
    /// Bytes of a record.
    pub record_bytes: u64,
    /// The key that holds the drive's reservation, as 16 hexadecimal digits:
    /// what a successor may take the drive from.
    pub key: String,
}

/// What a backup was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The paths.
    pub paths: Vec<PathBuf>,
    /// Patterns of what is left out.
    pub excludes: Vec<String>,
    /// Whether other file systems are left out.
    pub one_file_system: bool,
}

/// A journal that is being written. No other process has it meanwhile.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    lines: Vec<u8>,
    lines_count: u32,
    line: Vec<u8>,
    totals: Totals,
}

/// The folder of the journals, below the catalog's.
pub fn folder(catalog: &Path) -> PathBuf {
    catalog.join("journals")
}

/// The journal of a set, below the catalog's folder.
pub fn path_of(catalog: &Path, set: Uuid) -> PathBuf {
    folder(catalog).join(format!("{set}.journal"))
}

/// All journals below the catalog's folder.
pub fn all(catalog: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder(catalog)).into_iter().flatten();
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "journal"))
}

impl Journal {
    /// A new journal at `path`, with what is being backed up and the volumes so
    /// far. One that was there is replaced in one step, by
    /// [`publish`](Journal::publish).
    ///
    /// # Errors
    /// If the file or its folder cannot be made, or another process has it.
    pub fn create(path: &Path, head: &Head, volumes: &[Volume]) -> io::Result<Journal> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        if let Ok(old) = File::open(path) {
            lock(&old, path)?;
        }
        let new = new_path(path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(&new)?;
        lock(&file, path)?;
        let mut journal = Journal::of(file, path);
        journal.file.write_all(MAGIC)?;
        journal.json(Kind::Head, head)?;
        for volume in volumes {
            journal.json(Kind::Volume, volume)?;
        }
        Ok(journal)
    }

    /// The journal at `path`, to be appended to. Its counts begin anew.
    ///
    /// # Errors
    /// If there is none, or another process has it.
    pub fn reopen(path: &Path) -> io::Result<Journal> {
        let file = OpenOptions::new().read(true).append(true).open(path)?;
        lock(&file, path)?;
        Ok(Journal::of(file, path))
    }

    fn of(file: File, path: &Path) -> Journal {
        Journal {
            file,
            path: path.to_owned(),
            lines: Vec::new(),
            lines_count: 0,
            line: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// Makes it durable, and puts it in its place.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn publish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_all()?;
        std::fs::rename(new_path(&self.path), &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of it so far, without entries that are being gathered.
    ///
    /// # Errors
    /// If the file cannot be asked.
    pub fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// What was counted so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Appends a member's entry. It need not be durable before the next
    /// checkpoint.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn push(&mut self, entry: &Entry) -> io::Result<()> {
        self.totals.count(entry);
        write_line(&mut self.lines, &mut self.line, entry)?;
        self.lines_count += 1;
        if self.lines.len() >= GATHERED {
            self.flush()?;
        }
        Ok(())
    }

    /// Appends what could not be read.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn problem(&mut self, problem: &Problem) -> io::Result<()> {
        self.json(Kind::Problem, problem)
    }

    /// Appends a volume on which the set goes on; it is durable then.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn volume(&mut self, volume: &Volume) -> io::Result<()> {
        self.flush()?;
        self.json(Kind::Volume, volume)?;
        self.file.sync_data()
    }

    /// Appends a checkpoint. It counts once this has returned.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn checkpoint(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        self.flush()?;
        self.json(Kind::Checkpoint, checkpoint)?;
        self.file.sync_data()
    }

    /// The whole index, head first, as a file that stands at its start.
    ///
    /// # Errors
    /// If a file cannot be written or made.
    pub fn index(&mut self, head: &index::Head, dir: &Path) -> io::Result<File> {
        self.flush()?;
        // The head is known only at the end, and stands first: a Zstandard
        // frame of its own, and `zstd -dc` reads frames one after the other.
        let mut encoder = Encoder::new(tempfile::tempfile_in(dir)?, LEVEL)?;
        write_line(&mut encoder, &mut Vec::new(), head)?;
        let mut index = encoder.finish()?;
        self.file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
        let mut from = BufReader::with_capacity(GATHERED, &self.file);
        let mut payload = Vec::new();
        while let Some(kind) = frame::read(&mut from, &mut payload)? {
            if kind == Kind::Entries {
                index.write_all(payload.get(4..).unwrap_or_default())?;
            }
        }
        self.file.seek(SeekFrom::End(0))?;
        index.flush()?;
        index.seek(SeekFrom::Start(0))?;
        Ok(index)
    }

    /// Removes the journal of a set that is done.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    /// Appends the entries that were gathered.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.lines_count == 0 {
            return Ok(());
        }
        let payload = self.lines_count.to_le_bytes().to_vec();
        let mut encoder = Encoder::new(payload, LEVEL)?;
        encoder.write_all(&self.lines)?;
        let payload = encoder.finish()?;
        self.lines.clear();
        self.lines_count = 0;
        frame::write(&mut self.file, Kind::Entries, &payload)
    }

    fn json(&mut self, kind: Kind, value: &impl Serialize) -> io::Result<()> {
        let payload = serde_json::to_vec(value)?;
        let mut bytes = Vec::with_capacity(payload.len() + 16);
        frame::write(&mut bytes, kind, &payload)?;
        self.file.write_all(&bytes)
    }
}

fn new_path(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Keeps other processes from the journal, as long as the file is open.
pub(super) fn lock(file: &File, path: &Path) -> io::Result<()> {
    file.try_lock().map_err(|error| {
        let kind = io::ErrorKind::ResourceBusy;
        let path = path.display();
        match error {
            std::fs::TryLockError::WouldBlock => {
                let what = format!("{path}: another process is writing this set");
                io::Error::new(kind, what)
            }
            std::fs::TryLockError::Error(error) => error,
        }
    })
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

/// Reads an index file, or the entries of a journal: plain JSON lines out of
/// Zstandard frames.
///
/// # Errors
/// If decompression cannot start.
pub fn lines(frames: impl Read) -> io::Result<impl io::BufRead> {
    Ok(BufReader::with_capacity(
        GATHERED,
        zstd::stream::read::Decoder::new(frames)?,
    ))
}
