//! The first message of TLS, and how much of a handshake is read: whoever connects may send what is held for it.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use rustls::server::{AcceptedAlert, Acceptor};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;
use tokio_util::io::InspectReader;

/// Most octets of it. Keys that no quantum computer breaks take two thousand and a ticket with certificates some more; rustls would
/// hold 64 KiB of this and of each later message.
const MAX: u64 = 16 * 1024;
/// Most octets of what follows it. A record of data may come with the end of the handshake, and is read whole, up to 18 KiB (RFC 5246
/// 6.2.3), before that is known to be done.
const REST: u64 = 24 * 1024;
/// Most octets between any two of data, once the handshake is done.
const BETWEEN: u64 = 32 * 1024;
/// Octets that are read at once.
const READ: usize = 4096;

/// Reads a ClientHello from `stream`. What comes of the handshake after it is bounded too: it may be sent anew (RFC 8446 4.1.2), and have
/// `certificates` octets more.
///
/// # Errors
/// The stream fails or ends, or what comes is no ClientHello or a longer one.
pub(super) async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    certificates: usize,
) -> io::Result<StartHandshake<BoundedStream<S>>> {
    let left = Arc::new(AtomicU64::new(MAX));
    let (mut acceptor, mut stream) = (Acceptor::default(), BoundedStream { stream, left });
    loop {
        let read = fill(&mut acceptor, &mut stream).await?;
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                stream.left.store(REST + certificates as u64, Relaxed);
                return Ok(StartHandshake::from_parts(accepted, stream));
            }
            Ok(None) if read == 0 => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(None) => {}
            Err((error, alert)) => {
                stream.write_all(&octets(alert)?).await?;
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
        }
    }
}

/// Reads what has come for `acceptor`; none at the end of the stream. No room is taken for it before it comes.
async fn fill(acceptor: &mut Acceptor, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
    poll_fn(|context| {
        let mut octets = [MaybeUninit::uninit(); READ];
        let mut octets = ReadBuf::uninit(&mut octets);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut octets))?;
        Poll::Ready(acceptor.read_tls(&mut octets.filled()))
    })
    .await
}

fn octets(mut alert: AcceptedAlert) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    alert.write_all(&mut octets)?;
    Ok(octets)
}

/// The stream of a handshake that is done. Messages like those of the handshake may come at any time, and are bounded in the same way.
pub(super) fn done<S: AsyncRead + AsyncWrite + Unpin>(
    stream: Box<BoundedTls<S>>,
) -> InspectReader<Box<BoundedTls<S>>, impl FnMut(&[u8])> {
    let left = Arc::clone(&stream.get_ref().0.left);
    left.store(BETWEEN, Relaxed);
    InspectReader::new(stream, move |_: &[u8]| left.store(BETWEEN, Relaxed))
}

type BoundedTls<S> = TlsStream<BoundedStream<S>>;

/// A stream that fails once more was read than may be, and from then on.
pub(super) struct BoundedStream<S> {
    stream: S,
    left: Arc<AtomicU64>,
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = octets.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, octets))?;
        let read = (octets.filled().len() - before) as u64;
        let left = self.left.load(Relaxed).checked_sub(read);
        self.left.store(left.unwrap_or(0), Relaxed);
        let too_long = || io::Error::new(ErrorKind::InvalidData, "too long a handshake");
        Poll::Ready(left.map(drop).ok_or_else(too_long))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, octets)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
