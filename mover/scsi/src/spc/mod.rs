//! SPC-5: what all devices have in common.
pub mod basic;
pub mod log;
pub mod mode;
pub mod opcode;
