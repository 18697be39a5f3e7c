//! The way out to a KDC itself, over TCP or UDP (RFC 4120 7.2, RFC 3244 2).

mod datagrams;
mod dial;
mod idle;
mod permitted;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::addresses::Addresses;
use super::conn_pool::ConnReuse;
use super::fault::{Fault, Unsent};
use super::send_state::SendState;
use crate::wire::{KerberosMessage, Reply, Resend, Service, krb_error};
use idle::Idle;
use stream::Leased;

pub use permitted::Permitted;

/// Name and connect together, all addresses of the name included.
const CONNECT: Duration = Duration::from_secs(2);
/// Fresh connections at once that the KDC may not have accepted: krb5kdc's backlog holds a few, and a SYN that it
/// drops costs a second.
const CONNECTING: usize = 5;
/// How long a request waits for a place among those under way, and then for its turn to connect. By then another KDC
/// would have answered.
const TURN: Duration = Duration::from_secs(1);
/// All that comes before a request leaves, for a KDC that is not on every network: place, name, turn and connect.
pub const MOMENT: Duration = Duration::from_millis(300);

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

/// Whether a KDC is there wherever this machine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// It should be.
    #[default]
    Always,
    /// On some networks, and then near: it gets [`MOMENT`] until it has taken a connection, and is asked over TCP alone,
    /// for what is sent to nobody over UDP can't be sent elsewhere any more.
    OnSomeNetworks,
}

/// Where a KDC is and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// `host:port`.
    pub name: String,
    /// Over which transport.
    pub transport: Transport,
    /// How many requests may be under way to it at once.
    pub max_in_flight: usize,
    /// Which addresses its name may lead to.
    pub permitted: Permitted,
    /// Whether it may be out of reach, which is no fault then.
    pub reach: Reach,
}

/// A KDC, or its password service: an address and the connections kept to it.
#[derive(Debug)]
pub struct Kdc {
    transport: Transport,
    reach: Reach,
    addresses: Addresses,
    in_flight: Semaphore,
    connecting: Semaphore,
    unread: Semaphore,
    idle: Idle,
    /// Something was heard from it over UDP.
    has_udp: AtomicBool,
}

/// No connection was made.
struct NoStream {
    why: Unsent,
    /// Who said that nobody listens there.
    refused: Vec<SocketAddr>,
}

impl From<Unsent> for NoStream {
    fn from(why: Unsent) -> Self {
        let refused = Vec::new();
        Self { why, refused }
    }
}

impl Kdc {
    /// The KDC that `terms` speak of; nothing is looked up or connected yet.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        let places = terms.max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            transport: terms.transport,
            reach: terms.reach,
            addresses: Addresses::new(terms.name, terms.permitted, terms.reach),
            in_flight: Semaphore::new(places),
            connecting: Semaphore::new(CONNECTING),
            unread: Semaphore::new(datagrams::UNREAD),
            idle: Idle::default(),
            has_udp: AtomicBool::new(false),
        }
    }

    /// Its `host:port`, for the log.
    #[must_use]
    pub fn name(&self) -> &str {
        self.addresses.name()
    }

    /// Forgets the connections, and what its addresses were like: the network is another one. Requests under way go on.
    pub fn forget(&self) {
        self.idle.forget();
        self.addresses.forget();
        self.has_udp.store(false, Ordering::Relaxed);
    }

    /// Sends `message` and reads its reply; the time is the caller's, who drops the future when it is up.
    ///
    /// Only a harmless request is sent more than once, over UDP, as every client does; any other is repeated only on the
    /// word of the one that had it, or of the one that did not take it. `others` says that there is another to go on to.
    ///
    /// # Errors
    /// A [`Fault`] that says what the other side may have seen.
    pub async fn send(
        &self,
        message: &KerberosMessage,
        reuse: ConnReuse,
        sent: &SendState,
        others: bool,
    ) -> Result<Reply, Fault> {
        if self.reach == Reach::OnSomeNetworks {
            return self.if_there(message, reuse, sent).await;
        }
        let _place = turn(&self.in_flight).await.map_err(Fault::NotSent)?;
        match self.transport {
            Transport::TcpFirst => self.tcp_first(message, reuse, sent, others).await,
            Transport::UdpFirst => self.udp_first(message, reuse, sent).await,
        }
    }

    async fn if_there(
        &self,
        message: &KerberosMessage,
        reuse: ConnReuse,
        sent: &SendState,
    ) -> Result<Reply, Fault> {
        // The wait for a place or a turn does not count: any client can make it long.
        let _place = turn(&self.in_flight).await.map_err(Fault::NotSent)?;
        let stream = timeout(MOMENT, self.stream(reuse, sent)).await;
        let leased = match stream {
            Ok(leased) => leased.map_err(|none| none.why),
            Err(_) if self.connecting.available_permits() == 0 => Err(Unsent::Busy),
            Err(_) => {
                self.addresses.doubt();
                Err(Unsent::ConnectTimeout)
            }
        };
        let leased = leased.map_err(Fault::NotSent)?;
        stream::ask(leased, message, sent, &self.idle).await
    }

    async fn tcp_first(
        &self,
        message: &KerberosMessage,
        reuse: ConnReuse,
        sent: &SendState,
        others: bool,
    ) -> Result<Reply, Fault> {
        match self.stream(reuse, sent).await {
            Ok(leased) => stream::ask(leased, message, sent, &self.idle).await,
            Err(NoStream { refused, .. }) if self.may_have_udp(message, &refused, others) => {
                self.udp_instead(&refused, message, sent).await
            }
            Err(NoStream { why, .. }) => Err(Fault::NotSent(why)),
        }
    }

    /// Whether who refused TCP is to be asked over UDP. As long as nothing was heard over it, it is more likely that nobody
    /// is there and a firewall swallows what asks; and a request that must not be sent twice would have to stop at that,
    /// where after a refusal it can go on, here or from another gateway. Only to the last server of passwords it goes all the
    /// same: Heimdal's kpasswdd has no TCP, and no other request comes to its port that could have shown it.
    fn may_have_udp(
        &self,
        message: &KerberosMessage,
        refused: &[SocketAddr],
        others: bool,
    ) -> bool {
        let may_stop = match message.resend() {
            Resend::Harmless => true,
            Resend::Once => message.service() == Service::Kpasswd && !others,
        };
        !refused.is_empty() && (may_stop || self.has_udp.load(Ordering::Relaxed))
    }

    async fn udp_instead(
        &self,
        refused: &[SocketAddr],
        message: &KerberosMessage,
        sent: &SendState,
    ) -> Result<Reply, Fault> {
        let asked = self.over_udp(refused, message, sent);
        let (reply, _) = match self.has_udp.load(Ordering::Relaxed) {
            true => asked.await?,
            // It refused TCP at once: a guess gets the time of a connect, not all there is.
            false => timeout(CONNECT, asked)
                .await
                .unwrap_or(Err(Fault::Silent))?,
        };
        match is_too_big(&reply) {
            // There is no TCP to come back over, and it was seen.
            true => Err(Fault::ClosedWithoutReply),
            false => Ok(reply),
        }
    }

    async fn udp_first(
        &self,
        message: &KerberosMessage,
        reuse: ConnReuse,
        sent: &SendState,
    ) -> Result<Reply, Fault> {
        let addresses = self.look_up().await.map_err(Fault::NotSent)?;
        match self.over_udp(&addresses, message, sent).await {
            Ok((reply, from)) if is_too_big(&reply) => self.again(from, message, sent).await,
            Ok((reply, from)) => {
                self.addresses.prefer(from.ip());
                Ok(reply)
            }
            Err(Fault::NotSent(over_udp @ (Unsent::Connect(_) | Unsent::TooLong))) => {
                let leased = self.stream(reuse, sent).await;
                // Any client can send what is too long for a KDC without TCP: that TCP is refused is no news then.
                let leased = leased.map_err(|none| match over_udp {
                    Unsent::TooLong => Fault::NotSent(over_udp),
                    _ => Fault::NotSent(none.why),
                })?;
                stream::ask(leased, message, sent, &self.idle).await
            }
            Err(fault) => Err(fault),
        }
    }

    async fn over_udp(
        &self,
        addresses: &[SocketAddr],
        message: &KerberosMessage,
        sent: &SendState,
    ) -> Result<(Reply, SocketAddr), Fault> {
        let heard = datagrams::ask(addresses, message, sent, &self.unread).await?;
        self.has_udp.store(true, Ordering::Relaxed);
        Ok(heard)
    }

    /// The same again over TCP (RFC 4120 7.2.1), and to no other address than the one that asked for it: another may be
    /// another KDC. Whatever comes of it, the request was seen.
    async fn again(
        &self,
        from: SocketAddr,
        message: &KerberosMessage,
        sent: &SendState,
    ) -> Result<Reply, Fault> {
        let kept = match message.resend() {
            Resend::Harmless => self.idle.take(ConnReuse::Any, Instant::now()),
            Resend::Once => None,
        };
        let leased = match kept {
            Some(stream) => Leased::kept(stream),
            None => {
                let fresh = self.connect(&[from], CONNECT, &mut Vec::new()).await;
                // Any client can ask for a reply that is too long: it says nothing about the KDC.
                fresh.map_err(|_| Fault::ClosedWithoutReply)?
            }
        };
        stream::ask(leased, message, sent, &self.idle).await
    }

    /// A connection that fits: a kept one if there is one, else a fresh one.
    async fn stream(&self, reuse: ConnReuse, sent: &SendState) -> Result<Leased<'_>, NoStream> {
        if let Some(stream) = self.idle.take(reuse, Instant::now()) {
            sent.set_kept_connection();
            return Ok(Leased::kept(stream));
        }
        let began = Instant::now();
        let addresses = self.look_up().await?;
        let left = CONNECT.saturating_sub(began.elapsed());
        let mut refused = Vec::new();
        let fresh = self.connect(&addresses, left, &mut refused).await;
        fresh.map_err(|why| {
            if why != Unsent::Busy {
                self.addresses.doubt();
            }
            NoStream { why, refused }
        })
    }

    async fn look_up(&self) -> Result<Vec<SocketAddr>, Unsent> {
        let addresses = timeout(CONNECT, self.addresses.get()).await;
        addresses
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| Unsent::from(&error))
    }

    /// Connects `within` this time, in which the wait for the turn does not count: that others are before this one is no
    /// sign that the KDC is dead.
    async fn connect(
        &self,
        addresses: &[SocketAddr],
        within: Duration,
        refused: &mut Vec<SocketAddr>,
    ) -> Result<Leased<'_>, Unsent> {
        let turn = turn(&self.connecting).await?;
        let connected = timeout(within, dial::connect(addresses, self.reach, refused)).await;
        let (stream, address) = connected
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| Unsent::from(&error))?;
        self.addresses.prefer(address.ip());
        Ok(Leased::fresh(stream, turn))
    }
}

/// A place in `semaphore`, if one comes free in time.
async fn turn(semaphore: &Semaphore) -> Result<SemaphorePermit<'_>, Unsent> {
    match timeout(TURN, semaphore.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Unsent::Busy),
    }
}

fn is_too_big(reply: &Reply) -> bool {
    reply.error_code() == Some(krb_error::KRB_ERR_RESPONSE_TOO_BIG)
}

fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}
