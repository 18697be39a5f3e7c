//! One request: path, method, length and body, and the response to it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::GatewayState;
use super::budget::{self, BodyReader, BytePermit};
use super::responses::{self, ErrorResponse};
use super::timeouts::{ConnTimer, RequestGuard};
use crate::config::gateway::HEALTH_PATH;
use crate::gateway::observers::{NOBODY, ObservedRequest, Observers};
use crate::gateway::throttle::{Client, Slot, Wait};
use crate::wire::MAX_REQUEST;

/// Most octets of a body, the envelope included: what kdcproxy takes too.
pub(super) const MAX_BODY: usize = MAX_REQUEST;
/// Octets of bodies that one connection may send at once: HTTP/2 would let it begin a hundred of the longest.
const BODIES: usize = 2 * MAX_BODY;

pub(super) type HandlerResult = Result<Response<Full<Bytes>>, ErrorResponse>;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnPeer {
    pub(super) transport: &'static str,
    /// Its address, if it is not on a Unix socket.
    pub(super) address: Option<SocketAddr>,
    pub(super) certificate: Option<Slot>,
}

/// What the requests of one connection share.
pub(super) struct ConnContext {
    pub(super) state: Arc<GatewayState>,
    pub(super) peer: ConnPeer,
    timer: Arc<ConnTimer>,
    bodies: Arc<Semaphore>,
    /// The connection has paid for a request that is yet to come.
    is_prepaid: AtomicBool,
}

impl ConnContext {
    pub(super) fn new(state: Arc<GatewayState>, timer: Arc<ConnTimer>, peer: ConnPeer) -> Self {
        let is_paid = peer.transport == "https" && state.charges(peer.address);
        Self {
            is_prepaid: AtomicBool::new(is_paid),
            state,
            peer,
            timer,
            bodies: Arc::new(Semaphore::new(BODIES)),
        }
    }

    /// Answers a request whose headers have come; hyper says nothing of a length that they declare beside
    /// Transfer-Encoding.
    pub(super) fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
        declares_length: bool,
    ) -> impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + use<> {
        let (context, guard) = (Arc::clone(self), self.timer.request_begun());
        async move { Ok(context.respond(request, declares_length, guard).await) }
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        declares_length: bool,
        guard: RequestGuard,
    ) -> Response<Full<Bytes>> {
        let (version, is_head) = (request.version(), request.method() == Method::HEAD);
        // Only hyper knows the end of a body in chunks, and it lets go of a connection that might become another protocol's.
        let is_last = request.headers().contains_key(TRANSFER_ENCODING)
            || request.extensions().get::<OnUpgrade>().is_some();
        let client = self.client(request.headers());
        let mut observed = self.observers(&request).begin(client.address);
        let handled = self.handle(request, declares_length, client, guard, &mut observed);
        let handled = handled.await;
        let (mut response, close) = match handled {
            Ok(response) => (response, is_last),
            Err(refusal) => {
                // It may name the realm that the client chose.
                let (status, text) = (refusal.status.as_u16(), &refusal.text);
                tracing::debug!(client = ?client.address, status, ?text, "refused");
                let close = refusal.close || is_last;
                (refusal.into_response(), close)
            }
        };
        if is_head && version == Version::HTTP_2 {
            // hyper leaves it out over HTTP/1 only (RFC 9110 9.3.2).
            *response.body_mut() = Full::default();
        }
        let overloaded = &self.state.exchange.counters().overloaded;
        let mut response =
            budget::account(response, &self.state.responses, &self.timer, overloaded);
        if version < Version::HTTP_11 {
            // MIT's client speaks HTTP/1.0 and reads until the connection ends, whatever it may have asked for. hyper
            // goes by the version where a client asks to keep the connection, and by the header where it does not.
            *response.version_mut() = Version::HTTP_10;
        }
        if version < Version::HTTP_11 || (version == Version::HTTP_11 && close) {
            responses::close(&mut response);
        }
        observed.end(response.status());
        response
    }

    /// Load balancers look often, and for nobody.
    fn observers(&self, request: &Request<Incoming>) -> &Observers {
        if request.uri().path() == HEALTH_PATH {
            &NOBODY
        } else {
            &self.state.options.observers
        }
    }

    /// The other end, or the client that a trusted proxy there asks for.
    fn client(&self, headers: &HeaderMap) -> Client {
        let trusted = &self.state.options.trusted;
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
        declares_length: bool,
        client: Client,
        guard: RequestGuard,
        observed: &mut ObservedRequest<'_>,
    ) -> HandlerResult {
        let checked = check_lengths(&request, declares_length);
        let route = checked.and_then(|()| self.route(&request));
        if let Ok(Resource::Health) = route {
            // Load balancers ask often and at their own pace.
            return Ok(self.health());
        }
        if let Err(wait) = self.admit(&client) {
            return Err(closing_unless_read(request.body(), self.throttled(wait)));
        }
        if let Err(refusal) = route {
            self.state.exchange.counters().refused.add();
            return Err(closing_unless_read(request.body(), refusal));
        }
        self.kdc_proxy(request, client, guard, observed).await
    }

    fn admit(&self, client: &Client) -> Result<(), Wait> {
        let throttle = &self.state.options.throttle;
        let is_prepaid = self.is_prepaid.swap(false, Ordering::Relaxed);
        throttle.admit(client, is_prepaid, Instant::now())
    }

    /// Tells a client how long to wait.
    pub(super) fn throttled(&self, wait: Wait) -> ErrorResponse {
        self.state.exchange.counters().throttled.add();
        ErrorResponse::throttled(wait)
    }

    fn route(&self, request: &Request<Incoming>) -> Result<Resource, ErrorResponse> {
        let (path, method) = (request.uri().path(), request.method());
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
    fn health(&self) -> Response<Full<Bytes>> {
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

    /// The body, within its time and length, and the permit for its octets.
    pub(super) async fn body(
        &self,
        request: Request<Incoming>,
    ) -> Result<(Bytes, BytePermit), ErrorResponse> {
        let (head, mut body) = request.into_parts();
        let has = |name| head.headers.contains_key(name);
        if head.version < Version::HTTP_2 && !has(CONTENT_LENGTH) && !has(TRANSFER_ENCODING) {
            let text = "the request does not say how long it is";
            return Err(ErrorResponse::new(StatusCode::LENGTH_REQUIRED, text).closing());
        }
        if body.size_hint().lower() > MAX_BODY as u64 {
            return Err(closing_unless_read(&body, ErrorResponse::too_large()));
        }
        // A hundred streams may wait for their bodies: not with headers that are not needed any more.
        drop(head);
        let read = async {
            let reader = BodyReader::new(&self.state.requests, &self.bodies)?;
            reader.read(&mut body).await
        };
        let read = timeout(self.state.options.limits.body, read).await;
        let late =
            || ErrorResponse::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
        let read = read.unwrap_or_else(|_| Err(late()));
        read.map_err(|refusal| closing_unless_read(&body, refusal))
    }
}

enum Resource {
    KdcProxy,
    Health,
}

/// One slash at the end makes no difference.
fn bare(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// Refuses a request that declares two lengths (RFC 9112 6.1).
fn check_lengths(request: &Request<Incoming>, declares_length: bool) -> Result<(), ErrorResponse> {
    if declares_length && request.headers().contains_key(TRANSFER_ENCODING) {
        let text = "Content-Length stands beside Transfer-Encoding";
        return Err(ErrorResponse::new(StatusCode::BAD_REQUEST, text).closing());
    }
    Ok(())
}

/// Ends an HTTP/1 connection if `body` is not read to its end: the client may go on to send it.
fn closing_unless_read(body: &Incoming, refusal: ErrorResponse) -> ErrorResponse {
    if body.is_end_stream() {
        refusal
    } else {
        refusal.closing()
    }
}
