//! Asking at a listener of the daemon, over a stream, as Kerberos clients do.

use std::io::{self, ErrorKind};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;

use crate::config::endpoint::EndpointAddr;
use crate::wire::{KerberosMessage, MAX_REPLY, Reply, Service};

/// A connection to whoever takes connections there.
///
/// # Errors
/// Nobody does, or not from this user.
pub(super) async fn connect(addr: &EndpointAddr) -> io::Result<Either<TcpStream, UnixStream>> {
    match addr {
        EndpointAddr::Loopback(addr) => TcpStream::connect(addr.get()).await.map(Either::Left),
        EndpointAddr::Remote(addr) => TcpStream::connect(addr).await.map(Either::Left),
        EndpointAddr::Unix(path) => UnixStream::connect(path).await.map(Either::Right),
    }
}

/// What is answered there, which may be a verdict of ours ([`Reply::is_of_loopkdc`]).
///
/// # Errors
/// Nothing is, as by a daemon that reaches no KDC.
pub(super) async fn exchange(addr: &EndpointAddr, message: &KerberosMessage) -> io::Result<Reply> {
    let mut stream = connect(addr).await?;
    // RFC 4120 7.2.2.
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
