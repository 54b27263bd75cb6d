//! Persistent reservations (SPC-5 5.14): who may use a logical unit.
//!
//! Every path (I_T nexus) registers an 8-byte *key*; one of them holds the
//! *reservation*. Another nexus takes it away by *preempting* the holder's
//! key; from that moment on the old holder's commands end in RESERVATION
//! CONFLICT. That fences a node which was declared dead and is not.

mod input;
mod output;

pub use input::{
    Capabilities, FullStatus, Holder, InAction, Keys, PersistentReserveIn, Registration,
    Reservation,
};
pub use output::{OutAction, OutParameters, PersistentReserveOut};

/// What a reservation keeps others from (TYPE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReservationType {
    /// 1h: others may read.
    WriteExclusive,
    /// 3h: others may do nothing that touches the medium.
    ExclusiveAccess,
    /// 5h: as 1h, but all registered nexuses may write.
    WriteExclusiveRegistrantsOnly,
    /// 6h: as 3h, but all registered nexuses have access.
    ExclusiveAccessRegistrantsOnly,
    /// 7h: as 5h, and every registered nexus is a holder.
    WriteExclusiveAllRegistrants,
    /// 8h: as 6h, and every registered nexus is a holder.
    ExclusiveAccessAllRegistrants,
    /// Any other.
    Other(u8),
}

impl ReservationType {
    /// The type in the low four bits of a byte.
    pub fn from_low_bits(byte: u8) -> ReservationType {
        match byte & 0x0f {
            0x1 => ReservationType::WriteExclusive,
            0x3 => ReservationType::ExclusiveAccess,
            0x5 => ReservationType::WriteExclusiveRegistrantsOnly,
            0x6 => ReservationType::ExclusiveAccessRegistrantsOnly,
            0x7 => ReservationType::WriteExclusiveAllRegistrants,
            0x8 => ReservationType::ExclusiveAccessAllRegistrants,
            other => ReservationType::Other(other),
        }
    }

    /// Its number.
    pub fn code(self) -> u8 {
        match self {
            ReservationType::WriteExclusive => 0x1,
            ReservationType::ExclusiveAccess => 0x3,
            ReservationType::WriteExclusiveRegistrantsOnly => 0x5,
            ReservationType::ExclusiveAccessRegistrantsOnly => 0x6,
            ReservationType::WriteExclusiveAllRegistrants => 0x7,
            ReservationType::ExclusiveAccessAllRegistrants => 0x8,
            ReservationType::Other(other) => other & 0x0f,
        }
    }
}
