//! The HTTPS way in: a POST of a KDC-PROXY-MESSAGE, and the answer to it ([MS-KKDCP] 2.1, 3.2.5.1).
//!
//! HTTP/2 where ALPN (RFC 7301) chose it, else HTTP/1.1 or 1.0: what a client sends first is never looked at to tell. It
//! chooses HTTP/2 as long as few speak it. Plain HTTP, for a reverse proxy on the same machine, is HTTP/1 only.
//!
//! | where | what happens to a request there |
//! |---|---|
//! | here | a connection is accepted, if its client can pay for it; where a balancer of layer 4 says who that is, if it is trusted |
//! | `proxy_protocol` | what the balancer says, before anything else |
//! | `connection`, `client_hello` | TLS, and the version of HTTP; `conn_timer` says when it is closed |
//! | `http1` | the head is looked at, and hyper gets this request alone |
//! | `handler` | who asks (`forwarded`, `authorization`), for what, may they, and is it their turn |
//! | `bodies` | the body is read, within what all of them may hold |
//! | `kdc_proxy`, `login` | the message is parsed and relayed, with what its client has at stake |
//! | `responses`, `untaken` | the reply or a refusal, accounted for until it is taken |

mod authorization;
mod bodies;
mod client_hello;
mod conn_timer;
mod connection;
mod forwarded;
mod handler;
mod http1;
mod kdc_proxy;
mod login;
mod proxy_protocol;
mod responses;
mod untaken;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::connection::HttpConnection;
pub(super) use self::responses::ErrorResponse;
use crate::config::gateway::TrustedProxies;
use crate::daemon::accept::{self, ClientStream, accept_each};
use crate::daemon::bind::StreamSocket;
use crate::daemon::slots::ConnLimit;
use crate::daemon::tasks::Tasks;
use crate::gateway::access::Access;
use crate::gateway::observers::Observers;
use crate::gateway::policy::CurrentPolicies;
use crate::gateway::probe::Probe;
use crate::gateway::throttle::{Client, Throttle};
use crate::gateway::tls::Certificates;
use crate::gateway::unknown_principals::UnknownPrincipals;
use crate::relay::exchange::Exchange;
use crate::relay::shares::{Holder, Shares};

/// A socket and what is spoken there: TLS with these certificates, or plain HTTP without.
#[derive(Debug)]
pub struct HttpListener {
    /// The socket.
    pub socket: StreamSocket,
    /// The certificates.
    pub tls: Option<Certificates>,
    /// Balancers of layer 4 connect here, and each connection begins with a PROXY header.
    pub proxy_protocol: bool,
}

/// The bounds of what clients may hold, over all listeners.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Connections open at once. What they send is read as it comes, and bounded by `waiting` all together.
    pub max_connections: usize,
    /// How many of them speak HTTP/2: the next ones are not offered it, unless they are trusted proxies that can do nothing else.
    pub max_http2: usize,
    /// From accept to the end of the first request's headers, TLS included.
    pub first_request: Duration,
    /// From the end of a request's headers to the end of its body.
    pub body: Duration,
    /// Octets of requests, from their arrival to their answer, over all connections: there may be many streams in each, and
    /// a client that resets one may begin another, while what it asked is still under way.
    pub waiting: usize,
    /// Octets of answers that clients have not taken, over all connections, except the first short one of each.
    pub answers: usize,
    /// From an answer to the end of the next request's headers, the time to take the answer included; and, where it is less than half a
    /// minute, from any answer until it is taken, whatever else is asked meanwhile.
    pub idle_timeout: Duration,
}

impl HttpLimits {
    /// Ten seconds are four retransmits of a lost packet, and more than any client waits for its answer; kept connections
    /// cost a slot each, which they lose to others where there is none left. 16 MiB are 8,000 requests as they usually are. An
    /// HTTP/2 connection holds 31 KiB while nothing is asked, HTTP/1.1 12 KiB: a gateway with many clients gets few requests
    /// from each, for which HTTP/1.1 does as well.
    #[must_use]
    pub fn new(max_connections: usize, idle_timeout: Duration) -> Self {
        Self {
            max_connections,
            max_http2: 128,
            first_request: Duration::from_secs(10),
            body: Duration::from_secs(10),
            waiting: 16 * 1024 * 1024,
            answers: 16 * 1024 * 1024,
            idle_timeout,
        }
    }
}

/// What a gateway serves, and within which limits.
pub struct ServeOptions {
    /// The path of the KDC proxy; letter case and a slash at its end make no difference.
    pub path: String,
    /// Only valid messages are relayed.
    pub is_strict: bool,
    /// The bounds of what clients may hold.
    pub limits: HttpLimits,
    /// What observes each request.
    pub observers: Observers,
    /// The bounds of what each client may ask for.
    pub throttle: Throttle,
    /// The reverse proxies that are believed.
    pub trusted: TrustedProxies,
    /// Who is let in.
    pub access: Access,
    /// What may be asked of which realm.
    pub policies: CurrentPolicies,
    /// What a load balancer that asks for the health has asked of KDCs.
    pub probe: Arc<Probe>,
}

/// What all connections of a gateway share.
struct GatewayState {
    options: ServeOptions,
    exchange: Arc<Exchange>,
    unknown: UnknownPrincipals,
    /// Octets of requests, from their arrival until nobody needs them any more.
    requests: Arc<Shares>,
    /// Octets of responses, until they are taken.
    responses: Arc<Shares>,
    /// Connections that speak HTTP/2.
    http2: Arc<Shares>,
    tasks: Tasks,
}

impl GatewayState {
    /// The client that a connection over TLS from `peer` counts for; none if that is a trusted proxy.
    fn payer(&self, peer: Option<SocketAddr>) -> Option<Client> {
        let payer = peer.filter(|_| !self.options.trusted.believes(peer))?;
        Some(Client {
            address: Some(payer.ip()),
            name: None,
        })
    }

    /// Whose share a connection from `peer` takes. A trusted proxy has many clients.
    fn holder(&self, peer: Option<SocketAddr>) -> Holder {
        match peer {
            Some(peer) if self.options.trusted.believes(Some(peer)) => Holder::Connection(peer),
            Some(peer) => Holder::Address(peer.ip()),
            None => Holder::Unknown,
        }
    }

    /// Admits a connection of a balancer's, if that is trusted.
    fn trusts(&self, peer: Option<SocketAddr>) -> bool {
        let is_trusted = self.options.trusted.believes(peer);
        if !is_trusted {
            self.exchange.counters().refused.add();
        }
        is_trusted
    }

    /// How long a connection over TLS that was admitted just now is to wait for its turn.
    fn wait(&self, peer: Option<SocketAddr>) -> Duration {
        let wait = |payer: Client| self.options.throttle.wait(&payer, Instant::now());
        self.payer(peer).map_or(Duration::ZERO, wait)
    }

    /// The handshake of a connection that was admitted will never be done.
    fn charge_for_no_handshake(&self, peer: Option<SocketAddr>) {
        if let Some(payer) = self.payer(peer) {
            let throttle = &self.options.throttle;
            throttle.charge_for_no_handshake(&payer, Instant::now());
        }
    }

    /// Admits a connection over TLS, if who pays for it can.
    fn admits(&self, peer: Option<SocketAddr>) -> bool {
        let throttle = &self.options.throttle;
        let admit = |payer: Client| throttle.admit(&payer, false, Instant::now()).is_ok();
        let is_admitted = self.payer(peer).is_none_or(admit);
        if !is_admitted {
            self.exchange.counters().throttled.add();
        }
        is_admitted
    }
}

/// Serves KDC-PROXY-MESSAGEs at all `listeners`, in `tasks`, until they stop; what is under way then is still answered, and who
/// connects before that has ended.
/// Must be called inside a runtime. Returns the connections of their clients.
pub fn serve(
    listeners: Vec<HttpListener>,
    options: ServeOptions,
    exchange: &Arc<Exchange>,
    tasks: &Tasks,
) -> ConnLimit {
    let connections = ConnLimit::new(options.limits.max_connections, exchange, tasks).serving_on();
    let state = Arc::new(GatewayState {
        requests: Shares::new(options.limits.waiting),
        responses: Shares::new(options.limits.answers),
        http2: Shares::new(options.limits.max_http2),
        options,
        exchange: Arc::clone(exchange),
        unknown: UnknownPrincipals::default(),
        tasks: tasks.clone(),
    });
    for listener in listeners {
        tasks
            .late
            .spawn(listen(listener, Arc::clone(&state), connections.clone()));
    }
    connections
}

async fn listen(listener: HttpListener, state: Arc<GatewayState>, connections: ConnLimit) {
    let HttpListener {
        socket,
        tls,
        proxy_protocol,
    } = listener;
    let serve = |stream, slot| {
        let wait = state.wait(accept::peer(&stream));
        let connection = HttpConnection::new(Arc::clone(&state), slot, tls.clone());
        connection.serve(stream, proxy_protocol, wait)
    };
    let admit = |stream: &ClientStream| {
        let peer = accept::peer(stream);
        let is_admitted = if proxy_protocol {
            state.trusts(peer)
        } else {
            tls.is_none() || state.admits(peer)
        };
        is_admitted.then(|| state.holder(peer))
    };
    accept_each(&socket, &connections, admit, serve).await;
}
