//! SPC-5: what all SCSI devices have in common.
//!
//! | module | commands |
//! | --- | --- |
//! | [`basic`] | TEST UNIT READY, REQUEST SENSE, REPORT LUNS, PREVENT ALLOW MEDIUM REMOVAL |
//! | [`inquiry`], [`vpd`] | INQUIRY: what a device is, and its serial number |
//! | [`mode`] | MODE SENSE, MODE SELECT: how it is set up |
//! | [`log`] | LOG SENSE, LOG SELECT: what it counted |
//! | [`attribute`] | READ ATTRIBUTE, WRITE ATTRIBUTE: the cartridge's memory |
//! | [`persistent_reserve`] | PERSISTENT RESERVE IN and OUT: who may use it |
//! | [`report_supported_operation_codes`] | what it knows, and how long it may take |
//! | [`security_protocol`] | SECURITY PROTOCOL IN: whether it encrypts |

pub mod attribute;
pub mod basic;
pub mod inquiry;
pub mod log;
pub mod mode;
pub mod opcode;
pub mod persistent_reserve;
pub mod report_supported_operation_codes;
pub mod security_protocol;
pub mod vpd;
