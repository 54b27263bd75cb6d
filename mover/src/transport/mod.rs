//! From a drive's name to a path to it.
//!
//! Every place that takes a drive takes a name; this is where names become
//! [`Transport`]s. An emulated drive is `vtape:FILE`, with options behind a
//! `?` (see [`longhaul_emulator::url`]); a device of a library that another
//! process serves is `vtape:unix:PATH#SERIAL` ([`longhaul_emulator::socket`]).

mod served;

use longhaul_emulator::transport::Emulated;
use longhaul_emulator::url::{SCHEME, Url};
use longhaul_scsi::transport::Transport;
use thiserror::Error;

/// Why there is no path to a drive.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The name names no drive, or not in a way that can be.
    #[error("{0}")]
    Name(String),
    /// Somebody else has it.
    #[error("{0}")]
    Held(String),
    /// It, or its cartridge, cannot be used.
    #[error("{0}")]
    Broken(String),
}

/// Parses the name of an emulated drive.
///
/// # Errors
/// [`OpenError::Name`] if the name is of no drive that this version knows.
pub fn parse(name: &str) -> Result<Url, OpenError> {
    if !name.starts_with(SCHEME) {
        return Err(OpenError::Name(format!(
            "{name:?} names no drive: give an emulated one as {SCHEME}FILE"
        )));
    }
    name.parse()
        .map_err(|error| OpenError::Name(format!("{name:?}: {error}")))
}

/// Opens the path to a drive.
///
/// # Errors
/// [`OpenError`] by its kind: no such drive, in use, damaged.
pub fn open(name: &str) -> Result<Box<dyn Transport>, OpenError> {
    if served::is_name(name) {
        return served::open(name);
    }
    match Emulated::open(&parse(name)?) {
        Ok(emulated) => Ok(Box::new(emulated)),
        Err(error) => Err(from_emulator(error)),
    }
}

/// The name of the logical unit with this serial number that is reached in the
/// same way as the one called `name`.
pub fn beside(name: &str, serial: &str) -> String {
    served::beside(name, serial).unwrap_or_else(|| serial.to_owned())
}

/// Makes a blank cartridge, if there is none under this name.
///
/// # Errors
/// As [`open`].
pub fn create_if_missing(name: &str) -> Result<bool, OpenError> {
    if served::is_name(name) {
        return Ok(false);
    }
    let url = parse(name)?;
    if url.path.exists() {
        return Ok(false);
    }
    Emulated::create(&url).map_err(from_emulator)?;
    Ok(true)
}

fn from_emulator(error: longhaul_emulator::Error) -> OpenError {
    use longhaul_emulator::Error;
    let words = match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    match error {
        Error::Held { .. } => OpenError::Held(words),
        Error::Damaged { .. } | Error::Io { .. } => OpenError::Broken(words),
        _ => OpenError::Name(words),
    }
}
