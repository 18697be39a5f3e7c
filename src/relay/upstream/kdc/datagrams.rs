//! A request and its reply over UDP (RFC 4120 7.2.1).

use std::collections::VecDeque;
use std::io;
use std::net::{self, SocketAddr};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, recv};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::{KdcRequest, is_refusal};
use crate::relay::upstream::Outgoing;
use crate::relay::upstream::fault::{Fault, Unsent};
use crate::wire::{KerberosMessage, Reply, Resend, Service, krb_error};

/// How long after a datagram the next copy goes out. Only what is harmless is sent again.
const RETRANSMITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// No datagram is larger.
const MAX_DATAGRAM: usize = 65_536;
/// Requests at once that the KDC may not have read: what its socket has no room for is lost without a word, and costs a
/// second. Linux gives a socket room for some 50 datagrams of 2 KiB.
pub(super) const UNREAD: usize = 32;
/// How long a request waits at most until the KDC has read others, and counts as unread itself: a KDC that has not replied in
/// this time thinks, or has dropped it, and has read it long ago.
const READ_WAIT: Duration = Duration::from_millis(100);
/// The reply to one copy follows the "repeat" to another sooner than this, or was lost.
const AFTER_REPEAT: Duration = Duration::from_secs(1);

type Heard = (SocketAddr, io::Result<Reply>);

impl KdcRequest<'_> {
    /// Asks the addresses in turn and brings the first reply, and who gave it.
    ///
    /// # Errors
    /// `NotSent` if each address said of each datagram that nobody is there to take it (ICMP port unreachable, which is
    /// UDP's refused connect: a KDC that took one would not have caused it), or it could not even leave.
    pub(super) async fn over_udp(
        &self,
        addresses: &[SocketAddr],
    ) -> Result<(Reply, SocketAddr), Fault> {
        let (kdc, Outgoing { message, sent, .. }) = (self.kdc, self.outgoing);
        let turn = timeout(READ_WAIT, kdc.unread.acquire()).await;
        let mut turn = turn.ok().and_then(Result::ok);
        sent.mark_sent()
            .map_err(|_| Fault::NotSent(Unsent::HandedBack))?;
        let mut copies = Copies {
            message,
            addresses: addresses.iter().copied().collect(),
            under_way: FuturesUnordered::new(),
            may_have_arrived: 0,
            last: io::ErrorKind::NotFound.into(),
        };
        let is_harmless = message.resend() == Resend::Harmless;
        let mut pauses = RETRANSMITS.into_iter().filter(|_| is_harmless);
        let mut pause = pauses.next();
        let heard = loop {
            copies.send(turn.take())?;
            let limit = pause.unwrap_or(Duration::MAX);
            match timeout(limit, copies.hear()).await {
                Ok(Some(heard)) => break copies.unless_repeat(heard).await?,
                Ok(None) => {}
                Err(_) => pause = pauses.next(),
            }
        };
        kdc.has_udp.store(true, Ordering::Relaxed);
        Ok(heard)
    }
}

/// The copies of one request.
struct Copies<'a> {
    message: &'a KerberosMessage,
    /// Those that have not refused it, the next one first.
    addresses: VecDeque<SocketAddr>,
    under_way: FuturesUnordered<BoxFuture<'a, Heard>>,
    /// How many left and were not refused.
    may_have_arrived: usize,
    last: io::Error,
}

impl<'a> Copies<'a> {
    /// Sends one copy to the next address that a datagram can leave for; `turn` is given back once the KDC has read it.
    fn send(&mut self, mut turn: Option<SemaphorePermit<'a>>) -> Result<(), Fault> {
        while let Some(address) = self.addresses.pop_front() {
            match send(address, self.message) {
                Ok(socket) => {
                    let (service, turn) = (self.message.service(), turn.take());
                    self.under_way.push(Box::pin(async move {
                        let mut hearing = pin!(hear(&socket, service));
                        let heard = match timeout(READ_WAIT, &mut hearing).await {
                            Ok(heard) => heard,
                            Err(_) => {
                                drop(turn);
                                hearing.await
                            }
                        };
                        (address, heard)
                    }));
                    self.addresses.push_back(address);
                    self.may_have_arrived += 1;
                    return Ok(());
                }
                Err(error) => self.last = error,
            }
        }
        Err(match self.may_have_arrived {
            0 => Fault::NotSent((&self.last).into()),
            _ => Fault::Unanswered,
        })
    }

    /// The next reply, or nothing if the next copy is to be sent at once.
    async fn hear(&mut self) -> Option<(Reply, SocketAddr)> {
        let (address, heard) = self.under_way.next().await?;
        let error = match heard {
            Ok(reply) => return Some((reply, address)),
            Err(error) => error,
        };
        self.addresses.retain(|other| *other != address);
        if is_refusal(&error) {
            self.may_have_arrived -= 1;
        } else if self.message.resend() == Resend::Once {
            // What the error is about is not known: there is no other address for it.
            self.addresses.clear();
        }
        self.last = error;
        None
    }

    /// KRB_AP_ERR_REPEAT to a request that was sent more than once answers the copy, not the request.
    async fn unless_repeat(
        mut self,
        heard: (Reply, SocketAddr),
    ) -> Result<(Reply, SocketAddr), Fault> {
        let is_repeat = |reply: &Reply| reply.error_code() == Some(krb_error::KRB_AP_ERR_REPEAT);
        if self.may_have_arrived < 2 || !is_repeat(&heard.0) {
            return Ok(heard);
        }
        let other = async {
            loop {
                let (address, heard) = self.under_way.next().await?;
                if let Some(reply) = heard.ok().filter(|reply| !is_repeat(reply)) {
                    return Some((reply, address));
                }
            }
        };
        let other = timeout(AFTER_REPEAT, other).await;
        other.ok().flatten().ok_or(Fault::Repeat)
    }
}

/// A socket of its own for each copy: it hears that address alone, and its ICMP errors. The datagram leaves last, as what fails here
/// counts as not sent; and without a wait, as a new socket has room.
fn send(address: SocketAddr, message: &KerberosMessage) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    // The kernel chooses the port.
    socket.connect(&address.into())?;
    let socket = net::UdpSocket::from(socket);
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket)?;
    SockRef::from(&socket).send(message.bytes())?;
    Ok(socket)
}

/// The first datagram that is a reply; what is none may be anybody's.
async fn hear(socket: &UdpSocket, service: Service) -> io::Result<Reply> {
    // An ICMP error makes no socket readable: who waits for datagrams alone never hears of it.
    let either = Interest::READABLE | Interest::ERROR;
    loop {
        let octets = socket.async_io(either, || receive(socket)).await?;
        if let Ok(reply) = Reply::parse(service, octets) {
            return Ok(reply);
        }
    }
}

/// One datagram, or the error that is pending.
fn receive(socket: &UdpSocket) -> io::Result<Bytes> {
    // Many may be waited for at once: the buffer is needed for a moment only, and nobody has to clear it.
    let mut buffer = Vec::with_capacity(MAX_DATAGRAM);
    recv(socket, spare_capacity(&mut buffer), RecvFlags::empty())?;
    Ok(Bytes::copy_from_slice(&buffer))
}
