//! Sense keys.

use std::fmt;

/// The class of a condition (SPC-5 4.4.8, table "Sense key descriptions").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum SenseKey {
    /// 0h: nothing wrong, or a filemark, EOM or ILI bit that says the rest.
    #[default]
    NoSense = 0x0,
    /// 1h: done, after the drive recovered from an error.
    RecoveredError = 0x1,
    /// 2h: the logical unit is not accessible.
    NotReady = 0x2,
    /// 3h: a flaw in the medium, or an error in the recorded data.
    MediumError = 0x3,
    /// 4h: the device is broken.
    HardwareError = 0x4,
    /// 5h: a bad field in the CDB or the parameter data.
    IllegalRequest = 0x5,
    /// 6h: something happened that every initiator must hear of once.
    UnitAttention = 0x6,
    /// 7h: the medium is protected.
    DataProtect = 0x7,
    /// 8h: blank medium or end of data.
    BlankCheck = 0x8,
    /// 9h
    VendorSpecific = 0x9,
    /// Ah
    CopyAborted = 0xa,
    /// Bh: the device server gave the command up; a retry may help.
    AbortedCommand = 0xb,
    /// Ch: reserved (once EQUAL).
    Reserved = 0xc,
    /// Dh: the end of the partition was reached; data may be left in the
    /// buffer that is on no medium.
    VolumeOverflow = 0xd,
    /// Eh: the data did not match the medium.
    Miscompare = 0xe,
    /// Fh: a command was completed (SPC-4 and later).
    Completed = 0xf,
}

impl SenseKey {
    /// All sixteen, in order.
    pub const ALL: [SenseKey; 16] = [
        SenseKey::NoSense,
        SenseKey::RecoveredError,
        SenseKey::NotReady,
        SenseKey::MediumError,
        SenseKey::HardwareError,
        SenseKey::IllegalRequest,
        SenseKey::UnitAttention,
        SenseKey::DataProtect,
        SenseKey::BlankCheck,
        SenseKey::VendorSpecific,
        SenseKey::CopyAborted,
        SenseKey::AbortedCommand,
        SenseKey::Reserved,
        SenseKey::VolumeOverflow,
        SenseKey::Miscompare,
        SenseKey::Completed,
    ];

    /// The key in the low four bits of a byte.
    pub fn from_low_bits(byte: u8) -> SenseKey {
        SenseKey::ALL[usize::from(byte & 0xf)]
    }
}

impl fmt::Display for SenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SenseKey::NoSense => "NO SENSE",
            SenseKey::RecoveredError => "RECOVERED ERROR",
            SenseKey::NotReady => "NOT READY",
            SenseKey::MediumError => "MEDIUM ERROR",
            SenseKey::HardwareError => "HARDWARE ERROR",
            SenseKey::IllegalRequest => "ILLEGAL REQUEST",
            SenseKey::UnitAttention => "UNIT ATTENTION",
            SenseKey::DataProtect => "DATA PROTECT",
            SenseKey::BlankCheck => "BLANK CHECK",
            SenseKey::VendorSpecific => "VENDOR SPECIFIC",
            SenseKey::CopyAborted => "COPY ABORTED",
            SenseKey::AbortedCommand => "ABORTED COMMAND",
            SenseKey::Reserved => "RESERVED",
            SenseKey::VolumeOverflow => "VOLUME OVERFLOW",
            SenseKey::Miscompare => "MISCOMPARE",
            SenseKey::Completed => "COMPLETED",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        for (number, key) in SenseKey::ALL.into_iter().enumerate() {
            assert_eq!(key as usize, number);
        }
    }
}
