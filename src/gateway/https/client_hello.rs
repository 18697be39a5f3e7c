//! The first message of TLS: whoever connects may send what is held for it.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Poll, ready};

use rustls::server::{AcceptedAlert, Acceptor};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::StartHandshake;

/// Most octets until it is there. Keys that no quantum computer breaks take two thousand and a ticket with certificates some
/// more; rustls would hold 64 KiB.
const MAX: usize = 16 * 1024;
/// Octets that are read at once.
const READ: usize = 4096;

/// Reads a ClientHello from `stream`.
///
/// # Errors
/// The stream fails or ends, or what comes is no ClientHello or a longer one.
pub(super) async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
) -> io::Result<StartHandshake<S>> {
    let (mut acceptor, mut left) = (Acceptor::default(), MAX);
    while left > 0 {
        let read = fill(&mut acceptor, &mut stream, left).await?;
        left -= read;
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(StartHandshake::from_parts(accepted, stream)),
            Ok(None) if read == 0 => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(None) => {}
            Err((error, alert)) => {
                stream.write_all(&octets(alert)?).await?;
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
        }
    }
    let text = "a ClientHello of more than 16 KiB";
    Err(io::Error::new(ErrorKind::InvalidData, text))
}

/// Reads at most `most` octets for `acceptor`; none at the end of the stream. No room is taken for them before they come.
async fn fill(
    acceptor: &mut Acceptor,
    stream: &mut (impl AsyncRead + Unpin),
    most: usize,
) -> io::Result<usize> {
    poll_fn(|context| {
        let mut octets = [0; READ];
        let mut octets = ReadBuf::new(octets.split_at_mut(most.min(READ)).0);
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
