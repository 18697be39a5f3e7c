//! An HTTP/1 connection that costs little while nothing is asked over it.
//!
//! hyper holds two buffers of 8 KiB for as long as it has a connection. So it has one from the first octet of a request to
//! the end of the answer only; in between the stream waits alone.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::{Drive, MAX_HEADERS};
use super::request::Conversation;
use super::requests::Requests;

/// What is read of a request before hyper is there: nearly all requests whole.
const FIRST: usize = 4096;

type Connection<S> = http1::Connection<TokioIo<Ahead<S>>, Requests>;

/// An HTTP/1 connection, and whose turn it is.
pub(super) struct Kept<S: AsyncRead + AsyncWrite + Unpin> {
    conversation: Arc<Conversation>,
    turn: Turn<S>,
    leaving: bool,
}

enum Turn<S: AsyncRead + AsyncWrite + Unpin> {
    /// Nothing is asked.
    Waiting(Ahead<S>),
    /// hyper has it.
    Asked(Box<Connection<S>>),
    /// Between the two.
    Changing,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Kept<S> {
    pub(super) fn new(stream: S, conversation: Arc<Conversation>) -> Self {
        Self {
            turn: Turn::Waiting(Ahead {
                octets: Bytes::new(),
                stream,
                conversation: Arc::clone(&conversation),
            }),
            conversation,
            leaving: false,
        }
    }

    /// The stream, to say goodbye over.
    pub(super) fn into_stream(self) -> Option<Ahead<S>> {
        match self.turn {
            Turn::Waiting(stream) => Some(stream),
            Turn::Asked(connection) => Some(connection.into_parts().io.into_inner()),
            Turn::Changing => None,
        }
    }

    /// Waits for a request; says whether the connection goes on.
    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let Turn::Waiting(stream) = &mut self.turn else {
            return Poll::Ready(true);
        };
        if self.leaving || !matches!(ready!(stream.poll_first(context)), Ok(true)) {
            return Poll::Ready(false);
        }
        if let Turn::Waiting(stream) = std::mem::replace(&mut self.turn, Turn::Changing) {
            self.conversation.stir();
            let connection = http1::Builder::new()
                .half_close(true)
                .max_buf_size(MAX_HEADERS)
                .max_header_size(MAX_HEADERS)
                .serve_connection(
                    TokioIo::new(stream),
                    Requests(Arc::clone(&self.conversation)),
                );
            self.turn = Turn::Asked(Box::new(connection));
        }
        Poll::Ready(true)
    }

    /// Has hyper work; brings how it ended.
    fn poll_asked(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        let Turn::Asked(connection) = &mut self.turn else {
            return Poll::Ready(Ok(()));
        };
        let polled = connection.poll_without_shutdown(context);
        if polled.is_ready() || !self.conversation.is_at_rest() {
            return polled;
        }
        // hyper waits for the next request, and so lets go at once. Were anything left to read or write of the last, what
        // follows could be taken for a request.
        Pin::new(connection.as_mut()).graceful_shutdown();
        ready!(connection.poll_without_shutdown(context))?;
        if let Turn::Asked(connection) = std::mem::replace(&mut self.turn, Turn::Changing) {
            let parts = connection.into_parts();
            let ahead = parts.io.into_inner();
            self.conversation.heads.rewind();
            self.turn = Turn::Waiting(Ahead {
                // A copy: hyper's may be the last octets of its buffer, or none of them.
                octets: [&*parts.read_buf, &*ahead.octets].concat().into(),
                ..ahead
            });
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Drive for Kept<S> {
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        loop {
            if !ready!(self.poll_waiting(context)) {
                return Poll::Ready(Ok(()));
            }
            let polled = self.poll_asked(context);
            if polled.is_ready() || matches!(self.turn, Turn::Asked(_)) {
                return polled;
            }
        }
    }

    fn wind_down(&mut self) {
        self.leaving = true;
        if let Turn::Asked(connection) = &mut self.turn {
            Pin::new(connection.as_mut()).graceful_shutdown();
        }
    }
}

/// A stream of which the first octets may have been read already.
pub(super) struct Ahead<S> {
    octets: Bytes,
    stream: S,
    conversation: Arc<Conversation>,
}

impl<S: AsyncRead + Unpin> Ahead<S> {
    /// Waits for octets; says whether there are any before the end.
    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.octets.is_empty() {
            let mut room = [MaybeUninit::uninit(); FIRST];
            let mut first = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut first))?;
            self.octets = Bytes::copy_from_slice(first.filled());
        }
        Poll::Ready(Ok(!self.octets.is_empty()))
    }
}

impl<S> Ahead<S> {
    /// Notes whether something waits for the client to take what was there before.
    fn note<T>(&self, polled: Poll<T>) -> Poll<T> {
        self.conversation
            .blocked
            .store(polled.is_pending(), Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            octets,
            stream,
            conversation,
        } = &mut *self;
        let before = buffer.filled().len();
        let is_new = octets.is_empty();
        if is_new {
            ready!(Pin::new(stream).poll_read(context, buffer))?;
        } else {
            let count = octets.len().min(buffer.remaining());
            buffer.put_slice(octets.get(..count).unwrap_or_default());
        }
        let filled = buffer.filled_mut().get_mut(before..).unwrap_or_default();
        let passed = conversation.heads.pass(filled);
        if is_new {
            // The rest waits here for the request before it.
            *octets = Bytes::copy_from_slice(filled.get(passed..).unwrap_or_default());
        } else {
            octets.advance(passed);
        }
        buffer.set_filled(before + passed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, octets);
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, octets);
        self.note(polled)
    }
}
