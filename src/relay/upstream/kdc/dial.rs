//! A connection to one of several addresses.

use std::io;
use std::net::SocketAddr;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval_at};

use super::{CONNECT, Reach, is_refusal};

/// Connects to the first address that takes the connection. One that is silent holds up the next for a moment only, and is
/// called once more after all the others: a full backlog drops a SYN without a word, and the kernel repeats it after a second
/// (RFC 6298 2.1). The connects that lose are dropped before anything goes over them.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    reach: Reach,
    refused: &mut Vec<SocketAddr>,
) -> io::Result<(TcpStream, SocketAddr)> {
    let mut untried = addresses.iter().copied();
    let mut again = addresses.iter().copied();
    let mut failed = Vec::new();
    // The first at once: even a timer that is due costs a millisecond.
    let mut under_way: FuturesUnordered<_> = untried.next().map(dial).into_iter().collect();
    let mut turn = interval_at(Instant::now() + reach.patience(), reach.patience());
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    while addresses.iter().any(|address| !failed.contains(address)) {
        tokio::select! {
            biased;
            Some((address, end)) = under_way.next() => match end {
                Ok(stream) => return Ok((attentive(stream)?, address)),
                Err(error) => {
                    if is_refusal(&error) && !refused.contains(&address) {
                        refused.push(address);
                    }
                    failed.push(address);
                    last = error;
                    under_way.extend(untried.next().map(dial));
                    turn.reset();
                }
            },
            _ = turn.tick() => {
                let next = untried.next().or_else(|| again.find(|address| !failed.contains(address)));
                under_way.extend(next.map(dial));
            }
        }
    }
    Err(last)
}

async fn dial(address: SocketAddr) -> (SocketAddr, io::Result<TcpStream>) {
    (address, TcpStream::connect(address).await)
}

/// Says at once what it has to say, and hears that nobody acknowledges it.
fn attentive(stream: TcpStream) -> io::Result<TcpStream> {
    // What is not even acknowledged shows a connection that only this end believes in.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(CONNECT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
