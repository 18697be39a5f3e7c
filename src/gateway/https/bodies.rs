//! The bodies of requests as they come, within what all of them may hold.
//!
//! A client takes its turn before its body, and who never ends one holds octets that others need. So a body gives way until
//! it is whole: nearly all are as soon as they have begun. Octets are taken for what has come and not for what was declared:
//! who declares much and sends nothing keeps nobody out. They are there at once or not at all: what waits for them would lie
//! in the buffers of HTTP/2, uncounted.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use super::handler::MAX_BODY;
use super::responses::ErrorResponse;
use crate::relay::shares::{Holder, Share, Shares, accounted};

/// Octets that shares grow by. The first ones are taken before anything comes, for the request itself.
const STEP: usize = 1024;

/// Reads the body of a request.
pub(super) struct BodyReader {
    share: Share,
    /// Cancelled when its octets are given to others.
    evicted: CancellationToken,
    held: usize,
    octets: Vec<u8>,
}

impl BodyReader {
    /// Has a body of `holder` begin.
    pub(super) fn begin(budget: &Arc<Shares>, holder: Holder) -> Result<Self, ErrorResponse> {
        let share = budget.take(holder, STEP);
        let share = share.ok_or_else(ErrorResponse::overloaded)?;
        let evicted = CancellationToken::new();
        share.give_way(evicted.clone());
        Ok(Self {
            share,
            evicted,
            held: STEP,
            octets: Vec::new(),
        })
    }

    /// Reads a body of at most [`MAX_BODY`], whatever length it declares. Its octets are accounted for until nobody needs
    /// them any more.
    pub(super) async fn read(mut self, mut body: Incoming) -> Result<Bytes, ErrorResponse> {
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
        if self.share.hold() {
            Ok(accounted(self.octets, self.share))
        } else {
            Err(ErrorResponse::overloaded())
        }
    }

    fn reserve(&mut self, octets: usize) -> Option<()> {
        let needed = (self.octets.len() + octets).next_multiple_of(STEP);
        if needed > self.held {
            self.share.grow(needed - self.held).then_some(())?;
            self.held = needed;
        }
        // A vector that grows by itself doubles.
        self.octets.reserve_exact(needed - self.octets.len());
        Some(())
    }
}
