//! What a balancer of layer 4 says before it hands on what its client sends: the PROXY protocol, versions 1 and 2.
//!
//! <https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>; the clauses below are its.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use proxy_header::Error::BufferTooShort;
use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt, Interest};
use tokio_util::either::Either;

use crate::daemon::accept::ClientStream;

/// Most octets of a header. Version 1 has 107 at most (2.1), and what version 2 carries besides addresses a few hundred, unless a
/// balancer puts its client's whole certificate there.
const MAX_HEADER: usize = 4096;
/// How a header begins: "PROXY", or the first octet of version 2's signature. TLS begins with 0x16, and requests for the health
/// are GET and HEAD.
const FIRST: [u8; 2] = [b'P', b'\r'];

/// Reads the header of a connection, and no octet behind it. Returns the client's address; none if the connection is the
/// balancer's own: LOCAL, UNKNOWN, or another protocol from the first octet on, as balancers look at a server's health.
///
/// # Errors
/// It is malformed, too long, or ends too soon.
pub(super) async fn read(stream: &mut ClientStream) -> Result<Option<SocketAddr>> {
    let mut octets = vec![0; MAX_HEADER];
    let mut read = 0;
    let none = ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    };
    loop {
        let (known, space) = octets.split_at_mut(read);
        let seen = peek(stream, space).await?;
        let is_other =
            known.is_empty() && !space.first().is_some_and(|first| FIRST.contains(first));
        if is_other {
            return Ok(None);
        }
        let parsed = ProxyHeader::parse(octets.get(..read + seen).unwrap_or_default(), none);
        let (client, length) = match parsed {
            Ok((header, length)) => (Some(client(&header)?), length),
            // All that is there is the header's, as it has no end yet.
            Err(BufferTooShort) if seen > 0 => (None, read + seen),
            Err(_) => return Err(malformed()),
        };
        let rest = octets.get_mut(read..length).unwrap_or_default();
        stream.read_exact(rest).await?;
        if let Some(client) = client {
            return Ok(client);
        }
        read = length;
    }
}

/// The octets that wait, which stay where they are.
async fn peek(stream: &ClientStream, space: &mut [u8]) -> Result<usize> {
    match stream {
        Either::Left(tcp) => tcp.peek(space).await,
        Either::Right(unix) => {
            let look = || Ok(recv(unix, &mut *space, RecvFlags::PEEK)?.0);
            unix.async_io(Interest::READABLE, look).await
        }
    }
}

/// The address of the client, if there is one (2.2: LOCAL, AF_UNSPEC and AF_UNIX have none).
fn client(header: &ProxyHeader<'_>) -> Result<Option<SocketAddr>> {
    let Some(addresses) = header.proxied_address() else {
        return Ok(None);
    };
    if addresses.protocol != Protocol::Stream {
        return Err(malformed());
    }
    let client = addresses.source;
    let address = client.ip().to_canonical();
    Ok(Some(SocketAddr::new(address, client.port())))
}

fn malformed() -> Error {
    Error::new(ErrorKind::InvalidData, "no PROXY header")
}
