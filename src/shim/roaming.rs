//! Following the machine from one network to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::daemon::tasks::Tasks;
use crate::relay::exchange::Exchange;
use crate::relay::network::Changes;

/// Has `exchange` hear of each change of the network, in a task of `tasks`; `hears` says whether it does.
pub(super) fn follow(exchange: &Arc<Exchange>, hears: &Arc<AtomicBool>, tasks: &Tasks) {
    let changes = match Changes::open() {
        Ok(changes) => changes,
        Err(error) => {
            // Then a dead connection is found by the first request that waits on it.
            tracing::warn!(%error, "changes of the network can't be heard of");
            return;
        }
    };
    hears.store(true, Ordering::Relaxed);
    let (exchange, hears) = (Arc::clone(exchange), Arc::clone(hears));
    tasks.spawn(async move {
        each(changes, &exchange).await;
        hears.store(false, Ordering::Relaxed);
    });
}

async fn each(mut changes: Changes, exchange: &Exchange) {
    loop {
        match changes.next().await {
            Ok(()) => exchange.network_changed(),
            Err(error) => {
                tracing::warn!(%error, "changes of the network are no longer heard of");
                return;
            }
        }
    }
}
