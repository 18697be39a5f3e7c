//! The way out to a KDC itself, over TCP or UDP (RFC 4120 7.2, RFC 3244 2).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::body::Sent;
use super::fault::{Fault, Unsent};
use super::link::Connection;
use crate::wire::{KerberosMessage, MAX_REPLY, Reply, Resend, Service, krb_error};

/// Name and connect together.
const CONNECT: Duration = Duration::from_secs(2);
/// A connection heard from within this time is alive.
const JUST_HEARD: Duration = Duration::from_secs(1);
/// Connections kept to one KDC that keeps them open; krb5kdc does not.
const MAX_IDLE: usize = 16;
/// Connections under way at once: krb5kdc's backlog holds a few, and a SYN that it drops costs a second.
const CONNECTING: usize = 5;
/// When an unanswered datagram is sent once more, and again after that. Only what is harmless is.
const RETRANSMITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// No datagram is larger.
const MAX_DATAGRAM: usize = 65_536;
/// What goes into one, headers left out.
const MAX_REQUEST_DATAGRAM: usize = 65_000;

/// Over which transport a KDC is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// TCP, and UDP where TCP is refused.
    #[default]
    TcpFirst,
    /// UDP, and TCP for what is too big for it.
    UdpFirst,
}

/// A KDC, or its password service: an address and the connections kept to it.
#[derive(Debug)]
pub struct Kdc {
    /// `host:port`.
    name: String,
    transport: Transport,
    connecting: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    heard: Instant,
}

impl Kdc {
    /// The KDC at `name`, which is `host:port`; nothing is connected yet.
    #[must_use]
    pub fn new(name: String, transport: Transport) -> Self {
        Self {
            name,
            transport,
            connecting: Semaphore::new(CONNECTING),
            idle: Mutex::default(),
        }
    }

    /// Its `host:port`, for the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends `message` and reads its reply; the time is the caller's, who drops the future when it is up.
    ///
    /// Only a harmless request is sent more than once, over UDP, as every client does.
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
        if self.transport == Transport::UdpFirst && fits {
            let reply = self.over_udp(message, sent).await?;
            // RFC 4120 7.2.1: the same again over TCP.
            if reply.error_code() != Some(krb_error::KRB_ERR_RESPONSE_TOO_BIG) {
                return Ok(reply);
            }
        }
        match self.stream(connection).await {
            Ok(stream) => self.over_tcp(stream, message, sent).await,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && fits => {
                self.over_udp(message, sent).await
            }
            Err(error) => Err(unsent(&error)),
        }
    }

    async fn over_tcp(
        &self,
        leased: Leased,
        message: &KerberosMessage,
        sent: &Sent,
    ) -> Result<Reply, Fault> {
        let Leased { mut stream, kept } = leased;
        leave(sent)?;
        let lost = |_| {
            if kept {
                Fault::Stale
            } else {
                Fault::Unanswered
            }
        };
        // In one write: some KDCs read the length and the message together or not at all.
        let framed = message.framed();
        stream.write_all(framed.as_bytes()).await.map_err(lost)?;
        let length = stream.read_u32().await.map_err(lost)?;
        let octets = read_message(&mut stream, length).await?;
        let reply = Reply::parse(message.service(), octets)
            .map_err(|_| Fault::NotKerberos("no Kerberos reply"))?;
        self.keep(stream)?;
        Ok(reply)
    }

    /// A connection that fits: a kept one if there is one, else a fresh one.
    async fn stream(&self, connection: Connection) -> io::Result<Leased> {
        if let Some(stream) = self.kept(connection) {
            return Ok(Leased { stream, kept: true });
        }
        let stream = timeout(CONNECT, self.connect()).await??;
        Ok(Leased {
            stream,
            kept: false,
        })
    }

    /// A kept connection that fits, if there is one; those that were closed are dropped on the way.
    fn kept(&self, connection: Connection) -> Option<TcpStream> {
        if connection == Connection::Fresh {
            return None;
        }
        let mut idle = self.idle();
        idle.retain(|idle| is_quiet(&idle.stream));
        let alive =
            |idle: &mut Idle| connection == Connection::Any || idle.heard.elapsed() <= JUST_HEARD;
        idle.pop_if(alive).map(|idle| idle.stream)
    }

    /// Keeps a connection on which nothing followed the reply.
    fn keep(&self, stream: TcpStream) -> Result<(), Fault> {
        let mut beyond = [0];
        match stream.try_read(&mut beyond) {
            Ok(0) => return Ok(()),
            Ok(_) => return Err(Fault::NotKerberos("octets after the reply")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Ok(()),
        }
        let mut idle = self.idle();
        if idle.len() >= MAX_IDLE {
            idle.remove(0);
        }
        idle.push(Idle {
            stream,
            heard: Instant::now(),
        });
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let _turn = self.connecting.acquire().await;
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in lookup_host(&self.name).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn over_udp(&self, message: &KerberosMessage, sent: &Sent) -> Result<Reply, Fault> {
        let socket = timeout(CONNECT, self.datagrams()).await;
        let socket = socket.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let socket = socket.map_err(|error| unsent(&error))?;
        leave(sent)?;
        let retransmits: &[Duration] = match message.resend() {
            Resend::Harmless => &RETRANSMITS,
            Resend::Once => &[],
        };
        let mut buffer = vec![0; MAX_DATAGRAM];
        for wait in retransmits {
            send(&socket, message).await?;
            let reply = receive(&socket, &mut buffer, message.service());
            if let Ok(reply) = timeout(*wait, reply).await {
                return reply;
            }
        }
        send(&socket, message).await?;
        receive(&socket, &mut buffer, message.service()).await
    }

    /// A socket that hears the KDC alone, and its ICMP errors.
    async fn datagrams(&self) -> io::Result<UdpSocket> {
        let mut addresses = lookup_host(&self.name).await?;
        let address = addresses.next().ok_or(io::ErrorKind::NotFound)?;
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        Ok(socket)
    }
}

/// A connection in use, and whether it stood before.
struct Leased {
    stream: TcpStream,
    kept: bool,
}

fn leave(sent: &Sent) -> Result<(), Fault> {
    sent.leave().map_err(|_| Fault::NotSent(Unsent::HandedBack))
}

async fn send(socket: &UdpSocket, message: &KerberosMessage) -> Result<(), Fault> {
    let sent = socket.send(message.bytes()).await;
    sent.map(|_| ()).map_err(|_| Fault::Unanswered)
}

/// The first datagram that is a reply; what is none may be anybody's.
async fn receive(socket: &UdpSocket, buffer: &mut [u8], service: Service) -> Result<Reply, Fault> {
    loop {
        let length = socket.recv(buffer).await.map_err(|_| Fault::Unanswered)?;
        let octets = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
        if let Ok(reply) = Reply::parse(service, octets) {
            return Ok(reply);
        }
    }
}

/// A message of `length` octets, which is refused before a single one is read if it is too long.
async fn read_message(stream: &mut TcpStream, length: u32) -> Result<Bytes, Fault> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_REPLY {
        return Err(Fault::NotKerberos("an oversized reply"));
    }
    let mut octets = BytesMut::new();
    let mut rest = stream.take(length as u64);
    while octets.len() < length {
        if rest
            .read_buf(&mut octets)
            .await
            .map_err(|_| Fault::Unanswered)?
            == 0
        {
            return Err(Fault::Unanswered);
        }
    }
    Ok(octets.freeze())
}

/// Whether an idle connection is open and says nothing: what is readable is its end, or what nobody asked for.
fn is_quiet(stream: &TcpStream) -> bool {
    stream
        .try_read(&mut [0])
        .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

fn unsent(error: &io::Error) -> Fault {
    Fault::NotSent(match error.kind() {
        io::ErrorKind::TimedOut => Unsent::ConnectTimeout,
        io::ErrorKind::NotFound => Unsent::Connect("the name has no address".to_owned()),
        _ => Unsent::Connect(error.to_string()),
    })
}
