//! SAM-6 status codes.

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
