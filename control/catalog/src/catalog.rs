//! The catalog: a folder, its database and its set files.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::builder::{SetBuilder, sweep, sync_folder_of};
use crate::database::Database;
use crate::error::{Error, Result};
use crate::set::{SetFilter, SetRecord};
use crate::set_file::SetFile;
use crate::sqlite::lock_file;
use crate::volume::Volume;

/// A catalog that is open. Any number of processes may have the same one open.
#[derive(Debug)]
pub struct Catalog {
    dir: PathBuf,
    database: Database,
}

impl Catalog {
    /// Opens the catalog in folder `dir`. What is missing is created, the
    /// folder (and those above it) for its owner alone.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::NewerVersion`] or [`Error::NotACatalog`]
    /// by what the database is, and nothing is changed in it;
    /// [`Error::Io`] if the folder cannot be used.
    pub fn open(dir: &Path) -> Result<Catalog> {
        let sets = dir.join("sets");
        for folder in [dir, &sets] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(Error::io("create", folder))?;
        }
        // The switch to WAL and the first migration are not made to be done by
        // two at a time.
        let _lock = lock(dir)?;
        let database = Database::open(&dir.join("catalog.sqlite"))?;
        sweep(&sets)?;
        Ok(Catalog {
            dir: dir.to_owned(),
            database,
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All volumes, by name.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`], as for all that follow.
    pub fn volumes(&self) -> Result<Vec<Volume>> {
        self.database.volumes()
    }

    /// The volume with this UUID.
    ///
    /// # Errors
    /// As [`Catalog::volumes`].
    pub fn volume(&self, uuid: Uuid) -> Result<Option<Volume>> {
        self.database.volume("uuid", &uuid.to_string())
    }

    /// The volume with this name.
    ///
    /// # Errors
    /// As [`Catalog::volumes`].
    pub fn volume_by_name(&self, name: &str) -> Result<Option<Volume>> {
        self.database.volume("name", name)
    }

    /// Adds a volume, or changes what is known of the one with this UUID.
    ///
    /// # Errors
    /// [`Error::VolumeNameTaken`] if a volume with another UUID has the name.
    pub fn put_volume(&self, volume: &Volume) -> Result<()> {
        self.database.put_volume(volume)
    }

    /// Forgets a volume. Whether it was known.
    ///
    /// # Errors
    /// [`Error::VolumeInUse`] while the catalog has sets on it.
    pub fn remove_volume(&self, uuid: Uuid) -> Result<bool> {
        self.database.remove_volume(uuid)
    }

    /// The sets that meet the filter's conditions, oldest first.
    ///
    /// # Errors
    /// As [`Catalog::volumes`].
    pub fn sets(&self, filter: &SetFilter) -> Result<Vec<SetRecord>> {
        self.database.sets(filter)
    }

    /// The set with this UUID.
    ///
    /// # Errors
    /// As [`Catalog::volumes`].
    pub fn set(&self, uuid: Uuid) -> Result<Option<SetRecord>> {
        self.database.set(uuid)
    }

    /// Adds a set, or changes all that is known of the one with this UUID.
    ///
    /// # Errors
    /// [`Error::UnknownVolume`] if it lies on one that is not in the catalog,
    /// [`Error::TooLarge`] if a number has more than 63 bits.
    pub fn put_set(&self, set: &SetRecord) -> Result<()> {
        self.database.put_set(set)
    }

    /// Forgets a set and its paths. Whether it was known.
    ///
    /// # Errors
    /// As [`Catalog::volumes`]; [`Error::Io`] if its file stays, and then
    /// calling again removes it.
    pub fn remove_set(&self, uuid: Uuid) -> Result<bool> {
        let known = self.database.remove_set(uuid)?;
        let path = self.set_path(uuid);
        match fs::remove_file(&path) {
            Ok(()) => sync_folder_of(&path)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("remove", &path)(error)),
        }
        Ok(known)
    }

    /// Begins the file of paths of a set, which need not be in the database.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be created.
    pub fn set_builder(&self, set: Uuid) -> Result<SetBuilder> {
        // Nobody may sweep between the making of a file and its own lock.
        let _lock = lock(&self.dir)?;
        SetBuilder::new(set, self.set_path(set))
    }

    /// Opens the file of paths of a set.
    ///
    /// # Errors
    /// [`Error::NoSetFile`] if there is none; [`Error::Corrupt`] or
    /// [`Error::NewerVersion`] by what it is.
    pub fn set_file(&self, set: Uuid) -> Result<SetFile> {
        SetFile::open(&self.set_path(set), set)
    }

    /// Where the file of paths of a set lies, or is to be put.
    pub fn set_path(&self, set: Uuid) -> PathBuf {
        self.dir.join("sets").join(format!("{set}.paths"))
    }
}

/// Keeps other processes from opening the catalog, and from sweeping its
/// folder, as long as the file lives. Held for moments only.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("open.lock");
    let file = lock_file(&path).map_err(Error::io("open", &path))?;
    file.lock().map_err(Error::io("lock", &path))?;
    Ok(file)
}
