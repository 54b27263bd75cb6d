//! To be written.
#![forbid(unsafe_code)]
pub mod cdb;
pub mod sense;
pub mod status;
pub mod transport;
