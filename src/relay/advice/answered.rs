//! What was answered in the place of a reply: a status, a page, the wish to be shown something, or what is no Kerberos.

use super::{Advice, Kind, advice, is_page};
use crate::relay::upstream::Credential;

pub(super) fn on_status(status: u16, key: &str) -> Advice {
    let (what, hint) = match status {
        400 => (
            "it cannot read the request",
            format!("see whether {key} names a KDC proxy's own URL, with its path"),
        ),
        401 => (
            "it wants to be shown who asks, in a way that is not known here",
            "who runs it knows which: headers-file and bearer-token-file show what they hold".to_owned(),
        ),
        403 => (
            "it forbids this",
            "who runs it knows why: it may know the realm by another name (target-domain), or want client-certificate".to_owned(),
        ),
        404 | 405 | 410 => (
            "it has no KDC proxy at this path, or does not serve this realm",
            format!(
                "correct the path of the URL in {key}, which mostly is /KdcProxy; if it is right, ask who runs it whether it serves the realm"
            ),
        ),
        413 => (
            "it takes no requests of this length",
            format!("have its limit raised to 128 KiB, or list another in {key}"),
        ),
        429 => (
            "it has had too many requests or wrong passwords from this address",
            format!("wait a minute, or list another in {key}; others may be behind the same router"),
        ),
        502..=504 => (
            "it reaches no KDC",
            format!("who runs it should look after its KDCs; meanwhile list another in {key}"),
        ),
        500..=599 => (
            "it failed",
            format!("its log says why; meanwhile list another in {key}"),
        ),
        _ => (
            "it does not answer as a KDC proxy does",
            format!("see whether {key} names a KDC proxy's own URL, with its path"),
        ),
    };
    advice(format!("{what} (HTTP {status})"), hint)
}

pub(super) fn on_page(status: u16) -> Advice {
    advice(
        format!("a web page came instead of an answer (HTTP {status}), perhaps a captive portal's"),
        match status {
            500..=599 => {
                "open any page in a browser: the network may want a login; else its log says why, and proxies can list another"
            }
            401 | 403 => {
                "open any page in a browser: the network may want a login; else who runs it knows why, and headers-file can show what it wants"
            }
            _ => {
                "open any page in a browser: the network may want a login; else correct the path of the URL in proxies"
            }
        },
    )
}

pub(super) fn on_stranger(what: &str, kind: Kind) -> Advice {
    let (key, name) = (kind.key(), kind.name());
    let hint = match (kind, is_page(what)) {
        (Kind::Proxy, true) => {
            "open any page in a browser: the network may want a login; else correct the URL in proxies".to_owned()
        }
        // What proves nothing may be anybody's.
        (Kind::Proxy, false) if what.contains("ticket") => {
            "who runs it should look after its keytab; auth = \"none\" asks for no proof but TLS's".to_owned()
        }
        _ => format!("correct {key}: it must name a {name}"),
    };
    let perhaps = if is_page(what) {
        ", perhaps a captive portal"
    } else {
        ""
    };
    advice(format!("what answered is no {name}{perhaps}: {what}"), hint)
}

pub(super) fn on_credential(credential: Credential) -> Advice {
    let (what, hint) = match credential {
        Credential::Ticket => (
            "it wants a Kerberos ticket (HTTP 401)",
            "set auth = \"negotiate\"",
        ),
        Credential::OtherTicket => (
            "it does not take the ticket that it is shown (HTTP 401)",
            "see whose ticket that is: klist; keytab, ccache and negotiate-principal say whose it shall be",
        ),
        Credential::Token => (
            "it wants a token or a password (HTTP 401)",
            "set bearer-token-file or headers-file",
        ),
        Credential::OtherToken => (
            "it does not take the token or password that it is shown (HTTP 401)",
            "put a new one into the file of bearer-token-file or headers-file; it is read again when it changes",
        ),
        Credential::Certificate => (
            "it asks for a TLS client certificate",
            "set client-certificate and client-key",
        ),
        Credential::OtherCertificate => (
            "it does not take the client certificate that it is shown",
            "see whether the one in client-certificate has expired: loopkdc check; else who runs it knows which it takes",
        ),
    };
    advice(what, hint)
}
