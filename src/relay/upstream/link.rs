//! The connections kept to one KDC proxy.
//!
//! reqwest can neither tell the age of its idle connections nor say which one a request will take. So each
//! [`Link`] is a client of its own that holds one connection, all with one TLS configuration (roots, tickets), and
//! what may go over which is decided here. A client whose connection was seen to close connects anew by itself: that is
//! a fresh connection, and the counter in its connector tells.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use reqwest::{Client, ClientBuilder, Proxy, Version, redirect, retry};
use rustls::ClientConfig;
use tower_layer::Layer;
use tower_service::Service;

use super::fault::{ConnectError, Fault, Unsent};
use super::names::Names;
use super::proxy_options::ForwardProxy;

use crate::relay::sync::lock;

/// Name, connect and TLS together.
const CONNECT: Duration = Duration::from_secs(3);
/// A connection heard from within this time is alive.
const JUST_HEARD: Duration = Duration::from_secs(1);
/// Idle HTTP/1.1 connections kept to one proxy: more than a burst of one laptop needs.
const MAX_IDLE: usize = 64;
/// A request under way asks a silent HTTP/2 connection for a sign of life this often, and waits this long for it.
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_ANSWERED: Duration = Duration::from_secs(1);
/// Octets that nobody has acknowledged by then went to nobody: HTTP/1.1's only sign of life.
#[cfg(target_os = "linux")]
const ACKNOWLEDGED: Duration = Duration::from_secs(2);

/// Which kept connections a request may reuse; without one, a new one is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnReuse {
    /// Any: a request that may be sent again loses nothing if it turns out to be closed.
    Any,
    /// One that is surely alive: for a request that may not be sent again.
    KnownAlive,
    /// None.
    Never,
}

/// The connections kept to one proxy.
#[derive(Debug)]
pub(super) struct Links {
    tls: ClientConfig,
    names: Arc<Names>,
    forward_proxy: ForwardProxy,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// How often all were forgotten: what was lent before is not taken back.
    forgotten: u64,
    /// HTTP/1.1: one request at a time; the one heard last stands last.
    idle: Vec<Arc<Link>>,
    /// HTTP/2: all requests at once.
    shared: Option<Arc<Link>>,
    patience: IdlePatience,
}

#[derive(Debug)]
struct Link {
    client: Client,
    /// How often it has connected.
    connects: Arc<AtomicU32>,
    heard: Mutex<Instant>,
}

/// How long the server leaves idle connections open, as far as it has said or shown.
#[derive(Debug, Default)]
struct IdlePatience {
    advertised: Option<Duration>,
    /// The longest that a connection has been seen to outlast.
    outlasted: Duration,
    /// The shortest that one has not: something on the way may close sooner than the server says.
    closed: Option<Duration>,
}

impl IdlePatience {
    /// Well less than what the server grants: a request on its way when the time is up would be lost.
    fn known_alive(&self, idle: Duration) -> bool {
        let shown = self.advertised.unwrap_or(self.outlasted);
        let granted = self.closed.map_or(shown, |closed| closed.min(shown));
        idle <= JUST_HEARD || idle < granted / 2
    }

    fn outlasted(&mut self, idle: Duration) {
        self.outlasted = self.outlasted.max(idle);
        self.closed = self.closed.filter(|closed| *closed > idle);
    }

    fn found_closed(&mut self, idle: Duration) {
        self.outlasted = self.outlasted.min(idle);
        self.closed = Some(self.closed.map_or(idle, |closed| closed.min(idle)));
    }
}

impl Links {
    pub(super) fn new(tls: ClientConfig, forward_proxy: ForwardProxy, names: Names) -> Self {
        Self {
            tls,
            names: Arc::new(names),
            forward_proxy,
            kept: Mutex::default(),
        }
    }

    /// Closes all kept connections, those in use with their requests, and forgets how long such connections last here.
    pub(super) fn forget(&self) {
        self.names.forget();
        let mut kept = lock(&self.kept);
        *kept = Kept {
            forgotten: kept.forgotten + 1,
            ..Kept::default()
        };
    }

    /// A connection for one request; an HTTP/1.1 one is the holder's alone.
    pub(super) fn lease(&self, reuse: ConnReuse, now: Instant) -> Result<Lease<'_>, Fault> {
        let (kept, forgotten) = {
            let mut all = lock(&self.kept);
            let kept = match reuse {
                ConnReuse::Never => None,
                _ => all.take(reuse == ConnReuse::KnownAlive, now),
            };
            (kept, all.forgotten)
        };
        let link = match kept {
            Some(link) => link,
            None => Arc::new(Link::new(self, now)?),
        };
        let connects_before = link.connects.load(Ordering::Acquire);
        let idle = now.saturating_duration_since(*lock(&link.heard));
        Ok(Lease {
            links: self,
            link,
            forgotten,
            connects_before,
            idle,
            silent_since: now,
            http2: false,
            given_back: false,
        })
    }
}

impl Kept {
    fn take(&mut self, known_alive: bool, now: Instant) -> Option<Arc<Link>> {
        let fits = |link: &Link, patience: &IdlePatience| {
            !known_alive || patience.known_alive(now.saturating_duration_since(*lock(&link.heard)))
        };
        if let Some(shared) = self
            .shared
            .as_ref()
            .filter(|link| fits(link, &self.patience))
        {
            return Some(Arc::clone(shared));
        }
        self.idle.pop_if(|link| fits(link, &self.patience))
    }

    fn shares(&self, link: &Arc<Link>) -> bool {
        self.shared
            .as_ref()
            .is_some_and(|shared| Arc::ptr_eq(shared, link))
    }

    fn put(&mut self, link: Arc<Link>) {
        if self.idle.len() >= MAX_IDLE {
            self.idle.remove(0);
        }
        self.idle.push(link);
    }
}

impl Link {
    fn new(links: &Links, now: Instant) -> Result<Self, Fault> {
        let connects = Arc::new(AtomicU32::new(0));
        let unusable = |error: reqwest::Error| {
            Fault::NotSent(Unsent::Connect(ConnectError::Other(
                error.to_string().into(),
            )))
        };
        let builder = apply_forward_proxy(&links.forward_proxy, Client::builder())
            .map_err(unusable)?
            .tls_backend_preconfigured(links.tls.clone())
            .dns_resolver(Arc::clone(&links.names))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .user_agent(concat!("loopkdc/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(None)
            // Probes on idle connections would wake the radio; what may go over them is decided by their age.
            .tcp_keepalive(None)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_ANSWERED)
            .http2_keep_alive_while_idle(false)
            .connector_layer(CountConnects(Arc::clone(&connects)));
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(ACKNOWLEDGED);
        let client = builder.build().map_err(unusable)?;
        Ok(Self {
            client,
            connects,
            heard: Mutex::new(now),
        })
    }
}

/// Sends connections the way that is configured: what the environment says counts only where it is asked for.
fn apply_forward_proxy(
    proxy: &ForwardProxy,
    builder: ClientBuilder,
) -> reqwest::Result<ClientBuilder> {
    Ok(match proxy {
        ForwardProxy::None => builder.no_proxy(),
        ForwardProxy::Environment => builder,
        ForwardProxy::Url(proxy) => builder.no_proxy().proxy(Proxy::all(proxy.url().clone())?),
    })
}

/// A connection in use. Dropped without [`Lease::give_back`], it is closed; a shared one is no longer offered, unless others
/// were answered over it meanwhile: a KDC that drops one request must not cost them all a handshake.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    links: &'a Links,
    link: Arc<Link>,
    forgotten: u64,
    connects_before: u32,
    idle: Duration,
    /// When it was taken, or an answer's head came last.
    silent_since: Instant,
    http2: bool,
    given_back: bool,
}

impl Lease<'_> {
    pub(super) fn client(&self) -> &Client {
        &self.link.client
    }

    /// Whether it has been used before; it may have been closed since.
    pub(super) fn is_kept(&self) -> bool {
        self.connects_before > 0
    }

    /// Whether the request went over a connection that stood before it.
    pub(super) fn was_reused(&self) -> bool {
        self.is_kept() && self.link.connects.load(Ordering::Acquire) == self.connects_before
    }

    /// The reused connection had been closed: such a time of idleness is more than the server grants, and those that
    /// have been idle for longer would only cost a request each to find out.
    pub(super) fn found_closed(&self) {
        let mut kept = lock(&self.links.kept);
        kept.patience.found_closed(self.idle);
        let heard = *lock(&self.link.heard);
        kept.idle.retain(|link| *lock(&link.heard) > heard);
    }

    /// It could not connect.
    pub(super) fn found_nobody(&self) {
        self.links.names.doubt();
    }

    /// It is connected to this address.
    pub(super) fn reached(&self, address: IpAddr) {
        self.links.names.prefer(address);
    }

    /// The head of an answer came, with the keep-alive seconds it advertises.
    pub(super) fn heard(&mut self, version: Version, keep_alive: Option<u64>) {
        let mut kept = lock(&self.links.kept);
        if self.was_reused() {
            kept.patience.outlasted(self.idle);
        }
        kept.patience.advertised = keep_alive
            .map(Duration::from_secs)
            .or(kept.patience.advertised);
        self.silent_since = Instant::now();
        *lock(&self.link.heard) = self.silent_since;
        self.http2 = version == Version::HTTP_2;
        if self.http2 && kept.forgotten == self.forgotten {
            kept.shared = Some(Arc::clone(&self.link));
        }
    }

    /// The answer was read to its end: others may use the connection.
    pub(super) fn give_back(mut self) {
        self.given_back = true;
        let mut kept = lock(&self.links.kept);
        // Of two that were opened at once, the one heard last is shared, and the other ends with its requests.
        if !self.http2 && kept.forgotten == self.forgotten {
            kept.put(Arc::clone(&self.link));
        }
    }

    /// The rest of the answer is of no interest: costs an HTTP/1.1 connection, and a shared one nothing.
    pub(super) fn leave_unread(mut self) {
        self.given_back = true;
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut kept = lock(&self.links.kept);
        let others_heard = *lock(&self.link.heard) > self.silent_since;
        if !self.given_back && !others_heard && kept.shares(&self.link) {
            kept.shared = None;
        }
    }
}

/// Counts the connections that a client makes.
#[derive(Clone, Debug)]
struct CountConnects(Arc<AtomicU32>);

impl<S> Layer<S> for CountConnects {
    type Service = Counted<S>;

    fn layer(&self, connector: S) -> Counted<S> {
        Counted {
            connector,
            connects: Arc::clone(&self.0),
        }
    }
}

#[derive(Clone, Debug)]
struct Counted<S> {
    connector: S,
    connects: Arc<AtomicU32>,
}

impl<S: Service<R>, R> Service<R> for Counted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, target: R) -> S::Future {
        self.connects.fetch_add(1, Ordering::AcqRel);
        self.connector.call(target)
    }
}

#[cfg(test)]
mod tests;
