//! A cartridge: logical objects in a sparse file.
//!
//! ```text
//! 0        superblock        what it is, how far it is written
//! 16 KiB   superblock        the same again
//! 64 KiB   object table      16 bytes an object: kind, length, offset, checks
//!  …       filemark table    8 bytes a filemark: the object's number
//!  …       data              blocks, one behind the other
//! ```
//!
//! The tables are as long as the capacity could ever need; what is not
//! written is a hole. So no table is held in memory, and a cartridge may be
//! much larger than it. (The holes count in the file's apparent size: an empty
//! 18 TB cartridge shows 844 GB and takes a few kilobytes.)
//!
//! Data goes first, then the tables, then the superblocks, and what the
//! superblock does not tell of is not there. A process that is killed at any
//! moment leaves a cartridge that ends where the last superblock says.
//! Overwriting moves EOD back first. No step is `fsync`ed: what dies is a
//! process, not the host.
//!
//! Each object takes [`OBJECT_OVERHEAD`] bytes of the capacity beside its data.

mod attributes;
mod create;
mod open;
mod reader;
mod superblock;
mod table;

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::lock::Locked;
pub(crate) use attributes::{Attribute, HEADER_BYTES as ATTRIBUTE_HEADER_BYTES};
pub use create::{Blank, CAPACITY_DEFAULT};
pub use reader::{Cartridge, Object, ObjectError, Objects};
use superblock::{ATTRIBUTES_BYTES_MAX, COPY_BYTES, Extent, Superblock};
pub use table::BLOCK_BYTES_MAX;
use table::{ENTRY_BYTES, FILEMARK_BYTES};
pub(crate) use table::{Entry, Kind};

/// Bytes of capacity that an object takes beside its data.
pub const OBJECT_OVERHEAD: u64 = 512;

/// `media=discard` keeps the data of blocks up to this long, in bytes.
pub const DISCARD_KEEPS: usize = 16 << 10;

/// Memory for the attributes that hosts write, in bytes.
pub(crate) const ATTRIBUTE_MEMORY_BYTES: usize = ATTRIBUTES_BYTES_MAX - 64;

const TABLE_START: u64 = 64 << 10;

/// Why the medium could not do what the drive wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediumError {
    /// What stands in the file for this object cannot be right.
    #[error("object {object} is damaged: {what}")]
    Damaged {
        /// The logical object identifier.
        object: u64,
        /// Which part of it.
        what: &'static str,
    },
    /// The block's data was dropped (`media=discard`).
    #[error("the data of object {object} was dropped when it was written (media=discard)")]
    Dropped {
        /// The logical object identifier.
        object: u64,
    },
    /// Nothing is recorded there.
    #[error("nothing is recorded at object {object}")]
    EndOfData {
        /// The logical object identifier.
        object: u64,
    },
    /// No capacity is left.
    #[error("no capacity is left")]
    Full,
    /// The host's file system failed.
    #[error("the file system of the cartridge file failed")]
    Io(#[from] io::Error),
}

/// Where the parts of the file begin; the capacity decides.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    filemarks: u64,
    data: u64,
}

impl Geometry {
    fn new(capacity: u64) -> Geometry {
        let objects_max = capacity / OBJECT_OVERHEAD;
        let filemarks = (TABLE_START + objects_max * ENTRY_BYTES as u64).next_multiple_of(4096);
        let data = (filemarks + objects_max * FILEMARK_BYTES as u64).next_multiple_of(4096);
        Geometry { filemarks, data }
    }
}

/// Table entries of objects whose data is in the file, but which no
/// superblock tells of yet.
#[derive(Debug, Default)]
struct Uncommitted {
    entries: Vec<u8>,
    filemarks: Vec<u8>,
}

/// An open cartridge.
#[derive(Debug)]
pub struct Medium {
    path: PathBuf,
    file: Locked,
    geometry: Geometry,
    head: Superblock,
    /// What the file's superblock says; `head` may be ahead of it.
    committed: Extent,
    uncommitted: Uncommitted,
    /// The host lets nobody write to the file.
    read_only: bool,
    /// Whether something was written since the cartridge was loaded.
    written: bool,
}

impl Medium {
    /// The cartridge's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes until the end of the medium.
    pub fn capacity(&self) -> u64 {
        self.head.capacity
    }

    /// The barcode, if it has one.
    pub fn barcode(&self) -> &str {
        text(&self.head.barcode)
    }

    /// The cartridge's own serial number (MAM 0401h).
    pub fn serial(&self) -> &str {
        text(&self.head.serial)
    }

    /// The cartridge's identity.
    pub fn uuid(&self) -> [u8; 16] {
        self.head.uuid
    }

    /// Whether it drops the data of large blocks.
    pub fn discards(&self) -> bool {
        self.head.discard
    }

    /// Whether nothing may be written.
    pub fn write_protected(&self) -> bool {
        self.read_only || self.head.write_protect
    }

    /// Turns the tab, for as long as the cartridge is open.
    pub(crate) fn set_write_protect(&mut self, on: bool) {
        self.head.write_protect = on;
    }

    /// Logical objects recorded: the identifier of EOD.
    pub fn objects(&self) -> u64 {
        self.head.extent.objects
    }

    /// Filemarks recorded.
    pub fn filemarks(&self) -> u64 {
        self.head.extent.filemarks
    }

    /// Bytes of capacity before an object.
    pub(crate) fn used_before(&self, object: u64) -> Result<u64, MediumError> {
        let extent = self.head.extent;
        if object >= extent.objects {
            return Ok(extent.data_end + extent.objects * OBJECT_OVERHEAD);
        }
        Ok(self.entry(object)?.offset + object * OBJECT_OVERHEAD)
    }

    pub(crate) fn load_count(&self) -> u64 {
        self.head.load_count
    }

    pub(crate) fn write_sessions(&self) -> u64 {
        self.head.write_sessions
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        self.head.bytes_written
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.head.bytes_read
    }

    pub(crate) fn created_s(&self) -> u64 {
        self.head.created_s
    }

    /// Counts a load, and begins a new session of writing.
    pub(crate) fn loaded(&mut self) -> Result<(), MediumError> {
        self.written = false;
        self.head.load_count += 1;
        if self.read_only {
            Ok(())
        } else {
            self.commit()
        }
    }

    /// Bytes that attributes take, of [`ATTRIBUTE_MEMORY_BYTES`].
    pub(crate) fn attribute_bytes(&self) -> usize {
        self.head
            .attributes
            .values()
            .map(|a| a.value.len() + ATTRIBUTE_HEADER_BYTES)
            .sum()
    }

    pub(crate) fn attributes(&self) -> impl Iterator<Item = (u16, &Attribute)> {
        self.head
            .attributes
            .iter()
            .map(|(id, attribute)| (*id, attribute))
    }

    /// Sets or (with an empty value) deletes attributes, all or none.
    ///
    /// # Errors
    /// [`MediumError::Full`] if they do not fit.
    pub(crate) fn set_attributes(
        &mut self,
        changes: &[(u16, Attribute)],
    ) -> Result<(), MediumError> {
        let before = self.head.attributes.clone();
        for (id, attribute) in changes {
            if attribute.value.is_empty() {
                self.head.attributes.remove(id);
            } else {
                self.head.attributes.insert(*id, attribute.clone());
            }
        }
        let result = if self.attribute_bytes() > ATTRIBUTE_MEMORY_BYTES {
            Err(MediumError::Full)
        } else {
            self.commit()
        };
        if result.is_err() {
            self.head.attributes = before;
        }
        result
    }

    /// Where an object lies, and what it is.
    pub(crate) fn entry(&self, object: u64) -> Result<Entry, MediumError> {
        let extent = self.committed;
        if object >= extent.objects {
            return Err(MediumError::EndOfData { object });
        }
        let mut bytes = [0; ENTRY_BYTES];
        let at = TABLE_START + object * ENTRY_BYTES as u64;
        self.read_exact(&mut bytes, at, object, "its table entry")?;
        let entry = Entry::decode(bytes, object)?;
        let length = u64::from(entry.length());
        if entry.offset + length > extent.data_end {
            return Err(MediumError::Damaged {
                object,
                what: "it lies behind the end of data",
            });
        }
        Ok(entry)
    }

    /// Reads as much of a block as `out` holds.
    pub(crate) fn read(
        &mut self,
        object: u64,
        entry: &Entry,
        out: &mut [u8],
    ) -> Result<usize, MediumError> {
        let (length, crc) = match entry.kind {
            Kind::Block { length, crc } => (length as usize, crc),
            Kind::Dropped { .. } => return Err(MediumError::Dropped { object }),
            Kind::Filemark { .. } => return Ok(0),
        };
        let at = self.geometry.data + entry.offset;
        let wanted = length.min(out.len());
        if wanted == length {
            let out = &mut out[..length];
            self.read_exact(out, at, object, "its data")?;
            check(out, crc, object)?;
        } else {
            // The checksum covers the whole block, so all of it is read.
            let mut whole = vec![0; length];
            self.read_exact(&mut whole, at, object, "its data")?;
            check(&whole, crc, object)?;
            out.copy_from_slice(&whole[..wanted]);
        }
        self.head.bytes_read += wanted as u64;
        Ok(wanted)
    }

    fn read_exact(
        &self,
        out: &mut [u8],
        at: u64,
        object: u64,
        what: &'static str,
    ) -> Result<(), MediumError> {
        self.file
            .read_exact_at(out, at)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => MediumError::Damaged { object, what },
                _ => MediumError::Io(error),
            })
    }

    /// Filemarks before an object.
    pub(crate) fn filemarks_before(&self, object: u64) -> Result<u64, MediumError> {
        // Both ends are known without the table, which may be damaged.
        if object == 0 || object >= self.committed.objects {
            return Ok(if object == 0 {
                0
            } else {
                self.committed.filemarks
            });
        }
        let (mut low, mut high) = (0, self.committed.filemarks);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.filemark(middle)? < object {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The object that is the filemark with `ordinal` filemarks before it.
    pub(crate) fn filemark(&self, ordinal: u64) -> Result<u64, MediumError> {
        let mut bytes = [0; FILEMARK_BYTES];
        let at = self.geometry.filemarks + ordinal * FILEMARK_BYTES as u64;
        let what = "the filemark table";
        self.read_exact(&mut bytes, at, self.committed.objects, what)?;
        table::decode_filemark(bytes, ordinal)
            .filter(|object| *object < self.committed.objects)
            .ok_or(MediumError::Damaged {
                object: self.committed.objects,
                what,
            })
    }

    /// Makes an object the end of data: it and all behind it are gone.
    pub(crate) fn truncate(&mut self, objects: u64) -> Result<(), MediumError> {
        if objects >= self.head.extent.objects {
            return Ok(());
        }
        let offset = self.entry(objects)?.offset;
        let filemarks = self.filemarks_before(objects)?;
        let stored_end = self.head.extent.stored_end.min(offset);
        self.head.extent = Extent {
            objects,
            filemarks,
            data_end: offset,
            stored_end,
        };
        self.commit()?;
        // Gives the host its space back. The superblock is written, so nothing
        // is lost if this is where the process dies.
        self.file.set_len(self.geometry.data + stored_end)?;
        Ok(())
    }

    /// Records a block behind the last object, with the CRC32C that it has or
    /// should have. It is there once [`commit`](Medium::commit) has succeeded.
    pub(crate) fn append(&mut self, data: &[u8], crc: u32) -> Result<(), MediumError> {
        let length = self.room_for(data.len() as u64)?;
        let offset = self.head.extent.data_end;
        self.file.write_all_at(data, self.geometry.data + offset)?;
        self.head.extent.stored_end = offset + data.len() as u64;
        self.push(Kind::Block { length, crc });
        Ok(())
    }

    /// Records a block of `length` bytes without its data.
    pub(crate) fn append_dropped(&mut self, length: u32) -> Result<(), MediumError> {
        let length = self.room_for(u64::from(length))?;
        self.push(Kind::Dropped { length });
        Ok(())
    }

    /// Records a filemark.
    pub(crate) fn append_filemark(&mut self) -> Result<(), MediumError> {
        self.room_for(0)?;
        let extent = self.head.extent;
        let ordinal = u32::try_from(extent.filemarks).map_err(|_| MediumError::Full)?;
        let entry = table::encode_filemark(extent.filemarks, extent.objects);
        self.uncommitted.filemarks.extend(entry);
        self.push(Kind::Filemark { ordinal });
        self.head.extent.filemarks += 1;
        Ok(())
    }

    fn room_for(&self, length: u64) -> Result<u32, MediumError> {
        let extent = self.head.extent;
        let used = extent.data_end + extent.objects * OBJECT_OVERHEAD;
        if used + length + OBJECT_OVERHEAD > self.head.capacity {
            return Err(MediumError::Full);
        }
        u32::try_from(length).map_err(|_| MediumError::Full)
    }

    fn push(&mut self, kind: Kind) {
        let extent = &mut self.head.extent;
        let entry = Entry {
            kind,
            offset: extent.data_end,
        };
        self.uncommitted
            .entries
            .extend(entry.encode(extent.objects));
        extent.objects += 1;
        extent.data_end += u64::from(entry.length());
        self.head.bytes_written += u64::from(entry.length());
    }

    /// Makes all that was appended part of the cartridge. If it fails, nothing
    /// of it is.
    pub(crate) fn commit(&mut self) -> Result<(), MediumError> {
        if !self.written && self.head.extent != self.committed {
            self.written = true;
            self.head.write_sessions += 1;
        }
        let result = self.write_tables().and_then(|()| self.write_superblocks());
        self.uncommitted.entries.clear();
        self.uncommitted.filemarks.clear();
        match result {
            Ok(()) => self.committed = self.head.extent,
            Err(_) => self.head.extent = self.committed,
        }
        Ok(result?)
    }

    fn write_tables(&self) -> io::Result<()> {
        let Uncommitted { entries, filemarks } = &self.uncommitted;
        let first = self.head.extent.objects - (entries.len() / ENTRY_BYTES) as u64;
        self.file
            .write_all_at(entries, TABLE_START + first * ENTRY_BYTES as u64)?;
        let first = self.head.extent.filemarks - (filemarks.len() / FILEMARK_BYTES) as u64;
        let at = self.geometry.filemarks + first * FILEMARK_BYTES as u64;
        self.file.write_all_at(filemarks, at)
    }

    fn write_superblocks(&mut self) -> io::Result<()> {
        self.head.sequence += 1;
        let bytes = self.head.encode();
        self.file.write_all_at(&bytes, 0)?;
        self.file.write_all_at(&bytes, COPY_BYTES as u64)
    }

    /// Gives up what was appended and not committed.
    pub(crate) fn abandon(&mut self) {
        self.uncommitted = Uncommitted::default();
        self.head.extent = self.committed;
    }
}

fn check(data: &[u8], crc: u32, object: u64) -> Result<(), MediumError> {
    if crc32c::crc32c(data) != crc {
        return Err(MediumError::Damaged {
            object,
            what: "its data's checksum",
        });
    }
    Ok(())
}

/// A zero-padded field as text.
fn text(field: &[u8]) -> &str {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    std::str::from_utf8(&field[..end]).unwrap_or("")
}
