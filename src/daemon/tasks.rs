//! The tasks of a daemon, and their end.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::daemon::logging::ADMIN;
use crate::relay::counters::LOG_LINES_LEFT_OUT;
use crate::relay::exchange::Exchange;

/// How long what is under way may take when the daemon ends.
const DRAIN: Duration = Duration::from_secs(5);

/// Tasks, and what stops them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    /// Cancelled when the daemon stops: nothing new is begun then.
    pub stop: CancellationToken,
    /// Those that are waited for.
    pub tracker: TaskTracker,
}

impl Tasks {
    /// Has `task` run until it ends or the daemon stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let task = async move { stop.run_until_cancelled(task).await };
        self.tracker.spawn(task);
    }

    /// Stops listening, and lets what is under way end.
    pub(crate) async fn end(self, exchange: &Exchange) {
        self.stop.cancel();
        self.tracker.close();
        let drained = tokio::time::timeout(DRAIN, self.tracker.wait()).await;
        let left = self.tracker.len();
        match drained {
            Ok(()) => tracing::info!(target: ADMIN, "stopped"),
            Err(_) => {
                tracing::warn!(target: ADMIN, left, "stopped before everything under way had ended")
            }
        }
        let log_lines_left_out = LOG_LINES_LEFT_OUT.get();
        tracing::debug!(log_lines_left_out, counters = ?exchange.counters(), "counted");
    }
}
