//! One request: path, method, length and body, and the response to it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::http::uri::Authority;
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use tokio::time::timeout;

use super::conn_timer::{ConnTimer, RequestGuard};
use super::responses::{self, ErrorResponse};
use super::untaken;
use super::{GatewayState, bodies};
use crate::config::gateway::HEALTH_PATH;
use crate::gateway::access::Grant;
use crate::gateway::observers::{NOBODY, ObservedRequest, Observers};
use crate::gateway::throttle::{Client, Turn, wait_until};
use crate::relay::exchange::Arrival;
use crate::wire::MAX_REQUEST;

/// Most octets of a body: the envelope is a request and a realm.
pub(super) const MAX_BODY: usize = MAX_REQUEST + 1024;

/// What a request holds until it is answered or the KDC is silent for a second, even if its client has gone: its client's turn.
pub(super) type HeldRequest = Turn;

pub(super) type HandlerResult = Result<Response<Full<Bytes>>, ErrorResponse>;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct ConnPeer {
    pub(super) transport: &'static str,
    /// Its address, if it is not on a Unix socket.
    pub(super) address: Option<SocketAddr>,
    /// What the certificate that it showed is good for.
    pub(super) certificate: Option<Grant>,
    /// A balancer of layer 4, which speaks for no client.
    pub(super) is_balancer: bool,
}

/// What the requests of one connection share.
pub(super) struct ConnContext {
    pub(super) state: Arc<GatewayState>,
    pub(super) peer: ConnPeer,
    timer: Arc<ConnTimer>,
    /// The connection has paid for a request that is yet to come.
    is_prepaid: AtomicBool,
}

impl ConnContext {
    pub(super) fn new(state: Arc<GatewayState>, timer: Arc<ConnTimer>, peer: ConnPeer) -> Self {
        let is_paid = peer.transport == "https" && state.payer(peer.address).is_some();
        Self {
            is_prepaid: AtomicBool::new(is_paid),
            state,
            peer,
            timer,
        }
    }

    /// Answers a request whose headers have come. In a box: a future of three KiB would be moved from hand to hand on its way
    /// into a task of hyper's.
    pub(super) fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Result<Response<Full<Bytes>>, Infallible>> {
        let (context, guard) = (Arc::clone(self), self.timer.request_begun());
        Box::pin(async move { Ok(context.respond(request, guard).await) })
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        guard: RequestGuard,
    ) -> Response<Full<Bytes>> {
        let (version, is_head) = (request.version(), request.method() == Method::HEAD);
        // Only hyper knows the end of a body in chunks, and it lets go of a connection that might become another protocol's.
        let is_last = request.headers().contains_key(TRANSFER_ENCODING)
            || request.extensions().get::<OnUpgrade>().is_some();
        let (client, grant) = self.client(request.headers());
        let name = client
            .name
            .and(grant.as_ref().ok())
            .and_then(Option::as_ref);
        let name = name.map(|grant| Arc::clone(&grant.name));
        // From now on it is not the share of all behind its address, unless those come by a proxy.
        let is_own = name.is_some() && self.state.payer(self.peer.address).is_some();
        if is_own && !self.timer.pass_to(client.holder()) {
            self.timer.close().cancel();
        }
        let mut observed = self.observers(&request).begin(client.address, name);
        let handled = self
            .handle(request, client, grant, guard, &mut observed)
            .await;
        let mut close = is_last;
        let mut response = handled.unwrap_or_else(|refusal| {
            // It may name the realm that the client chose.
            let (status, text) = (refusal.status.as_u16(), &refusal.text);
            tracing::debug!(client = ?client.address, status, ?text, "refused");
            close |= refusal.close;
            refusal.into_response()
        });
        if is_head && version == Version::HTTP_2 {
            // hyper leaves it out over HTTP/1 only (RFC 9110 9.3.2).
            *response.body_mut() = Full::default();
        }
        let overloaded = &self.state.exchange.counters().overloaded;
        let budget = (&self.state.responses, client.holder());
        let mut response = untaken::account(response, budget, &self.timer, overloaded);
        self.end_or_keep(&mut response, version, close);
        observed.end(response.status());
        response
    }

    /// Has `response` say what becomes of its connection, which it is the last over if that is to `close`.
    fn end_or_keep(&self, response: &mut Response<Full<Bytes>>, version: Version, close: bool) {
        if version < Version::HTTP_11 {
            // MIT's client speaks HTTP/1.0 and reads until the connection ends, whatever it may have asked for. hyper
            // goes by the version where a client asks to keep the connection, and by the header where it does not.
            *response.version_mut() = Version::HTTP_10;
        }
        if version < Version::HTTP_11 || (version == Version::HTTP_11 && close) {
            responses::close(response);
        } else if !self.state.options.trusted.believes(self.peer.address) {
            // A reverse proxy's client has another connection.
            responses::keep(response, version, self.timer.idle_timeout());
        }
    }

    /// Load balancers look often, and for nobody.
    fn observers(&self, request: &Request<Incoming>) -> &Observers {
        if request.uri().path() == HEALTH_PATH {
            &NOBODY
        } else {
            &self.state.options.observers
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        self.peer.transport == "https"
    }

    /// The other end, or the client that a trusted proxy there asks for; and what it may.
    fn client(&self, headers: &HeaderMap) -> (Client, Result<Option<Grant>, ErrorResponse>) {
        let none = HeaderMap::new();
        // Whoever stands behind a balancer that names no client could write there what it likes.
        let headers = if self.peer.is_balancer {
            &none
        } else {
            headers
        };
        let trusted = &self.state.options.trusted;
        let (address, by_proxy) = trusted.client(self.peer.address, headers);
        let grant = self.grant(headers, by_proxy);
        let options = &self.state.options;
        // A certificate that a proxy shows names itself.
        let names_client = !by_proxy || options.access.tokens.is_some();
        let named = grant.as_ref().ok().and_then(Option::as_ref);
        let named = named.filter(|_| names_client);
        let client = Client {
            address,
            name: named.map(|grant| options.throttle.name(&grant.name)),
        };
        (client, grant)
    }

    async fn handle(
        &self,
        request: Request<Incoming>,
        client: Client,
        grant: Result<Option<Grant>, ErrorResponse>,
        mut guard: RequestGuard,
        observed: &mut ObservedRequest<'_>,
    ) -> HandlerResult {
        let resource = self.route(&request);
        if let Ok(Resource::Health) = resource {
            self.admit_health(&client).await?;
            return Ok(self.health().await);
        }
        let has_body = !request.body().is_end_stream();
        let (grant, refusal) = match resource.and(grant) {
            Ok(grant) => (grant, Ok(())),
            Err(refusal) => (None, Err(refusal)),
        };
        let received = self.receive(request, refusal, &client, &mut guard).await;
        let (body, arrival, held) = received.map_err(|refusal| {
            self.count(refusal.status);
            // The client may go on to send what was not read.
            if has_body { refusal.closing() } else { refusal }
        })?;
        self.kdc_proxy(body, arrival, held, client, grant.as_ref(), observed)
            .await
    }

    /// The body of a request that may be relayed, when it is its turn. One that is refused costs its client as much. A place
    /// among those that wait is taken before the body comes: or bodies that never end would hold what is there for all, and no
    /// client's share of it. The body comes while it waits: or it would lie in the buffers of HTTP/2, uncounted.
    async fn receive(
        &self,
        request: Request<Incoming>,
        refusal: Result<(), ErrorResponse>,
        client: &Client,
        guard: &mut RequestGuard,
    ) -> Result<(Bytes, Arrival, HeldRequest), ErrorResponse> {
        let throttle = &self.state.options.throttle;
        let due = Instant::now() + self.admit(client)?;
        refusal?;
        let _place = throttle.queue(client).map_err(ErrorResponse::throttled)?;
        let body = self.body(request, client).await?;
        guard.set_whole();
        let arrival = Arrival {
            client: client.network(),
            holder: client.holder(),
            ..Arrival::now(self.peer.transport)
        };
        wait_until(due).await;
        let turn = throttle.begin(client, arrival.at).await;
        let turn = turn.map_err(ErrorResponse::throttled)?;
        Ok((body, arrival, turn))
    }

    /// Takes what a request costs its client, unless its connection has paid. Returns how long it is to wait.
    fn admit(&self, client: &Client) -> Result<Duration, ErrorResponse> {
        let is_prepaid = self.is_prepaid.swap(false, Ordering::Relaxed);
        let throttle = &self.state.options.throttle;
        let admitted = throttle.admit(client, is_prepaid, Instant::now());
        admitted.map_err(ErrorResponse::throttled)
    }

    /// Trusted proxies ask often and at their own pace.
    async fn admit_health(&self, client: &Client) -> Result<(), ErrorResponse> {
        if self.state.options.trusted.believes(self.peer.address) {
            return Ok(());
        }
        let admitted = self.admit(client).inspect_err(|refusal| {
            self.count(refusal.status);
        });
        wait_until(Instant::now() + admitted?).await;
        Ok(())
    }

    /// Counts a refusal before there is a message.
    fn count(&self, status: StatusCode) {
        let counters = self.state.exchange.counters();
        match status {
            StatusCode::TOO_MANY_REQUESTS => counters.throttled.add(),
            StatusCode::PAYLOAD_TOO_LARGE => counters.too_long.add(),
            StatusCode::SERVICE_UNAVAILABLE => counters.overloaded.add(),
            _ => counters.refused.add(),
        }
    }

    fn route(&self, request: &Request<Incoming>) -> Result<Resource, ErrorResponse> {
        let (path, method) = (request.uri().path(), request.method());
        check_head(request).map_err(ErrorResponse::closing)?;
        if self.peer.is_balancer && path != HEALTH_PATH {
            let text = "the balancer has not said whose connection this is (PROXY protocol)";
            return Err(ErrorResponse::new(StatusCode::FORBIDDEN, text).closing());
        }
        if bare(path).eq_ignore_ascii_case(bare(&self.state.options.path)) {
            return match *method {
                Method::POST => Ok(Resource::KdcProxy),
                _ => Err(ErrorResponse::method("POST")),
            };
        }
        match (path, method) {
            (HEALTH_PATH, &Method::GET | &Method::HEAD) => Ok(Resource::Health),
            (HEALTH_PATH, _) => Err(ErrorResponse::method("GET, HEAD")),
            _ => {
                let text = "nothing is served here";
                Err(ErrorResponse::new(StatusCode::NOT_FOUND, text))
            }
        }
    }

    /// For load balancers: 200 where new requests are welcome.
    async fn health(&self) -> Response<Full<Bytes>> {
        if !self.state.exchange.was_reached() {
            self.state.options.probe.ask().await;
        }
        let (status, text) = if self.state.tasks.stop.is_cancelled() {
            (StatusCode::SERVICE_UNAVAILABLE, "stopping")
        } else if self.state.exchange.is_cut_off() {
            let text = "no KDC of any realm can be reached";
            (StatusCode::SERVICE_UNAVAILABLE, text)
        } else {
            (StatusCode::OK, "ok")
        };
        responses::text(status, text)
    }

    /// The body, within its time and length.
    async fn body(
        &self,
        request: Request<Incoming>,
        client: &Client,
    ) -> Result<Bytes, ErrorResponse> {
        let has = |name| request.headers().contains_key(name);
        if request.version() < Version::HTTP_2 && !has(CONTENT_LENGTH) && !has(TRANSFER_ENCODING) {
            let text = "the request does not say how long it is";
            return Err(ErrorResponse::new(StatusCode::LENGTH_REQUIRED, text).closing());
        }
        if request.body().size_hint().lower() > MAX_BODY as u64 {
            return Err(ErrorResponse::too_large());
        }
        // Many streams may wait for their bodies: not with headers that are not needed any more.
        let body = request.into_body();
        let read = bodies::read(&self.state.requests, client.holder(), body);
        let read = timeout(self.state.options.limits.body, read).await;
        read.unwrap_or_else(|_| {
            let text = "the body did not come in time";
            Err(ErrorResponse::new(StatusCode::REQUEST_TIMEOUT, text))
        })
    }
}

/// Refuses what hyper lets pass, and what servers in a row may take for different requests.
fn check_head(request: &Request<Incoming>) -> Result<(), ErrorResponse> {
    let headers = request.headers();
    let refused = |text| ErrorResponse::new(StatusCode::BAD_REQUEST, text);
    if headers.contains_key(TRANSFER_ENCODING) {
        // RFC 9112 6.1.
        if headers.contains_key(CONTENT_LENGTH) {
            return Err(refused("Content-Length stands beside Transfer-Encoding"));
        }
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let is_chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !codings.next().is_some_and(is_chunked) || codings.next().is_some() {
            let text = "no Transfer-Encoding but chunked is known here";
            return Err(ErrorResponse::new(StatusCode::NOT_IMPLEMENTED, text));
        }
    }
    let mut hosts = headers.get_all(HOST).iter();
    let (host, another) = (hosts.next(), hosts.next());
    let is_named = match request.version() {
        // RFC 9112 3.2 and RFC 9113 8.3.1.
        Version::HTTP_11 => host.is_some(),
        Version::HTTP_2 => host.is_some() || request.uri().authority().is_some(),
        _ => true,
    };
    if is_named && another.is_none() && host.is_none_or(is_host) {
        Ok(())
    } else {
        Err(refused("the request does not name one host"))
    }
}

/// RFC 9110 7.2: a host, and perhaps its port. It is empty where the target has none.
fn is_host(value: &HeaderValue) -> bool {
    let octets = value.as_bytes();
    octets.is_empty() || !octets.contains(&b'@') && Authority::try_from(octets).is_ok()
}

enum Resource {
    KdcProxy,
    Health,
}

/// One slash at the end makes no difference.
fn bare(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}
