//! Stream sockets that listen, and the loop that accepts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use super::seats::{Connections, Seat};
use super::{Shortage, is_peers_doing, isolated, lacks_resources};

/// How long a connection that makes room takes to close.
const ROOM: Duration = Duration::from_millis(1);

/// A listening stream socket.
pub(super) trait Accept: Send + 'static {
    type Stream: Stream;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A connected stream socket.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
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
pub(super) async fn each<L: Accept + Sync>(
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
