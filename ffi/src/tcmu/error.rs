//! Why a ring cannot be used.

use std::io;

use super::layout::mailbox;

/// Why a ring cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// The UIO device could not be opened, mapped, waited for or written to.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// The mailbox is of a version that this program does not know.
    #[error("the kernel's TCMU mailbox has version {0}; this program knows version {known}",
        known = mailbox::VERSION_KNOWN)]
    Version(u16),
    /// A number in the shared memory cannot be.
    #[error("the TCMU ring's {what} is {value}, where {least} to {most} can be")]
    Corrupt {
        /// Which number.
        what: &'static str,
        /// What it is.
        value: u64,
        /// What it is at least.
        least: u64,
        /// What it is at most.
        most: u64,
    },
}

pub(super) fn io_error(action: &'static str) -> impl Fn(io::Error) -> RingError {
    move |source| RingError::Io { action, source }
}

/// `value`, if it lies between `least` and `most`.
pub(super) fn bounded(
    what: &'static str,
    value: u64,
    least: u64,
    most: u64,
) -> Result<usize, RingError> {
    match usize::try_from(value) {
        Ok(fits) if (least..=most).contains(&value) => Ok(fits),
        _ => Err(RingError::Corrupt {
            what,
            value,
            least,
            most,
        }),
    }
}
