//! Asking at a listener of the daemon, over a stream, as Kerberos clients do.

use std::io::{self, ErrorKind};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::config::endpoint::EndpointAddr;
use crate::wire::{KerberosMessage, MAX_REPLY, Reply, Service};

/// IAKERB_KDC_NOT_FOUND and NO_RESPONSE: on-failure = "explain".
pub(super) fn is_unreachable(reply: &Reply) -> bool {
    matches!(reply.error_code(), Some(85 | 86))
}

/// What is answered there, which may be a verdict of ours.
///
/// # Errors
/// Nothing is, as by a daemon that reaches no KDC.
pub(super) async fn exchange(addr: &EndpointAddr, message: &KerberosMessage) -> io::Result<Reply> {
    match addr {
        EndpointAddr::Loopback(addr) => {
            over_stream(TcpStream::connect(addr.get()).await?, message).await
        }
        EndpointAddr::Remote(addr) => over_stream(TcpStream::connect(addr).await?, message).await,
        EndpointAddr::Unix(path) => over_stream(UnixStream::connect(path).await?, message).await,
    }
}

/// True if somebody takes connections there.
pub(super) async fn is_served(addr: &EndpointAddr) -> bool {
    match addr {
        EndpointAddr::Unix(path) => UnixStream::connect(path).await.is_ok(),
        EndpointAddr::Loopback(addr) => TcpStream::connect(addr.get()).await.is_ok(),
        EndpointAddr::Remote(addr) => TcpStream::connect(addr).await.is_ok(),
    }
}

/// RFC 4120 7.2.2.
async fn over_stream(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    message: &KerberosMessage,
) -> io::Result<Reply> {
    stream.write_all(message.framed().as_bytes()).await?;
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if length > MAX_REPLY {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut octets = vec![0; length];
    stream.read_exact(&mut octets).await?;
    Reply::parse(Service::Kdc, octets.into())
        .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}
