//! Making a blank cartridge.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::superblock::{Extent, Superblock};
use super::{Geometry, Medium, Uncommitted};
use crate::error::Error;
use crate::lock;
use crate::url::{CAPACITY_MAX, CAPACITY_MIN, Media, is_barcode};

/// Native capacity of an LTO-9 cartridge, in bytes: what a new cartridge has
/// if nobody says otherwise.
pub const CAPACITY_DEFAULT: u64 = 18_000_000_000_000;

/// What a blank cartridge shall be.
#[derive(Debug, Clone)]
pub struct Blank {
    /// Bytes until the end of the medium, 1 MiB to 64 TiB.
    pub capacity: u64,
    /// Whether it keeps data.
    pub media: Media,
    /// Its barcode: up to 32 capital letters and digits.
    pub barcode: Option<String>,
}

impl Default for Blank {
    fn default() -> Blank {
        Blank {
            capacity: CAPACITY_DEFAULT,
            media: Media::Keep,
            barcode: None,
        }
    }
}

impl Medium {
    /// Makes a blank cartridge in a new file and opens it.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a file already, [`Error::Impossible`] for
    /// a capacity or barcode out of bounds, [`Error::Io`] from the host.
    pub fn create(path: &Path, blank: &Blank) -> Result<Medium, Error> {
        let head = superblock(path, blank)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists {
                path: path.to_owned(),
            },
            _ => Error::Io {
                path: path.to_owned(),
                action: "make it",
                source: error,
            },
        })?;
        let file = lock::take(file, path)?;
        let mut medium = Medium {
            path: path.to_owned(),
            file,
            geometry: Geometry::new(blank.capacity),
            head,
            committed: Extent::default(),
            uncommitted: Uncommitted::default(),
            read_only: false,
            written: false,
        };
        if let Err(error) = medium.lay_out() {
            // Half a cartridge would only be in the way of the next attempt.
            let _ = fs::remove_file(path);
            return Err(Error::Io {
                path: path.to_owned(),
                action: "write to it",
                source: error,
            });
        }
        Ok(medium)
    }

    fn lay_out(&mut self) -> io::Result<()> {
        self.file.set_len(self.geometry.data)?;
        self.write_superblocks()
    }
}

fn superblock(path: &Path, blank: &Blank) -> Result<Superblock, Error> {
    let impossible = |what: String| Error::Impossible {
        path: path.to_owned(),
        what,
    };
    if !(CAPACITY_MIN..=CAPACITY_MAX).contains(&blank.capacity) {
        let what = format!(
            "capacity {} is not {CAPACITY_MIN} to {CAPACITY_MAX}",
            blank.capacity
        );
        return Err(impossible(what));
    }
    let mut barcode = [0; 32];
    if let Some(text) = &blank.barcode {
        if !is_barcode(text) {
            let what = format!("barcode {text:?} is not 1 to 32 capital letters and digits");
            return Err(impossible(what));
        }
        barcode[..text.len()].copy_from_slice(text.as_bytes());
    }
    let uuid = Uuid::new_v4();
    let mut serial = [0; 16];
    let name = format!("LH{}", &uuid.simple().to_string()[..8].to_uppercase());
    serial[..name.len()].copy_from_slice(name.as_bytes());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    Ok(Superblock {
        sequence: 0,
        uuid: *uuid.as_bytes(),
        serial,
        barcode,
        created_s: now,
        capacity: blank.capacity,
        discard: blank.media == Media::Discard,
        write_protect: false,
        extent: Extent::default(),
        load_count: 0,
        write_sessions: 0,
        bytes_written: 0,
        bytes_read: 0,
        attributes: std::collections::BTreeMap::new(),
    })
}
