//! The bodies of requests as they come, within what all of them may hold.
//!
//! A client takes its turn before its body, and who never ends one holds octets that others need. So a body gives way until
//! it is whole: nearly all are as soon as they have begun. Octets are taken for what has come and not for what was declared:
//! who declares much and sends nothing keeps nobody out. They are there at once or not at all: what waits for them would lie
//! in the buffers of HTTP/2, uncounted.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::poll_immediate;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use super::handler::MAX_BODY;
use super::responses::ErrorResponse;
use crate::relay::shares::{Holder, Share, Shares, accounted};

/// Octets that shares grow by. The first ones are taken before anything comes, for the request itself.
const STEP: usize = 1024;

/// The octets of a body that have come, and what it holds of what all may.
struct BodyOctets {
    octets: Vec<u8>,
    held: usize,
}

/// Reads a body of `holder` of at most [`MAX_BODY`], whatever length it declares. Its octets are accounted for until nobody needs
/// them any more.
pub(super) async fn read(
    budget: &Arc<Shares>,
    holder: Holder,
    body: Incoming,
) -> Result<Bytes, ErrorResponse> {
    let share = budget.take(holder, STEP);
    let share = share.ok_or_else(ErrorResponse::overloaded)?;
    let mut read = BodyOctets {
        octets: Vec::new(),
        held: STEP,
    };
    {
        let mut coming = pin!(read.read(body, &share));
        // Nearly all have come whole, and have no time to give way.
        if let Some(come) = poll_immediate(&mut coming).await {
            come?;
        } else {
            let evicted = CancellationToken::new();
            share.give_way(evicted.clone());
            evicted
                .run_until_cancelled(coming)
                .await
                .unwrap_or(Ok(()))?;
        }
    }
    if !share.hold() {
        return Err(ErrorResponse::overloaded());
    }
    Ok(accounted(read.octets, share))
}

impl BodyOctets {
    async fn read(&mut self, mut body: Incoming, share: &Share) -> Result<(), ErrorResponse> {
        while let Some(frame) = body.frame().await {
            let cut = |_| ErrorResponse::new(StatusCode::BAD_REQUEST, "the body is cut short");
            // Trailers say nothing here.
            let data = frame.map_err(cut)?.into_data().unwrap_or_default();
            if self.octets.len() + data.len() > MAX_BODY {
                return Err(ErrorResponse::too_large());
            }
            self.reserve(data.len(), share)
                .ok_or_else(ErrorResponse::overloaded)?;
            self.octets.extend_from_slice(&data);
        }
        Ok(())
    }

    fn reserve(&mut self, octets: usize, share: &Share) -> Option<()> {
        let needed = (self.octets.len() + octets).next_multiple_of(STEP);
        if needed > self.held {
            share.grow(needed - self.held).then_some(())?;
            self.held = needed;
        }
        // A vector that grows by itself doubles.
        self.octets.reserve_exact(needed - self.octets.len());
        Some(())
    }
}
