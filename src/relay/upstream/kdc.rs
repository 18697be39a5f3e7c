//! The way out to a KDC itself, over TCP or UDP (RFC 4120 7.2, RFC 3244 2).

mod datagrams;
mod permitted;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::addresses::Addresses;
use super::conn_pool::ConnReuse;
use super::fault::{Fault, Unsent};
use super::{LONG_REPLIES, Outgoing};
use crate::relay::shares::Shares;
use crate::wire::{Reply, Resend, Service, krb_error};
use stream::{IdleConns, TcpConn};

pub use permitted::Permitted;

/// Name and connect together, all addresses of the name included.
const CONNECT: Duration = Duration::from_secs(2);
/// Fresh connections at once that the KDC may not have accepted: krb5kdc's backlog holds a few, and a SYN that it
/// drops costs a second.
const CONNECTING: usize = 5;
/// How long a request waits for a place among those under way, and then for a place among those that connect. By then another KDC
/// would have answered.
const PLACE_TIMEOUT: Duration = Duration::from_secs(1);
/// What a KDC gets that is not on every network, where it is near: for all that comes before a request leaves (place, name, turn
/// and connect), and then for the answer to a harmless one before another upstream is asked as well.
pub const LOCAL_KDC_TIMEOUT: Duration = Duration::from_millis(300);

const BUSY: Fault = Fault::NotSent(Unsent::Busy);

/// Over which transport a KDC is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub enum Transport {
    /// TCP, and UDP where TCP is refused.
    #[default]
    #[serde(rename = "tcp")]
    TcpFirst,
    /// UDP, and TCP for what is too big for it or where it is refused.
    #[serde(rename = "udp")]
    UdpFirst,
}

/// On which networks a KDC can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// On all: one that can't be reached is a fault.
    #[default]
    Always,
    /// On some networks, and then near: it gets [`LOCAL_KDC_TIMEOUT`] until it has taken a connection, and is asked over TCP alone,
    /// for what is sent to nobody over UDP can't be sent elsewhere any more.
    OnSomeNetworks,
}

impl Reach {
    /// A name server, or an address, that has not answered within this time is not waited for alone (RFC 8305 5).
    pub(super) fn patience(self) -> Duration {
        Duration::from_millis(match self {
            Self::Always => 250,
            Self::OnSomeNetworks => 100,
        })
    }
}

/// Where a KDC is and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KdcOptions {
    /// `host:port`.
    pub name: String,
    /// Over which transport.
    pub transport: Transport,
    /// How many requests may be under way to it at once; those that it has kept waiting for a second don't count while others ask.
    pub max_in_flight: usize,
    /// Which addresses its name may lead to.
    pub permitted: Permitted,
    /// Where it can be reached: out of reach it is no fault.
    pub reach: Reach,
}

/// A KDC, or its password service: an address and the connections kept to it.
#[derive(Debug)]
pub struct Kdc {
    transport: Transport,
    reach: Reach,
    addresses: Addresses,
    in_flight: Arc<Shares>,
    connecting: Semaphore,
    unread: Semaphore,
    long_replies: Semaphore,
    idle: IdleConns,
    /// Something was heard from it over UDP.
    has_udp: AtomicBool,
}

impl Kdc {
    /// The KDC that `options` speak of; nothing is looked up or connected yet.
    pub fn new(options: KdcOptions) -> Self {
        Self {
            transport: options.transport,
            reach: options.reach,
            addresses: Addresses::new(options.name, options.permitted, options.reach),
            in_flight: Shares::new(options.max_in_flight.max(1)),
            connecting: Semaphore::new(CONNECTING),
            unread: Semaphore::new(datagrams::UNREAD),
            long_replies: Semaphore::new(LONG_REPLIES),
            idle: IdleConns::default(),
            has_udp: AtomicBool::new(false),
        }
    }

    /// Its `host:port`, for the log.
    pub fn name(&self) -> &str {
        self.addresses.name()
    }

    /// Forgets the connections, and what its addresses were like: the network is another one. Requests under way go on.
    pub fn forget(&self) {
        self.idle.forget();
        self.addresses.forget();
        self.has_udp.store(false, Ordering::Relaxed);
    }

    /// Sends a request and reads its reply; the time is the caller's, who drops the future when it is up.
    ///
    /// Only a harmless request is sent more than once, over UDP, as every client does; any other is repeated only on the
    /// word of the one that had it, or of the one that did not take it.
    ///
    /// # Errors
    /// A [`Fault`] that says what the other side may have seen.
    pub async fn send(&self, outgoing: &Outgoing) -> Result<Reply, Fault> {
        // This wait does not count: any client can make it long.
        let turn = timeout(PLACE_TIMEOUT, self.in_flight.turn(outgoing.holder));
        let place = turn.await.map_err(|_| BUSY)?;
        let request = KdcRequest {
            kdc: self,
            outgoing,
        };
        let reply = pin!(async {
            match (self.reach, self.transport) {
                (Reach::OnSomeNetworks, _) => request.if_there().await,
                (Reach::Always, Transport::TcpFirst) => request.tcp_first().await,
                (Reach::Always, Transport::UdpFirst) => request.udp_first().await,
            }
        });
        // It drops what it can't read, without a word over UDP: that must not keep others from being asked.
        place.hold_for(reply, CancellationToken::new).await
    }

    async fn look_up(&self) -> Result<Vec<SocketAddr>, Fault> {
        in_time(CONNECT, self.addresses.get()).await
    }

    /// Connects `within` this time, in which the wait for the turn does not count: that others are before this one is no
    /// sign that the KDC is dead.
    async fn connect(
        &self,
        addresses: &[SocketAddr],
        within: Duration,
        refused: &mut Vec<SocketAddr>,
    ) -> Result<TcpConn<'_>, Fault> {
        let turn = match timeout(PLACE_TIMEOUT, self.connecting.acquire()).await {
            Ok(Ok(turn)) => Some(turn),
            _ => return Err(BUSY),
        };
        let connecting = stream::connect(addresses, self.reach, refused);
        let (stream, address) = in_time(within, connecting).await?;
        self.addresses.prefer(address.ip());
        Ok(TcpConn { stream, turn })
    }
}

/// One copy of a request on its way to one KDC.
struct KdcRequest<'a> {
    kdc: &'a Kdc,
    outgoing: &'a Outgoing,
}

impl<'a> KdcRequest<'a> {
    async fn if_there(&self) -> Result<Reply, Fault> {
        let conn = timeout(LOCAL_KDC_TIMEOUT, self.connection(&mut Vec::new())).await;
        let conn = conn.unwrap_or_else(|_| {
            // Nor does the wait for a turn count.
            if self.kdc.connecting.available_permits() == 0 {
                return Err(BUSY);
            }
            self.kdc.addresses.doubt();
            Err(Fault::NotSent(Unsent::ConnectTimeout))
        })?;
        self.over_tcp(conn).await
    }

    async fn tcp_first(&self) -> Result<Reply, Fault> {
        let mut refused = Vec::new();
        match self.connection(&mut refused).await {
            Ok(conn) => self.over_tcp(conn).await,
            Err(_) if self.may_have_udp(&refused) => self.udp_instead(&refused).await,
            Err(fault) => Err(fault),
        }
    }

    /// A KDC that refused TCP may be asked over UDP. As long as nothing was heard over it, it is more likely that nobody
    /// is there and a firewall swallows what asks; and a request that must not be sent twice would have to stop at that,
    /// where after a refusal it can go on, here or from another gateway. Only to the last server of passwords it goes all the
    /// same: Heimdal's kpasswdd has no TCP, and no other request comes to its port that could have shown it.
    fn may_have_udp(&self, refused: &[SocketAddr]) -> bool {
        let Outgoing {
            message, others, ..
        } = self.outgoing;
        let may_stop = match message.resend() {
            Resend::Harmless => true,
            Resend::Once => message.service() == Service::Kpasswd && !others,
        };
        !refused.is_empty() && (may_stop || self.kdc.has_udp.load(Ordering::Relaxed))
    }

    async fn udp_instead(&self, refused: &[SocketAddr]) -> Result<Reply, Fault> {
        // It refused TCP at once: a guess gets the time of a connect, not all there is.
        let limit = if self.kdc.has_udp.load(Ordering::Relaxed) {
            Duration::MAX
        } else {
            CONNECT
        };
        let asked = timeout(limit, self.over_udp(refused)).await;
        let (reply, _) = asked.unwrap_or(Err(Fault::Silent))?;
        if is_too_big(&reply) {
            // There is no TCP to come back over, and it was seen.
            return Err(Fault::ClosedWithoutReply);
        }
        Ok(reply)
    }

    async fn udp_first(&self) -> Result<Reply, Fault> {
        let addresses = self.kdc.look_up().await?;
        match self.over_udp(&addresses).await {
            Ok((reply, from)) if is_too_big(&reply) => self.again(from).await,
            Ok((reply, from)) => {
                self.kdc.addresses.prefer(from.ip());
                Ok(reply)
            }
            Err(Fault::NotSent(over_udp @ (Unsent::Connect(_) | Unsent::TooLong))) => {
                match self.connection(&mut Vec::new()).await {
                    Ok(conn) => self.over_tcp(conn).await,
                    // Any client can send what is too long for a KDC without TCP: that TCP is refused is no news then.
                    Err(_) if over_udp == Unsent::TooLong => Err(Fault::NotSent(over_udp)),
                    Err(fault) => Err(fault),
                }
            }
            Err(fault) => Err(fault),
        }
    }

    /// The same again over TCP (RFC 4120 7.2.1), and to no other address than the one that asked for it: another may be
    /// another KDC. Whatever comes of it, the request was seen.
    async fn again(&self, from: SocketAddr) -> Result<Reply, Fault> {
        let kept = match self.outgoing.message.resend() {
            Resend::Harmless => self.kdc.idle.take(ConnReuse::Any, Instant::now()),
            Resend::Once => None,
        };
        let conn = match kept {
            Some(stream) => TcpConn { stream, turn: None },
            None => {
                let (from, mut refused) = ([from], Vec::new());
                let fresh = self.kdc.connect(&from, CONNECT, &mut refused).await;
                // Any client can ask for a reply that is too long: it says nothing about the KDC.
                fresh.map_err(|_| Fault::ClosedWithoutReply)?
            }
        };
        self.over_tcp(conn).await
    }

    /// A connection that fits: a kept one if there is one, else a fresh one. Adds to `refused` who said that nobody listens
    /// there.
    async fn connection(&self, refused: &mut Vec<SocketAddr>) -> Result<TcpConn<'a>, Fault> {
        let Outgoing { reuse, sent, .. } = self.outgoing;
        if let Some(stream) = self.kdc.idle.take(*reuse, Instant::now()) {
            sent.set_kept_connection();
            return Ok(TcpConn { stream, turn: None });
        }
        let began = Instant::now();
        let addresses = self.kdc.look_up().await?;
        let left = CONNECT.saturating_sub(began.elapsed());
        let fresh = self.kdc.connect(&addresses, left, refused).await;
        if fresh.as_ref().is_err_and(|fault| *fault != BUSY) {
            self.kdc.addresses.doubt();
        }
        fresh
    }
}

/// What a look-up or a connect brings within this time.
async fn in_time<T>(
    limit: Duration,
    connecting: impl Future<Output = io::Result<T>>,
) -> Result<T, Fault> {
    let end = timeout(limit, connecting).await;
    let end = end.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    end.map_err(|error| Fault::NotSent(Unsent::from(&error)))
}

fn is_too_big(reply: &Reply) -> bool {
    reply.error_code() == Some(krb_error::KRB_ERR_RESPONSE_TOO_BIG)
}

fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}
