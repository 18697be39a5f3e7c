//! The stream way in: TCP and Unix sockets, four octets of length before each message (RFC 4120 7.2.2).

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::either::Either;

use crate::daemon::accept::{ClientStream, accept_each};
use crate::daemon::bind::StreamSocket;
use crate::daemon::slots::{ConnLimit, ConnSlot};
use crate::relay::exchange::Arrival;
use crate::relay::shares::Holder;
use crate::shim::listeners::ListenerContext;
use crate::shim::render::{self, OnStream};
use crate::wire::{Deframer, FieldTooLong, KerberosMessage, MAX_REQUEST, Service};

/// Octets of long requests over all streams, until they are answered.
const LONG_REQUESTS: usize = 16 * 1024 * 1024;
/// What a connection may hold besides: nearly all requests whole. Clients that send long ones slowly keep out no others.
const SHORT: usize = 8 * 1024;
/// What a long one takes at once.
const STEP: usize = 8 * 1024;

/// What all streams share for long requests.
pub(crate) fn long_request_budget() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(LONG_REQUESTS))
}

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
    let serve = |stream, slot| {
        let connection = StreamConnection {
            stream,
            transport: listener.transport(),
            service,
            context: context.clone(),
            slot,
            budget: None,
        };
        connection.serve()
    };
    accept_each(&listener, &connections, |_| Some(Holder::Unknown), serve).await;
}

/// One connection.
struct StreamConnection {
    stream: ClientStream,
    transport: &'static str,
    service: Service,
    context: ListenerContext,
    slot: ConnSlot,
    /// What its request takes of the budget for long ones.
    budget: Option<OwnedSemaphorePermit>,
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
    async fn next(
        &mut self,
        deframer: &mut Deframer,
    ) -> Result<Option<bytes::Bytes>, FieldTooLong> {
        let idle_timeout = self.context.limits.idle_timeout;
        let leave = self.slot.close.clone();
        // From the first octet to the last: a client that trickles its request is as silent as one that says nothing.
        let deadline = tokio::time::sleep(idle_timeout);
        tokio::pin!(deadline);
        self.budget = None;
        loop {
            if let Some(message) = deframer.next()? {
                return Ok(Some(message));
            }
            if !self.reserve(deframer.pending()) {
                self.context.exchange.counters().crowded_out.add();
                return Ok(None);
            }
            tokio::select! {
                biased;
                () = leave.cancelled() => return Ok(None),
                () = &mut deadline => {
                    let counters = self.context.exchange.counters();
                    let counter = if deframer.is_empty() { &counters.idle } else { &counters.slow };
                    counter.add();
                    return Ok(None);
                }
                read = self.stream.read_buf(deframer.buffer()) => match read {
                    Ok(0) | Err(_) => return Ok(None),
                    Ok(_) => {}
                },
            }
        }
    }

    /// Takes of the budget what a request needs of which so many octets have come; false if there is not enough.
    fn reserve(&mut self, octets: usize) -> bool {
        if octets <= SHORT {
            return true;
        }
        let held = self
            .budget
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let more = octets.next_multiple_of(STEP).saturating_sub(held);
        let free = Arc::clone(&self.context.long_requests);
        let taken = u32::try_from(more)
            .ok()
            .and_then(|more| free.try_acquire_many_owned(more).ok());
        match (taken, &mut self.budget) {
            (None, _) => return false,
            (Some(taken), Some(budget)) => budget.merge(taken),
            (Some(taken), budget) => *budget = Some(taken),
        }
        true
    }

    /// Answers one request; says whether the connection goes on.
    async fn answer(&mut self, message: KerberosMessage) -> bool {
        self.slot.set_busy();
        let arrival = Arrival::now(self.transport);
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

    async fn write(&mut self, octets: &[u8]) -> bool {
        let within = self.context.limits.idle_timeout;
        let written = timeout(within, self.stream.write_all(octets)).await;
        if written.is_err() {
            self.context.exchange.counters().untaken.add();
        }
        matches!(written, Ok(Ok(())))
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

#[cfg(test)]
mod tests;
