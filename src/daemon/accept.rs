//! Stream sockets that listen, and the loop that accepts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use crate::daemon::isolated;
use crate::daemon::slots::{Connections, Seat};

/// How long a connection that makes room takes to close.
const ROOM: Duration = Duration::from_millis(1);

/// A listening stream socket.
pub(crate) trait Accept: Send + 'static {
    type Stream: Stream;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A connected stream socket.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    const TRANSPORT: &'static str;
    /// Who is at the other end, where that is an address.
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

#[cfg(unix)]
impl Accept for UnixListener {
    type Stream = UnixStream;
    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(UnixListener::accept(self).await?.0)
    }
}

#[cfg(unix)]
impl Stream for UnixStream {
    const TRANSPORT: &'static str = "unix";
    fn peer(&self) -> Option<SocketAddr> {
        None
    }
    fn reset_on_close(&self) {}
}

/// Accepts connections until the daemon stops, and has `open` serve each that finds a place.
pub(crate) async fn each<L: Accept + Sync>(
    listener: &L,
    connections: &Connections,
    open: impl Fn(L::Stream, Seat) + Sync,
) {
    let accept = || accept(listener, connections, &open);
    isolated::keep(connections.exchange(), accept).await;
}

async fn accept<L: Accept>(
    listener: &L,
    connections: &Connections,
    open: &(impl Fn(L::Stream, Seat) + Sync),
) {
    let mut shortage = Shortage::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = connections.stop().cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                shortage.over();
                if let Some(seat) = connections.take() {
                    open(stream, seat);
                }
            }
            Err(error) if lacks_resources(&error) => {
                if connections.make_room() {
                    tokio::time::sleep(ROOM).await;
                } else {
                    shortage.rest(&error).await;
                }
            }
            // Gone before it was accepted.
            Err(error) if is_peers_doing(&error) => {
                tracing::debug!(%error, "accepting a connection");
            }
            Err(error) => shortage.rest(&error).await,
        }
    }
}

/// Whether an error of accept or recv is the machine's lack of something, rather than a peer's doing.
pub(crate) fn lacks_resources(error: &std::io::Error) -> bool {
    // ENOMEM, ENFILE, EMFILE, ENOBUFS
    error.kind() == std::io::ErrorKind::OutOfMemory
        || matches!(error.raw_os_error(), Some(12 | 23 | 24 | 105))
}

/// Whether an error of accept or recv ends with the peer that caused it (accept(2), Error handling). After any other the
/// listener rests: one that lasts would otherwise be met again without a pause.
pub(crate) fn is_peers_doing(error: &std::io::Error) -> bool {
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

/// How long a listener that lacks resources waits before it tries again.
pub(crate) const REST: Duration = Duration::from_millis(100);

/// A lack of descriptors or memory, or another error that may last, told once however long it lasts.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    told: bool,
}

impl Shortage {
    /// Waits a moment for what `error` says is lacking.
    pub(crate) async fn rest(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(%error, "requests are kept waiting");
        }
        tokio::time::sleep(REST).await;
    }

    pub(crate) fn over(&mut self) {
        if std::mem::take(&mut self.told) {
            tracing::info!("requests are accepted again");
        }
    }
}
