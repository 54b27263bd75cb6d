//! SSC-5: sequential-access devices.
pub mod log;
pub mod medium;
pub mod mode;
pub mod motion;
pub mod opcode;
pub mod read_block_limits;
pub mod read_position;
pub mod report_density_support;
pub mod transfer;
