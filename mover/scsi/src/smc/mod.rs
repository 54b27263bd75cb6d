//! SMC-3: medium changers.
pub mod motion;
pub mod opcode;
