//! What the service manager is told (sd_notify(3)); nothing where there is none.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::time::Duration;

#[cfg(target_os = "linux")]
use sd_notify::NotifyState;

use crate::daemon::tasks::Tasks;
use crate::relay::exchange::Exchange;

/// It waits to be told.
pub(crate) fn is_expected() -> bool {
    cfg!(target_os = "linux") && std::env::var_os("NOTIFY_SOCKET").is_some()
}

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

/// What it shows of the daemon to people: a line, or nothing.
pub(crate) fn status(text: &str) {
    #[cfg(target_os = "linux")]
    tell(&[NotifyState::Status(text)]);
    #[cfg(not(target_os = "linux"))]
    let _ = text;
}

/// Has it keep these sockets for the next start, and no others that it was given by this `name` (FDSTORE in sd_notify(3)).
#[cfg(target_os = "linux")]
pub(crate) fn keep(name: &str, sockets: &[BorrowedFd<'_>]) {
    tell(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
    if sockets.is_empty() {
        return;
    }
    let store = [NotifyState::FdStore, NotifyState::FdName(name)];
    if let Err(error) = sd_notify::notify_with_fds(&store, sockets) {
        tracing::debug!(%error, "the service manager cannot be given sockets");
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn keep(_: &str, _: &[BorrowedFd<'_>]) {}

/// Shows it that the daemon gets on (`WatchdogSec=` in systemd.service(5)), twice in the time that it allows. A daemon that
/// nobody watches has no timer for it.
pub(crate) fn keep_alive(exchange: &Arc<Exchange>, tasks: &Tasks) {
    #[cfg(target_os = "linux")]
    if let Some(within) = sd_notify::watchdog_enabled().filter(|within| !within.is_zero()) {
        tasks.spawn(each(within / 2, Arc::clone(exchange)));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (exchange, tasks);
}

/// As a request is: by a timer, in a worker's turn, behind the locks that all requests take.
#[cfg(target_os = "linux")]
async fn each(every: Duration, exchange: Arc<Exchange>) {
    loop {
        tokio::time::sleep(every).await;
        exchange.probe_locks();
        tell(&[NotifyState::Watchdog]);
    }
}

#[cfg(target_os = "linux")]
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
