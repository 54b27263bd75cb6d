//! The note that outlives a crash: what the hand was about to do.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Longest note that is read: a few short fields.
const NOTE_BYTES_MAX: u64 = 4096;

/// A move that was about to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The volume's barcode, if it has one.
    pub barcode: Option<String>,
    /// The element that it was taken from.
    pub from: u16,
    /// The element that it was to go to.
    pub to: u16,
}

/// Where the notes of one changer are kept: one file, there only while a move
/// is under way.
#[derive(Debug)]
pub(super) struct Notebook {
    path: PathBuf,
}

impl Notebook {
    /// The notebook of the changer with this serial number, below `state`.
    pub(super) fn of(state: &Path, serial: &str) -> Notebook {
        // The serial number is the library's word, not a path.
        let name: String = serial
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let path = state.join("changers").join(format!("{name}.json"));
        Notebook { path }
    }

    /// What was under way when the last process ended, if anything. A torn note
    /// is none: the hand moves only after a whole one was written.
    ///
    /// # Errors
    /// If there is one and it cannot be read.
    pub(super) fn pending(&self) -> io::Result<Option<Intent>> {
        let size = match fs::metadata(&self.path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if size > NOTE_BYTES_MAX {
            return Ok(None);
        }
        Ok(serde_json::from_slice(&fs::read(&self.path)?).ok())
    }

    /// Writes the note; it is on the disk when this returns.
    ///
    /// # Errors
    /// What the host says.
    pub(super) fn write(&self, intent: &Intent) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir)?;
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(intent)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        File::open(dir)?.sync_all()
    }

    /// Takes the note away: the inventory has shown what became of it.
    ///
    /// # Errors
    /// What the host says.
    pub(super) fn clear(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_stays_until_it_is_cleared_and_a_torn_one_is_none() {
        let dir = tempfile::tempdir().expect("scratch");
        let notebook = Notebook::of(dir.path(), "../LIB 1");
        assert_eq!(notebook.pending().expect("none"), None);
        let intent = Intent {
            barcode: Some("LHS001L9".into()),
            from: 1000,
            to: 500,
        };
        notebook.write(&intent).expect("written");
        let again = Notebook::of(dir.path(), "../LIB 1");
        assert_eq!(again.pending().expect("read"), Some(intent));
        fs::write(&again.path, b"{\"barcode\":").expect("torn");
        assert_eq!(again.pending().expect("read"), None);
        again.clear().expect("cleared");
        again.clear().expect("cleared twice");
        assert_eq!(again.pending().expect("none"), None);
        assert!(again.path.starts_with(dir.path().join("changers")));
    }
}
