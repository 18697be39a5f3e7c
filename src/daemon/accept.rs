//! Stream sockets that listen, and the loop that accepts.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::either::Either;

use crate::daemon::bind::StreamSocket;
use crate::daemon::panics;
use crate::daemon::slots::{ConnLimit, ConnSlot};
use crate::relay::shares::Holder;

/// How long an evicted connection takes to close and free its descriptor.
const EVICTION: Duration = Duration::from_millis(1);

/// A connected client.
pub(crate) type ClientStream = Either<TcpStream, UnixStream>;

impl StreamSocket {
    pub(crate) async fn accept(&self) -> io::Result<ClientStream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Either::Left(stream))
            }
            Self::Unix(listener) => Ok(Either::Right(listener.accept().await?.0)),
        }
    }
}

/// The address of the other end, where it has one. A service manager's socket may be for IPv4 and IPv6 at once, and shows
/// addresses of the former mapped (RFC 4291 2.5.5.2).
pub(crate) fn peer(stream: &ClientStream) -> Option<SocketAddr> {
    let peer = match stream {
        Either::Left(stream) => stream.peer_addr().ok()?,
        Either::Right(_) => return None,
    };
    Some(SocketAddr::new(peer.ip().to_canonical(), peer.port()))
}

/// Has each connection to `listener` that gets a slot served in a task of its own, until the daemon stops. `admit` says whose
/// it is; nobody's is not let in.
pub(crate) async fn accept_each<F: Future<Output = ()> + Send + 'static>(
    listener: &StreamSocket,
    limit: &ConnLimit,
    admit: impl Fn(&ClientStream) -> Option<Holder>,
    serve: impl Fn(ClientStream, ConnSlot) -> F,
) {
    let accepted = |stream: ClientStream, descriptor: OwnedSemaphorePermit| {
        // Those that are not let in make nobody leave for them.
        if let Some(holder) = admit(&stream)
            && let Some(slot) = limit.acquire(holder)
        {
            let served = serve(stream, slot);
            let served = async move {
                served.await;
                drop(descriptor);
            };
            panics::spawn_catching(limit.tasks(), limit.exchange(), served);
        }
    };
    panics::supervise(limit.exchange(), || accept(listener, limit, &accepted)).await;
}

async fn accept(
    listener: &StreamSocket,
    limit: &ConnLimit,
    accepted: impl Fn(ClientStream, OwnedSemaphorePermit),
) {
    let mut backoff = AcceptBackoff::default();
    loop {
        let stream = tokio::select! {
            biased;
            () = limit.until().cancelled() => return,
            stream = listener.accept() => stream,
        };
        match stream {
            Ok(stream) => {
                backoff.reset();
                let Some(descriptor) = limit.descriptor().await else {
                    return;
                };
                accepted(stream, descriptor);
            }
            Err(error) if is_resource_error(&error) => {
                if limit.evict() {
                    tokio::time::sleep(EVICTION).await;
                } else {
                    backoff.wait(&error).await;
                }
            }
            // Gone before it was accepted.
            Err(error) if is_peer_error(&error) => {
                tracing::debug!(%error, "accepting a connection");
            }
            Err(error) => backoff.wait(&error).await,
        }
    }
}

/// Serves a connection that gets one answer: for sockets that few look at.
pub(crate) async fn answer_once<E: Display>(
    slot: ConnSlot,
    deadline: Duration,
    answer: impl Future<Output = Result<(), E>>,
) {
    let answer = tokio::time::timeout(deadline, answer);
    match slot.close.run_until_cancelled(answer).await {
        Some(Ok(Err(error))) => tracing::debug!(%error, "a document was not written"),
        Some(Err(_)) => tracing::debug!("a document was not taken in time"),
        Some(Ok(Ok(()))) | None => {}
    }
}

/// An error of accept or recv that says what the machine lacks, rather than what a peer did.
pub(crate) fn is_resource_error(error: &std::io::Error) -> bool {
    // ENOMEM, ENFILE, EMFILE, ENOBUFS
    error.kind() == std::io::ErrorKind::OutOfMemory
        || matches!(error.raw_os_error(), Some(12 | 23 | 24 | 105))
}

/// An error of accept or recv that ends with the peer that caused it (accept(2), Error handling). After any other the
/// listener waits a moment: one that lasts would otherwise come again without a pause.
pub(crate) fn is_peer_error(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::Interrupted
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::PermissionDenied
            | Kind::TimedOut
    )
}

/// How long a listener waits after an error before it tries again.
pub(crate) const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Waits after a lack of descriptors or memory, or another error that may last; logged once however long it lasts.
#[derive(Debug, Default)]
pub(crate) struct AcceptBackoff {
    is_logged: bool,
}

impl AcceptBackoff {
    /// Waits a moment after `error`.
    pub(crate) async fn wait(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.is_logged, true) {
            tracing::warn!(%error, "requests are kept waiting");
        }
        tokio::time::sleep(ACCEPT_BACKOFF).await;
    }

    /// A connection or a datagram was accepted.
    pub(crate) fn reset(&mut self) {
        if std::mem::take(&mut self.is_logged) {
            tracing::info!("requests are accepted again");
        }
    }
}
