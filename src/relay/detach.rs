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
