//! Log pages.
mod cdb;
pub use cdb::{LogSelect, LogSense};
