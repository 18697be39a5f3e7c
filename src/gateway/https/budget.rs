//! The octets of requests and responses that the gateway holds at once, over all connections.
//!
//! Permits are taken for what has come and not for what was declared: a client that declares much and sends nothing keeps
//! nobody out. They are there at once or not at all: what waits for one would lie in the buffers of HTTP/2, uncounted.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::conn_timer::{ConnTimer, ResponseGuard};
use super::handler::MAX_BODY;
use super::responses::ErrorResponse;
use crate::relay::counters::Counter;

/// Octets that permits grow by. The first ones are taken before anything comes, for the request itself.
const STEP: usize = 1024;
/// Most octets of a short body: nearly all are, of requests and of responses.
const SHORT: usize = 8 * 1024;
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

    fn acquire(&self, octets: usize, is_short: bool) -> Option<BytePermit> {
        if !is_short && self.free.available_permits() < self.for_short + octets {
            return None;
        }
        acquire(&self.free, octets)
    }
}

fn acquire(free: &Arc<Semaphore>, octets: usize) -> Option<BytePermit> {
    let octets = u32::try_from(octets).ok()?;
    Arc::clone(free).try_acquire_many_owned(octets).ok()
}

/// Reads the body of a request.
pub(super) struct BodyReader<'a> {
    budget: &'a ByteBudget,
    /// The budget of its connection.
    of_connection: &'a Arc<Semaphore>,
    permit: BytePermit,
    connection_permit: BytePermit,
    octets: Vec<u8>,
}

impl<'a> BodyReader<'a> {
    pub(super) fn new(
        budget: &'a ByteBudget,
        of_connection: &'a Arc<Semaphore>,
    ) -> Result<Self, ErrorResponse> {
        let permits = acquire(of_connection, STEP).zip(budget.acquire(STEP, true));
        let (connection_permit, permit) = permits.ok_or_else(ErrorResponse::overloaded)?;
        Ok(Self {
            budget,
            of_connection,
            permit,
            connection_permit,
            octets: Vec::new(),
        })
    }

    /// Reads a body of at most [`MAX_BODY`], whatever length it declares. Returns it with its permit.
    pub(super) async fn read(
        mut self,
        mut body: Incoming,
    ) -> Result<(Bytes, BytePermit), ErrorResponse> {
        while let Some(frame) = body.frame().await {
            let cut = |_| ErrorResponse::new(StatusCode::BAD_REQUEST, "the body is cut short");
            // Trailers say nothing here.
            let data = frame.map_err(cut)?.into_data().unwrap_or_default();
            if self.octets.len() + data.len() > MAX_BODY {
                return Err(ErrorResponse::too_large());
            }
            self.reserve(data.len())
                .ok_or_else(ErrorResponse::overloaded)?;
            self.octets.extend_from_slice(&data);
        }
        Ok((self.octets.into(), self.permit))
    }

    fn reserve(&mut self, octets: usize) -> Option<()> {
        let needed = (self.octets.len() + octets).next_multiple_of(STEP);
        let held = self.permit.num_permits();
        if needed > held {
            let more = needed - held;
            let of_connection = acquire(self.of_connection, more)?;
            self.permit
                .merge(self.budget.acquire(more, needed <= SHORT)?);
            self.connection_permit.merge(of_connection);
        }
        // A vector that grows by itself doubles.
        self.octets.reserve_exact(needed - self.octets.len());
        Some(())
    }
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
    let (guard, untaken) = timer.response_given(length);
    // Neither a refusal needs a permit, as it is a line, and there are no more of them than streams; nor the only response of
    // a connection, if it is short. Connections are bounded, and each holds as much for hyper's own buffers: a client that
    // takes what it is sent is served even while others take nothing.
    let is_short = length <= SHORT;
    let needs_permit = head.status == StatusCode::OK && length > 0 && (untaken > 0 || !is_short);
    let permit = if needs_permit {
        let permit = (untaken <= UNTAKEN).then(|| budget.acquire(length, is_short));
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
