//! Tasks that serve one client each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use hyper::rt::Executor;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::daemon::accept::REST;
use crate::relay::exchange::Exchange;

/// Has `serve` run among `tasks`. A panic in it ends it alone, and is counted: nothing is returned then.
pub(crate) fn spawn<T: Send + 'static>(
    tasks: &TaskTracker,
    exchange: &Arc<Exchange>,
    serve: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<Option<T>> {
    tasks.spawn(counted(Arc::clone(exchange), serve))
}

/// What is shared with the others is behind locks that no panic poisons, or is written whole.
async fn counted<T>(exchange: Arc<Exchange>, serve: impl Future<Output = T>) -> Option<T> {
    let ended = AssertUnwindSafe(serve).catch_unwind().await;
    if ended.is_err() {
        exchange.counters().panicked.add();
    }
    ended.ok()
}

/// What `work` brings, unless it panics: that is counted.
pub(crate) fn call<T>(exchange: &Exchange, work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        exchange.counters().panicked.add();
    }
    done.ok()
}

/// Has what `serve` makes run until it ends; after a panic it is made anew. For the loops of listeners: a daemon that hears
/// nobody any more is worse than one that ends.
pub(crate) async fn keep<F: Future<Output = ()>>(exchange: &Arc<Exchange>, serve: impl Fn() -> F) {
    while counted(Arc::clone(exchange), serve()).await.is_none() {
        tokio::time::sleep(REST).await;
    }
}

/// Runs the streams of an HTTP/2 connection in the same way.
#[derive(Clone, Debug)]
pub(crate) struct Streams(pub(crate) Arc<Exchange>);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        tokio::spawn(counted(Arc::clone(&self.0), stream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::answer::OnFailure;
    use crate::relay::counters::Counter;
    use crate::relay::exchange::Routing;
    use crate::relay::routes::Routes;

    fn exchange() -> Arc<Exchange> {
        let routing = Routing::new(Routes::default(), Vec::new(), OnFailure::Unreachable);
        Exchange::new(routing, 1)
    }

    #[tokio::test]
    async fn a_panic_ends_its_task_alone_and_is_counted() {
        let (tasks, exchange) = (TaskTracker::new(), exchange());
        let panics = spawn(&tasks, &exchange, async { panic!("a fault of our own") });
        assert_eq!(panics.await.unwrap(), None::<()>);
        let other = spawn(&tasks, &exchange, async { 7 });
        assert_eq!(other.await.unwrap(), Some(7));
        assert_eq!(exchange.counters().panicked.get(), 1);
        tasks.close();
        tasks.wait().await;
    }

    #[test]
    fn a_panic_in_a_call_is_counted() {
        let exchange = exchange();
        assert_eq!(call(&exchange, || 7), Some(7));
        assert_eq!(call(&exchange, || panic!("a fault of our own")), None::<()>);
        assert_eq!(exchange.counters().panicked.get(), 1);
    }

    #[tokio::test]
    async fn a_listener_goes_on_after_a_panic() {
        let (exchange, begun) = (exchange(), Counter::new());
        let listen = || async {
            begun.add();
            assert!(begun.get() > 2, "a fault of our own");
        };
        keep(&exchange, listen).await;
        assert_eq!((begun.get(), exchange.counters().panicked.get()), (3, 2));
    }

    #[tokio::test]
    async fn a_panic_in_a_stream_of_http_2_is_counted() {
        let exchange = exchange();
        Streams(Arc::clone(&exchange)).execute(async { panic!("a fault of our own") });
        while exchange.counters().panicked.get() == 0 {
            tokio::task::yield_now().await;
        }
    }
}
