//! The tasks of a daemon, and their end.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::daemon::logging::ADMIN;
use crate::relay::counters::LOG_LINES_LEFT_OUT;
use crate::relay::exchange::Exchange;

/// How long what is under way may take when the daemon ends.
const DRAIN: Duration = Duration::from_secs(5);
/// And then what listeners that served on have accepted meanwhile: a second to ask, and one to be answered.
const LAST: Duration = Duration::from_secs(2);

/// Tasks, and what stops them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    /// Cancelled when the daemon stops: nothing new is begun then, but by listeners that serve on.
    pub stop: CancellationToken,
    /// Cancelled when what was under way then has ended: those listeners end, too.
    pub close: CancellationToken,
    /// Those that are waited for.
    pub tracker: TaskTracker,
    /// Listeners that serve on, and what they have accepted since the stop.
    pub late: TaskTracker,
}

impl Tasks {
    /// Has `task` run until it ends or the daemon stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let task = async move { stop.run_until_cancelled(task).await };
        self.tracker.spawn(task);
    }

    /// Where a connection that is accepted now belongs.
    pub(crate) fn of_connections(&self) -> &TaskTracker {
        if self.stop.is_cancelled() {
            &self.late
        } else {
            &self.tracker
        }
    }

    /// Stops, and lets what is under way end. Where it is served on meanwhile, a request that hangs keeps nobody else waiting.
    pub(crate) async fn end(self, exchange: &Exchange) {
        let Self { tracker, late, .. } = &self;
        self.stop.cancel();
        tracker.close();
        let is_drained = timeout(DRAIN, tracker.wait()).await.is_ok();
        self.close.cancel();
        late.close();
        let last = async {
            late.wait().await;
            if is_drained {
                // What was being accepted at the stop.
                tracker.wait().await;
            }
        };
        drop(timeout(LAST, last).await);
        let left = tracker.len() + late.len();
        if left == 0 {
            tracing::info!(target: ADMIN, "stopped");
        } else {
            tracing::warn!(target: ADMIN, left, "stopped before everything under way had ended");
        }
        let log_lines_left_out = LOG_LINES_LEFT_OUT.get();
        tracing::debug!(log_lines_left_out, counters = ?exchange.counters(), "counted");
    }
}
