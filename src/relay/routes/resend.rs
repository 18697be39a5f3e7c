//! The resend rule: what may be sent again.

use crate::relay::upstream::{Fault, Unsent};
use crate::wire::Resend;

/// What may follow a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same upstream once more, over a fresh connection.
    FreshConnection,
    /// The next upstream.
    OtherUpstream,
    /// The next upstream; if there is none, the same once more.
    OtherOrSame,
    /// Nothing: a second copy could do harm, or says nothing new.
    Stop,
}

/// The resend rule: what may follow `fault` for a request of which a second copy is `resend`.
///
/// Surely not sent, refused with a 4xx (no KDC proxy contacts a KDC before one), or not served by the KDC: the next
/// upstream, whatever the request is; but if a kept connection had ended before the request was sent, or a harmless one on
/// its way, a fresh one. Anything else leaves open whether a KDC has seen it, and then only a harmless request goes on: a
/// password tried twice locks accounts, a one-time code works once, and a password change reported as failed may have been
/// done. A load balancer says 502 when the gateway behind it went away with the request, and has another one for the next.
#[must_use]
pub fn after(fault: &Fault, resend: Resend) -> Next {
    match (fault, resend) {
        (Fault::NotSent(Unsent::Ended), _) => Next::FreshConnection,
        (fault, _) if fault.reached_no_kdc() => Next::OtherUpstream,
        (Fault::Repeat, _) | (_, Resend::Once) => Next::Stop,
        (Fault::ReusedConnectionClosed, Resend::Harmless) => Next::FreshConnection,
        (Fault::Status(502) | Fault::Page(502), Resend::Harmless) => Next::OtherOrSame,
        (_, Resend::Harmless) => Next::OtherUpstream,
    }
}
