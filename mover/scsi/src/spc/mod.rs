//! SPC-5: what all devices have in common.
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
