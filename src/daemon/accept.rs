//! Stream sockets that listen, and the loop that accepts.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::either::Either;

use crate::daemon::bind::StreamSocket;
use crate::daemon::panics;
use crate::daemon::slots::{ConnLimit, ConnSlot};
use crate::relay::shares::Holder;

/// How long an evicted connection takes to close and free its descriptor.
const EVICTION: Duration = Duration::from_millis(1);

/// Connections that are accepted before what else is due has its turn: one is served, and another that it has evicted ends, before
/// many more come, or the runtime would fall behind with those of a flood and let all wait for seconds.
const AT_ONCE: usize = 16;

/// A connected client.
pub(crate) type ClientStream = Either<TcpStream, UnixStream>;

impl StreamSocket {
    pub(crate) async fn accept(&self) -> io::Result<ClientStream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Of one that was reset in the queue nobody can tell any more whose it was.
                stream.peer_addr()?;
                stream.set_nodelay(true)?;
                Ok(Either::Left(stream))
            }
            Self::Unix(listener) => Ok(Either::Right(listener.accept().await?.0)),
        }
    }
}

/// The address of the other end, where it has one. A service manager's socket may be for IPv4 and IPv6 at once, and shows
/// addresses of the former mapped (RFC 4291 2.5.5.2).
pub(crate) fn peer(stream: &ClientStream) -> Option<SocketAddr> {
    let peer = match stream {
        Either::Left(stream) => stream.peer_addr().ok()?,
        Either::Right(_) => return None,
    };
    Some(SocketAddr::new(peer.ip().to_canonical(), peer.port()))
}

/// Has each connection to `listener` that gets a slot served in a task of its own, until the daemon stops. `admit` says whose
/// it is; nobody's is not let in.
pub(crate) async fn accept_each<F: Future<Output = ()> + Send + 'static>(
    listener: &StreamSocket,
    limit: &ConnLimit,
    admit: impl Fn(&ClientStream) -> Option<Holder>,
    serve: impl Fn(ClientStream, ConnSlot) -> F,
) {
    let accepted = |stream: ClientStream, descriptor: OwnedSemaphorePermit| {
        // Those that are not let in make nobody leave for them.
        if let Some(holder) = admit(&stream)
            && let Some(slot) = limit.acquire(holder)
        {
            let served = serve(stream, slot).map(|()| drop(descriptor));
            panics::spawn_catching(limit.tasks(), limit.exchange(), served);
        }
    };
    panics::supervise(limit.exchange(), || accept(listener, limit, &accepted)).await;
}

async fn accept(
    listener: &StreamSocket,
    limit: &ConnLimit,
    accepted: impl Fn(ClientStream, OwnedSemaphorePermit),
) {
    let mut backoff = AcceptBackoff::default();
    for count in 1_usize.. {
        if count.is_multiple_of(AT_ONCE) {
            tokio::task::yield_now().await;
        }
        let stream = tokio::select! {
            biased;
            () = limit.until().cancelled() => return,
            stream = listener.accept() => stream,
        };
        match stream {
            Ok(stream) => {
                backoff.reset();
                let Some(descriptor) = limit.descriptor().await else {
                    return;
                };
                accepted(stream, descriptor);
            }
            Err(error) if is_resource_error(&error) => {
                if limit.evict() {
                    tokio::time::sleep(EVICTION).await;
                } else {
                    backoff.wait(&error).await;
                }
            }
            // Gone before it was accepted.
            Err(error) if is_peer_error(&error) => {
                tracing::debug!(%error, "accepting a connection");
            }
            Err(error) => backoff.wait(&error).await,
        }
    }
}

/// Serves a connection that gets one answer: for sockets that few look at.
pub(crate) async fn answer_once<E: Display>(
    slot: ConnSlot,
    deadline: Duration,
    answer: impl Future<Output = Result<(), E>>,
) {
    let answer = tokio::time::timeout(deadline, answer);
    match slot.close.run_until_cancelled(answer).await {
        Some(Ok(Err(error))) => tracing::debug!(%error, "a document was not written"),
        Some(Err(_)) => tracing::debug!("a document was not taken in time"),
        Some(Ok(Ok(()))) | None => {}
    }
}

/// An error of accept or recv that says what the machine lacks, rather than what a peer did.
pub(crate) fn is_resource_error(error: &std::io::Error) -> bool {
    // ENOMEM, ENFILE, EMFILE, ENOBUFS
    error.kind() == std::io::ErrorKind::OutOfMemory
        || matches!(error.raw_os_error(), Some(12 | 23 | 24 | 105))
}

/// An error of accept or recv that ends with the peer that caused it (accept(2), Error handling). After any other the
/// listener waits a moment: one that lasts would otherwise come again without a pause.
pub(crate) fn is_peer_error(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::Interrupted
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::NotConnected
            | Kind::PermissionDenied
            | Kind::TimedOut
    )
}

/// How long a listener waits after an error before it tries again.
pub(crate) const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Waits after a lack of descriptors or memory, or another error that may last; logged once however long it lasts.
#[derive(Debug, Default)]
pub(crate) struct AcceptBackoff {
    is_logged: bool,
}

impl AcceptBackoff {
    /// Waits a moment after `error`.
    pub(crate) async fn wait(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.is_logged, true) {
            tracing::warn!(%error, "requests are kept waiting");
        }
        tokio::time::sleep(ACCEPT_BACKOFF).await;
    }

    /// A connection or a datagram was accepted.
    pub(crate) fn reset(&mut self) {
        if std::mem::take(&mut self.is_logged) {
            tracing::info!("requests are accepted again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::net::{TcpListener, TcpSocket};
    use tokio::task::yield_now;

    use super::*;
    use crate::daemon::tasks::Tasks;
    use crate::relay::answer::OnFailure;
    use crate::relay::exchange::{Exchange, Routing};
    use crate::relay::routes::Routes;

    /// Accepts so many of those that wait at `listener`. Returns their ports, and how many there were at each turn of others.
    async fn accepted(listener: TcpListener, many: usize) -> (Vec<Option<u16>>, Vec<usize>) {
        let routing = Routing::new(Routes::default(), Vec::new(), OnFailure::Unreachable);
        let limit = ConnLimit::new(1, &Exchange::new(routing, 1), &Tasks::default());
        let (ports, mut turns) = (RefCell::new(Vec::new()), vec![0]);
        let others = async {
            while turns.last() < Some(&many) {
                turns.push(ports.borrow().len());
                yield_now().await;
            }
        };
        let accepted =
            |stream: ClientStream, _| ports.borrow_mut().push(peer(&stream).map(|at| at.port()));
        let listener = StreamSocket::Tcp(listener);
        tokio::select! {
            biased;
            () = accept(&listener, &limit, accepted) => {}
            () = others => {}
        }
        (ports.into_inner(), turns)
    }

    #[tokio::test]
    async fn few_of_a_flood_are_accepted_before_others_have_their_turn() {
        const FLOOD: usize = 100;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut flood = Vec::new();
        for _ in 0..FLOOD {
            flood.push(TcpStream::connect(address).await.unwrap());
        }
        let (_, turns) = accepted(listener, FLOOD).await;
        let most = turns.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(most <= Some(AT_ONCE), "{turns:?}");
    }

    #[tokio::test]
    async fn one_that_was_reset_before_it_was_accepted_is_nobodys() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reset = TcpSocket::new_v4().unwrap();
        reset.set_zero_linger().unwrap();
        drop(reset.connect(address).await.unwrap());
        let client = TcpStream::connect(address).await.unwrap();
        let (ports, _) = accepted(listener, 1).await;
        assert_eq!(ports, [Some(client.local_addr().unwrap().port())]);
    }
}
