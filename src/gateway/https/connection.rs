//! One connection: TLS, the version of HTTP, and its end.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::server::ClientHello;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::server::TlsStream;

use super::GatewayState;
use super::client_hello::{self, BoundedStream};
use super::conn_timer::ConnTimer;
use super::handler::{ConnContext, ConnPeer, MAX_BODY};
use super::http1::{self, Http1End};
use super::proxy_protocol;
use crate::daemon::accept::{self, ClientStream};
use crate::daemon::panics::CatchingExecutor;
use crate::daemon::slots::ConnSlot;
use crate::gateway::metrics::GaugeGuard;
use crate::gateway::throttle::wait_until;
use crate::gateway::tls::{Certificates, HTTP1, HTTP2, ServerTls};
use crate::relay::shares::Share;

/// Most octets of a request's headers: a tenth of it is usual, and reverse proxies and single sign-on add some.
pub(super) const MAX_HEADERS: usize = 16 * 1024;
/// Streams at once in one HTTP/2 connection, which RFC 9113 6.5.2 wants to be no fewer: clients begin as many before they have read how
/// many they may.
const STREAMS: u32 = 100;
/// What an HTTP/2 connection may send before it is read, over all its streams.
const WINDOW: u32 = 256 * 1024;
/// And each of its streams: nearly all requests whole.
const STREAM_WINDOW: u32 = 64 * 1024;
/// What of an answer waits in a stream for its client to take it.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that the client has reset before they were begun on here, and ours reset for its errors, before the connection
/// ends (CVE-2023-44487, CVE-2025-8671).
const RESETS: usize = 20;

/// Octets of the certificates that a client shows, which are kept as long as its connection: three or four large ones.
const MAX_CHAIN: usize = 16 * 1024;

/// How long a connection without a request may stay once the daemon stops: an HTTP/2 client that is told of the end loses
/// no request that was on its way.
const GOAWAY_TIME: Duration = Duration::from_secs(1);
/// How much of what a refused client goes on to send is read, and for how long, so that the refusal is not lost in a reset.
const DISCARD: u64 = 2 * MAX_BODY as u64;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// No further request is to be served over a connection. Its task alone says so, and looks anew then: nobody is to be woken.
#[derive(Default)]
pub(super) struct WindDown(AtomicBool);

impl WindDown {
    fn begin(&self) {
        self.0.store(true, Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Waits until it begins.
    pub(super) async fn begun(&self) {
        poll_fn(|_| {
            if self.has_begun() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// A connection whose handshake is done.
type HandshakenStream = Box<TlsStream<BoundedStream<ClientStream>>>;

/// A connection that was accepted.
pub(super) struct HttpConnection {
    state: Arc<GatewayState>,
    timer: Arc<ConnTimer>,
    first_request: Instant,
    /// The certificates that the client has shown, its own first.
    shown: OnceLock<Vec<CertificateDer<'static>>>,
    /// What is served over TLS with, and what those are checked by.
    tls: Option<Certificates>,
    /// Counted as open until the connection ends.
    _counted: Option<GaugeGuard>,
}

impl HttpConnection {
    /// `tls`: what to serve over TLS with, if that is to be.
    pub(super) fn new(state: Arc<GatewayState>, slot: ConnSlot, tls: Option<Certificates>) -> Self {
        let limits = &state.options.limits;
        let first_request = Instant::now() + limits.first_request;
        let metrics = state.options.observers.metrics.as_ref();
        Self {
            timer: ConnTimer::new(slot, first_request, limits.idle_timeout),
            first_request,
            shown: OnceLock::new(),
            tls,
            _counted: metrics.map(|metrics| GaugeGuard::new(&metrics.connections)),
            state,
        }
    }

    /// Serves `stream` to its end. Under the PROXY protocol it begins with a header that says whose it is. TLS begins after a `wait`,
    /// when it is its client's turn.
    pub(super) async fn serve(
        self,
        mut stream: ClientStream,
        proxy_protocol: bool,
        mut wait: Duration,
    ) {
        let mut peer = ConnPeer {
            transport: "http",
            address: accept::peer(&stream),
            certificate: None,
            is_balancer: false,
        };
        if proxy_protocol {
            match Box::pin(self.proxied(&mut stream)).await {
                Some(Some(client)) => {
                    peer.address = Some(client);
                    wait = self.state.wait(Some(client));
                }
                Some(None) => peer.is_balancer = true,
                None => return,
            }
        }
        // Each part in a box of its own: a task is as large as its largest part, for as long as it lives.
        let tls = self.tls.as_ref().map(|tls| Arc::clone(&tls.borrow()));
        let Some(tls) = tls else {
            return Box::pin(self.http1(stream, peer)).await;
        };
        let handshake = self.handshake(stream, peer.address, tls, wait);
        let Some((stream, place)) = Box::pin(handshake).await else {
            return self.state.charge_for_no_handshake(peer.address);
        };
        self.timer.shook_hands();
        let session = stream.get_ref().1;
        // RFC 9113 3.2: only ALPN says so.
        let is_http2 = session.alpn_protocol() == Some(HTTP2);
        let _place = place.filter(|_| is_http2);
        peer.transport = "https";
        let shown = session.peer_certificates().unwrap_or_default();
        if !self.keeps(shown) {
            return;
        }
        let access = &self.state.options.access;
        let leaf = shown.first();
        peer.certificate = leaf.and_then(|leaf| access.by_certificate(leaf));
        let stream = client_hello::done(stream);
        if is_http2 {
            Box::pin(self.http2(stream, peer)).await;
        } else {
            Box::pin(self.http1(stream, peer)).await;
        }
    }

    /// Keeps the certificates that the client has shown; false if they are too long.
    fn keeps(&self, shown: &[CertificateDer<'static>]) -> bool {
        let octets: usize = shown.iter().map(|certificate| certificate.len()).sum();
        if octets > MAX_CHAIN {
            self.state.exchange.counters().certificates_refused.add();
            return false;
        }
        let _first = self.shown.set(shown.to_vec());
        true
    }

    /// Whose connection it is by its balancer's word; nothing of one that is not served. Over TLS a client pays for it, as for one
    /// that comes directly.
    async fn proxied(&self, stream: &mut ClientStream) -> Option<Option<SocketAddr>> {
        let read = timeout_at(self.first_request, proxy_protocol::read(stream));
        let read = self.unless_closed(read).await?.ok()?;
        let client = read.inspect_err(|error| {
            tracing::debug!(%error, "PROXY protocol");
            if error.kind() == io::ErrorKind::InvalidData {
                self.state.exchange.counters().refused.add();
            }
        });
        let client = client.ok()?;
        let is_let_in = |client| {
            let pays = self.tls.is_none() || self.state.admits(Some(client));
            pays && self.timer.pass_to(self.state.holder(Some(client)))
        };
        client.is_none_or(is_let_in).then_some(client)
    }

    fn context(&self, peer: ConnPeer) -> Arc<ConnContext> {
        let (state, timer) = (Arc::clone(&self.state), Arc::clone(&self.timer));
        Arc::new(ConnContext::new(state, timer, peer))
    }

    /// The stream, and a place for HTTP/2 if it was offered and there is one.
    async fn handshake(
        &self,
        stream: ClientStream,
        address: Option<SocketAddr>,
        tls: Arc<ServerTls>,
        wait: Duration,
    ) -> Option<(HandshakenStream, Option<Share>)> {
        let accepted = timeout_at(self.first_request, async {
            wait_until((Instant::now() + wait).into_std()).await;
            self.accept_tls(stream, address, &tls).await
        });
        let accepted = self.unless_closed(accepted).await?.ok()?;
        let accepted = accepted.inspect_err(|error| {
            tracing::debug!(%error, "TLS");
            if is_about_certificate(error) {
                self.state.exchange.counters().certificates_refused.add();
            }
        });
        accepted.ok()
    }

    async fn accept_tls(
        &self,
        stream: ClientStream,
        address: Option<SocketAddr>,
        tls: &ServerTls,
    ) -> io::Result<(HandshakenStream, Option<Share>)> {
        let certificates = if tls.asks_for_certificates() {
            MAX_CHAIN
        } else {
            0
        };
        let hello = client_hello::read(stream, certificates).await?;
        let [http2, http1] = [HTTP2, HTTP1].map(|name| offers(&hello.client_hello(), name));
        let place = || self.state.http2.take(self.state.holder(address), 1);
        let place = if http2 { place() } else { None };
        // A client that can do nothing else is turned away, but for proxies, which have many clients.
        let is_proxy = !http1 && self.state.payer(address).is_none();
        let config = if place.is_some() || is_proxy {
            &tls.any_http
        } else {
            &tls.http1
        };
        let stream = hello.into_stream(Arc::clone(config)).await?;
        Ok((Box::new(stream), place))
    }

    async fn http1<S>(&self, stream: S, peer: ConnPeer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (context, wind_down) = (self.context(peer), WindDown::default());
        let serve = http1::serve(stream, &context, &wind_down);
        let Some(Http1End {
            mut stream,
            may_send_more,
        }) = self.until_closed(serve, &wind_down).await
        else {
            return;
        };
        let farewell = async {
            if stream.shutdown().await.is_ok() && may_send_more {
                let mut rest = stream.take(DISCARD);
                let mut sink = tokio::io::sink();
                let discard = tokio::io::copy(&mut rest, &mut sink);
                self.timer.close().run_until_cancelled(discard).await;
            }
        };
        drop(timeout(DISCARD_TIME, farewell).await);
    }

    async fn http2<S>(&self, stream: S, peer: ConnPeer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (context, wind_down) = (self.context(peer), WindDown::default());
        let mut builder = http2::Builder::new(CatchingExecutor(Arc::clone(&self.state.exchange)));
        builder
            .max_concurrent_streams(STREAMS)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(RESETS)
            .max_header_list_size(MAX_HEADERS as u32)
            .initial_connection_window_size(WINDOW)
            .initial_stream_window_size(STREAM_WINDOW)
            .max_send_buf_size(SEND_BUFFER);
        let service = service_fn(|request| context.call(request));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = Box::pin(connection);
        let serve = async {
            tokio::select! {
                biased;
                () = wind_down.begun() => {
                    connection.as_mut().graceful_shutdown();
                    drop((&mut connection).await);
                }
                _ = &mut connection => {}
            }
        };
        self.until_closed(serve, &wind_down).await;
    }

    /// Waits until a certificate that the client has shown is not valid any more, by what is current then.
    async fn distrusted(&self) {
        if let (Some(current), Some(shown)) = (&self.tls, self.shown.get()) {
            let mut current = current.clone();
            while current.changed().await.is_ok() {
                if !current.borrow_and_update().trusts(shown) {
                    return;
                }
            }
        }
        std::future::pending().await
    }

    /// Waits until the connection is evicted, its client is distrusted or the daemon stops. Who has just connected then still has a
    /// moment to ask: a restart must not cost them their request.
    async fn closing(&self) {
        tokio::select! {
            () = self.timer.close().cancelled() => {}
            () = self.distrusted() => {}
        }
        if self.state.tasks.stop.is_cancelled() {
            drop(timeout(GOAWAY_TIME, self.timer.has_asked()).await);
        }
    }

    /// What comes of `work`, unless the connection is closed before.
    async fn unless_closed<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.closing() => None,
        }
    }

    /// Runs `serve` to its end, or until the connection [ends](Self::ended) otherwise.
    async fn until_closed<T>(
        &self,
        serve: impl Future<Output = T>,
        wind_down: &WindDown,
    ) -> Option<T> {
        // A set asks those alone that were woken: this is polled for each request, and what ends a connection seldom has news.
        let mut ended = FuturesUnordered::from_iter([self.ended(wind_down)]);
        tokio::select! {
            biased;
            _ = ended.next() => None,
            end = serve => Some(end),
        }
    }

    /// Waits until the connection is evicted, its timer expires, or a response that is not taken gives way. Begins to `wind_down` once
    /// no further request is to be served, for the daemon stops, a response is owed before the connection makes room, or too many are
    /// not taken.
    async fn ended(&self, wind_down: &WindDown) {
        loop {
            tokio::select! {
                biased;
                () = self.closing(), if !wind_down.has_begun() => {
                    if !self.state.tasks.stop.is_cancelled() && !self.timer.owes_response() {
                        return;
                    }
                }
                () = self.timer.untaken().cancelled() => return,
                () = self.timer.expired() => {
                    if wind_down.has_begun() || !self.timer.is_crowded() {
                        return;
                    }
                }
            }
            wind_down.begin();
            self.timer.shorten(GOAWAY_TIME);
        }
    }
}

/// The handshake ended because of the client's certificate, or because it showed none.
fn is_about_certificate(error: &io::Error) -> bool {
    use rustls::Error::{InvalidCertificate, NoCertificatesPresented};
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(error, Some(InvalidCertificate(_) | NoCertificatesPresented))
}

/// The client can speak this (RFC 7301 3.1).
fn offers(hello: &ClientHello<'_>, protocol: &[u8]) -> bool {
    let mut offered = hello.alpn().into_iter().flatten();
    offered.any(|name| name == protocol)
}
