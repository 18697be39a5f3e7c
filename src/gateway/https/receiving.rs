//! A body on its way in, and the place that its octets take.
//!
//! A place is taken for what has come and not for what was declared: who declares much and sends nothing keeps nobody out.
//! And it is there at once or not at all: what waits for one would lie in the buffers of HTTP/2, where nobody counts it.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::request::MAX_BODY;
use super::words::Refusal;
use crate::gateway::throttle::UnderWay;

/// Octets that a place grows by. The first ones are taken before anything comes, for the request itself.
const STEP: usize = 1024;
/// Most octets of a short body: nearly all are, of requests and of answers.
pub(super) const SHORT: usize = 8 * 1024;

/// Places for the octets of requests, from their arrival to their answer, over all connections; or for those of answers,
/// until they are taken.
#[derive(Clone, Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// Those that are left to short bodies: whoever sends or takes long ones slowly keeps out no others.
    for_short: usize,
}

/// Octets among them, until they are dropped.
pub(super) type Octets = OwnedSemaphorePermit;

/// The place of a request, until it is dropped: that of its octets, and its own among those of its client.
pub(super) struct Place {
    _octets: Octets,
    _under_way: UnderWay,
}

impl Place {
    pub(super) fn new(octets: Octets, under_way: UnderWay) -> Self {
        Self {
            _octets: octets,
            _under_way: under_way,
        }
    }
}

impl Places {
    pub(super) fn new(octets: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(octets)),
            for_short: octets / 2,
        }
    }

    pub(super) fn take(&self, octets: usize, is_short: bool) -> Option<Octets> {
        if !is_short && self.free.available_permits() < self.for_short + octets {
            return None;
        }
        take(&self.free, octets)
    }
}

fn take(places: &Arc<Semaphore>, octets: usize) -> Option<Octets> {
    let octets = u32::try_from(octets).ok()?;
    Arc::clone(places).try_acquire_many_owned(octets).ok()
}

/// What has come of a body.
pub(super) struct Receiving<'a> {
    places: &'a Places,
    /// Places of its connection.
    connection: &'a Arc<Semaphore>,
    held: (Octets, Octets),
    octets: Vec<u8>,
}

impl<'a> Receiving<'a> {
    pub(super) fn begin(
        places: &'a Places,
        connection: &'a Arc<Semaphore>,
    ) -> Result<Self, Refusal> {
        let held = take(connection, STEP).zip(places.take(STEP, true));
        Ok(Self {
            places,
            connection,
            held: held.ok_or_else(Refusal::overloaded)?,
            octets: Vec::new(),
        })
    }

    /// Reads a body of at most [`MAX_BODY`], whatever length it says, and its place, which it keeps.
    pub(super) async fn read(mut self, body: &mut Incoming) -> Result<(Bytes, Octets), Refusal> {
        while let Some(frame) = body.frame().await {
            let cut = |_| Refusal::new(StatusCode::BAD_REQUEST, "the body is cut short");
            // Trailers say nothing here.
            let data = frame.map_err(cut)?.into_data().unwrap_or_default();
            if self.octets.len() + data.len() > MAX_BODY {
                return Err(too_large());
            }
            self.make_room(data.len()).ok_or_else(Refusal::overloaded)?;
            self.octets.extend_from_slice(&data);
        }
        Ok((self.octets.into(), self.held.1))
    }

    fn make_room(&mut self, octets: usize) -> Option<()> {
        let room = (self.octets.len() + octets).next_multiple_of(STEP);
        let held = self.held.1.num_permits();
        if room > held {
            let more = room - held;
            let of_connection = take(self.connection, more)?;
            self.held.1.merge(self.places.take(more, room <= SHORT)?);
            self.held.0.merge(of_connection);
        }
        // A vector that grows by itself doubles.
        self.octets.reserve_exact(room - self.octets.len());
        Some(())
    }
}

pub(super) fn too_large() -> Refusal {
    let text = "the body is longer than 128 KiB";
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text)
}
