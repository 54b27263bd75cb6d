//! SAM-6 status codes.

use std::fmt;

/// The status a device server ends a command with (SAM-6 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// 00h
    Good,
    /// 02h
    CheckCondition,
    /// 04h
    ConditionMet,
    /// 08h
    Busy,
    /// 18h
    ReservationConflict,
    /// 28h
    TaskSetFull,
    /// 30h
    AcaActive,
    /// 40h
    TaskAborted,
    /// Any other byte.
    Other(u8),
}

impl From<u8> for Status {
    fn from(byte: u8) -> Status {
        match byte {
            0x00 => Status::Good,
            0x02 => Status::CheckCondition,
            0x04 => Status::ConditionMet,
            0x08 => Status::Busy,
            0x18 => Status::ReservationConflict,
            0x28 => Status::TaskSetFull,
            0x30 => Status::AcaActive,
            0x40 => Status::TaskAborted,
            other => Status::Other(other),
        }
    }
}

impl From<Status> for u8 {
    fn from(status: Status) -> u8 {
        match status {
            Status::Good => 0x00,
            Status::CheckCondition => 0x02,
            Status::ConditionMet => 0x04,
            Status::Busy => 0x08,
            Status::ReservationConflict => 0x18,
            Status::TaskSetFull => 0x28,
            Status::AcaActive => 0x30,
            Status::TaskAborted => 0x40,
            Status::Other(byte) => byte,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Good => f.write_str("GOOD"),
            Status::CheckCondition => f.write_str("CHECK CONDITION"),
            Status::ConditionMet => f.write_str("CONDITION MET"),
            Status::Busy => f.write_str("BUSY"),
            Status::ReservationConflict => f.write_str("RESERVATION CONFLICT"),
            Status::TaskSetFull => f.write_str("TASK SET FULL"),
            Status::AcaActive => f.write_str("ACA ACTIVE"),
            Status::TaskAborted => f.write_str("TASK ABORTED"),
            Status::Other(byte) => write!(f, "status {byte:02X}h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        for byte in 0..=255 {
            assert_eq!(u8::from(Status::from(byte)), byte);
        }
    }
}
