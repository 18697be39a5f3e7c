//! The stream way in: TCP and Unix sockets, four octets of length before each message (RFC 4120 7.2.2).

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::words::{self, OnStream};
use super::{Shared, Shortage, is_peers_doing, lacks_resources};
use crate::exchange::Arrival;
use crate::wire::{Deframer, FieldTooLong, KerberosMessage, MAX_REQUEST, Service};

/// How much of an oversized request is read after its refusal, so that the refusal is not lost in a reset.
const DISCARD: u64 = 2 * MAX_REQUEST as u64;
/// And for how long.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// How long a connection that makes room takes to close.
const ROOM: Duration = Duration::from_millis(1);

/// A listening stream socket.
pub(super) trait Accept: Send + 'static {
    type Stream: Stream;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A connected stream socket.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    const TRANSPORT: &'static str;
    /// Makes the close a reset, where the transport has one.
    fn reset_on_close(&self);
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Stream for TcpStream {
    const TRANSPORT: &'static str = "tcp";
    fn reset_on_close(&self) {
        if let Err(error) = self.set_zero_linger() {
            tracing::debug!(%error, "the close will not be a reset");
        }
    }
}

#[cfg(unix)]
impl Accept for UnixListener {
    type Stream = UnixStream;
    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(UnixListener::accept(self).await?.0)
    }
}

#[cfg(unix)]
impl Stream for UnixStream {
    const TRANSPORT: &'static str = "unix";
    fn reset_on_close(&self) {}
}

/// Accepts connections until the daemon stops, each served in a task of its own.
pub(super) async fn serve<L: Accept>(
    listener: L,
    service: Service,
    shared: Shared,
    connections: Connections,
) {
    let mut shortage = Shortage::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                shortage.over();
                let Some(seat) = connections.take(&shared) else {
                    continue;
                };
                let connection = Connection {
                    stream,
                    service,
                    shared: shared.clone(),
                    seat,
                };
                shared.tasks.spawn(connection.serve());
            }
            Err(error) if lacks_resources(&error) => {
                if connections.make_room(&shared) {
                    tokio::time::sleep(ROOM).await;
                } else {
                    shortage.rest(&error).await;
                }
            }
            // Gone before it was accepted.
            Err(error) if is_peers_doing(&error) => {
                tracing::debug!(%error, "accepting a connection");
            }
            Err(error) => shortage.rest(&error).await,
        }
    }
}

/// The connections open at once. When no place is left, the one that has been silent for longest makes room: silent
/// clients must not keep others out.
#[derive(Clone, Debug)]
pub(super) struct Connections(Arc<Mutex<Seats>>);

#[derive(Debug)]
struct Seats {
    most: usize,
    next: u64,
    taken: HashMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    /// Since when no whole request has come; nothing while one is being answered.
    silent_since: Option<Instant>,
    leave: CancellationToken,
}

/// A place among the connections.
struct Seat {
    id: u64,
    leave: CancellationToken,
    connections: Connections,
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Seats {
            most,
            next: 0,
            taken: HashMap::new(),
        })))
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection, unless all others are being answered.
    fn take(&self, shared: &Shared) -> Option<Seat> {
        if self.are_full() && !self.make_room(shared) {
            return None;
        }
        let mut seats = self.seats();
        let id = seats.next;
        seats.next += 1;
        let leave = shared.stop.child_token();
        let silent_since = Some(Instant::now());
        seats.taken.insert(
            id,
            Taken {
                silent_since,
                leave: leave.clone(),
            },
        );
        Some(Seat {
            id,
            leave,
            connections: self.clone(),
        })
    }

    fn are_full(&self) -> bool {
        let seats = self.seats();
        seats.taken.len() >= seats.most
    }

    /// Ends the connection that has been silent for longest; says whether there was one.
    fn make_room(&self, shared: &Shared) -> bool {
        let evicted = self.seats().evict().is_some();
        if evicted {
            shared.exchange.counters().evicted.add();
        }
        evicted
    }
}

impl Seats {
    fn evict(&mut self) -> Option<()> {
        let silent = self
            .taken
            .iter()
            .filter_map(|(id, taken)| Some((taken.silent_since?, *id)));
        let (_, longest) = silent.min()?;
        self.taken.remove(&longest)?.leave.cancel();
        Some(())
    }
}

impl Seat {
    fn silent_since(&self, since: Option<Instant>) {
        if let Some(taken) = self.connections.seats().taken.get_mut(&self.id) {
            taken.silent_since = since;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.seats().taken.remove(&self.id);
    }
}

/// One connection.
struct Connection<S> {
    stream: S,
    service: Service,
    shared: Shared,
    seat: Seat,
}

impl<S: Stream> Connection<S> {
    /// Reads requests and answers them one after the other: replies carry nothing that tells whose they are.
    async fn serve(mut self) {
        let mut deframer = Deframer::new(MAX_REQUEST);
        loop {
            let octets = match self.next(&mut deframer).await {
                Ok(Some(octets)) => octets,
                Ok(None) => return,
                Err(FieldTooLong) => return self.refuse().await,
            };
            let Ok(message) = KerberosMessage::parse(self.service, octets) else {
                return self.shared.exchange.counters().not_kerberos.add();
            };
            if !self.answer(message).await {
                return;
            }
        }
    }

    /// The next request, or nothing if the connection ends: closed, silent for too long, making room, or the daemon stops.
    async fn next(
        &mut self,
        deframer: &mut Deframer,
    ) -> Result<Option<bytes::Bytes>, FieldTooLong> {
        let idle_timeout = self.shared.limits.idle_timeout;
        let leave = self.seat.leave.clone();
        // From the first octet to the last: a client that trickles its request is as silent as one that says nothing.
        let deadline = tokio::time::sleep(idle_timeout);
        tokio::pin!(deadline);
        loop {
            if let Some(message) = deframer.next()? {
                return Ok(Some(message));
            }
            tokio::select! {
                biased;
                () = leave.cancelled() => return Ok(None),
                () = &mut deadline => return Ok(None),
                read = self.stream.read_buf(deframer.buffer()) => match read {
                    Ok(0) | Err(_) => return Ok(None),
                    Ok(_) => {}
                },
            }
        }
    }

    /// Answers one request; says whether the connection goes on.
    async fn answer(&mut self, message: KerberosMessage) -> bool {
        self.seat.silent_since(None);
        let arrival = Arrival {
            at: Instant::now(),
            udp_peer: None,
            transport: S::TRANSPORT,
        };
        let answer = self.shared.exchange.answer(message.clone(), arrival).await;
        let goes_on = match words::on_stream(&message, &answer) {
            OnStream::Reply(octets) => self.write(&octets).await,
            OnStream::Reset => {
                self.stream.reset_on_close();
                false
            }
        };
        self.seat.silent_since(Some(Instant::now()));
        goes_on
    }

    async fn write(&mut self, octets: &[u8]) -> bool {
        matches!(
            timeout(
                self.shared.limits.idle_timeout,
                self.stream.write_all(octets)
            )
            .await,
            Ok(Ok(()))
        )
    }

    /// Refuses a request for its length, and reads on for a moment, unless room must be made: octets that nobody read
    /// would turn the close into a reset, and the refusal would be lost.
    async fn refuse(mut self) {
        self.shared.exchange.counters().too_long.add();
        let leave = self.seat.leave.clone();
        let refusal = async {
            if !self.write(&words::field_too_long(self.service)).await
                || self.stream.shutdown().await.is_err()
            {
                return;
            }
            let mut rest = (&mut self.stream).take(DISCARD);
            let mut sink = tokio::io::sink();
            let discard = tokio::io::copy(&mut rest, &mut sink);
            drop(timeout(DISCARD_TIME, discard).await);
        };
        leave.run_until_cancelled(refusal).await;
    }
}

#[cfg(test)]
mod tests;
