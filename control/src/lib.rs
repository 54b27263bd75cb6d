//! The primary coordinator: it owns the backup operations database, decides
//! which job runs where, on which drive and volume, and remembers what the
//! movers have reached. It moves no data.
#![forbid(unsafe_code)]

pub mod cli;
pub mod core;
pub mod database;
pub mod files;
pub mod schedule;
pub mod server;
pub mod setup;

pub use longhaul_words::chain;
