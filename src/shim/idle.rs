//! The end of a daemon that nobody asks anything, where the service manager starts another one for the next request.

use std::sync::Arc;

use super::{Listen, Relay};

/// Comes when nobody has asked for as long as `listen` says, all that was asked has been answered, and no answer is kept any
/// more: requests are no longer taken then. Never, if it says nothing, or nobody would start the daemon again. There is one
/// timer, counted from the end of the last request.
pub(super) fn end(listen: &Listen, relay: &Relay) -> impl Future<Output = ()> + use<> {
    let long = listen.exit_when_idle;
    if long.is_some() && !relay.held {
        tracing::warn!(
            "exit-when-idle-seconds has no effect: not all sockets are a service manager's, which would start loopkdc again"
        );
    }
    let long = long.filter(|_| relay.held);
    let (activity, exchange) = (relay.activity.clone(), Arc::clone(&relay.exchange));
    async move {
        let Some(long) = long else {
            return std::future::pending().await;
        };
        activity.end(long, || exchange.keeps_until()).await;
        tracing::info!("nobody asks: the next request starts loopkdc again");
    }
}
