//! The responses that clients have not taken, within what all of them may hold.
//!
//! A client of HTTP/2 that opens no window takes nothing, and may go on to ask. hyper and h2 hold its responses for as long as
//! the connection lasts, and one octet of a window is enough to have a whole response queued. So what a response takes is given
//! back when the last holder of its octets lets go of them, at the socket. Until then it gives way, and the connection with it.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;

use super::conn_timer::ConnTimer;
use crate::relay::counters::Counter;
use crate::relay::shares::{Holder, Shares, accounted};

/// Most octets of a short response: nearly all are.
const SHORT: usize = 8 * 1024;
/// What a response that is not taken holds beside its octets: a stream with its head, and a task that has more to send.
const STREAM: usize = 4 * 1024;

/// Accounts for `response` until its client has taken it. Where there is no room for it the connection ends, and `overloaded`
/// counts that: a refusal would be one more response.
pub(super) fn account(
    response: Response<Full<Bytes>>,
    (budget, holder): (&Arc<Shares>, Holder),
    timer: &Arc<ConnTimer>,
    overloaded: &Counter,
) -> Response<Full<Bytes>> {
    let (head, body) = response.into_parts();
    let mut octets = body.into_inner().unwrap_or_default();
    let (guard, is_only) = timer.response_given();
    // The only response of a connection takes nothing, if it is short. Connections are bounded, and each holds as much for
    // hyper's own buffers.
    let mut share = None;
    if !is_only || octets.len() > SHORT {
        share = budget.take(holder, octets.len() + STREAM);
        if let Some(share) = &share {
            share.give_way(timer.untaken().clone());
        } else {
            overloaded.add();
            timer.untaken().cancel();
            octets = Bytes::new();
        }
    }
    let octets = accounted(octets, (share, guard));
    Response::from_parts(head, Full::new(octets))
}
