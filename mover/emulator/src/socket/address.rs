//! `vtape:unix:PATH#SERIAL?initiator=NAME`: a device of a served library.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::wire::INITIATOR_BYTES_MAX;
use crate::url::{UrlError, is_serial};

/// What every such name begins with.
pub const SCHEME: &str = "vtape:unix:";

/// Where a served device is, and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The socket.
    pub socket: PathBuf,
    /// The device's serial number.
    pub serial: String,
    /// The initiator's name; the host's, if not said.
    pub initiator: Option<String>,
}

impl Address {
    /// Another device of the same library, as the same initiator.
    pub fn beside(&self, serial: &str) -> Address {
        Address {
            serial: serial.to_owned(),
            ..self.clone()
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}#{}", self.socket.display(), self.serial)?;
        match &self.initiator {
            Some(initiator) => write!(f, "?initiator={initiator}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Address {
    type Err = UrlError;

    /// The last `#` ends the path, so a serial number cannot hold one.
    fn from_str(text: &str) -> Result<Address, UrlError> {
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| UrlError::Scheme(text.to_owned()))?;
        let (path, rest) = rest
            .rsplit_once('#')
            .filter(|(path, _)| !path.is_empty() && !path.contains('\0'))
            .ok_or_else(|| UrlError::NoDevice(text.to_owned()))?;
        let (serial, options) = rest.split_once('?').unwrap_or((rest, ""));
        if !is_serial(serial) {
            return Err(UrlError::Value {
                option: "serial",
                value: serial.to_owned(),
                allowed: "1 to 32 letters, digits and dashes",
            });
        }
        let initiator = match options.split_once('=') {
            _ if options.is_empty() => None,
            Some(("initiator", name)) => Some(initiator(name)?),
            _ => return Err(UrlError::UnknownOption(options.to_owned())),
        };
        Ok(Address {
            socket: PathBuf::from(path),
            serial: serial.to_owned(),
            initiator,
        })
    }
}

fn initiator(name: &str) -> Result<String, UrlError> {
    if !(1..=INITIATOR_BYTES_MAX).contains(&name.len()) {
        return Err(UrlError::Value {
            option: "initiator",
            value: name.to_owned(),
            allowed: "1 to 223 bytes",
        });
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn path_serial_and_initiator_are_told_apart() {
        let address: Address = "vtape:unix:/run/a#b?c#VT-1?initiator=n1"
            .parse()
            .expect("valid");
        assert_eq!(address.socket, PathBuf::from("/run/a#b?c"));
        assert_eq!(address.serial, "VT-1");
        assert_eq!(address.initiator.as_deref(), Some("n1"));
        assert_eq!(
            address.to_string(),
            "vtape:unix:/run/a#b?c#VT-1?initiator=n1"
        );
        let plain: Address = "vtape:unix:lib.sock#VT1".parse().expect("valid");
        assert_eq!(plain.initiator, None);
    }

    #[test]
    fn everything_wrong_has_its_own_error() {
        let error = |text: &str| text.parse::<Address>().expect_err(text);
        assert!(matches!(error("vtape:a#1"), UrlError::Scheme(_)));
        assert!(matches!(error("vtape:unix:/run/s"), UrlError::NoDevice(_)));
        assert!(matches!(error("vtape:unix:#VT1"), UrlError::NoDevice(_)));
        assert!(matches!(error("vtape:unix:s#"), UrlError::Value { .. }));
        assert!(matches!(
            error("vtape:unix:s#A?b=c"),
            UrlError::UnknownOption(_)
        ));
        assert!(matches!(
            error("vtape:unix:s#A?initiator="),
            UrlError::Value { .. }
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(vtape:unix:)?\\PC{0,80}") {
            let _ = text.parse::<Address>();
        }
    }
}
