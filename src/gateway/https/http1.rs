//! HTTP/1: one request after the other, each of which hyper gets alone.
//!
//! Two servers in a row must agree where a request ends, or a client smuggles another one past the first of them (RFC 9112
//! 11.2). So the head of each request is read and looked at here. hyper gets that head, as many octets behind it as it
//! takes the body to have, and then the end of the stream: nothing that a client sends behind a request is taken for
//! another one before its head was looked at.
//!
//! It also costs less: hyper's two buffers of 8 KiB are there only while a request is being answered.

use std::future::poll_fn;
use std::io::{self, Cursor};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Chain, ReadBuf, Take};

use super::connection::{MAX_HEADERS, WindDown};
use super::handler::ConnContext;

/// Octets that are read at once before hyper is there: nearly all requests whole.
const READ: usize = 4096;
/// hyper answers 400 to a head that this octet stands in, and ends the connection (RFC 9110 5.5).
const MALFORMED: u8 = 0;

/// An HTTP/1 connection over which no request comes any more.
pub(super) struct Http1End<S> {
    /// The stream, which is still open.
    pub(super) stream: S,
    /// The client may go on to send what was refused: a body that was not read, or what is no request.
    pub(super) may_send_more: bool,
}

/// Serves one request after the other, and after `wind_down` only the one that has begun.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    context: &Arc<ConnContext>,
    wind_down: &WindDown,
) -> Http1End<S> {
    let buffer = Vec::new();
    let mut reader = HeadReader { buffer, stream };
    while let Some(head) = reader.next_head(wind_down).await {
        // In a box: what hyper needs is not held while nothing is asked.
        let served = Box::pin(serve_request(reader, head, context, wind_down));
        let (served, end) = served.await;
        let is_malformed = end.as_ref().is_err_and(hyper::Error::is_parse);
        if is_malformed {
            context.state.exchange.counters().refused.add();
        }
        let may_send_more = is_malformed || served.has_unread();
        let goes_on = end.is_ok() && served.is_over;
        reader = served.into_reader();
        if !goes_on {
            return Http1End {
                stream: reader.stream,
                may_send_more,
            };
        }
    }
    Http1End {
        stream: reader.stream,
        may_send_more: false,
    }
}

/// Has hyper serve the request that `head` is of.
async fn serve_request<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    HeadReader { buffer, stream }: HeadReader<S>,
    head: RequestHead,
    context: &Arc<ConnContext>,
    wind_down: &WindDown,
) -> (RequestStream<S>, hyper::Result<()>) {
    let body = Arc::new(AtomicU64::new(0));
    let stream = RequestStream {
        stream: Cursor::new(buffer).chain(stream).take(head.length as u64),
        body: Arc::clone(&body),
        is_over: false,
    };
    let service = service_fn(|mut request: Request<Incoming>| {
        // In chunks, it ends where hyper says: such a request is the last one.
        let length = request.body().size_hint().exact().unwrap_or(u64::MAX);
        body.store(length, Ordering::Relaxed);
        if head.declares_length {
            // hyper drops it where Transfer-Encoding stands beside it (RFC 9112 6.1).
            let declared = request.headers_mut().entry(CONTENT_LENGTH);
            declared.or_insert(HeaderValue::from_static("0"));
        }
        context.call(request)
    });
    let mut connection = http1::Builder::new()
        .half_close(true)
        .max_buf_size(MAX_HEADERS)
        .max_header_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let end = tokio::select! {
        biased;
        end = &mut connection => end,
        () = wind_down.begun() => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    (connection.into_parts().io.into_inner(), end)
}

/// The head of a request, as it lies at the start of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RequestHead {
    length: usize,
    /// A Content-Length line stands in it.
    declares_length: bool,
}

impl RequestHead {
    /// The head at the start of `octets`, if it has come whole; the first `known` octets were looked at before.
    ///
    /// Whole is also what hyper is to refuse at once. httparse takes a line feed alone for the end of a line, as RFC 9112
    /// 2.2 lets it do; a reverse proxy in front that takes it for a part of a value sees one request where hyper would
    /// see two. So a head ends at such an octet, and is malformed.
    fn find(octets: &mut [u8], known: usize) -> Option<Self> {
        for at in known..octets.len() {
            let (before, rest) = octets.split_at_mut(at);
            let octet = rest.first_mut()?;
            match *octet {
                b'\n' if before.ends_with(b"\r\n\r") => return Some(Self::new(octets, at + 1)),
                b'\n' if before.ends_with(b"\r") => {}
                b'\r' | b'\t' => {}
                other if other.is_ascii_control() => {
                    *octet = MALFORMED;
                    return Some(Self::new(octets, at + 1));
                }
                _ => {}
            }
        }
        // hyper answers 431.
        (octets.len() >= MAX_HEADERS).then(|| Self::new(octets, octets.len()))
    }

    fn new(octets: &[u8], length: usize) -> Self {
        const NAME: &[u8] = b"content-length:";
        let head = octets.get(..length).unwrap_or_default();
        // httparse takes neither a space before the colon nor a line that is folded.
        let is_length = |line: &[u8]| {
            let start = line.get(..NAME.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(NAME))
        };
        Self {
            length,
            declares_length: head.split(|octet| *octet == b'\n').any(is_length),
        }
    }
}

/// A stream between two requests, and what was read of it ahead.
struct HeadReader<S> {
    buffer: Vec<u8>,
    stream: S,
}

impl<S: AsyncRead + Unpin> HeadReader<S> {
    /// The head of the next request; nothing if the stream ends before it, or once `wind_down` says so and none is begun.
    async fn next_head(&mut self, wind_down: &WindDown) -> Option<RequestHead> {
        tokio::select! {
            biased;
            head = self.read_head() => head,
            () = wind_down.begun() => {
                if self.buffer.is_empty() {
                    return None;
                }
                self.read_head().await
            }
        }
    }

    async fn read_head(&mut self) -> Option<RequestHead> {
        let mut known: usize = 0;
        loop {
            // Empty lines before a request are none of it (RFC 9112 2.2).
            let lines = self.buffer.chunks_exact(2);
            let empty = 2 * lines.take_while(|line| line == b"\r\n").count();
            self.buffer.drain(..empty);
            let head = RequestHead::find(&mut self.buffer, known.saturating_sub(empty));
            if head.is_some() {
                return head;
            }
            known = self.buffer.len();
            if !poll_fn(|context| self.poll_fill(context)).await {
                return None;
            }
        }
    }

    /// Reads more; false at the end of the stream. Memory is taken once there is something to put there.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let mut octets = [MaybeUninit::uninit(); READ];
        let mut octets = ReadBuf::uninit(&mut octets);
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut octets));
        let octets = octets.filled();
        // A vector that grows by itself doubles.
        self.buffer.reserve_exact(octets.len());
        self.buffer.extend_from_slice(octets);
        Poll::Ready(read.is_ok() && !octets.is_empty())
    }
}

/// What hyper gets of a stream: one request, and then its end.
struct RequestStream<S> {
    /// What was read ahead and then the rest, limited to what hyper may read now.
    stream: Take<Chain<Cursor<Vec<u8>>, S>>,
    /// How long hyper takes the body to be, once it has the head.
    body: Arc<AtomicU64>,
    /// hyper has had all of the request, and looked for another one.
    is_over: bool,
}

impl<S: AsyncRead + Unpin> RequestStream<S> {
    /// hyper has not read all of the body.
    fn has_unread(&self) -> bool {
        self.stream.limit() > 0 || self.body.load(Ordering::Relaxed) > 0
    }

    fn inner(self: Pin<&mut Self>) -> Pin<&mut S> {
        let (_, stream) = self.get_mut().stream.get_mut().get_mut();
        Pin::new(stream)
    }

    fn into_reader(self) -> HeadReader<S> {
        let (ahead, stream) = self.stream.into_inner().into_inner();
        let read = ahead.position() as usize;
        // A vector of its own: the first one keeps its capacity.
        let buffer = ahead.into_inner().split_off(read);
        HeadReader { buffer, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RequestStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stream.limit() == 0 {
            let body = self.body.swap(0, Ordering::Relaxed);
            self.stream.set_limit(body);
            self.is_over = body == 0;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for RequestStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write(context, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(context)
    }

    /// hyper is done, and has flushed what it wrote: the stream stays open for the next request.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Or hyper would copy a response that is accounted for to where it is not.
    fn is_write_vectored(&self) -> bool {
        let (_, stream) = self.stream.get_ref().get_ref();
        stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(context, octets)
    }
}

#[cfg(test)]
mod tests;
