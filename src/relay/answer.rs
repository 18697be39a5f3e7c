//! What a request is answered with: the reply, or a verdict that says why there is none.
//!
//! Pure. A verdict is decided in one place ([`crate::relay::exchange`]) and worded by each way in.

use std::sync::Arc;

use crate::relay::upstream::{Bar, Credential, Fault, Unsent};
use crate::wire::{Realm, Reply};

/// What [`crate::relay::exchange::Exchange::answer`] says to a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The reply that came through the tunnel, octet for octet.
    Reply(Reply),
    /// There is no reply, and why.
    Verdict(Verdict),
}

/// An answer, and who gave it.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// Where it is from.
    pub source: Source,
}

/// Where an answer is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The upstream that was asked last.
    Upstream(Arc<str>),
    /// The lookaside: a copy of a request that is under way or was answered a moment ago.
    Lookaside,
    /// No upstream was asked.
    Nobody,
}

/// How a realm's failures look to an AS-REQ or TGS-REQ; kpasswd is always told in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Like a KDC that cannot be reached, at once: only that lets PAM, SSSD and their like go offline.
    #[default]
    Unreachable,
    /// A KRB-ERROR with e-text that a person can read.
    Explain,
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No upstream is configured for the realm.
    NoUpstream,
    /// The realm is known, and this service of it is not offered.
    NotOffered,
    /// No upstream could be reached.
    Unreachable,
    /// The certificate of the last upstream asked is not trusted: a captive portal's, perhaps.
    Untrusted,
    /// The HTTP or SOCKS proxy on the way to the last upstream asked did not let the request through.
    Barred(Bar),
    /// What the last upstream asked wants to be shown could not be had.
    NothingToShow,
    /// It is a ticket that would have to come through that upstream.
    Loop,
    /// The last upstream asked wants to be shown something.
    Wants(Credential),
    /// The last upstream asked refused the request with HTTP 403 ([MS-KKDCP] 3.1.5.3).
    Forbidden,
    /// The last upstream asked refused the request with another HTTP status.
    Refused(u16),
    /// The same with a web page: a captive portal, perhaps.
    Page(u16),
    /// What came back was not Kerberos: a captive portal, or not a KDC proxy at all.
    NotKerberos,
    /// Nothing came back in time.
    Unanswered,
    /// The KDC said that it cannot serve (KRB-ERROR 29).
    NotServed,
    /// As many requests as may be are under way already, here or to the last upstream asked.
    Overloaded,
}

impl From<&Fault> for Cause {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::NotSent(Unsent::Busy) => Self::Overloaded,
            Fault::NotSent(Unsent::Untrusted(_)) => Self::Untrusted,
            Fault::NotSent(Unsent::Barred { bar, .. }) => Self::Barred(*bar),
            Fault::NotSent(Unsent::NothingToShow(_)) => Self::NothingToShow,
            Fault::NotSent(Unsent::Loop) => Self::Loop,
            Fault::NotSent(_) => Self::Unreachable,
            Fault::Stale | Fault::Dropped | Fault::Unanswered | Fault::Silent | Fault::Repeat => {
                Self::Unanswered
            }
            Fault::Wants(credential) => Self::Wants(*credential),
            Fault::Uncertified => Self::Wants(Credential::Certificate),
            Fault::Status(403) | Fault::Page(403) => Self::Forbidden,
            Fault::Status(status) => Self::Refused(*status),
            Fault::Page(status) => Self::Page(*status),
            Fault::NotKerberos(_) => Self::NotKerberos,
            Fault::NotServed => Self::NotServed,
        }
    }
}

/// Why there is no reply, and whether anything may have been sent.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What went wrong, as far as the last upstream tells.
    pub cause: Cause,
    /// Whether a KDC may have seen the request: decides what a user may be told about a password change.
    pub may_have_been_sent: bool,
    /// How the realm wants its failures told.
    pub on_failure: OnFailure,
    /// The realm that was asked for.
    pub realm: Realm,
}

impl Verdict {
    /// What went wrong, in words for a person: one line, no full stop, ASCII.
    #[must_use]
    pub fn reason(&self) -> String {
        let realm = &self.realm;
        match self.cause {
            Cause::NoUpstream => format!("loopkdc: no KDC proxy is configured for realm {realm}"),
            Cause::NotOffered => {
                format!("loopkdc: this service of realm {realm} is not offered here")
            }
            Cause::Unreachable => format!("loopkdc: no KDC proxy for realm {realm} can be reached"),
            Cause::Untrusted => format!(
                "loopkdc: the certificate of the KDC proxy for realm {realm} is not trusted; is there a login page to pass first?"
            ),
            Cause::Barred(bar) => {
                let how = barred(bar);
                format!(
                    "loopkdc: the HTTP proxy on the way to the KDC proxy for realm {realm} {how}"
                )
            }
            Cause::NothingToShow => format!(
                "loopkdc: what the KDC proxy for realm {realm} wants to be shown cannot be had; the log says why"
            ),
            Cause::Loop => format!(
                "loopkdc: the ticket for the KDC proxy of realm {realm} would have to come through it: that takes another entry in [realms], or a KDC in krb5.conf"
            ),
            Cause::Wants(credential) => {
                let what = wanted(credential);
                format!("loopkdc: the KDC proxy for realm {realm} {what}")
            }
            Cause::Page(status) => format!(
                "loopkdc: HTTP {status} and a web page came instead of an answer of the KDC proxy for realm {realm}; is there a login page to pass first?"
            ),
            Cause::Forbidden => {
                format!("loopkdc: the KDC proxy for realm {realm} forbids this (HTTP 403)")
            }
            Cause::Refused(status) => {
                format!("loopkdc: the KDC proxy for realm {realm} answered HTTP {status}")
            }
            Cause::NotKerberos => format!(
                "loopkdc: something other than the KDC proxy for realm {realm} answered; is there a login page to pass first?"
            ),
            Cause::Unanswered => {
                format!("loopkdc: the KDC proxy for realm {realm} did not answer in time")
            }
            Cause::NotServed => {
                format!("loopkdc: the KDC of realm {realm} is not available at the moment")
            }
            Cause::Overloaded => "loopkdc: too many requests are under way".to_owned(),
        }
    }

    /// What a user is told whose password change met this verdict.
    ///
    /// "Not changed" is said only when nothing was sent; otherwise it is not known.
    #[must_use]
    pub fn password_text(&self) -> String {
        let reason = self.reason();
        let stop = if reason.ends_with('?') { "" } else { "." };
        let then = if self.may_have_been_sent {
            "It is not known whether your password was changed: try the new one first"
        } else {
            "Your password was not changed"
        };
        format!("{reason}{stop} {then}")
    }
}

fn barred(bar: Bar) -> &'static str {
    match bar {
        Bar::Unreachable => "cannot be reached",
        Bar::Password => "wants user and password: give it both in http-proxy",
        Bar::OtherPassword => "does not take the user and password in http-proxy",
        Bar::Refused => "does not connect to it",
    }
}

/// What is wanted, with the setting to use.
fn wanted(credential: Credential) -> &'static str {
    match credential {
        Credential::Ticket => "wants a Kerberos ticket: set auth = \"negotiate\"",
        Credential::OtherTicket => "does not take the ticket that auth = \"negotiate\" shows it",
        Credential::Token => "wants a token or a password: set bearer-token-file or headers-file",
        Credential::OtherToken => "does not take what bearer-token-file or headers-file shows it",
        Credential::Certificate => {
            "asks for a TLS client certificate: set client-certificate and client-key"
        }
        Credential::OtherCertificate => {
            "forbids this: it does not take the certificate in client-certificate"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSES: [Cause; 23] = [
        Cause::NoUpstream,
        Cause::NotOffered,
        Cause::Unreachable,
        Cause::Untrusted,
        Cause::Barred(Bar::Unreachable),
        Cause::Barred(Bar::Password),
        Cause::Barred(Bar::OtherPassword),
        Cause::Barred(Bar::Refused),
        Cause::NothingToShow,
        Cause::Loop,
        Cause::Wants(Credential::Ticket),
        Cause::Wants(Credential::OtherTicket),
        Cause::Wants(Credential::Token),
        Cause::Wants(Credential::OtherToken),
        Cause::Wants(Credential::Certificate),
        Cause::Wants(Credential::OtherCertificate),
        Cause::Page(503),
        Cause::Forbidden,
        Cause::Refused(599),
        Cause::NotKerberos,
        Cause::Unanswered,
        Cause::NotServed,
        Cause::Overloaded,
    ];

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
        for (fault, cause) in [
            (Fault::NotSent(Unsent::ConnectTimeout), Cause::Unreachable),
            (Fault::NotSent(Unsent::HandedBack), Cause::Unreachable),
            (Fault::NotSent(Unsent::Ended), Cause::Unreachable),
            (Fault::NotSent(Unsent::TooLong), Cause::Unreachable),
            (Fault::NotSent(Unsent::Busy), Cause::Overloaded),
            (Fault::Stale, Cause::Unanswered),
            (Fault::Dropped, Cause::Unanswered),
            (Fault::Unanswered, Cause::Unanswered),
            (Fault::Silent, Cause::Unanswered),
            (Fault::Repeat, Cause::Unanswered),
            (
                Fault::NotSent(Unsent::Untrusted(String::new())),
                Cause::Untrusted,
            ),
            (
                Fault::NotSent(Unsent::NothingToShow(String::new())),
                Cause::NothingToShow,
            ),
            (Fault::NotSent(Unsent::Loop), Cause::Loop),
            (Fault::Uncertified, Cause::Wants(Credential::Certificate)),
            (
                Fault::Wants(Credential::Ticket),
                Cause::Wants(Credential::Ticket),
            ),
            (Fault::Page(403), Cause::Forbidden),
            (Fault::Page(503), Cause::Page(503)),
            (Fault::Status(403), Cause::Forbidden),
            (Fault::Status(404), Cause::Refused(404)),
            (Fault::Status(503), Cause::Refused(503)),
            (Fault::NotKerberos("HTML"), Cause::NotKerberos),
            (Fault::NotServed, Cause::NotServed),
        ] {
            assert_eq!(Cause::from(&fault), cause, "{fault:?}");
        }
    }

    #[test]
    fn a_password_is_said_to_be_unchanged_only_if_nothing_was_sent() {
        for cause in CAUSES {
            let unsent = verdict(cause, false).password_text();
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
        for cause in CAUSES {
            let verdict = verdict(cause, true);
            let (reason, text) = (verdict.reason(), verdict.password_text());
            assert!(
                text.bytes().all(|octet| (0x20..0x7f).contains(&octet)),
                "{text}"
            );
            assert!(!reason.ends_with('.'), "{reason}");
            assert!(!text.contains("?."), "{text}");
            assert!(text.len() <= 512, "{text}");
        }
    }

    #[test]
    fn reasons_name_the_realm_and_the_status() {
        assert!(
            verdict(Cause::Refused(599), true)
                .reason()
                .ends_with(" HTTP 599")
        );
        for cause in CAUSES {
            let names = verdict(cause, true).reason().contains("RRR");
            assert_eq!(names, cause != Cause::Overloaded, "{cause:?}");
        }
    }
}
