//! The way out to a KDC itself, over TCP or UDP (RFC 4120 7.2, RFC 3244 2).

mod addresses;
mod datagrams;
mod dial;
mod idle;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::body::Sent;
use super::fault::{Fault, Unsent};
use super::link::Connection;
use crate::wire::{KerberosMessage, MAX_REPLY, Reply, Resend, krb_error};
use addresses::Addresses;
use idle::Idle;

/// Name and connect together, all addresses of the name included.
const CONNECT: Duration = Duration::from_secs(2);
/// Fresh connections at once that the KDC may not have accepted: krb5kdc's backlog holds a few, and a SYN that it
/// drops costs a second.
const CONNECTING: usize = 5;
/// A KDC that has not replied this long after the connect thinks, and has accepted the connection long ago.
const ACCEPTED: Duration = Duration::from_millis(20);
/// What goes into one datagram, headers left out.
const MAX_REQUEST_DATAGRAM: usize = 65_000;

/// Over which transport a KDC is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP, and UDP where TCP is refused.
    #[default]
    TcpFirst,
    /// UDP, and TCP for what is too big for it or where it is refused.
    UdpFirst,
}

/// A KDC, or its password service: an address and the connections kept to it.
#[derive(Debug)]
pub struct Kdc {
    transport: Transport,
    addresses: Addresses,
    connecting: Semaphore,
    idle: Idle,
}

/// A connection in use.
struct Leased<'a> {
    stream: TcpStream,
    /// A place among those that may not have been accepted; a connection that stood before has none.
    fresh: Option<SemaphorePermit<'a>>,
}

/// No connection was made.
struct NoStream {
    why: Unsent,
    /// Who said that nobody listens there.
    refused: Vec<SocketAddr>,
}

impl Kdc {
    /// The KDC at `name`, which is `host:port`; nothing is looked up or connected yet.
    #[must_use]
    pub fn new(name: String, transport: Transport) -> Self {
        Self {
            transport,
            addresses: Addresses::new(name),
            connecting: Semaphore::new(CONNECTING),
            idle: Idle::default(),
        }
    }

    /// Its `host:port`, for the log.
    #[must_use]
    pub fn name(&self) -> &str {
        self.addresses.name()
    }

    /// Sends `message` and reads its reply; the time is the caller's, who drops the future when it is up.
    ///
    /// Only a harmless request is sent more than once, over UDP, as every client does; any other is repeated only on the
    /// word of the one that had it, or of the one that did not take it.
    ///
    /// # Errors
    /// A [`Fault`] that says what the other side may have seen.
    pub async fn send(
        &self,
        message: &KerberosMessage,
        connection: Connection,
        sent: &Sent,
    ) -> Result<Reply, Fault> {
        let fits = message.bytes().len() <= MAX_REQUEST_DATAGRAM;
        match self.transport {
            Transport::UdpFirst if fits => self.udp_first(message, connection, sent).await,
            _ => self.tcp_first(message, connection, sent, fits).await,
        }
    }

    async fn tcp_first(
        &self,
        message: &KerberosMessage,
        connection: Connection,
        sent: &Sent,
        fits: bool,
    ) -> Result<Reply, Fault> {
        let refused = match self.stream(connection).await {
            Ok(leased) => return self.over_tcp(leased, message, sent).await,
            Err(NoStream { refused, .. }) if fits && !refused.is_empty() => refused,
            Err(NoStream { why, .. }) => return Err(Fault::NotSent(why)),
        };
        let (reply, _) = datagrams::ask(&refused, message, sent).await?;
        if is_too_big(&reply) {
            // There is no TCP to come back over, and it was seen.
            return Err(Fault::Unanswered);
        }
        Ok(reply)
    }

    async fn udp_first(
        &self,
        message: &KerberosMessage,
        connection: Connection,
        sent: &Sent,
    ) -> Result<Reply, Fault> {
        let addresses = timeout(CONNECT, self.addresses.get()).await;
        let addresses = addresses
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| Fault::NotSent(unsent(&error)))?;
        match datagrams::ask(&addresses, message, sent).await {
            Ok((reply, from)) if is_too_big(&reply) => self.again(from, message, sent).await,
            Ok((reply, from)) => {
                self.addresses.prefer(from);
                Ok(reply)
            }
            Err(Fault::NotSent(Unsent::Connect(_))) => {
                self.tcp_first(message, connection, sent, false).await
            }
            Err(fault) => Err(fault),
        }
    }

    /// The same again over TCP (RFC 4120 7.2.1), and to no other address than the one that asked for it: another may be
    /// another KDC. Whatever comes of it, the request was seen.
    async fn again(
        &self,
        from: SocketAddr,
        message: &KerberosMessage,
        sent: &Sent,
    ) -> Result<Reply, Fault> {
        let kept = match message.resend() {
            Resend::Harmless => self.idle.take(Connection::Any, Instant::now()),
            Resend::Once => None,
        };
        let leased = match kept {
            Some(stream) => Leased {
                stream,
                fresh: None,
            },
            None => {
                let (only, mut refused) = ([from], Vec::new());
                let fresh = timeout(CONNECT, self.fresh_to(&only, &mut refused)).await;
                match fresh {
                    Ok(Ok(leased)) => leased,
                    _ => return Err(Fault::Unanswered),
                }
            }
        };
        self.over_tcp(leased, message, sent).await
    }

    async fn over_tcp(
        &self,
        leased: Leased<'_>,
        message: &KerberosMessage,
        sent: &Sent,
    ) -> Result<Reply, Fault> {
        let Leased { mut stream, fresh } = leased;
        let kept = fresh.is_none();
        sent.leave()
            .map_err(|_| Fault::NotSent(Unsent::HandedBack))?;
        let answered = async {
            // In one write: some KDCs read the length and the message together or not at all.
            stream.write_all(message.framed().as_bytes()).await.ok()?;
            if fresh.is_some() {
                let _ = timeout(ACCEPTED, stream.readable()).await;
                drop(fresh);
            }
            stream.read_u8().await.ok()
        };
        let Some(first) = answered.await else {
            return Err(self.unheard(kept));
        };
        let octets = read_message(&mut stream, first).await?;
        let reply = Reply::parse(message.service(), octets)
            .map_err(|_| Fault::NotKerberos("no Kerberos reply"))?;
        self.idle.put(stream, kept, Instant::now())?;
        Ok(reply)
    }

    /// A connection ended before an octet of the answer.
    fn unheard(&self, kept: bool) -> Fault {
        if kept {
            self.idle.found_closed();
            return Fault::Stale;
        }
        Fault::Unanswered
    }

    /// A connection that fits: a kept one if there is one, else a fresh one.
    async fn stream(&self, connection: Connection) -> Result<Leased<'_>, NoStream> {
        if let Some(stream) = self.idle.take(connection, Instant::now()) {
            return Ok(Leased {
                stream,
                fresh: None,
            });
        }
        let mut refused = Vec::new();
        let fresh = timeout(CONNECT, self.fresh(&mut refused)).await;
        let error = match fresh {
            Ok(Ok(leased)) => return Ok(leased),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        self.addresses.doubt();
        Err(NoStream {
            why: unsent(&error),
            refused,
        })
    }

    async fn fresh(&self, refused: &mut Vec<SocketAddr>) -> io::Result<Leased<'_>> {
        let addresses = self.addresses.get().await?;
        self.fresh_to(&addresses, refused).await
    }

    async fn fresh_to(
        &self,
        addresses: &[SocketAddr],
        refused: &mut Vec<SocketAddr>,
    ) -> io::Result<Leased<'_>> {
        let turn = self.connecting.acquire().await.map_err(io::Error::other)?;
        let (stream, address) = dial::connect(addresses, refused).await?;
        self.addresses.prefer(address);
        // What is not even acknowledged shows a connection that only this end believes in.
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(CONNECT))?;
        stream.set_nodelay(true)?;
        Ok(Leased {
            stream,
            fresh: Some(turn),
        })
    }
}

/// The message whose length begins with `first`; it is refused before an octet of it is read if it is too long.
async fn read_message(stream: &mut TcpStream, first: u8) -> Result<Bytes, Fault> {
    let mut length = [first, 0, 0, 0];
    let [_, rest @ ..] = &mut length;
    stream
        .read_exact(rest)
        .await
        .map_err(|_| Fault::Unanswered)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_REPLY {
        return Err(Fault::NotKerberos("an oversized reply"));
    }
    let mut octets = BytesMut::new();
    let mut rest = stream.take(length as u64);
    while octets.len() < length {
        match rest.read_buf(&mut octets).await {
            Ok(0) | Err(_) => return Err(Fault::Unanswered),
            Ok(_) => {}
        }
    }
    Ok(octets.freeze())
}

fn is_too_big(reply: &Reply) -> bool {
    reply.error_code() == Some(krb_error::KRB_ERR_RESPONSE_TOO_BIG)
}

fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

fn unsent(error: &io::Error) -> Unsent {
    match error.kind() {
        io::ErrorKind::TimedOut => Unsent::ConnectTimeout,
        io::ErrorKind::NotFound => Unsent::Connect("the name has no address".to_owned()),
        _ => Unsent::Connect(error.to_string()),
    }
}
