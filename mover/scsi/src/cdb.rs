//! The command descriptor block, and what every command's structure can do.

use std::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire::ParseError;

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
        Cdb {
            bytes: all,
            len: bytes.len() as u8,
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The operation code.
    pub fn opcode(&self) -> u8 {
        self.bytes[0]
    }

    /// The SERVICE ACTION field, which most commands that have one keep in
    /// the low five bits of byte 1; meaningless for the others.
    pub fn service_action(&self) -> u8 {
        self.bytes[1] & 0x1f
    }
}

impl fmt::Debug for Cdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cdb({:02x?})", self.as_bytes())
    }
}

/// A command as a wire structure, whose bytes are its CDB.
///
/// The initiator builds one with its constructor and sends [`cdb`](Self::cdb);
/// the device server reads it back with [`parse`](Self::parse). Reserved
/// fields and the CONTROL byte are zero when built and ignored when parsed.
pub trait Command: Sized + FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned {
    /// The command's name in the standard, for errors.
    const NAME: &'static str;
    /// The operation code.
    const OPCODE: u8;
    /// The service action, where it is part of the command's identity.
    const SERVICE_ACTION: Option<u8>;

    /// The CDB.
    fn cdb(&self) -> Cdb {
        Cdb::new(self.as_bytes())
    }

    /// Reads the command from a CDB. Bytes behind its end are ignored, as
    /// transports may pad.
    ///
    /// # Errors
    /// If the CDB is too short, or is another command.
    fn parse(cdb: &[u8]) -> Result<Self, ParseError> {
        let what = Self::NAME;
        let Ok((command, _)) = Self::read_from_prefix(cdb) else {
            return Err(ParseError::TooShort {
                what,
                have: cdb.len(),
                need: size_of::<Self>(),
            });
        };
        if cdb[0] != Self::OPCODE {
            let field = "OPERATION CODE";
            return Err(ParseError::Field {
                what,
                field,
                value: cdb[0].into(),
            });
        }
        match Self::SERVICE_ACTION {
            Some(action) if cdb[1] & 0x1f != action => {
                let value = u64::from(cdb[1] & 0x1f);
                Err(ParseError::Field {
                    what,
                    field: "SERVICE ACTION",
                    value,
                })
            }
            _ => Ok(command),
        }
    }
}

/// Makes a structure a [`Command`], and proves its size when compiling.
macro_rules! command {
    ($type:ident, $name:literal, $opcode:expr, $bytes:literal) => {
        command!(@ $type, $name, $opcode, None, $bytes);
    };
    ($type:ident, $name:literal, $opcode:expr, service action $action:expr, $bytes:literal) => {
        command!(@ $type, $name, $opcode, Some($action), $bytes);
    };
    (@ $type:ident, $name:literal, $opcode:expr, $action:expr, $bytes:literal) => {
        const _: () = assert!(size_of::<$type>() == $bytes);
        impl $crate::cdb::Command for $type {
            const NAME: &'static str = $name;
            const OPCODE: u8 = $opcode;
            const SERVICE_ACTION: Option<u8> = $action;
        }
    };
}
pub(crate) use command;

/// One bit of a byte, where it is set.
pub(crate) fn bit(number: u8, set: bool) -> u8 {
    u8::from(set) << number
}

/// Whether a bit of a byte is set.
pub(crate) fn is_set(byte: u8, number: u8) -> bool {
    byte & 1 << number != 0
}
