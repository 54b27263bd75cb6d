//! `vtape:FILE?option=value&…`: an emulated drive with a cartridge in it.
//!
//! | option | values | default |
//! | --- | --- | --- |
//! | `capacity` | 1 MiB to 64 TiB, such as `64MiB` or `18TB` | the cartridge's; 18 TB for a new one |
//! | `media` | `keep`, `discard` (drops the data of blocks above 16 KiB) | the cartridge's; `keep` |
//! | `clock` | `none`, `real` (sleeps), `simulated` (only counts) | `none` |
//! | `faults` | a fault plan's file | no faults |
//! | `buffer` | 64 KiB to 4 GiB: the object buffer | 4 MiB; 1 GiB with a clock |
//! | `write-protect` | `on`, `off`: the cartridge's tab, while it is open | the cartridge's |
//! | `serial` | the drive's serial number, 1 to 32 letters, digits and dashes | from the cartridge |
//! | `barcode` | a new cartridge's barcode, 1 to 32 capitals and digits | none |
//!
//! The first `?` begins the options, so a file name that holds one cannot be
//! written here.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::clock::ClockMode;
use crate::size::{SizeError, parse_size};

/// What every such URL begins with.
pub const SCHEME: &str = "vtape:";

/// Smallest capacity of a cartridge, in bytes.
pub const CAPACITY_MIN: u64 = 1 << 20;
/// Largest capacity of a cartridge, in bytes.
pub const CAPACITY_MAX: u64 = 64 << 40;
/// Smallest object buffer, in bytes.
pub const BUFFER_MIN: u64 = 64 << 10;
/// Largest object buffer, in bytes.
pub const BUFFER_MAX: u64 = 4 << 30;

/// A parsed URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Url {
    /// The cartridge file.
    pub path: PathBuf,
    /// Bytes until the end of the medium.
    pub capacity: Option<u64>,
    /// Whether data is kept.
    pub media: Option<Media>,
    /// Whose time the drive keeps.
    pub clock: ClockMode,
    /// The fault plan's file.
    pub faults: Option<PathBuf>,
    /// Bytes of the object buffer.
    pub buffer: Option<u64>,
    /// The cartridge's tab.
    pub write_protect: Option<bool>,
    /// The drive's serial number.
    pub serial: Option<String>,
    /// A new cartridge's barcode.
    pub barcode: Option<String>,
}

/// What a cartridge does with data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Media {
    /// Keeps it, as a tape does.
    #[default]
    Keep,
    /// Keeps blocks of at most 16 KiB (labels, headers, indexes of small
    /// sets) and drops the data of larger ones, whose reading then ends in a
    /// medium error. Positions, filemarks and capacity are those of a tape.
    Discard,
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Media::Keep => "keep",
            Media::Discard => "discard",
        })
    }
}

/// Why a string is no URL of an emulated drive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Another kind of name.
    #[error("{0:?} does not begin with \"vtape:\"")]
    Scheme(String),
    /// Nothing between `vtape:` and the options.
    #[error("{0:?} names no cartridge file; write vtape:FILE")]
    NoFile(String),
    /// A drive served on a socket, which is not a cartridge file.
    #[error("{0:?} names a drive served on a socket, not a cartridge file")]
    Served(String),
    /// A socket, or a serial number, is missing.
    #[error("{0:?} names no served device; write vtape:unix:SOCKET#SERIAL")]
    NoDevice(String),
    /// An option that there is not.
    #[error(
        "unknown option {0:?}; there are capacity, media, clock, faults, buffer, \
        write-protect, serial and barcode"
    )]
    UnknownOption(String),
    /// An option without `=`.
    #[error("option {0:?} has no value; write {0}=VALUE")]
    NoValue(String),
    /// The same option twice.
    #[error("option {0:?} stands there twice")]
    Twice(String),
    /// A size that cannot be read.
    #[error("option {option}")]
    Size {
        /// The option.
        option: &'static str,
        /// Why not.
        source: SizeError,
    },
    /// A size out of bounds.
    #[error("{option} is {bytes} bytes; it may be {min} to {max}")]
    Bounds {
        /// The option.
        option: &'static str,
        /// What was asked.
        bytes: u64,
        /// The smallest allowed.
        min: u64,
        /// The largest allowed.
        max: u64,
    },
    /// A value that is not one of the option's.
    #[error("{option}={value:?}; it may be {allowed}")]
    Value {
        /// The option.
        option: &'static str,
        /// What was asked.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Url, UrlError> {
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| UrlError::Scheme(text.to_owned()))?;
        if rest.starts_with("unix:") {
            return Err(UrlError::Served(text.to_owned()));
        }
        let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
        if path.is_empty() || path.contains('\0') {
            return Err(UrlError::NoFile(text.to_owned()));
        }
        let mut url = Url {
            path: PathBuf::from(path),
            ..Url::default()
        };
        let mut seen = Vec::new();
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option
                .split_once('=')
                .ok_or_else(|| UrlError::NoValue(option.to_owned()))?;
            if seen.contains(&name) {
                return Err(UrlError::Twice(name.to_owned()));
            }
            url.set(name, value)?;
            seen.push(name);
        }
        Ok(url)
    }
}

impl Url {
    fn set(&mut self, name: &str, value: &str) -> Result<(), UrlError> {
        match name {
            "capacity" => {
                self.capacity = Some(size("capacity", value, CAPACITY_MIN, CAPACITY_MAX)?);
            }
            "buffer" => self.buffer = Some(size("buffer", value, BUFFER_MIN, BUFFER_MAX)?),
            "media" => self.media = Some(media(value)?),
            "clock" => self.clock = clock(value)?,
            "faults" if value.is_empty() => {
                return Err(UrlError::NoValue(name.to_owned()));
            }
            "faults" => self.faults = Some(PathBuf::from(value)),
            "write-protect" => self.write_protect = Some(on_off(value)?),
            "serial" => self.serial = Some(serial(value)?),
            "barcode" => self.barcode = Some(barcode(value)?),
            other => return Err(UrlError::UnknownOption(other.to_owned())),
        }
        Ok(())
    }
}

fn size(option: &'static str, value: &str, min: u64, max: u64) -> Result<u64, UrlError> {
    let bytes = parse_size(value).map_err(|source| UrlError::Size { option, source })?;
    if !(min..=max).contains(&bytes) {
        return Err(UrlError::Bounds {
            option,
            bytes,
            min,
            max,
        });
    }
    Ok(bytes)
}

fn wrong(option: &'static str, value: &str, allowed: &'static str) -> UrlError {
    UrlError::Value {
        option,
        value: value.to_owned(),
        allowed,
    }
}

fn media(value: &str) -> Result<Media, UrlError> {
    match value {
        "keep" => Ok(Media::Keep),
        "discard" => Ok(Media::Discard),
        _ => Err(wrong("media", value, "keep or discard")),
    }
}

fn clock(value: &str) -> Result<ClockMode, UrlError> {
    let parsed = value.parse();
    parsed.map_err(|_| wrong("clock", value, "none, real or simulated"))
}

fn on_off(value: &str) -> Result<bool, UrlError> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(wrong("write-protect", value, "on or off")),
    }
}

fn serial(value: &str) -> Result<String, UrlError> {
    if !is_serial(value) {
        return Err(wrong("serial", value, "1 to 32 letters, digits and dashes"));
    }
    Ok(value.to_owned())
}

fn barcode(value: &str) -> Result<String, UrlError> {
    if !is_barcode(value) {
        return Err(wrong(
            "barcode",
            value,
            "1 to 32 capital letters and digits",
        ));
    }
    Ok(value.to_owned())
}

/// Whether a device may have `value` as its serial number.
pub(crate) fn is_serial(value: &str) -> bool {
    (1..=32).contains(&value.len())
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Whether a cartridge may carry `value` as its barcode.
pub(crate) fn is_barcode(value: &str) -> bool {
    (1..=32).contains(&value.len())
        && value
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_options_are_read() {
        let text = "vtape:a/b.vtape?capacity=64MiB&media=discard&clock=real&faults=p.toml\
            &buffer=8MiB&write-protect=on&serial=VT-1&barcode=LH0001L9";
        let url: Url = text.parse().expect("valid");
        assert_eq!(url.path, PathBuf::from("a/b.vtape"));
        assert_eq!(url.capacity, Some(64 << 20));
        assert_eq!(url.media, Some(Media::Discard));
        assert_eq!(url.clock, ClockMode::Real);
        assert_eq!(url.faults, Some(PathBuf::from("p.toml")));
        assert_eq!(url.buffer, Some(8 << 20));
        assert_eq!(url.write_protect, Some(true));
        assert_eq!(url.serial.as_deref(), Some("VT-1"));
        assert_eq!(url.barcode.as_deref(), Some("LH0001L9"));
    }

    #[test]
    fn a_plain_file_has_no_options() {
        let url: Url = "vtape:demo.vtape".parse().expect("valid");
        assert_eq!(
            url,
            Url {
                path: PathBuf::from("demo.vtape"),
                ..Url::default()
            }
        );
    }

    #[test]
    fn everything_wrong_has_its_own_error() {
        let error = |text: &str| text.parse::<Url>().expect_err(text);
        assert!(matches!(error("/dev/sg0"), UrlError::Scheme(_)));
        assert!(matches!(error("vtape:"), UrlError::NoFile(_)));
        assert!(matches!(error("vtape:?media=keep"), UrlError::NoFile(_)));
        assert!(matches!(error("vtape:unix:/run/s#1"), UrlError::Served(_)));
        assert!(matches!(
            error("vtape:f?colour=red"),
            UrlError::UnknownOption(_)
        ));
        assert!(matches!(error("vtape:f?media"), UrlError::NoValue(_)));
        assert!(matches!(error("vtape:f?faults="), UrlError::NoValue(_)));
        assert!(matches!(
            error("vtape:f?media=keep&media=keep"),
            UrlError::Twice(_)
        ));
        assert!(matches!(
            error("vtape:f?capacity=much"),
            UrlError::Size { .. }
        ));
        assert!(matches!(
            error("vtape:f?capacity=1kB"),
            UrlError::Bounds { .. }
        ));
        assert!(matches!(
            error("vtape:f?capacity=65TiB"),
            UrlError::Bounds { .. }
        ));
        assert!(matches!(error("vtape:f?buffer=1"), UrlError::Bounds { .. }));
        assert!(matches!(
            error("vtape:f?media=lose"),
            UrlError::Value { .. }
        ));
        assert!(matches!(
            error("vtape:f?clock=cuckoo"),
            UrlError::Value { .. }
        ));
        assert!(matches!(
            error("vtape:f?write-protect=1"),
            UrlError::Value { .. }
        ));
        assert!(matches!(error("vtape:f?serial="), UrlError::Value { .. }));
        assert!(matches!(
            error("vtape:f?barcode=lower"),
            UrlError::Value { .. }
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(vtape:)?\\PC{0,80}") {
            let _ = text.parse::<Url>();
        }
    }
}
