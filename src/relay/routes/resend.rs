//! The resend rule: what may be sent again.

use crate::relay::upstream::{Fault, NotReply, Unsent};
use crate::wire::{Kind, Reply, ReplyKind, Resend, krb_error};

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

/// The fault that a reply stands for, if it does not answer the request: one to another kind of request, or one that says that it is
/// too long, which it is not over TCP; KDC_ERR_SVC_UNAVAILABLE (RFC 4120 7.5.9), after which libkrb5 asks its next KDC too; or
/// KRB_AP_ERR_REPEAT (RFC 4120 3.2.3), if the KDC has met another of our `attempts` at the same request, whose answer is the one that
/// counts.
#[must_use]
pub fn fault_in_reply(reply: &Reply, request: Kind, attempts: usize) -> Option<Fault> {
    let other = Fault::NotKerberos(NotReply::OtherReply);
    match (request, reply.kind()) {
        (Kind::AsReq, ReplyKind::TgsRep) | (Kind::TgsReq, ReplyKind::AsRep) => return Some(other),
        _ => {}
    }
    match reply.error_code()? {
        krb_error::KRB_ERR_RESPONSE_TOO_BIG => Some(other),
        krb_error::KDC_ERR_SVC_UNAVAILABLE if request != Kind::Kpasswd => Some(Fault::NotServed),
        krb_error::KRB_AP_ERR_REPEAT if attempts > 1 => Some(Fault::Repeat),
        _ => None,
    }
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
        (fault, _) if fault.surely_not_served() => Next::OtherUpstream,
        (Fault::Repeat, _) | (_, Resend::Once) => Next::Stop,
        (Fault::ReusedConnectionClosed, Resend::Harmless) => Next::FreshConnection,
        (Fault::Status(502, _) | Fault::Page(502), Resend::Harmless) => Next::OtherOrSame,
        (_, Resend::Harmless) => Next::OtherUpstream,
    }
}
