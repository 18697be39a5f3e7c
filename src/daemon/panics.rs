//! Panics: where they were is logged, and each ends the task of one client and no other.
//!
//! What a panic says is not logged: that may be made of what a client sent, and names no principal only as long as nobody
//! forgets.

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::Arc;

use futures_util::FutureExt;
use hyper::rt::Executor;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::daemon::accept::ACCEPT_BACKOFF;
use crate::relay::detach::DetachOnDrop;
use crate::relay::exchange::Exchange;

/// Has panics logged from now on, within the bounds of the log.
pub(crate) fn install_hook() {
    set_hook(Box::new(|panic| {
        let at = place(panic);
        tracing::error!(
            at,
            "a fault of this program's own: what it was in ends, and all else goes on"
        );
    }));
}

fn place(panic: &PanicHookInfo<'_>) -> String {
    panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// Runs `task` among `tasks`. A panic in it ends it alone, and is counted: nothing is returned then.
pub(crate) fn spawn_catching<T: Send + 'static>(
    tasks: &TaskTracker,
    exchange: &Arc<Exchange>,
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<Option<T>> {
    // In a box: a task is copied several times on its way into the runtime and out of it.
    tasks.spawn(Box::pin(catch_async(Arc::clone(exchange), task)))
}

/// Runs `task` among `tasks` as well, but where it is waited for, and by itself only if nobody waits any more.
pub(crate) fn run_catching<T: Send + 'static>(
    tasks: &TaskTracker,
    exchange: &Arc<Exchange>,
    task: impl Future<Output = T> + Send + 'static,
) -> DetachOnDrop<Option<T>> {
    DetachOnDrop::new(tasks.track_future(catch_async(Arc::clone(exchange), task)))
}

/// What tasks share is behind locks that no panic poisons, or is written whole. No `async fn`, which would have room for `task`
/// twice.
fn catch_async<T>(
    exchange: Arc<Exchange>,
    task: impl Future<Output = T>,
) -> impl Future<Output = Option<T>> {
    AssertUnwindSafe(task).catch_unwind().map(move |ended| {
        if ended.is_err() {
            exchange.counters().panicked.add();
        }
        ended.ok()
    })
}

/// What `work` returns; nothing if it panics, which is counted.
pub(crate) fn catch<T>(exchange: &Exchange, work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        exchange.counters().panicked.add();
    }
    done.ok()
}

/// Runs what `serve` makes until it ends; after a panic it is made anew. For the loops of listeners: a daemon that listens
/// no more is worse than one that ends.
pub(crate) async fn supervise<F: Future<Output = ()>>(
    exchange: &Arc<Exchange>,
    serve: impl Fn() -> F,
) {
    while catch_async(Arc::clone(exchange), serve()).await.is_none() {
        tokio::time::sleep(ACCEPT_BACKOFF).await;
    }
}

/// Runs the streams of an HTTP/2 connection as [`spawn_catching`] runs tasks.
#[derive(Clone, Debug)]
pub(crate) struct CatchingExecutor(pub(crate) Arc<Exchange>);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for CatchingExecutor {
    fn execute(&self, stream: F) {
        tokio::spawn(catch_async(Arc::clone(&self.0), stream));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::take_hook;
    use std::sync::Mutex;

    use super::*;
    use crate::relay::answer::OnFailure;
    use crate::relay::counters::Counter;
    use crate::relay::exchange::Routing;
    use crate::relay::routes::Routes;

    #[test]
    fn it_is_told_where_it_was() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        set_hook(Box::new(move |panic| {
            heard.lock().unwrap().push(place(panic))
        }));
        let _ = catch_unwind(|| panic!("what a client sent"));
        drop(take_hook());
        let told = told.lock().unwrap();
        assert!(
            told.iter().any(|place| place.contains("panics.rs:")),
            "{told:?}"
        );
    }
    fn exchange() -> Arc<Exchange> {
        let routing = Routing::new(Routes::default(), Vec::new(), OnFailure::Unreachable);
        Exchange::new(routing, 1)
    }

    #[tokio::test]
    async fn a_panic_ends_its_task_alone_and_is_counted() {
        let (tasks, exchange) = (TaskTracker::new(), exchange());
        let panics = spawn_catching(&tasks, &exchange, async { panic!("a fault of our own") });
        assert_eq!(panics.await.unwrap(), None::<()>);
        let other = spawn_catching(&tasks, &exchange, async { 7 });
        assert_eq!(other.await.unwrap(), Some(7));
        assert_eq!(exchange.counters().panicked.get(), 1);
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_stop_waits_for_what_nobody_else_waits_for() {
        let (tasks, exchange) = (TaskTracker::new(), exchange());
        let (go_on, told) = tokio::sync::oneshot::channel();
        let mut run = run_catching(&tasks, &exchange, told);
        assert!((&mut run).now_or_never().is_none());
        drop(run);
        tasks.close();
        tokio::task::yield_now().await;
        assert!(tasks.wait().now_or_never().is_none());
        go_on.send(()).unwrap();
        tasks.wait().await;
        let panics = run_catching(&tasks, &exchange, async { panic!("a fault of our own") });
        assert_eq!(panics.await, None::<()>);
        assert_eq!(exchange.counters().panicked.get(), 1);
    }

    #[test]
    fn a_panic_in_a_call_is_counted() {
        let exchange = exchange();
        assert_eq!(catch(&exchange, || 7), Some(7));
        assert_eq!(
            catch(&exchange, || panic!("a fault of our own")),
            None::<()>
        );
        assert_eq!(exchange.counters().panicked.get(), 1);
    }

    #[tokio::test]
    async fn a_listener_goes_on_after_a_panic() {
        let (exchange, begun) = (exchange(), Counter::new());
        let listen = || async {
            begun.add();
            assert!(begun.get() > 2, "a fault of our own");
        };
        supervise(&exchange, listen).await;
        assert_eq!((begun.get(), exchange.counters().panicked.get()), (3, 2));
    }

    #[tokio::test]
    async fn a_panic_in_a_stream_of_http_2_is_counted() {
        let exchange = exchange();
        CatchingExecutor(Arc::clone(&exchange)).execute(async { panic!("a fault of our own") });
        while exchange.counters().panicked.get() == 0 {
            tokio::task::yield_now().await;
        }
    }
}
