//! The connections kept to one KDC that keeps them open. krb5kdc does not: it closes each after its reply.

use std::io;
use std::mem::MaybeUninit;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::relay::sync::lock;
use crate::relay::upstream::conn_pool::ConnReuse;
use crate::relay::upstream::fault::{Fault, NotReply};

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
        let mut kept = self.lock();
        let age = match reuse {
            ConnReuse::Any => FORGOTTEN,
            ConnReuse::KnownAlive if kept.keeps_open => JUST_HEARD,
            ConnReuse::KnownAlive | ConnReuse::Never => return None,
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
        let mut kept = self.lock();
        kept.keeps_open |= again;
        if kept.streams.len() >= MAX_IDLE {
            kept.streams.remove(0);
        }
        kept.streams.push((stream, now));
        Ok(())
    }

    /// A kept connection turned out to have been closed.
    pub(super) fn found_closed(&self) {
        self.lock().keeps_open = false;
    }

    /// Closes all that is kept; whether it keeps connections open is still known.
    pub(super) fn forget(&self) {
        self.lock().streams.clear();
    }

    fn lock(&self) -> MutexGuard<'_, IdleState> {
        lock(&self.0)
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
        assert!(!idle.lock().keeps_open);
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
        assert_eq!(idle.lock().streams.len(), MAX_IDLE);
        let (stream, mut peer) = connection(&listener).await;
        peer.write_all(b"more").unwrap();
        assert!(idle.put(stream, false, then).is_err());
        assert_eq!(idle.lock().streams.len(), MAX_IDLE);
    }
}
