//! From a drive's name to a path to it.
//!
//! Every place that takes a drive takes a name; this is where names become
//! [`Transport`]s. An emulated drive is `vtape:FILE`, with options behind a
//! `?` (see [`longhaul_emulator::url`]).

use longhaul_emulator::transport::Emulated;
use longhaul_emulator::url::{SCHEME, Url};
use longhaul_scsi::transport::Transport;

use crate::job::{JobError, chain};

/// Parses the name of an emulated drive.
///
/// # Errors
/// [`JobError::Usage`] if the name is of no drive that this version knows.
pub fn parse(name: &str) -> Result<Url, JobError> {
    if !name.starts_with(SCHEME) {
        return Err(JobError::Usage(format!(
            "{name:?} names no drive: give an emulated one as {SCHEME}FILE"
        )));
    }
    name.parse()
        .map_err(|error| JobError::Usage(format!("{name:?}: {error}")))
}

/// Opens the path to a drive.
///
/// # Errors
/// [`JobError`] of the right kind: no such drive, in use, damaged.
pub fn open(name: &str) -> Result<Box<dyn Transport>, JobError> {
    match Emulated::open(&parse(name)?) {
        Ok(emulated) => Ok(Box::new(emulated)),
        Err(error) => Err(from_emulator(error)),
    }
}

/// Makes a blank cartridge, if there is none under this name.
///
/// # Errors
/// As [`open`].
pub fn create_if_missing(name: &str) -> Result<bool, JobError> {
    let url = parse(name)?;
    if url.path.exists() {
        return Ok(false);
    }
    Emulated::create(&url).map_err(from_emulator)?;
    Ok(true)
}

fn from_emulator(error: longhaul_emulator::Error) -> JobError {
    use longhaul_emulator::Error;
    let words = chain(&error);
    match error {
        Error::Held { .. } => JobError::Held(words),
        Error::Damaged { .. } | Error::Io { .. } => JobError::Medium(words),
        _ => JobError::Usage(words),
    }
}
