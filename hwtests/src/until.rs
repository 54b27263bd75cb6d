//! Waiting for what is to come.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Longer than anything takes on a machine that has other things to do.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Between the first two looks, and between any two at most. To look costs something, so
/// it is done less often the longer it takes.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Waits until it is there.
///
/// # Errors
/// The look's, and if it does not come.
pub fn until<T>(what: &str, look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    within(PATIENCE, what, look)
}

/// The same, with another patience.
///
/// # Errors
/// As [`until`].
pub fn within<T>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        let waited = begun.elapsed();
        if waited > patience {
            bail!("not within {} s: {what}", patience.as_secs());
        }
        thread::sleep((waited / 10).clamp(PAUSE, PAUSE_MAX));
    }
}
