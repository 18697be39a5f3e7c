//! The octets of requests and responses that the gateway holds at once, over all connections.
//!
//! Permits are taken for what has come and not for what was declared: a client that declares much and sends nothing keeps
//! nobody out. They are there at once or not at all: what waits for one would lie in the buffers of HTTP/2, uncounted.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::conn_timer::{ConnTimer, ResponseGuard};
use super::responses::ErrorResponse;
use crate::relay::counters::Counter;

/// Most octets of a short body: nearly all are, of requests and of responses.
pub(super) const SHORT: usize = 8 * 1024;
/// What a response that is not taken holds beside its octets: a stream with its head, and a task that has more to send.
const STREAM: usize = 2 * 1024;
/// Octets that a connection may leave untaken before it gets no other response.
const UNTAKEN: usize = 1024 * 1024;

/// A budget of octets: of requests, from their arrival to their response; or of responses, until they are taken.
#[derive(Debug)]
pub(super) struct ByteBudget {
    free: Arc<Semaphore>,
    /// What is left to short bodies: clients that send or take long ones slowly keep out no others.
    for_short: usize,
}

/// Octets of a budget, until they are dropped.
pub(super) type BytePermit = OwnedSemaphorePermit;

impl ByteBudget {
    pub(super) fn new(octets: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(octets)),
            for_short: octets / 2,
        }
    }

    pub(super) fn acquire(&self, octets: usize, is_short: bool) -> Option<BytePermit> {
        if !is_short && self.free.available_permits() < self.for_short + octets {
            return None;
        }
        acquire(&self.free, octets)
    }
}

pub(super) fn acquire(free: &Arc<Semaphore>, octets: usize) -> Option<BytePermit> {
    let octets = u32::try_from(octets).ok()?;
    Arc::clone(free).try_acquire_many_owned(octets).ok()
}

/// The octets of a response, which count as untaken until they are dropped.
///
/// A client of HTTP/2 that opens no window takes nothing, and may go on to ask. hyper and h2 hold its responses for as long
/// as the connection lasts, and one octet of a window is enough to have a whole response queued. So the permit lies with the
/// octets themselves: it is given back when the last holder of them lets go, at the socket.
struct AccountedBody {
    octets: Bytes,
    _permit: Option<BytePermit>,
    _guard: ResponseGuard,
}

impl AsRef<[u8]> for AccountedBody {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

/// Accounts for `response` until its client has taken it; where there is no room for it, `overloaded` counts another one.
pub(super) fn account(
    response: Response<Full<Bytes>>,
    budget: &ByteBudget,
    timer: &Arc<ConnTimer>,
    overloaded: &Counter,
) -> Response<Full<Bytes>> {
    let (head, body) = response.into_parts();
    let octets = body.into_inner().unwrap_or_default();
    let length = octets.len();
    let held = length + STREAM;
    let (guard, untaken) = timer.response_given(held);
    // Neither a refusal needs a permit, as it is a line, and there are no more of them than streams; nor the only response of
    // a connection, if it is short. Connections are bounded, and each holds as much for hyper's own buffers: a client that
    // takes what it is sent is served even while others take nothing.
    let is_short = length <= SHORT;
    let needs_permit = head.status == StatusCode::OK && length > 0 && (untaken > 0 || !is_short);
    let permit = if needs_permit {
        let permit = (untaken <= UNTAKEN).then(|| budget.acquire(held, is_short));
        let Some(permit) = permit.flatten() else {
            overloaded.add();
            drop(guard);
            let refusal = ErrorResponse::overloaded().into_response();
            return account(refusal, budget, timer, overloaded);
        };
        Some(permit)
    } else {
        None
    };
    let body = AccountedBody {
        octets,
        _permit: permit,
        _guard: guard,
    };
    Response::from_parts(head, Full::new(Bytes::from_owner(body)))
}
