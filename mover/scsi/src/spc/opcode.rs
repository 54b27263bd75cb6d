//! Operation codes of SPC-5, and the legacy reservation commands of SPC-2.

/// TEST UNIT READY
pub const TEST_UNIT_READY: u8 = 0x00;
/// REQUEST SENSE
pub const REQUEST_SENSE: u8 = 0x03;
/// INQUIRY
pub const INQUIRY: u8 = 0x12;
/// MODE SELECT(6)
pub const MODE_SELECT_6: u8 = 0x15;
/// RESERVE(6) (SPC-2), only known so that it can be refused or detected.
pub const RESERVE_6: u8 = 0x16;
/// RELEASE(6) (SPC-2)
pub const RELEASE_6: u8 = 0x17;
/// MODE SENSE(6)
pub const MODE_SENSE_6: u8 = 0x1a;
/// RECEIVE DIAGNOSTIC RESULTS
pub const RECEIVE_DIAGNOSTIC_RESULTS: u8 = 0x1c;
/// SEND DIAGNOSTIC
pub const SEND_DIAGNOSTIC: u8 = 0x1d;
/// PREVENT ALLOW MEDIUM REMOVAL
pub const PREVENT_ALLOW_MEDIUM_REMOVAL: u8 = 0x1e;
/// WRITE BUFFER
pub const WRITE_BUFFER: u8 = 0x3b;
/// READ BUFFER
pub const READ_BUFFER: u8 = 0x3c;
/// LOG SELECT
pub const LOG_SELECT: u8 = 0x4c;
/// LOG SENSE
pub const LOG_SENSE: u8 = 0x4d;
/// MODE SELECT(10)
pub const MODE_SELECT_10: u8 = 0x55;
/// RESERVE(10) (SPC-2)
pub const RESERVE_10: u8 = 0x56;
/// RELEASE(10) (SPC-2)
pub const RELEASE_10: u8 = 0x57;
/// MODE SENSE(10)
pub const MODE_SENSE_10: u8 = 0x5a;
/// PERSISTENT RESERVE IN
pub const PERSISTENT_RESERVE_IN: u8 = 0x5e;
/// PERSISTENT RESERVE OUT
pub const PERSISTENT_RESERVE_OUT: u8 = 0x5f;
/// READ ATTRIBUTE
pub const READ_ATTRIBUTE: u8 = 0x8c;
/// WRITE ATTRIBUTE
pub const WRITE_ATTRIBUTE: u8 = 0x8d;
/// REPORT LUNS
pub const REPORT_LUNS: u8 = 0xa0;
/// SECURITY PROTOCOL IN
pub const SECURITY_PROTOCOL_IN: u8 = 0xa2;
/// MAINTENANCE IN, told apart by service action.
pub const MAINTENANCE_IN: u8 = 0xa3;
/// MAINTENANCE OUT, told apart by service action.
pub const MAINTENANCE_OUT: u8 = 0xa4;
/// SECURITY PROTOCOL OUT
pub const SECURITY_PROTOCOL_OUT: u8 = 0xb5;

/// Service actions of MAINTENANCE IN.
pub mod maintenance_in {
    /// REPORT SUPPORTED OPERATION CODES
    pub const REPORT_SUPPORTED_OPERATION_CODES: u8 = 0x0c;
}
