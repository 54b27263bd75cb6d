//! A cartridge without a drive: its objects, one after the other, for tools.

use std::path::{Path, PathBuf};

use super::{Kind, Medium, MediumError};
use crate::error::Error;

/// One logical object of a cartridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A block's bytes.
    Block(Vec<u8>),
    /// A filemark.
    Filemark,
}

/// An object that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: object {object} cannot be read", .path.display())]
pub struct ObjectError {
    /// The cartridge's file.
    pub path: PathBuf,
    /// The logical object identifier.
    pub object: u64,
    /// Why not.
    pub source: MediumError,
}

/// A cartridge opened to be read only. No drive can have it meanwhile.
#[derive(Debug)]
pub struct Cartridge {
    medium: Medium,
}

impl Cartridge {
    /// Opens a cartridge file.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Held`] (it is in a drive),
    /// [`Error::Damaged`], [`Error::Io`].
    pub fn open(path: &Path) -> Result<Cartridge, Error> {
        Ok(Cartridge {
            medium: Medium::open_read_only(path)?,
        })
    }

    /// What the cartridge is.
    pub fn medium(&self) -> &Medium {
        &self.medium
    }

    /// All objects from the beginning of the medium to the end of data.
    pub fn objects(&mut self) -> Objects<'_> {
        Objects {
            cartridge: self,
            next: 0,
        }
    }

    /// One object.
    ///
    /// # Errors
    /// If it is damaged, was dropped, or is behind the end of data.
    pub fn object(&mut self, object: u64) -> Result<Object, ObjectError> {
        self.read(object).map_err(|source| {
            let path = self.medium.path().to_owned();
            ObjectError {
                path,
                object,
                source,
            }
        })
    }

    fn read(&mut self, object: u64) -> Result<Object, MediumError> {
        let entry = self.medium.entry(object)?;
        if matches!(entry.kind, Kind::Filemark { .. }) {
            return Ok(Object::Filemark);
        }
        let mut data = vec![0; entry.length() as usize];
        self.medium.read(object, &entry, &mut data)?;
        Ok(Object::Block(data))
    }
}

/// Iterator over [`Cartridge::objects`]. An error does not end it: the next
/// object may be readable.
#[derive(Debug)]
pub struct Objects<'a> {
    cartridge: &'a mut Cartridge,
    next: u64,
}

impl Iterator for Objects<'_> {
    type Item = Result<Object, ObjectError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.cartridge.medium.objects() {
            return None;
        }
        self.next += 1;
        Some(self.cartridge.object(self.next - 1))
    }
}
