//! Control Data Protection (logical block protection), and Informational
//! Exceptions Control.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{flag, page};
use crate::wire::U32;

/// How blocks are protected (LOGICAL BLOCK PROTECTION METHOD).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectionMethod {
    /// 00h
    None,
    /// 01h: Reed-Solomon CRC (ECMA-319).
    ReedSolomon,
    /// 02h: CRC32C, 4 bytes behind each block, least significant first.
    Crc32c,
    /// Any other.
    Reserved(u8),
}

impl ProtectionMethod {
    /// Its number in the mode page.
    pub fn code(self) -> u8 {
        match self {
            ProtectionMethod::None => 0x00,
            ProtectionMethod::ReedSolomon => 0x01,
            ProtectionMethod::Crc32c => 0x02,
            ProtectionMethod::Reserved(other) => other,
        }
    }
}

/// Page 0Ah, subpage F0h: Control Data Protection (SSC-5 8.5.9). What follows
/// these four bytes is reserved, and some drives leave it out.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct ControlDataProtection {
    method: u8,
    information_length: u8,
    flags: u8,
    reserved: u8,
}
page!(ControlDataProtection, 0x0a, 0xf0, 4);

impl ControlDataProtection {
    flag!(
        /// LBP_W: blocks carry protection information when written.
        on_write, set_on_write, flags, 7
    );
    flag!(
        /// LBP_R: blocks carry protection information when read.
        on_read, set_on_read, flags, 6
    );
    flag!(
        /// RBDP: recovered buffered data carries it.
        on_recovered_data, set_on_recovered_data, flags, 5
    );

    /// LOGICAL BLOCK PROTECTION METHOD
    pub fn method(&self) -> ProtectionMethod {
        match self.method {
            0x00 => ProtectionMethod::None,
            0x01 => ProtectionMethod::ReedSolomon,
            0x02 => ProtectionMethod::Crc32c,
            other => ProtectionMethod::Reserved(other),
        }
    }

    /// Sets the method, and the length that belongs to it.
    pub fn set_method(&mut self, method: ProtectionMethod) {
        let length = match method {
            ProtectionMethod::None => 0,
            ProtectionMethod::ReedSolomon | ProtectionMethod::Crc32c => 4,
            ProtectionMethod::Reserved(_) => self.information_bytes(),
        };
        self.method = method.code();
        self.information_length = self.information_length & 0xc0 | length;
    }

    /// LOGICAL BLOCK PROTECTION INFORMATION LENGTH in bytes.
    pub fn information_bytes(&self) -> u8 {
        self.information_length & 0x3f
    }
}

/// Page 1Ch: Informational Exceptions Control (SSC-5 8.5.6): how a drive tells
/// of TapeAlert flags.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct InformationalExceptions {
    flags: u8,
    mrie: u8,
    interval_timer: U32,
    report_count: U32,
}
page!(InformationalExceptions, 0x1c, 0x00, 10);

impl InformationalExceptions {
    flag!(
        /// DEXCPT: exceptions are not reported (TapeAlert is polled).
        disabled, set_disabled, flags, 3
    );
    flag!(
        /// TEST: a false exception is to be made.
        test, set_test, flags, 2
    );
    flag!(
        /// LOGERR: exceptions are logged.
        logs, set_logs, flags, 0
    );

    /// MRIE: 0 not reported, 3 as RECOVERED ERROR if allowed, 4 always, 5 as
    /// NO SENSE, 6 on request only.
    pub fn method_of_reporting(&self) -> u8 {
        self.mrie & 0x0f
    }

    /// Sets MRIE.
    pub fn set_method_of_reporting(&mut self, method: u8) {
        self.mrie = self.mrie & 0xf0 | method & 0x0f;
    }

    /// INTERVAL TIMER in tenths of a second.
    pub fn interval_tenths_s(&self) -> u32 {
        self.interval_timer.get()
    }

    /// REPORT COUNT, or TEST FLAG NUMBER.
    pub fn report_count(&self) -> u32 {
        self.report_count.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let mut page = ControlDataProtection::default();
        page.set_method(ProtectionMethod::Crc32c);
        page.set_on_write(true);
        page.set_on_read(true);
        assert_eq!(page.as_bytes(), [2, 4, 0xc0, 0]);
        assert_eq!(page.method(), ProtectionMethod::Crc32c);
        page.set_method(ProtectionMethod::None);
        assert_eq!(page.information_bytes(), 0);
        let mut page = InformationalExceptions::default();
        page.set_disabled(true);
        page.set_method_of_reporting(3);
        assert_eq!(page.as_bytes()[..2], [8, 3]);
        assert_eq!((page.interval_tenths_s(), page.report_count()), (0, 0));
    }
}
