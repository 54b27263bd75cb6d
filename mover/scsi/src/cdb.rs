//! The command descriptor block.
use std::fmt;

/// Longest CDB that is sent (`struct scsi_cmnd`'s limit in Linux), in bytes.
pub const CDB_BYTES_MAX: usize = 32;

/// A command descriptor block of 6 to 32 bytes (SPC-5 4.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cdb {
    bytes: [u8; CDB_BYTES_MAX],
    len: u8,
}

impl Cdb {
    /// A CDB from its bytes.
    ///
    /// # Panics
    /// If there are more than 32, or none.
    pub fn new(bytes: &[u8]) -> Cdb {
        assert!(!bytes.is_empty() && bytes.len() <= CDB_BYTES_MAX);
        let mut all = [0; CDB_BYTES_MAX];
        all[..bytes.len()].copy_from_slice(bytes);
        Cdb { bytes: all, len: bytes.len() as u8 }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The operation code.
    pub fn opcode(&self) -> u8 {
        self.bytes[0]
    }
}

impl fmt::Debug for Cdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cdb({:02x?})", self.as_bytes())
    }
}
