//! The responses of the gateway: a status, and a line of text for the person who looks.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode, Version};

use crate::gateway::throttle::Wait;
use crate::relay::answer::{Cause, Verdict};
use crate::relay::upstream::{Fault, KEEP_ALIVE, OUR_KEEP_ALIVE, Unsent};

/// What [MS-KKDCP] bodies are sent as by everyone; it names no type.
const KERBEROS: HeaderValue = HeaderValue::from_static("application/kerberos");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Seconds after which an overloaded gateway may be asked again: until then the retransmit cache says the same once more.
const LATER: u64 = 2;

/// A response that is no reply of a KDC.
#[derive(Debug)]
pub(in crate::gateway) struct ErrorResponse {
    pub(super) status: StatusCode,
    pub(super) text: String,
    header: Option<(HeaderName, HeaderValue)>,
    /// The connection ends with it: what follows in it can't be trusted to be a request.
    pub(super) close: bool,
}

impl ErrorResponse {
    /// A refusal after which the connection goes on.
    pub(in crate::gateway) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            header: None,
            close: false,
        }
    }

    fn with(self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        Self {
            header: Some((name, value.into())),
            ..self
        }
    }

    /// The same, and the connection ends.
    pub(super) fn closing(self) -> Self {
        Self {
            close: true,
            ..self
        }
    }

    /// `allow`: the methods that the path knows.
    pub(in crate::gateway) fn method(allow: &'static str) -> Self {
        let text = format!("only {allow} is served here");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, text).with(ALLOW, HeaderValue::from_static(allow))
    }

    /// RFC 6750 3: the error is told to who has sent a token.
    pub(super) fn unauthorized(has_sent: bool) -> Self {
        let (challenge, text) = if has_sent {
            (
                "Bearer realm=\"KDC proxy\", error=\"invalid_token\"",
                "this bearer token is not known here, or has expired",
            )
        } else {
            (
                "Bearer realm=\"KDC proxy\"",
                "a bearer token is needed here",
            )
        };
        let challenge = HeaderValue::from_static(challenge);
        Self::new(StatusCode::UNAUTHORIZED, text).with(WWW_AUTHENTICATE, challenge)
    }

    pub(super) fn too_large() -> Self {
        let text = "the body is longer than 1 MiB";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    pub(super) fn overloaded() -> Self {
        let text = "too many requests are under way";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text).with(RETRY_AFTER, LATER)
    }

    pub(super) fn throttled(wait: Wait) -> Self {
        let seconds = wait.seconds();
        let text = format!("too many requests: try again in {seconds} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, text).with(RETRY_AFTER, seconds)
    }

    pub(in crate::gateway) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = text(self.status, &self.text);
        response.headers_mut().extend(self.header);
        response
    }
}

impl From<&Verdict> for ErrorResponse {
    fn from(verdict: &Verdict) -> Self {
        let realm = &verdict.realm;
        let (status, text) = match &verdict.cause {
            // Names no realm but the one that was asked for: nobody is told which ones there are.
            Cause::NoUpstream => (
                StatusCode::NOT_FOUND,
                format!("no KDC is configured for realm {realm}"),
            ),
            // "Forbidden" is the status that tells a client of ours why, and that others may serve it.
            Cause::NotOffered => (
                StatusCode::FORBIDDEN,
                format!("this service of realm {realm} is not offered here"),
            ),
            Cause::Overloaded | Cause::HeldBack | Cause::Fault(Fault::NotSent(Unsent::Busy)) => {
                return Self::overloaded();
            }
            Cause::Unanswered | Cause::Closed => (
                StatusCode::GATEWAY_TIMEOUT,
                format!("the KDC of realm {realm} did not answer"),
            ),
            Cause::Unreachable => (
                StatusCode::BAD_GATEWAY,
                format!("no KDC of realm {realm} can be reached"),
            ),
            Cause::Fault(Fault::NotServed) => (
                StatusCode::BAD_GATEWAY,
                format!("the KDC of realm {realm} is not available at the moment"),
            ),
            // Also a 403 from a KDC proxy behind this one: it was refused to the gateway, not to the client.
            Cause::Fault(_) => (
                StatusCode::BAD_GATEWAY,
                format!("what answered for realm {realm} was no KDC"),
            ),
        };
        Self::new(status, text)
    }
}

/// A KDC-PROXY-MESSAGE as a response.
pub(super) fn reply(body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    response.headers_mut().insert(CONTENT_TYPE, KERBEROS);
    response
}

/// A line of text as a response.
pub(super) fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(format!("loopkdc: {text}\n").into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response
}

/// Says for how long the connection of HTTP `version` is kept after `response`.
pub(super) fn keep(response: &mut Response<Full<Bytes>>, version: Version, time: Duration) {
    let header = match version {
        Version::HTTP_2 => OUR_KEEP_ALIVE,
        _ => KEEP_ALIVE,
    };
    if let Ok(value) = format!("timeout={}", time.as_secs()).try_into() {
        response.headers_mut().insert(header, value);
    }
}

/// Has an HTTP/1 connection end after `response`.
pub(super) fn close(response: &mut Response<Full<Bytes>>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::answer::OnFailure;
    use crate::wire::Realm;

    #[test]
    fn who_finds_no_place_at_a_kdc_is_told_to_come_later() {
        let busy = Fault::NotSent(Unsent::Busy);
        let verdict = Verdict {
            cause: Cause::from(&busy),
            may_have_been_sent: false,
            on_failure: OnFailure::default(),
            realm: Realm::parse(b"EXAMPLE.COM").unwrap(),
        };
        let response = ErrorResponse::from(&verdict);
        assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.header, Some((RETRY_AFTER, LATER.into())));
    }
}
