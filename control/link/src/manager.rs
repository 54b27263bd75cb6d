//! systemd, if it has started us: it is told that the program is there, and that it
//! is alive. Without it nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;

/// All is there: whoever waited for it may begin. People may be told more.
pub fn ready(status: Option<&str>) {
    say(NotifyState::Ready, status);
}

/// It ends, which may take a moment.
pub fn stopping(status: Option<&str>) {
    say(NotifyState::Stopping, status);
}

/// It is alive. To be said every [`watchdog_interval`].
pub fn alive() {
    say(NotifyState::Watchdog, None);
}

/// How often systemd wants to hear that it is alive, and a margin; none if it
/// does not.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 3)
}

fn say(state: NotifyState<'_>, status: Option<&str>) {
    let status = status.map(NotifyState::Status);
    let states: Vec<_> = std::iter::once(state).chain(status).collect();
    if let Err(error) = sd_notify::notify(&states) {
        log::warn!("systemd cannot be told: {error}");
    }
}
