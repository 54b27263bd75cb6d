//! To be written.
#![forbid(unsafe_code)]
pub mod cdb;
pub mod sense;
pub mod smc;
pub mod spc;
pub mod ssc;
pub mod status;
pub mod transport;
pub mod wire;

pub use cdb::{Cdb, Command};
pub use sense::{Sense, SenseKey};
pub use status::Status;
pub use wire::ParseError;
