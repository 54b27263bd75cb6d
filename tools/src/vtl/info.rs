//! What is on a cartridge.

use std::path::Path;

use longhaul_emulator::medium::{Cartridge, OBJECT_OVERHEAD, Object};
use uuid::Uuid;

use super::Failure;

/// What a cartridge is and holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CartridgeInfo {
    /// The barcode, empty if it has none.
    pub barcode: String,
    /// The cartridge's serial number.
    pub serial: String,
    /// The cartridge's identity.
    pub uuid: Uuid,
    /// Bytes until the end of the medium.
    pub capacity_bytes: u64,
    /// Bytes of the capacity that the readable objects take.
    pub used_bytes: u64,
    /// Logical objects: blocks and filemarks.
    pub objects: u64,
    /// Filemarks among them.
    pub filemarks: u64,
    /// Objects that cannot be read, or whose data was dropped.
    pub unreadable: u64,
    /// Whether the write-protect tab is set.
    pub write_protected: bool,
    /// Whether the data of large blocks is dropped (`media=discard`).
    pub discards: bool,
    /// The tape files.
    pub tape_files: Vec<TapeFile>,
}

/// What lies between two filemarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct TapeFile {
    /// Blocks that could be read.
    pub blocks: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes of the shortest and of the longest of them.
    pub block_bytes_least: u64,
    /// See `block_bytes_least`.
    pub block_bytes_most: u64,
}

impl TapeFile {
    fn add(&mut self, block_bytes: u64) {
        let first = self.blocks == 0;
        self.blocks += 1;
        self.bytes += block_bytes;
        self.block_bytes_most = self.block_bytes_most.max(block_bytes);
        self.block_bytes_least = if first {
            block_bytes
        } else {
            self.block_bytes_least.min(block_bytes)
        };
    }
}

/// Reads a cartridge from beginning to end and tells what is on it.
///
/// # Errors
/// [`Failure::Cartridge`] if it cannot be opened. Objects that cannot be read
/// are counted, and are no error.
pub fn info(cartridge: &Path) -> Result<CartridgeInfo, Failure> {
    let mut cartridge = Cartridge::open(cartridge)?;
    let medium = cartridge.medium();
    let mut info = CartridgeInfo {
        barcode: medium.barcode().to_owned(),
        serial: medium.serial().to_owned(),
        uuid: Uuid::from_bytes(medium.uuid()),
        capacity_bytes: medium.capacity(),
        used_bytes: 0,
        objects: medium.objects(),
        filemarks: medium.filemarks(),
        unreadable: 0,
        write_protected: medium.write_protected(),
        discards: medium.discards(),
        tape_files: Vec::new(),
    };
    let mut current = None;
    for object in cartridge.objects() {
        info.used_bytes += OBJECT_OVERHEAD;
        let file: &mut TapeFile = current.get_or_insert_default();
        match object {
            Ok(Object::Block(data)) => {
                file.add(data.len() as u64);
                info.used_bytes += data.len() as u64;
            }
            Ok(Object::Filemark) => info.tape_files.extend(current.take()),
            Err(_) => info.unreadable += 1,
        }
    }
    info.tape_files.extend(current);
    Ok(info)
}
