//! What runs where it is waited for, and goes on if nobody waits any more.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

/// A future that goes on in a task of its own when this is dropped. Until then it costs no switch from one task to another.
pub(crate) struct DetachOnDrop<T: 'static>(Option<BoxFuture<'static, T>>);

impl<T> DetachOnDrop<T> {
    pub(crate) fn new(run: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(run.boxed()))
    }
}

impl<T> Future for DetachOnDrop<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(run) = &mut self.0 else {
            return Poll::Pending;
        };
        let end = run.poll_unpin(context);
        if end.is_ready() {
            self.0 = None;
        }
        end
    }
}

impl<T> Drop for DetachOnDrop<T> {
    fn drop(&mut self) {
        // There is no runtime where all ends.
        if let (Some(rest), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(rest.map(drop));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::{self, error::TryRecvError};
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_goes_on() {
        let (go_on, told) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        let mut run = DetachOnDrop::new(async {
            told.await.unwrap();
            done.send(()).unwrap();
        });
        assert!((&mut run).now_or_never().is_none());
        yield_now().await;
        drop(run);
        go_on.send(()).unwrap();
        is_done.await.unwrap();
    }

    #[test]
    fn without_a_runtime_it_ends() {
        let (done, mut is_done) = oneshot::channel::<()>();
        drop(DetachOnDrop::new(async move {
            std::future::pending::<()>().await;
            drop(done);
        }));
        assert_eq!(is_done.try_recv(), Err(TryRecvError::Closed));
    }
}
