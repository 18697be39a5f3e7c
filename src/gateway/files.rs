//! Files that a gateway goes by, and that are replaced while it runs.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the files are looked at. They are read whole: links that are swapped, files that are renamed or written in
/// place and clocks of file systems are all the same then, and a few kB from the page cache cost what a stat does.
pub(super) const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// What was read last, whether or not it was of use.
pub(super) struct WatchedFiles<R> {
    read: R,
    ticks: Interval,
}

impl<R: PartialEq + Send + 'static> WatchedFiles<R> {
    pub(super) fn new(read: R) -> Self {
        let mut ticks = interval(RELOAD_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { read, ticks }
    }

    /// Reads them anew after a while, or at once when `reload` is notified; what is there, if it is something else than before.
    pub(super) async fn next(
        &mut self,
        reload: &Notify,
        read: impl FnOnce() -> R + Send + 'static,
    ) -> Option<&R> {
        tokio::select! {
            _ = self.ticks.tick() => {}
            () = reload.notified() => {}
        }
        // A panic in there is a bug that must not end this.
        let read = spawn_blocking(read).await.ok();
        self.read = read.filter(|read| *read != self.read)?;
        Some(&self.read)
    }
}
