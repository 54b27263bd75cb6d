//! Devices of a library that another process serves on a socket:
//! `vtape:unix:PATH#SERIAL` (see [`longhaul_emulator::socket`]).

use longhaul_emulator::socket::{Address, ConnectError, Remote, SCHEME};
use longhaul_scsi::transport::Transport;

use super::OpenError;

/// Whether it is such a device's name.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(SCHEME)
}

pub(super) fn open(address: Address) -> Result<Box<dyn Transport>, OpenError> {
    match Remote::connect(address) {
        Ok(remote) => Ok(Box::new(remote)),
        Err(error) => {
            let words = error.to_string();
            Err(match error {
                ConnectError::InUse { .. } => OpenError::Held(words),
                ConnectError::TooMany { .. } | ConnectError::Protocol { .. } => {
                    OpenError::Broken(words)
                }
                _ => OpenError::Name(words),
            })
        }
    }
}

/// The name of the device with this serial number in the same library.
pub(super) fn beside(name: &str, serial: &str) -> Option<String> {
    let address = parse(name).ok()?;
    Some(address.beside(serial).to_string())
}

pub(super) fn parse(name: &str) -> Result<Address, OpenError> {
    name.parse()
        .map_err(|error| OpenError::Name(format!("{name:?}: {error}")))
}
