//! systemd, if it has started us: it is told that the coordinator is there, and
//! that it is alive. Without it nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;

/// All is there: whoever waited for it may connect.
pub fn ready(status: &str) {
    say(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It ends, which may take a moment.
pub fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// It is alive. To be said every [`watchdog_interval`].
pub fn alive() {
    say(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear that it is alive, and a margin; none if it
/// does not.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 3)
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd cannot be told: {error}");
    }
}
