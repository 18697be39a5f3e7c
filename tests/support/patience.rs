//! Waiting for what must come, never longer than a loaded machine needs.

use std::time::Duration;

use tokio::time::{interval, timeout};

/// Long enough for a loaded machine: only a broken test waits as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What `future` brings; that it brings something is part of the test.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("something happens")
}

/// Looks again and again until `condition` holds: for what shows in counters or in files, and wakes nobody.
pub(crate) async fn eventually(condition: impl Fn() -> bool) {
    let mut again = interval(Duration::from_millis(5));
    within(async {
        while !condition() {
            again.tick().await;
        }
    })
    .await;
}
