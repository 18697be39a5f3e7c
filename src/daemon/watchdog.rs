//! Shows the service manager that the daemon gets on (`WatchdogSec=` in systemd.service(5)). A daemon that nobody watches has
//! no timer for it.

use std::sync::Arc;
use std::time::Duration;

use crate::daemon::notify;
use crate::daemon::tasks::Tasks;
use crate::relay::exchange::Exchange;

/// Tells the service manager in a task of `tasks`, if it wants to hear, twice in the time that it allows.
pub(crate) fn feed(exchange: &Arc<Exchange>, tasks: &Tasks) {
    let Some(within) = notify::watched() else {
        return;
    };
    let (exchange, stop) = (Arc::clone(exchange), tasks.stop.clone());
    let feed = async move { stop.run_until_cancelled(each(within / 2, &exchange)).await };
    tasks.tracker.spawn(feed);
}

/// As a request is: by a timer, in a worker's turn, behind the locks that all requests take.
async fn each(every: Duration, exchange: &Exchange) {
    loop {
        tokio::time::sleep(every).await;
        exchange.take_turns();
        notify::alive();
    }
}
