//! The connections kept to one KDC proxy.
//!
//! reqwest can neither tell the age of its idle connections nor say which one a request will take. So each
//! [`Connection`] is a client of its own that holds one connection, all with one TLS configuration (roots, tickets), and
//! what may go over which is decided here. A client whose connection was seen to close connects anew by itself: that is
//! a fresh connection, and the counter in its connector tells.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{CONNECTION, HeaderMap, TRANSFER_ENCODING};
use reqwest::{Client, Proxy, Response, Version, redirect, retry};
use rustls::ClientConfig;
use tower::util::MapRequestLayer;

use super::addresses::{Addresses, Names};
use super::fault::{ConnectError, Fault, Unsent};
use super::proxy_options::{ForwardProxy, HttpVersion};
use super::{KEEP_ALIVE, OUR_KEEP_ALIVE, OUR_USER_AGENT, TCP_TELLS_OF_SILENCE};

use crate::relay::sync::lock;
use crate::wire::Resend;

/// Name, connect and TLS together.
const CONNECT: Duration = Duration::from_secs(3);
/// A connection heard from within this time is alive.
const JUST_HEARD: Duration = Duration::from_secs(1);
/// Idle HTTP/1.1 connections kept to one proxy: more than a burst of one laptop needs.
const MAX_IDLE: usize = 64;
/// Headers that an answer may have.
const MAX_HEADERS: usize = 1000;
/// A request under way asks a silent HTTP/2 connection for a sign of life this often, and waits this long for it.
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_ANSWERED: Duration = Duration::from_secs(1);
/// Octets that nobody has acknowledged by then went to nobody: HTTP/1.1's only sign of life. Linux counts from when it repeats them for
/// the first time, so that it is two seconds in all.
#[cfg(target_os = "linux")]
const ACKNOWLEDGED: Duration = Duration::from_millis(1750);

/// Which kept connections a request may reuse; without one, a new one is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnReuse {
    /// Any whose end is told: a request that may be sent again loses nothing if it turns out to be closed.
    Any,
    /// One that is surely alive: for a request that may not be sent again.
    KnownAlive,
    /// None.
    Never,
}

/// The connections kept to one proxy.
#[derive(Debug)]
pub(super) struct ConnPool {
    tls: ClientConfig,
    pub(super) names: Arc<Names>,
    pub(super) forward_proxy: ForwardProxy,
    /// Answers come with the certificate of who gave them.
    tells_certificates: bool,
    /// The proxy has said that it wants no HTTP/2.
    wants_http1: AtomicBool,
    kept: Mutex<Arc<Mutex<KeptConns>>>,
}

#[derive(Debug, Default)]
struct KeptConns {
    /// HTTP/1.1: one request at a time; the one heard last stands last.
    idle: Vec<Arc<Connection>>,
    /// HTTP/2: all requests at once.
    shared: Option<Arc<Connection>>,
    timeout: IdleTimeout,
    /// One was found closed.
    closed_unsaid: bool,
}

#[derive(Debug)]
struct Connection {
    client: Client,
    /// How often it has connected.
    connects: Arc<AtomicU32>,
    last_heard: Mutex<Instant>,
}

/// How long the server leaves idle connections open, as far as it has said or shown.
#[derive(Debug, Default)]
struct IdleTimeout {
    advertised: Option<Duration>,
    /// The longest that a connection has been seen to outlast.
    outlasted: Duration,
    /// The shortest that one has not: something on the way may close sooner than the server says.
    closed: Option<Duration>,
    /// A request that may not be sent again was lost over one that was just heard.
    closes_at_once: bool,
}

impl IdleTimeout {
    /// Well less than what the server grants: a request on its way when the time is up would be lost. One that was just heard is
    /// alive. Neither holds where a server closes some milliseconds after each answer, as when it does is chance.
    fn known_alive(&self, idle: Duration) -> bool {
        let shown = self.advertised.unwrap_or(self.outlasted);
        let granted = self.closed.map_or(shown, |closed| closed.min(shown));
        !self.closes_at_once && (idle <= JUST_HEARD || idle < granted / 2)
    }

    fn outlasted(&mut self, idle: Duration) {
        self.outlasted = self.outlasted.max(idle);
        self.closed = self.closed.filter(|closed| *closed > idle);
        self.closes_at_once &= idle <= JUST_HEARD;
    }

    fn found_closed(&mut self, idle: Duration, lost: Resend) {
        self.closes_at_once |= lost == Resend::Once && idle <= JUST_HEARD;
        self.outlasted = self.outlasted.min(idle);
        self.closed = Some(self.closed.map_or(idle, |closed| closed.min(idle)));
    }
}

impl ConnPool {
    pub(super) fn new(
        tls: ClientConfig,
        forward_proxy: ForwardProxy,
        names: Names,
        tells_certificates: bool,
    ) -> Self {
        Self {
            tls,
            names: Arc::new(names),
            forward_proxy,
            tells_certificates,
            wants_http1: AtomicBool::new(false),
            kept: Mutex::default(),
        }
    }

    /// The proxy has closed a kept connection, and did not say so.
    pub(super) fn has_closed_unsaid(&self) -> bool {
        lock(&lock(&self.kept)).closed_unsaid
    }

    /// From now on the proxy is spoken to in HTTP/1.1, on whatever network: that is how it is set up.
    pub(super) fn set_wants_http1(&self) {
        self.wants_http1.store(true, Ordering::Relaxed);
        lock(&lock(&self.kept)).shared = None;
    }

    /// Closes all kept connections, those in use with their requests, and forgets how long such connections last here.
    pub(super) fn forget(&self) {
        self.names.each(Addresses::forget);
        // Those in use are given back to the others of before.
        *lock(&self.kept) = Arc::default();
    }

    /// A connection for one request; an HTTP/1.1 one is the holder's alone.
    pub(super) fn checkout(&self, reuse: ConnReuse, now: Instant) -> Result<PooledConn, Fault> {
        let pool = Arc::clone(&lock(&self.kept));
        let kept = lock(&pool).take(reuse, now);
        let conn = match kept {
            Some(conn) => conn,
            None => Arc::new(self.connection(now)?),
        };
        Ok(PooledConn {
            connects_before: conn.connects.load(Ordering::Acquire),
            idle: conn.idle(now),
            pool,
            conn,
            silent_since: now,
            http2: false,
            given_back: false,
        })
    }

    /// One that has not connected yet.
    fn connection(&self, now: Instant) -> Result<Connection, Fault> {
        let connects = Arc::new(AtomicU32::new(0));
        let client = self.client(Arc::clone(&connects)).map_err(|error| {
            Fault::NotSent(Unsent::Connect(ConnectError::Other(
                error.to_string().into(),
            )))
        })?;
        Ok(Connection {
            client,
            connects,
            last_heard: Mutex::new(now),
        })
    }

    fn client(&self, connects: Arc<AtomicU32>) -> reqwest::Result<Client> {
        let mut tls = self.tls.clone();
        if self.wants_http1.load(Ordering::Relaxed) {
            tls.alpn_protocols = HttpVersion::Http1.alpn();
        }
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::clone(&self.names))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .user_agent(OUR_USER_AGENT)
            .connect_timeout(CONNECT)
            .tls_info(self.tells_certificates)
            // What stands before a proxy may add its own, and fold them (RFC 9112 5.2).
            .http1_max_headers(MAX_HEADERS)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(None)
            // Probes on idle connections would wake the radio; what may go over them is decided by their age.
            .tcp_keepalive(None)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_ANSWERED)
            .http2_keep_alive_while_idle(false)
            .connector_layer(MapRequestLayer::new(move |target| {
                connects.fetch_add(1, Ordering::AcqRel);
                target
            }));
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(ACKNOWLEDGED);
        // What the environment says counts only where it is asked for.
        let builder = match &self.forward_proxy {
            ForwardProxy::None => builder.no_proxy(),
            ForwardProxy::Environment => builder,
            ForwardProxy::Url(proxy) => builder.no_proxy().proxy(Proxy::all(proxy.url().clone())?),
        };
        builder.build()
    }
}

impl KeptConns {
    fn take(&mut self, reuse: ConnReuse, now: Instant) -> Option<Arc<Connection>> {
        let fits = |conn: &Arc<Connection>, tells_of_silence| match reuse {
            ConnReuse::Any if tells_of_silence => true,
            ConnReuse::Any | ConnReuse::KnownAlive => self.timeout.known_alive(conn.idle(now)),
            ConnReuse::Never => false,
        };
        // HTTP/2 has pings.
        let shared = self.shared.as_ref().filter(|conn| fits(conn, true));
        if shared.is_some() {
            return shared.cloned();
        }
        self.idle.pop_if(|conn| fits(conn, TCP_TELLS_OF_SILENCE))
    }

    fn put(&mut self, conn: Arc<Connection>) {
        if self.idle.len() >= MAX_IDLE {
            self.idle.remove(0);
        }
        self.idle.push(conn);
    }
}

impl Connection {
    fn last_heard(&self) -> Instant {
        *lock(&self.last_heard)
    }

    fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_heard())
    }
}

/// A connection in use. Dropped without [`PooledConn::give_back`], it is closed; a shared one is no longer offered, unless
/// others were answered over it meanwhile: a KDC that drops one request must not cost them all a handshake.
#[derive(Debug)]
pub(super) struct PooledConn {
    pool: Arc<Mutex<KeptConns>>,
    conn: Arc<Connection>,
    connects_before: u32,
    idle: Duration,
    /// When it was taken, or an answer's head came last.
    silent_since: Instant,
    http2: bool,
    given_back: bool,
}

impl PooledConn {
    pub(super) fn client(&self) -> &Client {
        &self.conn.client
    }

    /// It has been used before, and may have been closed since.
    pub(super) fn is_kept(&self) -> bool {
        self.connects_before > 0
    }

    /// The request went over a connection that stood before it.
    pub(super) fn was_reused(&self) -> bool {
        self.is_kept() && self.conn.connects.load(Ordering::Acquire) == self.connects_before
    }

    /// The reused connection had been closed: such a time of idleness is more than the server grants, and those that
    /// have been idle for longer would only cost a request each to find out.
    pub(super) fn found_closed(&self, lost: Resend) {
        let mut kept = lock(&self.pool);
        kept.timeout.found_closed(self.idle, lost);
        kept.closed_unsaid = true;
        let heard = self.conn.last_heard();
        kept.idle.retain(|conn| conn.last_heard() > heard);
    }

    /// The head of an answer came, with the time of idleness that it grants.
    pub(super) fn saw_response(&mut self, version: Version, keep_alive: Option<Duration>) {
        let mut kept = lock(&self.pool);
        if self.was_reused() {
            kept.timeout.outlasted(self.idle);
        }
        // In HTTP/2 servers say so.
        kept.closed_unsaid |= version != Version::HTTP_2 && self.is_kept() && !self.was_reused();
        kept.timeout.advertised = keep_alive.or(kept.timeout.advertised);
        self.silent_since = Instant::now();
        *lock(&self.conn.last_heard) = self.silent_since;
        self.http2 = version == Version::HTTP_2;
        if self.http2 {
            // Of two that were opened at once, the one heard last is shared, and the other ends with its requests.
            kept.shared = Some(Arc::clone(&self.conn));
        }
    }

    /// Others may use the connection. One of HTTP/1.1 whose answer was not `read_to_end` is closed; a shared one loses
    /// nothing by it.
    pub(super) fn give_back(mut self, read_to_end: bool) {
        self.given_back = true;
        if read_to_end && !self.http2 {
            lock(&self.pool).put(Arc::clone(&self.conn));
        }
    }
}

impl Drop for PooledConn {
    fn drop(&mut self) {
        let mut kept = lock(&self.pool);
        if !self.given_back && self.conn.last_heard() <= self.silent_since {
            kept.shared
                .take_if(|shared| Arc::ptr_eq(shared, &self.conn));
        }
    }
}

/// True if the connection ends after this answer, as the server says (RFC 9112 9.3).
pub(super) fn is_last(response: &Response) -> bool {
    let says = |option: &str| {
        let values = response.headers().get_all(CONNECTION).into_iter();
        let mut options = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        options.any(|said| said.trim().eq_ignore_ascii_case(option))
    };
    let has_end =
        response.content_length().is_some() || response.headers().contains_key(TRANSFER_ENCODING);
    let is_http1 = response.version() < Version::HTTP_2;
    let is_old = response.version() < Version::HTTP_11;
    says("close") || is_http1 && !has_end || is_old && !says("keep-alive")
}

/// For how long a server says that it keeps idle connections: in HTTP/1.1's Keep-Alive (RFC 2068 19.7.1.1, still in use), or over HTTP/2,
/// where that is not allowed (RFC 9113 8.2.2), as a gateway of ours.
pub(super) fn keep_alive(headers: &HeaderMap) -> Option<Duration> {
    let value = headers
        .get(KEEP_ALIVE)
        .or_else(|| headers.get(OUR_KEEP_ALIVE))?;
    let value = value.to_str().ok()?;
    let mut parameters = value.split(',').map(str::trim);
    let seconds = parameters.find_map(|parameter| parameter.strip_prefix("timeout="))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
