//! The two daemons: sockets, ready, tasks, signal, drain.

pub(crate) mod accept;
pub mod bind;
pub(crate) mod descriptors;
pub mod inherit;
pub mod logging;
pub(crate) mod notify;
pub(crate) mod panics;
pub(crate) mod slots;
pub mod status_socket;
pub(crate) mod status_source;
pub mod tasks;
pub(crate) mod user;

use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::Finding;
use crate::relay::upstream::tls;
use logging::ADMIN;

/// Threads for name look-ups: a resolver that hangs must not gather more of them than this.
const BLOCKING: usize = 64;

/// What serves until it is stopped.
pub(crate) trait Daemon {
    /// Reads the configuration anew.
    ///
    /// # Errors
    /// One that cannot work: the old one stays.
    fn reload(&mut self) -> Result<(), Failure>;
    /// Waits until a configuration that could not be used is mended and in effect; without end if there is nothing to be mended.
    /// What is dropped meanwhile goes on when it is called again.
    async fn mended(&mut self) {
        std::future::pending().await
    }
    /// Stops listening, and lets what is under way end.
    async fn stop(self);
}

/// Runs the daemon that `start` makes until a signal says stop, with `threads` to work in.
///
/// # Errors
/// What keeps it from starting.
pub(crate) fn run<D: Daemon>(
    threads: usize,
    start: impl Future<Output = Result<D, Failure>>,
) -> Result<(), Failure> {
    in_runtime(threads, async {
        let signals = Signals::new()?;
        tokio::task::spawn_blocking(tls::warm_up);
        obey(signals, start.await?).await;
        Ok(())
    })
}

/// Runs `work` in a runtime of its own, with so many `threads`.
pub(crate) fn in_runtime(
    threads: usize,
    work: impl Future<Output = Result<(), Failure>>,
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
    let end = runtime.block_on(work);
    // A name look-up that hangs must not hold up the end.
    runtime.shutdown_background();
    end
}

/// Says that `daemon` is ready, and has it do what signals say until one says stop.
async fn obey(mut signals: Signals, mut daemon: impl Daemon) {
    notify::ready();
    loop {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            () = daemon.mended() => continue,
        };
        if signal == Signal::Stop {
            break;
        }
        notify::reloading();
        match daemon.reload() {
            Ok(()) => tracing::info!(target: ADMIN, "configuration read again"),
            Err(failure) => log_mistake(&failure),
        }
        notify::ready();
    }
    notify::stopping();
    daemon.stop().await;
}

/// Logs that a configuration cannot be used.
pub(crate) fn log_mistake(failure: &Failure) {
    tracing::error!(target: ADMIN, "the old configuration stays: {failure}");
}

/// Logs what a configuration deserves to be told.
pub(crate) fn log_warnings(warnings: &[Finding]) {
    for warning in warnings {
        tracing::warn!(target: ADMIN, "{warning}");
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Stop,
    Reload,
}

/// Those that have come since.
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Exit::Bug, format!("cannot listen for signals: {error}"))
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hang_up.recv() => Signal::Reload,
        }
    }
}
