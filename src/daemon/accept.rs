//! Stream sockets that listen, and the loop that accepts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::net::{UnixListener, UnixStream};

use crate::daemon::panics;
use crate::daemon::slots::{ConnLimit, ConnSlot};

/// How long an evicted connection takes to close and free its descriptor.
const EVICTION: Duration = Duration::from_millis(1);

/// A listening stream socket.
pub(crate) trait Accept: Send + 'static {
    type Stream: Stream;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A connected stream socket.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    const TRANSPORT: &'static str;
    /// The address of the other end, where it has one.
    fn peer(&self) -> Option<SocketAddr>;
    /// Makes the close a reset, where the transport has one.
    fn reset_on_close(&self);
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Stream for TcpStream {
    const TRANSPORT: &'static str = "tcp";
    fn peer(&self) -> Option<SocketAddr> {
        self.peer_addr().ok()
    }
    fn reset_on_close(&self) {
        if let Err(error) = self.set_zero_linger() {
            tracing::debug!(%error, "the close will not be a reset");
        }
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;
    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(UnixListener::accept(self).await?.0)
    }
}

impl Stream for UnixStream {
    const TRANSPORT: &'static str = "unix";
    fn peer(&self) -> Option<SocketAddr> {
        None
    }
    fn reset_on_close(&self) {}
}

/// Accepts connections until the daemon stops, and has `open` serve each that gets a slot.
pub(crate) async fn accept_each<L: Accept + Sync>(
    listener: &L,
    connections: &ConnLimit,
    open: impl Fn(L::Stream, ConnSlot) + Sync,
) {
    let accept = || accept(listener, connections, &open);
    panics::supervise(connections.exchange(), accept).await;
}

async fn accept<L: Accept>(
    listener: &L,
    connections: &ConnLimit,
    open: &(impl Fn(L::Stream, ConnSlot) + Sync),
) {
    let mut backoff = AcceptBackoff::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = connections.stop().cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                backoff.reset();
                if let Some(slot) = connections.acquire() {
                    open(stream, slot);
                }
            }
            Err(error) if is_resource_error(&error) => {
                if connections.evict_idlest() {
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
