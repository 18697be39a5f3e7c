//! The stream way in: TCP and Unix sockets, four octets of length before each message (RFC 4120 7.2.2).

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use crate::daemon::accept::{ClientStream, accept_each};
use crate::daemon::bind::StreamSocket;
use crate::daemon::slots::{ConnLimit, ConnSlot};
use crate::relay::exchange::Arrival;
use crate::relay::shares::{Share, accounted};
use crate::shim::ListenerContext;
use crate::shim::render::{self, OnStream};
use crate::wire::{Deframer, FieldTooLong, KerberosMessage, MAX_REQUEST, Service};

/// Octets of long messages over all streams: of requests until nobody needs them any more, and of replies until they are
/// taken.
pub(super) const LONG_MESSAGES: usize = 16 * 1024 * 1024;
/// What a connection may hold besides: nearly all messages whole. Clients that send or take long ones slowly keep out no
/// others.
const SHORT: usize = 8 * 1024;

/// How much of an oversized request is read after its refusal, so that the refusal is not lost in a reset.
const DISCARD: u64 = 2 * MAX_REQUEST as u64;
/// And for how long.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// Accepts connections until the daemon stops, each served in a task of its own.
pub(crate) async fn serve(
    listener: StreamSocket,
    service: Service,
    context: ListenerContext,
    connections: ConnLimit,
) {
    let admit = |stream: &ClientStream| Some(context.peers.of_stream(stream));
    let serve = |stream, slot| {
        let connection = StreamConnection {
            stream,
            transport: listener.transport(),
            service,
            context: context.clone(),
            slot,
            long: None,
        };
        connection.serve()
    };
    accept_each(&listener, &connections, admit, serve).await;
}

/// One connection.
struct StreamConnection {
    stream: ClientStream,
    transport: &'static str,
    service: Service,
    context: ListenerContext,
    slot: ConnSlot,
    /// What its request holds that comes, if that is long.
    long: Option<LongMessage>,
}

/// What a long message holds on its way.
struct LongMessage {
    share: Share,
    octets: usize,
    /// Cancelled when it has given way.
    evicted: CancellationToken,
}

impl StreamConnection {
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
                return self.context.exchange.counters().not_kerberos.add();
            };
            if !self.answer(message).await {
                return;
            }
        }
    }

    /// The next request, or nothing if the connection ends: closed, silent for too long, making room, or the daemon stops.
    async fn next(&mut self, deframer: &mut Deframer) -> Result<Option<Bytes>, FieldTooLong> {
        let idle_timeout = self.context.listen.idle_timeout;
        let leave = self.slot.close.clone();
        // From the first octet to the last: a client that trickles its request is as silent as one that says nothing.
        let deadline = tokio::time::sleep(idle_timeout);
        tokio::pin!(deadline);
        loop {
            if let Some(message) = deframer.next()? {
                return Ok(self.whole(message));
            }
            let mut buffer = deframer.buffer();
            if !self.reserve(buffer.get_ref().capacity()) {
                return Ok(self.crowded_out());
            }
            tokio::select! {
                biased;
                () = leave.cancelled() => return Ok(None),
                () = evicted(&self.long) => return Ok(self.crowded_out()),
                () = &mut deadline => {
                    let counters = self.context.exchange.counters();
                    let counter = if buffer.get_ref().is_empty() { &counters.idle } else { &counters.slow };
                    counter.add();
                    return Ok(None);
                }
                read = self.stream.read_buf(&mut buffer) => match read {
                    Ok(0) | Err(_) => return Ok(None),
                    Ok(_) => {}
                },
            }
        }
    }

    /// Holds what a request needs for which there is so much room; false if there is not enough.
    fn reserve(&mut self, octets: usize) -> bool {
        if octets <= SHORT {
            return true;
        }
        if let Some(long) = &mut self.long {
            let more = octets.saturating_sub(long.octets);
            long.octets += more;
            return long.share.grow(more);
        }
        self.long = self.hold(octets);
        self.long.is_some()
    }

    fn hold(&self, octets: usize) -> Option<LongMessage> {
        let share = self
            .context
            .long_messages
            .take(self.slot.holder(), octets)?;
        let evicted = CancellationToken::new();
        share.give_way(evicted.clone());
        Some(LongMessage {
            share,
            octets,
            evicted,
        })
    }

    /// The request that has come, which gives way no more.
    fn whole(&mut self, message: Bytes) -> Option<Bytes> {
        let Some(long) = self.long.take() else {
            return Some(message);
        };
        if long.share.hold() {
            Some(accounted(message, long.share))
        } else {
            self.crowded_out()
        }
    }

    /// Counts that this connection ends for others.
    fn crowded_out(&self) -> Option<Bytes> {
        self.context.exchange.counters().crowded_out.add();
        None
    }

    /// Answers one request; says whether the connection goes on.
    async fn answer(&mut self, message: KerberosMessage) -> bool {
        self.slot.set_busy();
        let arrival = Arrival {
            holder: self.slot.holder(),
            ..Arrival::now(self.transport)
        };
        let answered = self.context.exchange.answer(message.clone(), arrival).await;
        let goes_on = match render::on_stream(&message, &answered.answer) {
            OnStream::Reply(octets) => self.write(&octets).await,
            OnStream::Reset => {
                self.reset_on_close();
                false
            }
        };
        self.slot.set_idle();
        goes_on
    }

    /// Makes the close a reset, where the transport has one.
    fn reset_on_close(&self) {
        if let Either::Left(stream) = &self.stream
            && let Err(error) = stream.set_zero_linger()
        {
            tracing::debug!(%error, "the close will not be a reset");
        }
    }

    /// Writes a message; false if the connection ends. A long one that is not taken gives way.
    async fn write(&mut self, octets: &[u8]) -> bool {
        let is_long = octets.len() > SHORT;
        let long = is_long.then(|| self.hold(octets.len())).flatten();
        if is_long && long.is_none() {
            self.crowded_out();
            return false;
        }
        let within = self.context.listen.idle_timeout;
        let counters = self.context.exchange.counters();
        tokio::select! {
            biased;
            written = timeout(within, self.stream.write_all(octets)) => {
                if written.is_err() {
                    counters.untaken.add();
                }
                matches!(written, Ok(Ok(())))
            }
            () = evicted(&long) => {
                counters.crowded_out.add();
                false
            }
        }
    }

    /// Refuses a request for its length, and reads on for a moment, unless room must be made: octets that nobody read
    /// would turn the close into a reset, and the refusal would be lost.
    async fn refuse(mut self) {
        self.context.exchange.counters().too_long.add();
        let leave = self.slot.close.clone();
        let refusal = async {
            if !self.write(&render::field_too_long(self.service)).await
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

/// Waits until a long message, if it is one, has given way.
async fn evicted(long: &Option<LongMessage>) {
    match long {
        Some(long) => long.evicted.cancelled().await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
