//! Operation codes of SSC-5.

/// REWIND
pub const REWIND: u8 = 0x01;
/// FORMAT MEDIUM
pub const FORMAT_MEDIUM: u8 = 0x04;
/// READ BLOCK LIMITS
pub const READ_BLOCK_LIMITS: u8 = 0x05;
/// READ(6)
pub const READ_6: u8 = 0x08;
/// WRITE(6)
pub const WRITE_6: u8 = 0x0a;
/// SET CAPACITY
pub const SET_CAPACITY: u8 = 0x0b;
/// READ REVERSE(6)
pub const READ_REVERSE_6: u8 = 0x0f;
/// WRITE FILEMARKS(6)
pub const WRITE_FILEMARKS_6: u8 = 0x10;
/// SPACE(6)
pub const SPACE_6: u8 = 0x11;
/// VERIFY(6)
pub const VERIFY_6: u8 = 0x13;
/// RECOVER BUFFERED DATA
pub const RECOVER_BUFFERED_DATA: u8 = 0x14;
/// ERASE(6)
pub const ERASE_6: u8 = 0x19;
/// LOAD UNLOAD
pub const LOAD_UNLOAD: u8 = 0x1b;
/// LOCATE(10)
pub const LOCATE_10: u8 = 0x2b;
/// READ POSITION
pub const READ_POSITION: u8 = 0x34;
/// REPORT DENSITY SUPPORT
pub const REPORT_DENSITY_SUPPORT: u8 = 0x44;
/// WRITE FILEMARKS(16)
pub const WRITE_FILEMARKS_16: u8 = 0x80;
/// ALLOW OVERWRITE
pub const ALLOW_OVERWRITE: u8 = 0x82;
/// READ(16)
pub const READ_16: u8 = 0x88;
/// WRITE(16)
pub const WRITE_16: u8 = 0x8a;
/// SPACE(16)
pub const SPACE_16: u8 = 0x91;
/// LOCATE(16)
pub const LOCATE_16: u8 = 0x92;
/// ERASE(16)
pub const ERASE_16: u8 = 0x93;
