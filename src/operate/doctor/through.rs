//! The whole way, as a client has it: a question to the daemon's own sockets.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::Terms;
use super::as_req::{self, Target};
use super::line::{Layer, Line};
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::wire::{KerberosMessage, MAX_REPLY, Realm, Reply, Service, krb_error};

/// As long as a client waits before it goes over to TCP.
const UDP_PATIENCE: Duration = Duration::from_secs(1);

/// A socket for a KDC that is asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) endpoint: Endpoint,
    /// Whether it is known to be the daemon's.
    pub(super) is_ours: bool,
}

/// What a client would have heard at one of the sockets.
#[derive(Debug)]
pub(super) struct Through {
    at: String,
    is_ours: bool,
    took: Duration,
    heard: Heard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Answer,
    /// That of a KDC which does not serve the realm.
    Elsewhere,
    /// What looks to a client like a KDC that cannot be reached, or says so.
    Verdict,
    Nothing,
    /// Octets that are no Kerberos.
    Stranger,
}

/// Asks at each of `sockets`, all at once: the daemon leads one exchange for them all.
pub(super) async fn ask(terms: Terms<'_>, sockets: &[Asked]) -> Vec<Through> {
    let Ok(message) = as_req::new(terms.realm, Target::Tgt) else {
        return Vec::new();
    };
    join_all(sockets.iter().map(|asked| one(terms, asked, &message))).await
}

async fn one(terms: Terms<'_>, asked: &Asked, message: &KerberosMessage) -> Through {
    let left = terms.ends().saturating_duration_since(Instant::now());
    let began = Instant::now();
    let reply = timeout(left, exchange(&asked.endpoint.addr, message)).await;
    let heard = match reply.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(reply) => match reply.error_code() {
            // IAKERB_KDC_NOT_FOUND and NO_RESPONSE: on-failure = "explain".
            Some(85 | 86) => Heard::Verdict,
            // S_PRINCIPAL_UNKNOWN, of krbtgt/REALM, and WRONG_REALM.
            Some(7 | 68) => Heard::Elsewhere,
            _ => Heard::Answer,
        },
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Heard::Nothing,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Heard::Stranger,
        Err(_) => Heard::Verdict,
    };
    Through {
        at: asked.endpoint.to_string(),
        is_ours: asked.is_ours,
        took: began.elapsed(),
        heard,
    }
}

impl Through {
    /// What it says of the daemon. If nothing `serves` the realm, that it says so is no fault of its own.
    pub(super) fn line(&self, serves: bool, realm: &Realm) -> Line {
        let Self { at, is_ours, .. } = self;
        let (who, why) = match is_ours {
            true => ("it", WHY),
            false => ("whoever it is", WHOSE),
        };
        let fault = |what: String, why| Line::fault(Layer::Daemon, what, why);
        let line = match self.heard {
            // What the upstreams' KDC says itself is told where it is asked.
            Heard::Elsewhere if serves => fault(
                format!(
                    "asked at {at}, {who} brings the answer of a KDC that does not serve realm {realm}"
                ),
                why,
            ),
            Heard::Answer | Heard::Elsewhere => Line::ok(
                Layer::Daemon,
                format!("asked at {at}, {who} brings the KDC's answer"),
            ),
            Heard::Verdict if serves => fault(
                format!("asked at {at}, {who} says that no KDC can be reached, and one can"),
                why,
            ),
            Heard::Verdict => Line::skipped(
                Layer::Daemon,
                format!("asked at {at}, {who} says that no KDC can be reached, and why is below"),
            ),
            Heard::Nothing => fault(format!("asked at {at}, {who} does not answer in time"), why),
            Heard::Stranger => fault(format!("what answers at {at} is no KDC"), WHOSE),
        };
        line.figure(self.took)
    }
}

/// It may go by what the configuration said before.
const WHY: &str = "have it read the configuration again: systemctl reload loopkdc; it knows what is wrong: loopkdc status";
const WHOSE: &str = "see whose the port is, as root: sudo loopkdc doctor";

async fn exchange(addr: &EndpointAddr, message: &KerberosMessage) -> io::Result<Reply> {
    let octets = match addr {
        EndpointAddr::Loopback(addr) => inet(addr.get(), message).await,
        EndpointAddr::Remote(addr) => inet(reachable(*addr), message).await,
        #[cfg(unix)]
        EndpointAddr::Unix(path) => {
            over_stream(tokio::net::UnixStream::connect(path).await?, message).await
        }
        #[cfg(not(unix))]
        EndpointAddr::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }?;
    let reply = Reply::parse(Service::Kdc, octets);
    reply.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Who listens at all addresses is asked at one.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match (addr.ip().is_unspecified(), addr) {
        (true, SocketAddr::V4(_)) => (Ipv4Addr::LOCALHOST, addr.port()).into(),
        (true, SocketAddr::V6(_)) => (Ipv6Addr::LOCALHOST, addr.port()).into(),
        (false, addr) => addr,
    }
}

/// As libkrb5 does: by UDP, and over TCP when that says so or says nothing.
async fn inet(addr: SocketAddr, message: &KerberosMessage) -> io::Result<Bytes> {
    match timeout(UDP_PATIENCE, over_udp(addr, message)).await {
        Ok(Ok(octets)) if !is_too_big(&octets) => Ok(octets),
        _ => over_stream(TcpStream::connect(addr).await?, message).await,
    }
}

fn is_too_big(octets: &Bytes) -> bool {
    let reply = Reply::parse(Service::Kdc, octets.clone());
    reply.is_ok_and(|reply| reply.error_code() == Some(krb_error::KRB_ERR_RESPONSE_TOO_BIG))
}

async fn over_udp(addr: SocketAddr, message: &KerberosMessage) -> io::Result<Bytes> {
    let any: SocketAddr = match addr {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(addr).await?;
    socket.send(message.bytes()).await?;
    let mut octets = vec![0; 65_536];
    let length = socket.recv(&mut octets).await?;
    octets.truncate(length);
    Ok(octets.into())
}

/// RFC 4120 7.2.2.
async fn over_stream(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    message: &KerberosMessage,
) -> io::Result<Bytes> {
    stream.write_all(message.framed().as_bytes()).await?;
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if length > MAX_REPLY {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut octets = vec![0; length];
    stream.read_exact(&mut octets).await?;
    Ok(octets.into())
}
