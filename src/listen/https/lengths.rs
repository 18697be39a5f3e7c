//! Whether a request said its length twice over.
//!
//! hyper drops Content-Length where Transfer-Encoding stands beside it, and goes by the latter. Two servers that choose
//! differently see two different requests (RFC 9112 6.1, 11.2), so that is refused here; but what was dropped shows
//! in the octets only.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How a line that says a length begins, in lower case, and the end of the line before it: httparse takes a bare line feed
/// for one, and no space before the colon.
const NEEDLE: &[u8] = b"\ncontent-length:";

/// Content-Length lines that a connection has brought, and those of requests that were handed over.
///
/// Lines are counted wherever they stand: one in a body can only have its own sender refused.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    read: AtomicUsize,
    told: AtomicUsize,
}

impl Lengths {
    /// Counts a request that was handed over with a length.
    pub(super) fn tell(&self) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there was a length that nobody was told of.
    pub(super) fn is_one_hidden(&self) -> bool {
        self.read.load(Ordering::Relaxed) > self.told.load(Ordering::Relaxed)
    }
}

/// A stream whose Content-Length lines are counted as they are read.
pub(super) struct Counted<S> {
    stream: S,
    lengths: Arc<Lengths>,
    /// How much of [`NEEDLE`] the last octets are.
    matched: usize,
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S, lengths: Arc<Lengths>) -> Self {
        Self {
            stream,
            lengths,
            matched: 0,
        }
    }

    fn count(&mut self, octets: &[u8]) {
        for octet in octets {
            // The line feed stands at the start of the needle only, so nothing else can begin a match.
            self.matched = match NEEDLE.get(self.matched) {
                Some(next) if *next == octet.to_ascii_lowercase() => self.matched + 1,
                _ => usize::from(*octet == b'\n'),
            };
            if self.matched == NEEDLE.len() {
                self.lengths.read.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.count(buffer.filled().get(before..).unwrap_or_default());
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
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
        Pin::new(&mut self.stream).poll_write_vectored(context, octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_however_they_are_cut() {
        let head = b"\nContent-Length: 3\r\nX: content-length:\r\n\r\n\ncontent-\ncontent-length:4\nContent-Length :5";
        for cut in 0..head.len() {
            let lengths = Arc::new(Lengths::default());
            let mut counted = Counted::new((), Arc::clone(&lengths));
            let (first, second) = head.split_at(cut);
            counted.count(first);
            counted.count(second);
            assert_eq!(lengths.read.load(Ordering::Relaxed), 2, "{cut}");
        }
    }
}
