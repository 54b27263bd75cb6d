//! From a drive's name to a path to it.
//!
//! Every place that takes a drive takes a name; this is where names become
//! [`Transport`]s:
//!
//! | name | what it is |
//! | --- | --- |
//! | a serial number or NAA designator | the drive, by any path to it; what scripts use |
//! | `/dev/nstN`, `/dev/tape/by-id/…` | the drive that this node leads to |
//! | `/dev/sgN` | the same, by this path and SG_IO only |
//! | `/dev/bsg/H:C:T:L` | the same, by this path and io_uring only |
//! | `vtape:FILE` | an emulated one (see [`longhaul_emulator::url`]) |
//! | `vtape:unix:PATH#SERIAL` | a device of a library that another process serves ([`longhaul_emulator::socket`]) |
//!
//! # From a name to the kernel
//!
//! ```text
//! name ─▶ sysfs: luns ─▶ device: which paths lead to the same drive
//!                            │ open_lun, for one path
//!                            ▼
//!         nodes: /dev/nstN and /dev/sgN, held so that nobody else has them
//!                            │ one INQUIRY as a probe
//!                     ┌──────┴──────┐
//!                    bsg            sg        a command in, ...
//!                 io_uring        SG_IO
//!                     └──────┬──────┘
//!                         answer              ... status, sense and residual out
//! ```
//!
//! [`paths`] takes another path to the same drive when one is dead; [`faulty`]
//! injects what a kernel can answer and an emulated drive cannot.

mod answer;
mod bsg;
mod device;
pub mod faulty;
mod kernel;
mod link;
mod nodes;
pub mod paths;
mod process;
mod served;
mod sg;
mod sysfs;

use std::path::PathBuf;

use longhaul_emulator::socket::Address;
use longhaul_emulator::transport::Emulated;
use longhaul_emulator::url::{SCHEME, Url};
use longhaul_scsi::spc::inquiry::DeviceType;
use longhaul_scsi::transport::Transport;
use thiserror::Error;

pub use bsg::Bsg;
pub use device::{Device, devices};
pub use link::Link;
pub use process::{Openers, Process};
pub use sg::Sg;
pub use sysfs::{Lun, Sysfs};

/// Longest serial number that is looked for: page 80h has room for no more.
const SERIAL_BYTES_MAX: usize = 255;

/// A device's name, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// `vtape:…`
    Emulated(Url),
    /// `vtape:unix:…`
    Served(Address),
    /// A device node, or a link to one.
    Node(PathBuf),
    /// A serial number or NAA designator.
    Called(String),
}

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

/// Tells what kind of name it is. Whether there is such a device is not asked.
///
/// # Errors
/// [`OpenError::Name`] if it can be no device's name.
pub fn parse(name: &str) -> Result<Name, OpenError> {
    if served::is_name(name) {
        return served::parse(name).map(Name::Served);
    }
    if name.starts_with(SCHEME) {
        return name
            .parse()
            .map(Name::Emulated)
            .map_err(|error| OpenError::Name(format!("{name:?}: {error}")));
    }
    if name.contains('/') {
        return Ok(Name::Node(PathBuf::from(name)));
    }
    let can_be = (1..=SERIAL_BYTES_MAX).contains(&name.len());
    if !can_be || name.chars().any(char::is_control) {
        return Err(OpenError::Name(format!(
            "{name:?} names no drive: give a serial number, a device node, or {SCHEME}FILE"
        )));
    }
    Ok(Name::Called(name.to_owned()))
}

/// Opens the path to a drive, which no other process may have.
///
/// # Errors
/// [`OpenError`] by its kind: no such drive, in use, damaged.
pub fn open(name: &str) -> Result<Box<dyn Transport>, OpenError> {
    open_as(name, DeviceType::SequentialAccess)
}

/// The name of the logical unit with this serial number that is reached in the
/// same way as the one called `name`.
pub fn beside(name: &str, serial: &str) -> String {
    served::beside(name, serial).unwrap_or_else(|| serial.to_owned())
}

/// Opens the path to a changer, by its serial number or node.
///
/// # Errors
/// As [`open`].
pub fn open_changer(name: &str) -> Result<Box<dyn Transport>, OpenError> {
    open_as(name, DeviceType::MediumChanger)
}

fn open_as(name: &str, device_type: DeviceType) -> Result<Box<dyn Transport>, OpenError> {
    let sysfs = Sysfs::default();
    match parse(name)? {
        Name::Node(node) => kernel::open_node(sysfs, &node, device_type),
        Name::Called(name) => kernel::open_called(sysfs, &name, device_type),
        Name::Served(address) => served::open(address),
        Name::Emulated(_) if device_type == DeviceType::MediumChanger => Err(OpenError::Name(
            format!("{name} is an emulated drive, and no changer"),
        )),
        Name::Emulated(url) => match Emulated::open(&url) {
            Ok(emulated) => Ok(Box::new(emulated)),
            Err(error) => Err(from_emulator(error)),
        },
    }
}

/// Makes a blank cartridge for an emulated drive, if there is none under this
/// name.
///
/// # Errors
/// As [`open`].
pub fn create_if_missing(name: &str) -> Result<bool, OpenError> {
    let Name::Emulated(url) = parse(name)? else {
        return Ok(false);
    };
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

#[cfg(test)]
mod tests;
