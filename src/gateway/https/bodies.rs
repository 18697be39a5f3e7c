//! The bodies of requests as they come, within what all of them may hold.
//!
//! A client takes its turn before its body, and who never ends one holds octets that others need. So where there is no room,
//! the body that has been coming for longest gives way: nearly all are whole as soon as they have begun.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::budget::{ByteBudget, BytePermit, SHORT, acquire};
use super::handler::MAX_BODY;
use super::responses::ErrorResponse;
use crate::relay::sync::lock;

/// Octets that permits grow by. The first ones are taken before anything comes, for the request itself.
const STEP: usize = 1024;

/// The octets of requests, from their arrival to their answer.
pub(super) struct RequestBudget {
    octets: ByteBudget,
    unfinished: Mutex<UnfinishedBodies>,
}

/// In the order in which they have begun.
#[derive(Default)]
struct UnfinishedBodies {
    next_id: u64,
    bodies: BTreeMap<u64, UnfinishedBody>,
}

struct UnfinishedBody {
    permit: BytePermit,
    evicted: CancellationToken,
}

impl RequestBudget {
    pub(super) fn new(octets: usize) -> Self {
        Self {
            octets: ByteBudget::new(octets),
            unfinished: Mutex::default(),
        }
    }

    /// Has a body begin, within its connection's budget too.
    pub(super) fn begin<'a>(
        &'a self,
        of_connection: &'a Arc<Semaphore>,
    ) -> Result<BodyReader<'a>, ErrorResponse> {
        let connection_permit = acquire(of_connection, STEP);
        let mut unfinished = lock(&self.unfinished);
        let id = unfinished.next_id;
        let mut permit = || unfinished.acquire(id, &self.octets, STEP, true);
        let permits = connection_permit.and_then(|own| Some((own, permit()?)));
        let (connection_permit, permit) = permits.ok_or_else(ErrorResponse::overloaded)?;
        let evicted = CancellationToken::new();
        unfinished.next_id += 1;
        let body = UnfinishedBody {
            permit,
            evicted: evicted.clone(),
        };
        unfinished.bodies.insert(id, body);
        Ok(BodyReader {
            budget: self,
            of_connection,
            connection_permit,
            id,
            evicted,
            octets: Vec::new(),
        })
    }

    /// Adds to what body `id` holds.
    fn grow(&self, id: u64, octets: usize, is_short: bool) -> Option<()> {
        let mut unfinished = lock(&self.unfinished);
        let permit = unfinished.acquire(id, &self.octets, octets, is_short)?;
        unfinished.bodies.get_mut(&id)?.permit.merge(permit);
        Some(())
    }
}

impl UnfinishedBodies {
    /// Octets for body `id`, at the cost of those that were begun before it.
    fn acquire(
        &mut self,
        id: u64,
        budget: &ByteBudget,
        octets: usize,
        is_short: bool,
    ) -> Option<BytePermit> {
        loop {
            let permit = budget.acquire(octets, is_short);
            if permit.is_some() {
                return permit;
            }
            let oldest = self.bodies.first_entry()?;
            if *oldest.key() >= id {
                return None;
            }
            oldest.remove().evicted.cancel();
        }
    }
}

/// Reads the body of a request.
pub(super) struct BodyReader<'a> {
    budget: &'a RequestBudget,
    /// The budget of its connection.
    of_connection: &'a Arc<Semaphore>,
    connection_permit: BytePermit,
    id: u64,
    /// Its octets were given to others.
    evicted: CancellationToken,
    octets: Vec<u8>,
}

impl BodyReader<'_> {
    /// Reads a body of at most [`MAX_BODY`], whatever length it declares. Returns it with its permit.
    pub(super) async fn read(
        mut self,
        mut body: Incoming,
    ) -> Result<(Bytes, BytePermit), ErrorResponse> {
        let evicted = self.evicted.clone();
        let coming = evicted.run_until_cancelled(async {
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
            Ok(())
        });
        coming.await.unwrap_or(Ok(()))?;
        let body = lock(&self.budget.unfinished).bodies.remove(&self.id);
        let body = body.ok_or_else(ErrorResponse::overloaded)?;
        Ok((std::mem::take(&mut self.octets).into(), body.permit))
    }

    fn reserve(&mut self, octets: usize) -> Option<()> {
        let needed = (self.octets.len() + octets).next_multiple_of(STEP);
        let held = self.connection_permit.num_permits();
        if needed > held {
            let more = needed - held;
            let of_connection = acquire(self.of_connection, more)?;
            self.budget.grow(self.id, more, needed <= SHORT)?;
            self.connection_permit.merge(of_connection);
        }
        // A vector that grows by itself doubles.
        self.octets.reserve_exact(needed - self.octets.len());
        Some(())
    }
}

impl Drop for BodyReader<'_> {
    fn drop(&mut self) {
        lock(&self.budget.unfinished).bodies.remove(&self.id);
    }
}
