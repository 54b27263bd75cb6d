//! SMC-3: medium changers.
pub mod mode;
pub mod motion;
pub mod opcode;
pub mod read_element_status;
