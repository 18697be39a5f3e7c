//! What errors of the libraries say: why a request was not sent, and what a server refused it for.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use h2::Reason;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Response, StatusCode};
use rustls::AlertDescription;
use rustls::client::ResolvesClientCert as _;

use super::fault::{ConnectError, Credential, Fault, ForwardProxyFault, OwnWords, Unsent};
use super::proxy_options::ForwardProxy;
use super::tls::ClientAuth;
use super::tls_errors;
use crate::relay::text::{self, urls};
use crate::wire::Resend;

/// What reqwest's HTTP and SOCKS connectors begin their texts with; their types are their own.
const TUNNEL: &str = "tunnel error: ";
const SOCKS: &str = "SOCKS error: ";

/// Most characters of what an upstream says itself.
const MAX_WORDS: usize = 120;

/// A wait of which nothing is said.
pub(super) const UNTOLD_WAIT: Duration = Duration::from_secs(1);

/// What a request showed as its Authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// None.
    None,
    /// What the configuration says.
    Token,
    /// A ticket (RFC 4559).
    Ticket,
}

impl Authorization {
    pub(super) fn of(is_ticket: bool, headers: &HeaderMap) -> Self {
        if is_ticket {
            Self::Ticket
        } else if headers.contains_key(AUTHORIZATION) {
            Self::Token
        } else {
            Self::None
        }
    }
}

/// Why a server of HTTP/2 has not looked at a request, if it says that it has not: its stream is above the last one that is served (RFC
/// 9113 6.8), or it wants HTTP/1.1, which servers find out before anything else. That it refused the stream should say so too (8.7);
/// but HAProxy says that of whatever brought no answer, so it goes for a harmless request alone.
pub(super) fn unread(error: &reqwest::Error, resend: Resend) -> Option<Reason> {
    let error: &h2::Error = causes(error).find_map(|cause| cause.downcast_ref())?;
    let reason = error.reason().filter(|_| error.is_remote())?;
    let is_unread = match reason {
        // Whatever the reason: what stands below the last one ends with the connection, by another error.
        _ if error.is_go_away() => true,
        Reason::REFUSED_STREAM => resend == Resend::Harmless,
        reason => reason == Reason::HTTP_1_1_REQUIRED,
    };
    is_unread.then_some(reason)
}

/// What an HTTP status of 400 or above says.
pub(super) fn of_status(
    status: u16,
    headers: &HeaderMap,
    client_auth: &ClientAuth,
    authorization: Authorization,
) -> Fault {
    let is_page = is_page(headers);
    let unmet = client_auth.unmet();
    let wants = match status {
        401 => unauthorized(headers, authorization),
        403 if unmet == Some(Credential::UnaskedCertificate) => unmet,
        // Behind Apache it says the one, behind nginx the other; in their own words, not in a KDC proxy's.
        400 | 403 if client_auth.has_certs() => (client_auth.was_requested()
            && (status == 403 || is_page))
            .then_some(Credential::OtherCertificate),
        400 | 403 => unmet.filter(|_| is_page),
        _ => None,
    };
    match wants {
        Some(credential) => Fault::wants(credential),
        // A portal has no use for these: they are of what serves the proxy's name, in whatever words.
        None if is_page && !matches!(status, 404 | 405 | 410 | 413) => Fault::Page(status),
        None => Fault::status(status),
    }
}

/// How long a client is to wait until it asks again, if it can. If it has asked too much (RFC 6585 4), nobody was asked for it then;
/// where the server has too much to do (RFC 9110 15.6.4), what stands before a KDC proxy may say so of what it has passed on: only a
/// harmless request waits for that.
pub(super) fn retry_after(response: &Response, resend: Resend) -> Option<Duration> {
    let told = response.headers().get(RETRY_AFTER);
    let told = told.map(|seconds| {
        let seconds: u32 = seconds.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds.into()))
    });
    match (response.status(), told) {
        (StatusCode::TOO_MANY_REQUESTS, None) => Some(UNTOLD_WAIT),
        (StatusCode::TOO_MANY_REQUESTS, Some(told)) => told,
        (StatusCode::SERVICE_UNAVAILABLE, Some(told)) if resend == Resend::Harmless => told,
        _ => None,
    }
}

/// What a 401 asks for (RFC 9110 11.6.1), the best of it first.
fn unauthorized(headers: &HeaderMap, authorization: Authorization) -> Option<Credential> {
    let offers = |scheme: &str| {
        challenges(headers).any(|(offered, _)| offered.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    let takes_token = ["bearer", "basic"].iter().any(|scheme| offers(scheme));
    match authorization {
        Authorization::Ticket => Some(Credential::OtherTicket),
        Authorization::Token => Some(Credential::OtherToken),
        Authorization::None if offers("negotiate") => Some(Credential::Ticket),
        Authorization::None => takes_token.then_some(Credential::Token),
    }
}

/// The challenges of an answer (RFC 9110 11.6.1): their schemes, and what follows each up to a comma. A field may hold several, and there
/// are commas as well between the parameters of one, and in quotes.
pub(super) fn challenges(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let fields = headers.get_all(WWW_AUTHENTICATE).into_iter();
    let parts = fields.flat_map(|field| {
        let (mut is_quoted, mut is_escaped) = (false, false);
        field.as_bytes().split(move |octet| {
            let ends = *octet == b',' && !is_quoted;
            is_quoted ^= *octet == b'"' && !is_escaped;
            is_escaped = *octet == b'\\' && is_quoted && !is_escaped;
            ends
        })
    });
    parts.filter_map(|part| {
        let part = part.trim_ascii();
        let end = part.iter().position(|octet| b" =".contains(octet));
        let (scheme, rest) = part.split_at_checked(end.unwrap_or(part.len()))?;
        let rest = rest.trim_ascii_start();
        // Else it is a parameter of the one before.
        (!scheme.is_empty() && !rest.starts_with(b"=")).then_some((scheme, rest))
    })
}

/// True if the answer is a web page, which no KDC proxy gives itself.
pub(super) fn is_page(headers: &HeaderMap) -> bool {
    is_of(headers, b"text/html") || is_of(headers, b"application/xhtml")
}

/// `refused`, and the first line of a body that is for people to read, as they are shown it: of URLs the origins.
pub(super) fn in_own_words(refused: Fault, headers: &HeaderMap, body: &[u8]) -> Fault {
    let text = String::from_utf8_lossy(body);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.next().filter(|_| is_of(headers, b"text/plain"));
    let words = OwnWords(line.map(|line| text::short(&urls::origins(line), MAX_WORDS).into()));
    match refused {
        Fault::Status(status, _) => Fault::Status(status, words),
        Fault::AuthenticationRequired(wanted, _) => Fault::AuthenticationRequired(wanted, words),
        refused => refused,
    }
}

/// True if the body is a KDC-PROXY-MESSAGE by its name.
pub(super) fn is_kerberos(headers: &HeaderMap) -> bool {
    is_of(headers, b"application/kerberos")
}

/// True if the body's media type begins so, which is in lower case; its own letter case is no matter (RFC 9110 8.3.1).
fn is_of(headers: &HeaderMap, kind: &[u8]) -> bool {
    let own = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let own = own.and_then(|own| own.get(..kind.len()));
    own.is_some_and(|own| own.eq_ignore_ascii_case(kind))
}

/// Why a request was not sent.
pub(super) fn unsent(error: &reqwest::Error, via: &ForwardProxy) -> Unsent {
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => Unsent::ConnectTimeout,
        (true, false) => unconnected(error, via),
        (false, _) => Unsent::HandedBack,
    }
}

fn unconnected(error: &reqwest::Error, via: &ForwardProxy) -> Unsent {
    if let Some(unsent) = forward_proxy(error, via) {
        return unsent;
    }
    if let Some(error) = tls_error(error) {
        return tls_errors::unsent(error);
    }
    // The system's or the look-up's own error lies at the bottom.
    match io_error(error) {
        Some(error) => error.into(),
        None => Unsent::Connect(ConnectError::Other(root_cause(error).into())),
    }
}

/// What the HTTP or SOCKS proxy on the way had against it, if it was that. Its types are the library's own: the texts alone
/// can be told apart.
fn forward_proxy(error: &reqwest::Error, via: &ForwardProxy) -> Option<Unsent> {
    let texts: Vec<_> = causes(error).map(ToString::to_string).collect();
    let text = |prefix: &str| texts.iter().find_map(|text| text.strip_prefix(prefix));
    let (kind, text) = match text(TUNNEL) {
        Some(text) => ("HTTP", text),
        None => ("SOCKS", text(SOCKS)?),
    };
    let (proxy, has_password) = match via {
        ForwardProxy::Url(proxy) => (format!("{kind} proxy {proxy}"), proxy.has_credentials()),
        ForwardProxy::None | ForwardProxy::Environment => {
            (format!("{kind} proxy of the environment"), false)
        }
    };
    let password = if has_password {
        ForwardProxyFault::PasswordRejected
    } else {
        ForwardProxyFault::PasswordRequired
    };
    let (fault, detail) = match text {
        "proxy authorization required" => (password, "407".to_owned()),
        "credentials not accepted"
        | "server does not support user/pass authentication"
        | "server implements authentication incorrectly" => (password, text.to_owned()),
        "failed to create underlying connection" => {
            let detail = tls_error(error).map(tls_errors::words);
            let detail = detail.unwrap_or_else(|| root_cause(error));
            (ForwardProxyFault::Unreachable, detail)
        }
        "unsuccessful" => (
            ForwardProxyFault::Refused,
            "it answered with another status than 200".to_owned(),
        ),
        text => (ForwardProxyFault::Refused, text.to_owned()),
    };
    Some(Unsent::ForwardProxy {
        proxy: proxy.into(),
        fault,
        detail: detail.into(),
    })
}

/// The certificate for want of which a handshake ended, or a fresh connection after it: no request is read before. If octets of
/// the request may have left, that is believed only of an alert, and of a server that has served nothing yet.
pub(super) fn wants_certificate(
    error: &reqwest::Error,
    client_auth: &ClientAuth,
    is_withdrawn: bool,
) -> Option<Credential> {
    let ends = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
    let is_ended = io_error(error).is_some_and(|error| ends.contains(&error.kind()));
    let is_it = match is_about_certificate(error) {
        Some(is_about_certificate) => {
            is_about_certificate
                && (client_auth.may_be_missing() || client_auth.was_requested() && is_withdrawn)
        }
        // In TLS 1.3 the client is the first to have done with the handshake: the alert may find nobody to hear it.
        None => is_withdrawn && client_auth.may_be_missing() && (!error.is_connect() || is_ended),
    };
    let wanted = if client_auth.has_certs() {
        Credential::OtherCertificate
    } else {
        Credential::Certificate
    };
    is_it.then_some(wanted)
}

/// Alerts about a certificate (RFC 8446 6.2). Before TLS 1.3 that there was none was a handshake_failure (RFC 5246 7.4.6).
const ABOUT_CERTIFICATE: [AlertDescription; 10] = [
    AlertDescription::CertificateRequired,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::DecryptError,
    AlertDescription::HandshakeFailure,
];

/// True if the server's alert was about the certificate; `None` if it sent no alert.
fn is_about_certificate(error: &reqwest::Error) -> Option<bool> {
    if let Some(rustls::Error::AlertReceived(alert)) = tls_error(error) {
        return Some(ABOUT_CERTIFICATE.contains(alert));
    }
    // Over HTTP/2 the text alone is left of it.
    let text = causes(error).find_map(|cause| {
        let text = cause.to_string();
        text.strip_prefix("received fatal alert: ")
            .map(str::to_owned)
    })?;
    let mut names = ABOUT_CERTIFICATE.iter().map(|alert| format!("{alert:?}"));
    Some(names.any(|name| name == text))
}

/// The deepest error of the system, or of what stands in its place.
fn io_error(error: &reqwest::Error) -> Option<&io::Error> {
    causes(error)
        .filter_map(|cause| cause.downcast_ref())
        .last()
}

fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// An error, and what it came from, down to the first cause.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| {
        let io = error.downcast_ref().and_then(io::Error::get_ref);
        // The source() of an io::Error is that of the error inside, which itself would be left out.
        io.map_or_else(|| error.source(), |inside| Some(inside))
    })
}

fn root_cause(error: &reqwest::Error) -> String {
    let text = causes(error).last().map(ToString::to_string);
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_text_one_line_is_shown_and_nothing_that_a_terminal_obeys() {
        let long = "x".repeat(200);
        for (kind, body, expected) in [
            ("text/plain", "\n no \nforged", Some("no".to_owned())),
            (
                "text/plain; charset=utf-8",
                "a\u{1b}[2J",
                Some("a\u{fffd}[2J".to_owned()),
            ),
            (
                "text/plain",
                &long,
                Some(format!("{}...", &long[..MAX_WORDS])),
            ),
            ("text/plain", "", None),
            ("application/json", "{}", None),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            let refused = in_own_words(Fault::status(503), &headers, body.as_bytes());
            let Fault::Status(503, OwnWords(words)) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(words.as_deref(), expected.as_deref(), "{body:?}");
        }
    }
}
