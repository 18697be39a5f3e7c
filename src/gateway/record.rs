//! What one HTTP request was and how it ended, for those who observe a gateway.
//!
//! Pure. Made once for each request, and only if somebody observes.

use std::net::IpAddr;
use std::time::Duration;

use crate::relay::answer::Source;
use crate::wire::{Kind, Realm};

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// The client's address; nothing for one on this machine, over a Unix socket.
    pub client: Option<IpAddr>,
    /// What was asked, if it was a Kerberos message.
    pub kind: Option<Kind>,
    /// The realm that was asked, if it was a Kerberos message.
    pub realm: Option<RealmName>,
    /// The realm inside the message, if that is another one ([MS-KKDCP] 3.2.5.1).
    pub inside: Option<Realm>,
    /// What answered.
    pub source: Source,
    /// The error code of the KRB-ERROR that answered, if one did (RFC 4120 7.5.9).
    pub error_code: Option<i32>,
    /// The HTTP status; none if the client had gone by then.
    pub status: Option<u16>,
    /// From the end of the request's headers to its answer.
    pub elapsed: Duration,
    /// The client principal of an AS-REQ, as it says itself. Personal data: filled only where the configuration says so.
    pub principal: Option<String>,
}

/// A realm that was asked for.
#[derive(Clone, Debug)]
pub enum RealmName {
    /// One of the configured ones, spelled as there.
    Configured(Realm),
    /// Any other, spelled as the client did.
    Other(Realm),
}

/// How a request ended: few words, whatever comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestOutcome {
    /// With the KDC's reply.
    Reply,
    /// With the KDC's KRB-ERROR.
    KrbError,
    /// It was not one that can be answered.
    BadRequest,
    /// It was longer than allowed.
    TooLarge,
    /// Nothing is served there: neither at that path, nor for that realm.
    NotFound,
    /// That service of the realm is not offered.
    Forbidden,
    /// Its client asks for more than it may.
    Throttled,
    /// No KDC could be reached, or what was reached is none.
    Unreachable,
    /// Too many requests were under way.
    Overloaded,
    /// The KDC did not answer in time.
    Unanswered,
    /// Its client did not wait for the answer.
    Abandoned,
    /// None of these.
    Failed,
}

impl RequestOutcome {
    /// Its name, in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::KrbError => "krb_error",
            Self::BadRequest => "bad_request",
            Self::TooLarge => "too_large",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::Overloaded => "overloaded",
            Self::Unanswered => "unanswered",
            Self::Abandoned => "abandoned",
            Self::Failed => "failed",
        }
    }
}

impl RequestRecord {
    /// How it ended: the status says it all, but for what a KDC said.
    #[must_use]
    pub const fn outcome(&self) -> RequestOutcome {
        match (self.status, self.error_code) {
            (None, _) => RequestOutcome::Abandoned,
            (Some(200..=299), None) => RequestOutcome::Reply,
            (Some(200..=299), Some(_)) => RequestOutcome::KrbError,
            (Some(403), _) => RequestOutcome::Forbidden,
            (Some(404), _) => RequestOutcome::NotFound,
            (Some(413), _) => RequestOutcome::TooLarge,
            (Some(429), _) => RequestOutcome::Throttled,
            (Some(400..=499), _) => RequestOutcome::BadRequest,
            (Some(502), _) => RequestOutcome::Unreachable,
            (Some(503), _) => RequestOutcome::Overloaded,
            (Some(504), _) => RequestOutcome::Unanswered,
            (Some(_), _) => RequestOutcome::Failed,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An AS-REQ that alice's KDC answered.
    pub(crate) fn record() -> RequestRecord {
        RequestRecord {
            client: Some(IpAddr::from([192, 0, 2, 1])),
            kind: Some(Kind::AsReq),
            realm: Some(RealmName::Configured(Realm::parse(b"EXAMPLE.COM").unwrap())),
            inside: None,
            source: Source::Upstream("dc1.example.com:88".into()),
            error_code: None,
            status: Some(200),
            elapsed: Duration::from_millis(3),
            principal: None,
        }
    }

    #[test]
    fn the_status_and_the_kdc_tell_the_outcome() {
        let outcome = |status, error_code| {
            let record = RequestRecord {
                status,
                error_code,
                ..record()
            };
            record.outcome().name()
        };
        assert_eq!(outcome(Some(200), None), "reply");
        assert_eq!(outcome(Some(200), Some(25)), "krb_error");
        assert_eq!(outcome(None, None), "abandoned");
        for (status, name) in [
            (400, "bad_request"),
            (403, "forbidden"),
            (404, "not_found"),
            (405, "bad_request"),
            (408, "bad_request"),
            (411, "bad_request"),
            (413, "too_large"),
            (429, "throttled"),
            (500, "failed"),
            (502, "unreachable"),
            (503, "overloaded"),
            (504, "unanswered"),
        ] {
            assert_eq!(outcome(Some(status), None), name, "{status}");
        }
    }
}
