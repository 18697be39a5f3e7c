//! A connection to one of several addresses, a request and its reply over it (RFC 4120 7.2.2), and the connections kept to a KDC
//! that keeps them open. krb5kdc does not: it closes each after its reply.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{self, interval_at, timeout};

use super::{CONNECT, KdcRequest, Reach, is_refusal};
use crate::relay::sync::lock;
use crate::relay::upstream::conn_pool::ConnReuse;
use crate::relay::upstream::fault::{Fault, NotReply, Unsent};
use crate::relay::upstream::{Outgoing, SHORT_REPLY, TCP_TELLS_OF_SILENCE};
use crate::wire::{Deframer, KerberosMessage, MAX_REPLY, Reply};

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
        let mut replies = Deframer::new(MAX_REPLY);
        let begun = begin(&mut stream, turn, message, &mut replies).await;
        begun.map_err(|error| unheard(&error, kept, idle))?;
        let octets = read_reply(&mut stream, replies, long_replies).await?;
        let reply = Reply::parse(message.service(), octets)
            .map_err(|_| Fault::NotKerberos(NotReply::NoReply))?;
        idle.put(stream, kept, Instant::now())?;
        Ok(reply)
    }
}

/// Sends the request, and waits for the first octets of an answer.
async fn begin(
    stream: &mut TcpStream,
    turn: Option<SemaphorePermit<'_>>,
    message: &KerberosMessage,
    replies: &mut Deframer,
) -> io::Result<()> {
    // In one write: some KDCs read the length and the message together or not at all.
    stream.write_all(message.framed().as_bytes()).await?;
    if turn.is_some() {
        let _ = timeout(ACCEPTED, stream.readable()).await;
        drop(turn);
    }
    if stream.read_buf(&mut replies.buffer()).await? == 0 {
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

/// One reply, which is refused before it is read if it is too long, and must be all that is there. It goes on without a turn as
/// long as it has not shown to be long: what is only promised holds nothing.
async fn read_reply(
    stream: &mut TcpStream,
    mut replies: Deframer,
    long_replies: &Semaphore,
) -> Result<Bytes, Fault> {
    let mut turn = None;
    loop {
        let oversized = |_| Fault::NotKerberos(NotReply::Oversized);
        match replies.next().map_err(oversized)? {
            Some(reply) if replies.held() == 0 => return Ok(reply),
            Some(_) => return Err(Fault::NotKerberos(NotReply::TrailingOctets)),
            None => {}
        }
        if turn.is_none() && replies.held() >= SHORT_REPLY {
            turn = long_replies.acquire().await.ok();
        }
        let read = stream.read_buf(&mut replies.buffer()).await;
        if read.unwrap_or(0) == 0 {
            return Err(Fault::Unanswered);
        }
    }
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

/// A connection heard from within this time is alive.
const JUST_HEARD: Duration = Duration::from_secs(1);
/// After this time a firewall on the way may have forgotten it, and then nobody says so.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// As many as a busy gateway uses at once.
const MAX_IDLE: usize = 64;

/// Connections on which nothing is under way.
#[derive(Debug, Default)]
pub(super) struct IdleConns(Mutex<IdleState>);

#[derive(Debug, Default)]
struct IdleState {
    /// The one heard last stands last.
    streams: Vec<(TcpStream, Instant)>,
    /// A second request was answered over one, and none was found closed soon after a reply since.
    keeps_open: bool,
}

impl IdleConns {
    /// A kept connection that fits, if there is one. A request that must not be sent twice takes none to a KDC that has
    /// not shown that it keeps them open: the end may be on its way.
    pub(super) fn take(&self, reuse: ConnReuse, now: Instant) -> Option<TcpStream> {
        let mut kept = lock(&self.0);
        let age = match reuse {
            ConnReuse::Any if TCP_TELLS_OF_SILENCE => FORGOTTEN,
            ConnReuse::Any | ConnReuse::KnownAlive if kept.keeps_open => JUST_HEARD,
            ConnReuse::Any | ConnReuse::KnownAlive | ConnReuse::Never => return None,
        };
        while let Some((stream, heard)) = kept.streams.pop() {
            let idle = now.saturating_duration_since(heard);
            if idle > FORGOTTEN {
                kept.streams.clear();
                return None;
            }
            if !is_quiet(&stream) {
                kept.keeps_open &= idle > JUST_HEARD;
                continue;
            }
            if idle <= age {
                return Some(stream);
            }
            // The others are older.
            kept.streams.push((stream, heard));
            return None;
        }
        None
    }

    /// Keeps a connection after its reply, if it is still open; `again` says that it was kept before.
    ///
    /// # Errors
    /// Something follows the reply.
    pub(super) fn put(&self, stream: TcpStream, again: bool, now: Instant) -> Result<(), Fault> {
        match peek(&stream) {
            Ok(0) => return Ok(()),
            Ok(_) => return Err(Fault::NotKerberos(NotReply::TrailingOctets)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Ok(()),
        }
        let mut kept = lock(&self.0);
        kept.keeps_open |= again;
        if kept.streams.len() >= MAX_IDLE {
            kept.streams.remove(0);
        }
        kept.streams.push((stream, now));
        Ok(())
    }

    /// A kept connection turned out to have been closed.
    pub(super) fn found_closed(&self) {
        lock(&self.0).keeps_open = false;
    }

    /// Closes all that is kept; whether it keeps connections open is still known.
    pub(super) fn forget(&self) {
        lock(&self.0).streams.clear();
    }
}

/// It is open and says nothing: what is readable is its end, or what nobody asked for.
fn is_quiet(stream: &TcpStream) -> bool {
    peek(stream).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Asks the kernel: what the runtime knows may be older.
fn peek(stream: &TcpStream) -> io::Result<usize> {
    SockRef::from(stream).peek(&mut [MaybeUninit::uninit()])
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener as Listener, TcpStream as Peer};

    use super::*;

    async fn connection(listener: &Listener) -> (TcpStream, Peer) {
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        (stream, listener.accept().unwrap().0)
    }

    fn listener() -> Listener {
        Listener::bind("127.0.0.1:0").unwrap()
    }

    #[tokio::test]
    async fn a_request_that_may_not_be_sent_twice_takes_what_was_just_heard_on_a_kdc_that_keeps_connections()
     {
        let (listener, idle, then) = (listener(), IdleConns::default(), Instant::now());
        let (stream, _peer) = connection(&listener).await;
        idle.put(stream, false, then).unwrap();
        assert!(
            idle.take(ConnReuse::KnownAlive, then).is_none(),
            "not shown"
        );
        let stream = idle.take(ConnReuse::Any, then).unwrap();
        idle.put(stream, true, then).unwrap();
        let later = then + JUST_HEARD + Duration::from_millis(1);
        assert!(
            idle.take(ConnReuse::KnownAlive, later).is_none(),
            "heard long ago"
        );
        assert!(idle.take(ConnReuse::Never, then).is_none());
        let stream = idle.take(ConnReuse::KnownAlive, then).unwrap();
        idle.forget();
        assert!(idle.take(ConnReuse::Any, then).is_none(), "forgotten");
        idle.put(stream, true, then).unwrap();
        idle.found_closed();
        assert!(
            idle.take(ConnReuse::KnownAlive, then).is_none(),
            "one was closed"
        );
    }

    #[tokio::test]
    async fn a_close_soon_after_a_reply_shows_that_connections_are_not_kept() {
        let (listener, idle, then) = (listener(), IdleConns::default(), Instant::now());
        let (first, peer) = connection(&listener).await;
        let (second, _peer) = connection(&listener).await;
        idle.put(second, true, then).unwrap();
        idle.put(first, true, then).unwrap();
        drop(peer);
        assert!(idle.take(ConnReuse::Any, then).is_some());
        assert!(!lock(&idle.0).keeps_open);
    }

    #[tokio::test]
    async fn a_connection_that_a_firewall_may_have_forgotten_is_dropped() {
        let (listener, idle, then) = (listener(), IdleConns::default(), Instant::now());
        let (stream, _peer) = connection(&listener).await;
        idle.put(stream, false, then).unwrap();
        let later = then + FORGOTTEN + Duration::from_millis(1);
        assert!(idle.take(ConnReuse::Any, later).is_none());
        assert!(idle.take(ConnReuse::Any, then).is_none(), "dropped");
    }

    #[tokio::test]
    async fn only_so_many_are_kept_and_what_follows_a_reply_is_not() {
        let (listener, idle, then) = (listener(), IdleConns::default(), Instant::now());
        let mut peers = Vec::new();
        for _ in 0..=MAX_IDLE {
            let (stream, peer) = connection(&listener).await;
            idle.put(stream, false, then).unwrap();
            peers.push(peer);
        }
        assert_eq!(lock(&idle.0).streams.len(), MAX_IDLE);
        let (stream, mut peer) = connection(&listener).await;
        peer.write_all(b"more").unwrap();
        assert!(idle.put(stream, false, then).is_err());
        assert_eq!(lock(&idle.0).streams.len(), MAX_IDLE);
    }
}
