//! A connection to one of several addresses, and a request and its reply over it (RFC 4120 7.2.2).

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{self, interval_at, timeout};

use super::idle_conns::IdleConns;
use super::{CONNECT, KdcRequest, Reach, is_refusal};
use crate::relay::upstream::fault::{Fault, NotReply, Unsent};
use crate::relay::upstream::{Outgoing, SHORT_REPLY};
use crate::wire::{KerberosMessage, MAX_REPLY, Reply};

/// What is read at once: nearly all replies whole.
const ROOM: usize = 4096;
/// A KDC that has not replied this long after the connect thinks, and has accepted the connection long ago.
const ACCEPTED: Duration = Duration::from_millis(50);

/// A connection in use.
pub(super) struct TcpConn<'a> {
    pub(super) stream: TcpStream,
    /// A place among those that may not have been accepted; a connection that stood before has none.
    pub(super) turn: Option<SemaphorePermit<'a>>,
}

impl KdcRequest<'_> {
    /// Asks over this connection, and keeps it if it is still open after the reply; a long one waits for its turn.
    pub(super) async fn over_tcp(&self, conn: TcpConn<'_>) -> Result<Reply, Fault> {
        let Outgoing { message, sent, .. } = self.outgoing;
        let (idle, long_replies) = (&self.kdc.idle, &self.kdc.long_replies);
        let TcpConn { mut stream, turn } = conn;
        let kept = turn.is_none();
        sent.mark_sent()
            .map_err(|_| Fault::NotSent(Unsent::HandedBack))?;
        let mut reader = BufReader::with_capacity(ROOM, &mut stream);
        let begun = begin(&mut reader, turn, message).await;
        begun.map_err(|error| unheard(&error, kept, idle))?;
        let octets = read_message(&mut reader, long_replies).await?;
        let reply = Reply::parse(message.service(), octets)
            .map_err(|_| Fault::NotKerberos(NotReply::NoReply))?;
        idle.put(stream, kept, Instant::now())?;
        Ok(reply)
    }
}

/// Sends the request, and waits for the first octets of an answer.
async fn begin(
    reader: &mut BufReader<&mut TcpStream>,
    turn: Option<SemaphorePermit<'_>>,
    message: &KerberosMessage,
) -> io::Result<()> {
    // In one write: some KDCs read the length and the message together or not at all.
    reader.write_all(message.framed().as_bytes()).await?;
    if turn.is_some() {
        let _ = timeout(ACCEPTED, reader.get_ref().readable()).await;
        drop(turn);
    }
    if reader.fill_buf().await?.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// A connection ended before an octet of the answer. Who closes it is there; who falls silent may not be.
fn unheard(error: &io::Error, kept: bool, idle: &IdleConns) -> Fault {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof};
    if kept {
        idle.found_closed();
        return Fault::ReusedConnectionClosed;
    }
    match error.kind() {
        UnexpectedEof | ConnectionReset | BrokenPipe => Fault::ClosedWithoutReply,
        TimedOut => Fault::Lifeless,
        _ => Fault::Unanswered,
    }
}

/// One message, which is refused before it is read if it is too long, and must be all that is there.
async fn read_message(
    reader: &mut BufReader<&mut TcpStream>,
    long_replies: &Semaphore,
) -> Result<Bytes, Fault> {
    let length = reader.read_u32().await.map_err(|_| Fault::Unanswered)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_REPLY {
        return Err(Fault::NotKerberos(NotReply::Oversized));
    }
    let _turn = if length > SHORT_REPLY {
        long_replies.acquire().await.ok()
    } else {
        None
    };
    // A length that is only promised reserves no more than an answer usually takes.
    let mut octets = Vec::with_capacity(length.min(ROOM));
    let read = reader.take(length as u64).read_to_end(&mut octets).await;
    if read.is_err() || octets.len() < length {
        return Err(Fault::Unanswered);
    }
    if !reader.buffer().is_empty() {
        return Err(Fault::NotKerberos(NotReply::TrailingOctets));
    }
    // The reply will be kept: without what a long one has reserved beyond its end.
    Ok(octets.into_boxed_slice().into())
}

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
    let mut turn = interval_at(time::Instant::now() + reach.patience(), reach.patience());
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
