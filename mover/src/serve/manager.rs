//! systemd, if it has started us: it is told that the service is there, and that
//! it is alive. Without it nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;

pub(super) fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd cannot be told: {error}");
    }
}

/// How often systemd wants to hear that it is alive, and a margin; none if it
/// does not.
pub(super) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 3)
}
