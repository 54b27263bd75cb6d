//! To be written.
#![forbid(unsafe_code)]
pub mod cdb;
pub mod sense;
pub mod smc;
pub mod spc;
pub mod ssc;
pub mod status;
pub mod timeout;
pub mod transport;
pub mod verdict;
pub mod wire;

pub use cdb::{Cdb, Command};
pub use sense::{Sense, SenseKey};
pub use status::Status;
pub use verdict::{Doing, Executed, Verdict, executed, verdict};
pub use wire::ParseError;
