//! What the service manager is told (sd_notify(3)); nothing where there is none.

use std::time::Duration;

#[cfg(target_os = "linux")]
use sd_notify::NotifyState;

pub(crate) fn ready() {
    #[cfg(target_os = "linux")]
    tell(&[NotifyState::Ready]);
}

pub(crate) fn reloading() {
    #[cfg(target_os = "linux")]
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

pub(crate) fn stopping() {
    #[cfg(target_os = "linux")]
    tell(&[NotifyState::Stopping]);
}

/// Within which time it wants to hear of this daemon, again and again; none if it does not.
pub(crate) fn watched() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    return sd_notify::watchdog_enabled().filter(|within| !within.is_zero());
    #[cfg(not(target_os = "linux"))]
    None
}

pub(crate) fn alive() {
    #[cfg(target_os = "linux")]
    tell(&[NotifyState::Watchdog]);
}

#[cfg(target_os = "linux")]
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
