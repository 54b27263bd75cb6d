//! The primary coordinator: it owns the backup operations database, decides
//! which job runs where, on which drive and volume, and remembers what the
//! movers have reached. It moves no data.
#![forbid(unsafe_code)]

pub mod cli;
pub mod core;
pub mod schedule;
