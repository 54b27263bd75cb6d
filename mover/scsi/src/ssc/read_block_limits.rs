//! READ BLOCK LIMITS (SSC-5 7.13).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::opcode;
use crate::cdb::command;
use crate::wire::{ParseError, Reader, U16, U24};

/// READ BLOCK LIMITS
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ReadBlockLimits {
    opcode: u8,
    flags: u8,
    reserved: [u8; 3],
    control: u8,
}
command!(
    ReadBlockLimits,
    "READ BLOCK LIMITS",
    opcode::READ_BLOCK_LIMITS,
    6
);

impl ReadBlockLimits {
    /// Asks how long blocks may be.
    pub fn new() -> ReadBlockLimits {
        let opcode = opcode::READ_BLOCK_LIMITS;
        ReadBlockLimits {
            opcode,
            flags: 0,
            reserved: [0; 3],
            control: 0,
        }
    }

    /// MLOI: the highest logical object identifier is asked for instead.
    pub fn asks_for_object_limit(&self) -> bool {
        self.flags & 1 != 0
    }
}

impl Default for ReadBlockLimits {
    fn default() -> ReadBlockLimits {
        ReadBlockLimits::new()
    }
}

/// The answer: 6 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockLimits {
    /// Block lengths are multiples of 2 to the power of this.
    pub granularity: u8,
    /// MAXIMUM BLOCK LENGTH LIMIT in bytes; 0 for none.
    pub max_bytes: u32,
    /// MINIMUM BLOCK LENGTH LIMIT in bytes.
    pub min_bytes: u16,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct Wire {
    granularity: u8,
    max: U24,
    min: U16,
}
const _: () = assert!(size_of::<Wire>() == BlockLimits::BYTES);

impl BlockLimits {
    /// Bytes of the answer.
    pub const BYTES: usize = 6;

    /// Reads the answer.
    ///
    /// # Errors
    /// If it is cut.
    pub fn parse(bytes: &[u8]) -> Result<BlockLimits, ParseError> {
        let wire: Wire = Reader::new("READ BLOCK LIMITS", bytes).pull()?;
        Ok(BlockLimits {
            granularity: wire.granularity & 0x1f,
            max_bytes: wire.max.get(),
            min_bytes: wire.min.get(),
        })
    }

    /// The bytes of the answer.
    ///
    /// # Panics
    /// If `max_bytes` needs more than 24 bits.
    pub fn encode(&self) -> [u8; BlockLimits::BYTES] {
        zerocopy::transmute!(Wire {
            granularity: self.granularity & 0x1f,
            max: U24::new(self.max_bytes),
            min: U16::new(self.min_bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(granularity in 0..32u8, max_bytes in 0..1u32 << 24, min_bytes: u16) {
            let limits = BlockLimits { granularity, max_bytes, min_bytes };
            prop_assert_eq!(BlockLimits::parse(&limits.encode()).unwrap(), limits);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..9)) {
            prop_assert_eq!(BlockLimits::parse(&bytes).is_ok(), bytes.len() >= 6);
        }
    }
}
