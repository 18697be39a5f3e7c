//! What the other side may have seen of a request that brought no reply.

use std::fmt;

/// What [`Fault::NotKerberos`] says of an answer that is longer than any reply may be.
pub(crate) const OVERSIZED: &str = "an oversized reply";

/// Why an upstream gave no reply; the variant says what may have reached the other side.
///
/// Pure: [`crate::route`] decides by it what may be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Surely nothing was sent: the connection or its handshake failed, the body was never asked for, or each datagram
    /// was returned as one that nobody was there to take.
    NotSent(Unsent),
    /// A kept connection ended before an octet of the answer: most likely the server had closed it
    /// while it was idle. The request may have been seen; it says nothing about the upstream's health.
    Stale,
    /// A fresh connection was closed without an octet of an answer: most likely the KDC has dropped the request, as
    /// krb5kdc does with what it cannot read. It may have been seen; and as anybody can write such a request, it says
    /// nothing about the upstream's health.
    Dropped,
    /// The request may have been sent, and the connection failed before the whole answer was there.
    Unanswered,
    /// The request may have been sent, and time ran out without an octet of an answer.
    Silent,
    /// The upstream answered with this HTTP status other than 200.
    Status(u16),
    /// HTTP 200 or a redirect without a Kerberos reply in it: a captive portal, or no KDC proxy.
    NotKerberos(&'static str),
    /// KRB-ERROR 29 (KDC_ERR_SVC_UNAVAILABLE): this KDC did not serve the request.
    NotServed,
    /// KRB-ERROR 34 (KRB_AP_ERR_REPEAT) to a request of which two copies may be on their way:
    /// it answers the copy, not the request.
    Repeat,
}

/// What kept a request from being sent at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// Name resolution, TCP or TLS failed; the text is the library's.
    Connect(String),
    /// Name, connect and TLS together took longer than they may.
    ConnectTimeout,
    /// It fits into no datagram, and there is no other way: says nothing about the upstream.
    TooLong,
    /// A living connection handed the request back before its body was asked for.
    HandedBack,
    /// As many requests as it may have at once are under way to this upstream already.
    Busy,
}

impl Fault {
    /// Whether the request surely reached no KDC: not sent, refused with a 4xx (no KDC proxy contacts a KDC before
    /// one), or not served by the KDC's own word.
    #[must_use]
    pub fn reached_no_kdc(&self) -> bool {
        matches!(
            self,
            Self::NotSent(_) | Self::Status(400..=499) | Self::NotServed
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(Unsent::Connect(why)) => write!(f, "cannot connect: {why}"),
            Self::NotSent(Unsent::ConnectTimeout) => f.write_str("cannot connect: timed out"),
            Self::NotSent(Unsent::TooLong) => {
                f.write_str("too long for a datagram, and TCP is refused")
            }
            Self::NotSent(Unsent::HandedBack) => {
                f.write_str("the connection closed before the request was sent")
            }
            Self::NotSent(Unsent::Busy) => f.write_str("too many requests are under way to it"),
            Self::Stale => f.write_str("a kept connection had been closed"),
            Self::Dropped => f.write_str("it closed the connection without an answer"),
            Self::Unanswered => f.write_str("the connection failed before the answer"),
            Self::Silent => f.write_str("no answer in time"),
            Self::Status(status) => write!(f, "HTTP {status}"),
            Self::NotKerberos(what) => {
                write!(
                    f,
                    "what answered is no KDC, perhaps a captive portal: {what}"
                )
            }
            Self::NotServed => f.write_str("the KDC is not available (KRB-ERROR 29)"),
            Self::Repeat => {
                f.write_str("only the copy of a repeated request was answered (KRB-ERROR 34)")
            }
        }
    }
}
