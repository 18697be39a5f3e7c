//! The two daemons: sockets, ready, tasks, signal, drain.

pub(crate) mod accept;
pub mod bind;
pub(crate) mod descriptors;
pub mod inherit;
pub mod logging;
pub(crate) mod notify;
pub(crate) mod panics;
pub(crate) mod signals;
pub(crate) mod slots;
pub(crate) mod status_path;
pub mod status_socket;
pub mod tasks;
pub(crate) mod user;

use crate::relay::failure::{Exit, Failure};
use signals::{Signal, Signals};

/// Threads for name look-ups: a resolver that hangs must not gather more of them than this.
const BLOCKING: usize = 64;

/// What serves until it is stopped.
pub(crate) trait Daemon {
    /// Reads the configuration anew; one that cannot work is told, and the old one stays.
    fn reload(&mut self);
    /// Stops listening, and lets what is under way end.
    async fn stop(self);
}

/// Runs `daemon` in a runtime of its own, with `threads` to work in.
pub(crate) fn in_runtime(
    threads: usize,
    daemon: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    panics::install_hook();
    descriptors::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(BLOCKING)
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| Failure::new(Exit::Bug, format!("cannot start the runtime: {error}")))?;
    let end = runtime.block_on(daemon);
    // A name look-up that hangs must not hold up the end.
    runtime.shutdown_background();
    end
}

/// Says that `daemon` is ready, and has it do what signals say until one says stop.
pub(crate) async fn obey(mut signals: Signals, mut daemon: impl Daemon) {
    notify::ready();
    while signals.next().await == Signal::Reload {
        notify::reloading();
        daemon.reload();
        notify::ready();
    }
    notify::stopping();
    daemon.stop().await;
}
