//! What a request is answered with: the reply, or a verdict that says why there is none.
//!
//! Pure. A verdict is decided in one place ([`crate::relay::exchange`]) and worded by each way in.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::relay::explain;
use crate::relay::upstream::{Fault, Unsent};
use crate::wire::krb_error::OWN_TEXT;
use crate::wire::{Realm, Reply};

/// What [`crate::relay::exchange::Exchange::answer`] says to a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The reply that came through the tunnel, octet for octet.
    Reply(Reply),
    /// There is no reply, and why.
    Verdict(Verdict),
}

/// An answer, and where it is from.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// Where it is from.
    pub source: Source,
}

/// Where an answer is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The upstream that was asked last.
    Upstream(Arc<str>),
    /// The retransmit cache: a copy of a request that is under way or was answered a moment ago.
    RetransmitCache,
    /// No upstream was asked.
    #[default]
    Nobody,
}

/// How a realm's failures look to an AS-REQ or TGS-REQ; kpasswd is always told in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Like a KDC that cannot be reached, at once: only that lets PAM, SSSD and their like go offline.
    #[default]
    Unreachable,
    /// A KRB-ERROR with e-text that a person can read.
    Explain,
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No upstream is configured for the realm.
    NoUpstream,
    /// The realm is known, and this service of it is not offered.
    NotOffered,
    /// No upstream of the realm is known at the moment, or none could be reached.
    Unreachable,
    /// As many requests as may be are under way here already.
    Overloaded,
    /// The same of one user, or too many of his logins have failed.
    HeldBack,
    /// Nothing came back in time.
    Unanswered,
    /// The connection that the request went over ended, and nothing had come back.
    Closed,
    /// Any other fault of the last upstream asked.
    Fault(Fault),
}

/// Why there is no reply, and whether anything may have been sent.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What went wrong, as far as the last upstream tells.
    pub cause: Cause,
    /// A KDC may have seen the request: decides what a user may be told about a password change.
    pub may_have_been_sent: bool,
    /// How the realm wants its failures told.
    pub on_failure: OnFailure,
    /// The realm that was asked for.
    pub realm: Realm,
}

impl From<&Fault> for Cause {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::NotSent(
                Unsent::Connect(_)
                | Unsent::ConnectTimeout
                | Unsent::Ended
                | Unsent::HandedBack
                | Unsent::TooLong,
            ) => Self::Unreachable,
            Fault::ReusedConnectionClosed | Fault::ClosedWithoutReply | Fault::Unanswered => {
                Self::Closed
            }
            Fault::Lifeless | Fault::Silent | Fault::Repeat => Self::Unanswered,
            Fault::NotSent(
                Unsent::Untrusted(_)
                | Unsent::ForwardProxy { .. }
                | Unsent::NoCredential(_)
                | Unsent::TicketLoop
                | Unsent::Unprocessed
                | Unsent::Busy,
            )
            | Fault::ClosedWanting(_)
            | Fault::StreamRefused
            | Fault::Status(..)
            | Fault::Page(_)
            | Fault::AuthenticationRequired(..)
            | Fault::NotKerberos(_)
            | Fault::NotServed => Self::Fault(fault.clone()),
        }
    }
}

impl Verdict {
    /// What went wrong, in words for a person: one line, no full stop, ASCII.
    pub fn reason(&self) -> String {
        let realm = &self.realm;
        let what = match &self.cause {
            Cause::NoUpstream => format!("no KDC proxy is configured for realm {realm}"),
            Cause::NotOffered => format!("this service of realm {realm} is not offered here"),
            Cause::Overloaded => "too many requests are under way".to_owned(),
            Cause::HeldBack => {
                "this user has too many requests under way, or too many failed logins: wait a minute".to_owned()
            }
            Cause::Unreachable => format!("no KDC proxy for realm {realm} can be reached"),
            Cause::Unanswered => {
                format!("the KDC proxy for realm {realm} did not answer in time")
            }
            Cause::Closed => {
                format!("the KDC proxy for realm {realm} closed the connection without an answer")
            }
            Cause::Fault(fault) => {
                let words = explain::in_short(fault);
                format!("KDC proxy for realm {realm}: {words}")
            }
        };
        format!("{OWN_TEXT}{what}")
    }

    /// What a user is told whose password change met this verdict.
    ///
    /// "Not changed" is said only when nothing was sent; otherwise it is not known.
    pub fn password_text(&self) -> String {
        let reason = self.reason();
        let then = if self.may_have_been_sent {
            "It is not known whether your password was changed: try the new one first"
        } else {
            "Your password was not changed"
        };
        format!("{reason}. {then}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::upstream::{CertificateFault, Credential, ForwardProxyFault, NotReply};

    fn causes() -> Vec<Cause> {
        let none = || Arc::<str>::from("a text of any length");
        let forward_proxy = |fault| Unsent::ForwardProxy {
            proxy: none(),
            fault,
            detail: none(),
        };
        let unsent = [
            Unsent::Untrusted(CertificateFault::UnknownIssuer),
            Unsent::Untrusted(CertificateFault::WrongName),
            Unsent::Untrusted(CertificateFault::Expired),
            Unsent::Untrusted(CertificateFault::NotYetValid),
            Unsent::Untrusted(CertificateFault::NotPinned),
            Unsent::Untrusted(CertificateFault::NoName),
            Unsent::Untrusted(CertificateFault::Authority),
            Unsent::Untrusted(CertificateFault::SignedByNoAuthority),
            Unsent::Untrusted(CertificateFault::Constrained),
            Unsent::Untrusted(CertificateFault::WrongPurpose),
            Unsent::Untrusted(CertificateFault::OldVersion),
            Unsent::Untrusted(CertificateFault::UnsupportedSignature),
            Unsent::Untrusted(CertificateFault::ShortKey),
            Unsent::Untrusted(CertificateFault::CriticalExtension),
            Unsent::Untrusted(CertificateFault::LongChain),
            Unsent::Untrusted(CertificateFault::Revoked),
            Unsent::Untrusted(CertificateFault::Malformed),
            Unsent::Untrusted(CertificateFault::Other),
            forward_proxy(ForwardProxyFault::Unreachable),
            forward_proxy(ForwardProxyFault::PasswordRequired),
            forward_proxy(ForwardProxyFault::PasswordRejected),
            forward_proxy(ForwardProxyFault::Refused),
            Unsent::NoCredential(none()),
            Unsent::TicketLoop,
            Unsent::Unprocessed,
            Unsent::Busy,
        ];
        let statuses = [400, 401, 403, 404, 413, 429, 500, 503, 599];
        let faults = unsent
            .map(Fault::NotSent)
            .into_iter()
            .chain([
                Fault::ClosedWanting(Credential::Certificate),
                Fault::StreamRefused,
                Fault::NotServed,
            ])
            .chain(statuses.map(Fault::status))
            .chain(statuses.map(Fault::Page))
            .chain(
                [
                    Credential::Ticket,
                    Credential::OtherTicket,
                    Credential::Token,
                    Credential::OtherToken,
                    Credential::Certificate,
                    Credential::OtherCertificate,
                ]
                .map(Fault::wants),
            )
            .chain(
                [
                    NotReply::Redirect,
                    NotReply::Moved,
                    NotReply::WebPage,
                    NotReply::LoginRequired,
                    NotReply::OddStatus,
                    NotReply::Empty,
                    NotReply::Oversized,
                    NotReply::NoEnvelope,
                    NotReply::NoReplyInside,
                    NotReply::NoReply,
                    NotReply::OtherReply,
                    NotReply::TrailingOctets,
                    NotReply::Unproven,
                ]
                .map(Fault::NotKerberos),
            );
        let own = [
            Cause::NoUpstream,
            Cause::NotOffered,
            Cause::Unreachable,
            Cause::Unanswered,
            Cause::Closed,
            Cause::Overloaded,
            Cause::HeldBack,
        ];
        own.into_iter().chain(faults.map(Cause::Fault)).collect()
    }

    fn verdict(cause: Cause, may_have_been_sent: bool) -> Verdict {
        Verdict {
            cause,
            may_have_been_sent,
            on_failure: OnFailure::Unreachable,
            realm: Realm::parse(&[b'R'; 255]).unwrap(),
        }
    }

    #[test]
    fn the_cause_is_what_the_fault_says() {
        let busy = Fault::NotSent(Unsent::Busy);
        for (fault, cause) in [
            (Fault::NotSent(Unsent::ConnectTimeout), Cause::Unreachable),
            (Fault::NotSent(Unsent::HandedBack), Cause::Unreachable),
            (Fault::NotSent(Unsent::Ended), Cause::Unreachable),
            (Fault::NotSent(Unsent::TooLong), Cause::Unreachable),
            (busy.clone(), Cause::Fault(busy)),
            (Fault::ReusedConnectionClosed, Cause::Closed),
            (Fault::ClosedWithoutReply, Cause::Closed),
            (Fault::Unanswered, Cause::Closed),
            (Fault::Lifeless, Cause::Unanswered),
            (Fault::Silent, Cause::Unanswered),
            (Fault::Repeat, Cause::Unanswered),
            (Fault::NotServed, Cause::Fault(Fault::NotServed)),
            (Fault::status(403), Cause::Fault(Fault::status(403))),
        ] {
            assert_eq!(Cause::from(&fault), cause, "{fault:?}");
        }
    }

    #[test]
    fn a_password_is_said_to_be_unchanged_only_if_nothing_was_sent() {
        for cause in causes() {
            let unsent = verdict(cause.clone(), false).password_text();
            assert!(
                unsent.ends_with(" Your password was not changed"),
                "{unsent}"
            );
            let unknown = verdict(cause, true).password_text();
            assert!(unknown.ends_with(" try the new one first"), "{unknown}");
            assert!(unknown.contains(" It is not known "), "{unknown}");
        }
    }

    #[test]
    fn texts_are_one_line_of_ascii_and_fit_their_reply_whole() {
        for cause in causes() {
            let verdict = verdict(cause.clone(), true);
            let (reason, text) = (verdict.reason(), verdict.password_text());
            assert!(
                text.bytes().all(|octet| (0x20..0x7f).contains(&octet)),
                "{text}"
            );
            assert!(!reason.ends_with('.'), "{reason}");
            assert!(text.len() <= 512, "{text}");
        }
    }

    #[test]
    fn reasons_name_the_realm_and_the_status() {
        let failed = verdict(Cause::Fault(Fault::status(599)), true);
        assert!(failed.reason().ends_with("(HTTP 599)"));
        for cause in causes() {
            let names = verdict(cause.clone(), true).reason().contains("RRR");
            let is_realms = !matches!(cause, Cause::Overloaded | Cause::HeldBack);
            assert_eq!(names, is_realms, "{cause:?}");
        }
    }
}
