//! Devices that other processes of this host have for a while.

use std::thread;
use std::time::{Duration, Instant};

use super::JobError;
use crate::transport::OpenError;

/// How long others may have one: a changer for a few moves of a minute or two, a drive
/// while they rewind what is in it, or take it from somebody who is gone.
const WAIT: Duration = Duration::from_secs(15 * 60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Opens a device once other processes of this host that have it let go of it: after at
/// most a quarter of an hour.
///
/// # Errors
/// Those of `open`.
pub(super) fn in_turn<T>(open: impl Fn() -> Result<T, JobError>) -> Result<T, JobError> {
    let begun = Instant::now();
    let mut is_told = false;
    loop {
        match open() {
            Err(JobError::Open(OpenError::Held(why)) | JobError::Library(OpenError::Held(why)))
                if begun.elapsed() < WAIT =>
            {
                if !is_told {
                    log::info!("{why}; it is waited for");
                    is_told = true;
                }
                thread::sleep(PAUSE);
            }
            opened => return opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn who_has_it_for_a_while_is_waited_for_and_nothing_else_is() {
        let tries = Cell::new(0);
        let opened = in_turn(|| {
            tries.set(tries.get() + 1);
            match tries.get() {
                1 => Err(JobError::Open(OpenError::Held("another has it".into()))),
                2 => Err(JobError::Library(OpenError::Held("another has it".into()))),
                _ => Ok(()),
            }
        });
        assert!(opened.is_ok() && tries.get() == 3, "{opened:?}");
        let refused = in_turn(|| -> Result<(), _> {
            tries.set(tries.get() + 1);
            Err(JobError::Open(OpenError::Broken("no".into())))
        });
        assert!(refused.is_err() && tries.get() == 4, "{refused:?}");
    }
}
