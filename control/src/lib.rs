//! The primary coordinator: it owns the backup operations database, decides
//! which job runs where, on which drive and volume, and remembers what the
//! movers have reached. It moves no data.
#![forbid(unsafe_code)]

use std::error::Error;

pub mod cli;
pub mod core;
pub mod database;
pub mod files;
pub mod schedule;
pub mod server;
pub mod setup;

/// An error with its causes, on one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    words
}
