//! One connection: TLS, the version of HTTP, and its end.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::TokioIo;
use rustls::server::{Acceptor, ClientHello};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::GatewayState;
use super::kept::Kept;
use super::quiet::Quiet;
use super::request::{Conversation, MAX_BODY, Peer};
use super::requests::Requests;
use super::tls::{HTTP1, HTTP2, ServerTls};
use crate::daemon::accept::Stream;
use crate::daemon::panics::CatchingExecutor;
use crate::daemon::slots::ConnSlot;

/// Most octets of a request's headers: a tenth of it is usual, and reverse proxies and single sign-on add some.
pub(super) const MAX_HEADERS: usize = 16 * 1024;
/// CatchingExecutor at once in one HTTP/2 connection, which RFC 9113 6.5.2 wants to be no fewer.
const STREAMS: u32 = 100;
/// What an HTTP/2 connection may send before it is read, over all its streams.
const WINDOW: u32 = 2 * MAX_BODY as u32;
/// And each of its streams: nearly all requests whole.
const STREAM_WINDOW: u32 = 64 * 1024;
/// What of an answer waits in a stream for its client to take it.
const SEND_BUFFER: usize = 64 * 1024;
/// CatchingExecutor that the client has reset before they were begun on here, and ours reset for its errors, before the connection
/// ends (CVE-2023-44487, CVE-2025-8671).
const RESETS: usize = 20;

/// How long a connection without a request may stay once the daemon stops: an HTTP/2 client that hears of the end loses
/// no request that was on its way.
const GOODBYE: Duration = Duration::from_secs(1);
/// How much of what a refused client goes on to send is read, and for how long, so that the refusal is not lost in a reset.
const DISCARD: u64 = 2 * MAX_BODY as u64;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// A connection that was accepted.
pub(super) struct Opened {
    site: Arc<GatewayState>,
    quiet: Quiet,
    first_request: Instant,
}

impl Opened {
    pub(super) fn new(site: Arc<GatewayState>, slot: ConnSlot) -> Self {
        let first_request = Instant::now() + site.terms.limits.first_request;
        let quiet = Quiet::new(slot, first_request, site.terms.limits.idle_timeout);
        Self {
            site,
            quiet,
            first_request,
        }
    }

    /// Serves `stream` to its end.
    pub(super) async fn serve<S: Stream>(self, stream: S, tls: Option<Arc<ServerTls>>) {
        let mut peer = Peer {
            transport: "http",
            address: stream.peer(),
            certificate: None,
        };
        let conversation =
            |peer| Conversation::new(Arc::clone(&self.site), self.quiet.clone(), peer);
        // Each part in a box of its own: a task is as large as its largest part, for as long as it lives.
        let Some(tls) = tls else {
            return Box::pin(self.http1(stream, conversation(peer))).await;
        };
        if let Some((stream, place)) = Box::pin(self.handshake(stream, tls)).await {
            let session = stream.get_ref().1;
            // RFC 9113 3.2: only ALPN says so.
            let is_http2 = session.alpn_protocol() == Some(HTTP2);
            let _place = place.filter(|_| is_http2);
            peer.transport = "https";
            let leaf = session.peer_certificates().and_then(<[_]>::first);
            peer.certificate = leaf.map(|leaf| self.site.terms.throttle.certificate(leaf));
            if is_http2 {
                Box::pin(self.http2(stream, conversation(peer))).await;
            } else {
                Box::pin(self.http1(stream, conversation(peer))).await;
            }
        }
    }

    /// The stream, and a place among those of HTTP/2 if it was offered and there is one.
    async fn handshake<S: Stream>(
        &self,
        stream: S,
        tls: Arc<ServerTls>,
    ) -> Option<(Box<TlsStream<S>>, Option<SemaphorePermit<'_>>)> {
        let handshake = tokio::time::timeout_at(self.first_request, self.shake(stream, &tls));
        let handshake = self.quiet.leave().run_until_cancelled(handshake).await?;
        match handshake.ok()? {
            Ok((stream, place)) => Some((Box::new(stream), place)),
            Err(error) => {
                tracing::debug!(%error, "TLS");
                None
            }
        }
    }

    async fn shake<S: Stream>(
        &self,
        stream: S,
        tls: &ServerTls,
    ) -> io::Result<(TlsStream<S>, Option<SemaphorePermit<'_>>)> {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let [http2, http1] = [HTTP2, HTTP1].map(|name| offers(&hello.client_hello(), name));
        let place = match http2 {
            true => self.site.http2.try_acquire().ok(),
            false => None,
        };
        // Who can do nothing else is not turned away.
        let config = match place.is_some() || !http1 {
            true => &tls.any_http,
            false => &tls.http1,
        };
        let stream = hello.into_stream(Arc::clone(config)).await?;
        Ok((stream, place))
    }

    async fn http1<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        conversation: Conversation,
    ) {
        let conversation = Arc::new(conversation);
        let mut connection = Kept::new(stream, Arc::clone(&conversation));
        let Some(end) = self.drive(&mut connection).await else {
            return;
        };
        let malformed = end.is_err_and(|error| error.is_parse());
        if malformed {
            self.site.exchange.counters().refused.add();
        }
        let Some(mut stream) = connection.into_stream() else {
            return;
        };
        let lingers = malformed || conversation.unread.load(Ordering::Relaxed);
        let farewell = async {
            if stream.shutdown().await.is_ok() && lingers {
                let mut rest = stream.take(DISCARD);
                let mut sink = tokio::io::sink();
                let discard = tokio::io::copy(&mut rest, &mut sink);
                self.quiet.leave().run_until_cancelled(discard).await;
            }
        };
        drop(timeout(DISCARD_TIME, farewell).await);
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        conversation: Conversation,
    ) {
        let mut builder = http2::Builder::new(CatchingExecutor(Arc::clone(&self.site.exchange)));
        builder
            .max_concurrent_streams(STREAMS)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(RESETS)
            .max_header_list_size(MAX_HEADERS as u32)
            .initial_connection_window_size(WINDOW)
            .initial_stream_window_size(STREAM_WINDOW)
            .max_send_buf_size(SEND_BUFFER);
        let connection =
            builder.serve_connection(TokioIo::new(stream), Requests(Arc::new(conversation)));
        self.drive(&mut Box::pin(connection)).await;
    }

    /// Serves requests until the connection ends, and says how; or nothing if it is to be dropped: silent for too long,
    /// or making room.
    async fn drive(&self, connection: &mut impl Drive) -> Option<hyper::Result<()>> {
        let mut stopping = false;
        loop {
            tokio::select! {
                biased;
                () = self.quiet.leave().cancelled(), if !stopping => {
                    if !self.site.stop.is_cancelled() && !self.quiet.is_owing() {
                        return None;
                    }
                    stopping = true;
                    connection.wind_down();
                    self.quiet.hurry(GOODBYE);
                }
                end = poll_fn(|context| connection.poll_end(context)) => return Some(end),
                () = self.quiet.too_long() => return None,
            }
        }
    }
}

/// Whether a client can speak this (RFC 7301 3.1).
fn offers(hello: &ClientHello<'_>, protocol: &[u8]) -> bool {
    let mut offered = hello.alpn().into_iter().flatten();
    offered.any(|name| name == protocol)
}

/// A connection at work.
pub(super) trait Drive {
    /// Works until the connection ends; HTTP/1 leaves the socket open.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>>;
    /// Takes no further requests.
    fn wind_down(&mut self);
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Drive
    for Pin<Box<http2::Connection<TokioIo<S>, Requests, CatchingExecutor>>>
{
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.as_mut().poll(context)
    }

    fn wind_down(&mut self) {
        self.as_mut().graceful_shutdown();
    }
}
