//! The end of a daemon that nobody asks anything, where the service manager starts another one for the next request.

use tokio::time::timeout;

use super::{DRAIN, Listen, Relay};

/// Comes when nobody has asked for as long as `listen` says, and all that was asked has been answered; never, if it says
/// nothing, or nobody would start the daemon again. There is one timer, counted from the end of the last request.
pub(super) fn end(listen: &Listen, relay: &Relay) -> impl Future<Output = ()> + use<> {
    let long = listen.exit_when_idle;
    if long.is_some() && !relay.held {
        tracing::warn!(
            "exit-when-idle-seconds has no effect: not all sockets are a service manager's, which would start loopkdc again"
        );
    }
    let long = long.filter(|_| relay.held);
    let activity = relay.activity.clone();
    async move {
        let Some(long) = long else {
            return std::future::pending().await;
        };
        activity.idle(long).await;
        tracing::info!("nobody asks: the next request starts loopkdc again");
        // Who was faster is served; who was not waits in the sockets.
        drop(timeout(DRAIN, activity.close()).await);
    }
}
