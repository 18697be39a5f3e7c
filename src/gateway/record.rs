//! What one HTTP request was and how it ended, for those who observe a gateway.
//!
//! Pure.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::relay::answer::Source;
use crate::wire::{Kind, Realm};

/// One request and its answer.
#[derive(Clone, Debug, Default)]
pub struct RequestRecord {
    /// The client's address; nothing for one on this machine, over a Unix socket.
    pub client: Option<IpAddr>,
    /// The name that the client has proved, if it has.
    pub name: Option<Arc<str>>,
    /// What was asked, if it was a Kerberos message.
    pub kind: Option<Kind>,
    /// The realm that was asked, if it was a Kerberos message: as the configuration spells it, or else as the client does.
    pub realm: Option<Realm>,
    /// The realm is one of the configuration.
    pub is_configured: bool,
    /// The realm inside the message, if that is another one ([MS-KKDCP] 3.2.5.1).
    pub inside: Option<Realm>,
    /// What answered.
    pub source: Source,
    /// The error code of the KRB-ERROR that answered, if one did (RFC 4120 7.5.9).
    pub error_code: Option<i32>,
    /// The key of the configuration by which it was refused, if a realm's policy did that.
    pub refused_by: Option<&'static str>,
    /// The HTTP status; none if the client had gone by then.
    pub status: Option<u16>,
    /// From the end of the request's headers to its answer.
    pub elapsed: Duration,
    /// The client principal of an AS-REQ, as it says itself. Personal data: filled only where the configuration says so.
    pub principal: Option<String>,
}

impl RequestRecord {
    /// How it ended, in a word of few: the status says it all, but for what a KDC said.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match (self.status, self.error_code) {
            (None, _) => "abandoned",
            (Some(200..=299), Some(_)) if self.refused_by.is_some() => "policy",
            (Some(200..=299), None) => "reply",
            (Some(200..=299), Some(_)) => "krb_error",
            (Some(401), _) => "unauthorized",
            (Some(403), _) => "forbidden",
            (Some(404), _) => "not_found",
            (Some(413), _) => "too_large",
            (Some(429), _) => "throttled",
            (Some(400..=499 | 501), _) => "bad_request",
            (Some(502), _) => "unreachable",
            (Some(503), _) => "overloaded",
            (Some(504), _) => "unanswered",
            (Some(_), _) => "failed",
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
            realm: Some(Realm::parse(b"EXAMPLE.COM").unwrap()),
            is_configured: true,
            source: Source::Upstream("dc1.example.com:88".into()),
            status: Some(200),
            elapsed: Duration::from_millis(3),
            ..RequestRecord::default()
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
            record.outcome()
        };
        assert_eq!(outcome(Some(200), None), "reply");
        assert_eq!(outcome(Some(200), Some(25)), "krb_error");
        assert_eq!(outcome(None, None), "abandoned");
        let refused = RequestRecord {
            error_code: Some(12),
            refused_by: Some("preauth"),
            ..record()
        };
        assert_eq!(refused.outcome(), "policy");
        for (status, name) in [
            (400, "bad_request"),
            (401, "unauthorized"),
            (403, "forbidden"),
            (404, "not_found"),
            (405, "bad_request"),
            (408, "bad_request"),
            (411, "bad_request"),
            (413, "too_large"),
            (429, "throttled"),
            (500, "failed"),
            (501, "bad_request"),
            (502, "unreachable"),
            (503, "overloaded"),
            (504, "unanswered"),
        ] {
            assert_eq!(outcome(Some(status), None), name, "{status}");
        }
    }
}
