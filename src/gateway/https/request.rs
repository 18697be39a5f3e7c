//! One request: path, method, length, body, and what is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::GatewayState;
use super::heads::{Heads, Seen};
use super::observed::Observed;
use super::quiet::{Begun, Quiet};
use super::receiving::{Octets, Place, Receiving, too_large};
use super::words::{self, Refusal};
use crate::config::gateway::HEALTH_PATH;
use crate::gateway::throttle::{CertificateSlot, Client, Wait};
use crate::wire::proxied::{self, Proxied, Unproxied};
use crate::wire::{MAX_REQUEST, Realm};

/// Most octets of a body, the envelope included: what kdcproxy takes too.
pub(super) const MAX_BODY: usize = MAX_REQUEST;
/// Octets of bodies that one connection may send at once: HTTP/2 would let it begin a hundred of the longest.
const BODIES: usize = 2 * MAX_BODY;

pub(super) type Said = Result<Response<Full<Bytes>>, Refusal>;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) transport: &'static str,
    /// Its address, if it is not on a Unix socket.
    pub(super) address: Option<SocketAddr>,
    pub(super) certificate: Option<CertificateSlot>,
}

/// What the requests of one connection share.
pub(super) struct Conversation {
    pub(super) site: Arc<GatewayState>,
    pub(super) quiet: Quiet,
    pub(super) peer: Peer,
    pub(super) heads: Heads,
    /// Whether a body was left unread: then the close must wait for it, or the answer is lost in a reset.
    pub(super) unread: AtomicBool,
    bodies: Arc<Semaphore>,
    /// Whether the connection has paid for a request that is yet to come.
    prepaid: AtomicBool,
    /// Whether the last request was read to its end, and its answer, as far as there is one, keeps the connection.
    whole: AtomicBool,
    /// Whether an answer waits for the client to take what was sent before.
    pub(super) blocked: AtomicBool,
}

impl Conversation {
    pub(super) fn new(site: Arc<GatewayState>, quiet: Quiet, peer: Peer) -> Self {
        let is_paid = peer.transport == "https" && site.charges(peer.address);
        Self {
            prepaid: AtomicBool::new(is_paid),
            site,
            quiet,
            peer,
            heads: Heads::default(),
            unread: AtomicBool::new(false),
            bodies: Arc::new(Semaphore::new(BODIES)),
            whole: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
        }
    }

    /// Whether an HTTP/1 connection has nothing but the next request before it.
    pub(super) fn is_at_rest(&self) -> bool {
        self.whole.load(Ordering::Relaxed)
            && !self.blocked.load(Ordering::Relaxed)
            && !self.quiet.is_asked()
    }

    /// Says that the next request has not been seen.
    pub(super) fn stir(&self) {
        self.whole.store(false, Ordering::Relaxed);
    }

    pub(super) async fn respond(
        &self,
        request: Request<Incoming>,
        begun: Begun,
    ) -> Response<Full<Bytes>> {
        let version = request.version();
        let is_head = request.method() == Method::HEAD;
        let client = self.client(request.headers());
        let mut observed = self.observe(&request, &client);
        let handled = self.handle(request, client, begun, &mut observed).await;
        let (mut response, close) = match handled {
            Ok(response) => (response, false),
            Err(refusal) => {
                // It may name the realm that the client chose.
                let (status, text) = (refusal.status.as_u16(), &refusal.text);
                tracing::debug!(client = ?client.address, status, ?text, "refused");
                (words::refusal(&refusal), refusal.close)
            }
        };
        if is_head && version == Version::HTTP_2 {
            // hyper leaves it out over HTTP/1 only (RFC 9110 9.3.2).
            *response.body_mut() = Full::default();
        }
        let mut response = self.give(response);
        if version < Version::HTTP_11 {
            // MIT's client speaks HTTP/1.0 and reads until the connection ends, whatever it may have asked for. hyper
            // goes by the version where a client asks to keep the connection, and by the header where it does not.
            *response.version_mut() = Version::HTTP_10;
        }
        if version < Version::HTTP_11 || (version == Version::HTTP_11 && close) {
            words::close(&mut response);
            self.stir();
        }
        observed.end(response.status());
        response
    }

    /// Load balancers look often, and nobody at that.
    fn observe(&self, request: &Request<Incoming>, client: &Client) -> Observed {
        if request.uri().path() == HEALTH_PATH {
            return Observed::ignored();
        }
        Observed::begin(&self.site, client.address)
    }

    /// Who asks: the other end, or whom a trusted proxy there asks for.
    fn client(&self, headers: &HeaderMap) -> Client {
        let trusted = &self.site.terms.trusted;
        let (address, by_proxy) = trusted.client(self.peer.address, headers);
        // A certificate that a proxy shows is its own.
        let certificate = self.peer.certificate.filter(|_| !by_proxy);
        Client {
            address,
            certificate,
        }
    }

    async fn handle(
        &self,
        request: Request<Incoming>,
        client: Client,
        begun: Begun,
        observed: &mut Observed,
    ) -> Said {
        let checked = Self::check_lengths(&request);
        let found = checked.and_then(|()| self.find(&request));
        if let Ok(Found::Health) = found {
            // Load balancers ask often and at their own pace.
            return Ok(self.health());
        }
        if let Err(wait) = self.admit(&client) {
            return Err(self.unread(request.body(), self.throttled(wait)));
        }
        if let Err(refusal) = found {
            self.site.exchange.counters().refused.add();
            return Err(self.unread(request.body(), refusal));
        }
        self.relay(request, client, begun, observed).await
    }

    fn admit(&self, client: &Client) -> Result<(), Wait> {
        let throttle = &self.site.terms.throttle;
        if self.prepaid.swap(false, Ordering::Relaxed) {
            throttle.admit_first(client)
        } else {
            throttle.admit(client)
        }
    }

    /// Asks a client for its patience.
    pub(super) fn throttled(&self, wait: Wait) -> Refusal {
        self.site.exchange.counters().throttled.add();
        Refusal::throttled(wait)
    }

    /// Refuses what says its length twice over.
    fn check_lengths(request: &Request<Incoming>) -> Result<(), Refusal> {
        let chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let seen = request.extensions().get::<Seen>();
        if chunked && seen.is_some_and(|seen| seen.says_length) {
            let text = "Content-Length stands beside Transfer-Encoding";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, text).closing());
        }
        Ok(())
    }

    fn find(&self, request: &Request<Incoming>) -> Result<Found, Refusal> {
        let path = request.uri().path();
        if bare(path).eq_ignore_ascii_case(bare(&self.site.terms.path)) {
            return match *request.method() {
                Method::POST => Ok(Found::KdcProxy),
                _ => Err(Refusal::method("POST")),
            };
        }
        match (path, request.method()) {
            (HEALTH_PATH, &Method::GET | &Method::HEAD) => Ok(Found::Health),
            (HEALTH_PATH, _) => Err(Refusal::method("GET, HEAD")),
            _ => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "nothing is served here",
            )),
        }
    }

    /// For load balancers: whether new requests are welcome.
    fn health(&self) -> Response<Full<Bytes>> {
        if self.site.stop.is_cancelled() {
            words::text(StatusCode::SERVICE_UNAVAILABLE, "stopping")
        } else if self.site.exchange.is_cut_off() {
            let text = "no KDC of any realm can be reached";
            words::text(StatusCode::SERVICE_UNAVAILABLE, text)
        } else {
            words::text(StatusCode::OK, "ok")
        }
    }

    /// Ends an HTTP/1 connection if `body` is not read to its end: the next request would be looked for in it.
    fn unread(&self, body: &Incoming, refusal: Refusal) -> Refusal {
        if body.is_end_stream() {
            return refusal;
        }
        self.unread.store(true, Ordering::Relaxed);
        refusal.closing()
    }

    async fn relay(
        &self,
        request: Request<Incoming>,
        client: Client,
        mut begun: Begun,
        observed: &mut Observed,
    ) -> Said {
        let counters = self.site.exchange.counters();
        let body = self.body(request).await;
        let (body, octets) = body.inspect_err(|refusal| match refusal.status {
            StatusCode::PAYLOAD_TOO_LARGE => counters.too_long.add(),
            StatusCode::SERVICE_UNAVAILABLE => counters.overloaded.add(),
            _ => counters.refused.add(),
        })?;
        begun.is_whole();
        let proxied = proxied::read(&body);
        // The message is a copy out of it, and has its place from now on.
        drop(body);
        let proxied = proxied.map_err(|error| {
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, error.to_string());
            if let Unproxied::KerbMessage(_) = error {
                counters.not_kerberos.add();
                // [MS-KKDCP] 3.2.5.1 has it dropped; that nothing else comes over this connection is near to that.
                refusal.closing()
            } else {
                counters.refused.add();
                refusal
            }
        })?;
        let inside = self.other_realm(&proxied);
        observed.asks(&proxied.message, inside);
        let under_way = self.site.terms.throttle.begin(&client);
        let under_way = under_way.map_err(|wait| self.throttled(wait))?;
        let place = Place::new(octets, under_way);
        let inside = inside.cloned();
        self.answer(proxied, inside, place, client, observed).await
    }

    /// The KDC judges the realm inside ([MS-KKDCP] 3.2.5.1); whoever runs the gateway may want to know.
    fn other_realm<'a>(&self, proxied: &'a Proxied) -> Option<&'a Realm> {
        let (exchange, domain) = (&self.site.exchange, proxied.message.realm());
        let inside = proxied.other_realm.as_ref();
        let inside = inside.filter(|inside| !exchange.is_same_realm(inside, domain))?;
        exchange.counters().other_realm.add();
        Some(inside)
    }

    /// The body, within its time and length, and its place.
    async fn body(&self, request: Request<Incoming>) -> Result<(Bytes, Octets), Refusal> {
        let (head, mut body) = request.into_parts();
        let told = |name| head.headers.contains_key(name);
        if head.version < Version::HTTP_2 && !told(CONTENT_LENGTH) && !told(TRANSFER_ENCODING) {
            let text = "the request does not say how long it is";
            return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, text).closing());
        }
        if body.size_hint().lower() > MAX_BODY as u64 {
            return Err(self.unread(&body, too_large()));
        }
        // A hundred streams may wait for their bodies: not with headers that nobody looks at any more.
        drop(head);
        let read = async {
            let receiving = Receiving::begin(&self.site.places, &self.bodies)?;
            receiving.read(&mut body).await
        };
        let read = timeout(self.site.terms.limits.body, read).await;
        let late = || Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
        let read = read.unwrap_or_else(|_| Err(late()));
        self.whole.store(read.is_ok(), Ordering::Relaxed);
        read.map_err(|refusal| self.unread(&body, refusal))
    }
}

enum Found {
    KdcProxy,
    Health,
}

/// One slash at the end makes no difference.
fn bare(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}
