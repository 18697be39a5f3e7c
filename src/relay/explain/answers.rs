//! The words for what came as an answer and is none of a KDC, and what to do about it.

use super::{LOG_IN, OTHER_NAME, another, fault, http};
use crate::relay::finding::{Figure, Finding, Hint, Layer};
use crate::relay::upstream::NotReply;

/// The hint if a filter may stand before a KDC proxy.
const FILTERED: &str =
    "a filter before it may want the User-Agent of other requests: headers sets it";

pub(super) fn of_status(status: u16) -> Finding {
    let fault = |layer, what: &str| {
        fault(layer, format!("{what} (HTTP {status})")).figure(Figure::Status(status))
    };
    let http = |what| fault(Layer::Http, what);
    let another = another("proxies");
    let url = "see whether proxies names a KDC proxy's own URL, with its path";
    match status {
        400 => http("it cannot read the request").hint(url),
        401 => http("it wants to be shown who asks, in a way that is not known here").hint(
            "who runs it knows which: headers-file and bearer-token-file show what they hold",
        ),
        403 => http("it forbids this").hint(
            "who runs it knows why: it may know the realm by another name (target-domain), or want client-certificate",
        )
        .hint(FILTERED),
        404 | 405 | 410 => http("it has no KDC proxy at this path, or does not serve this realm")
            .hint("correct the path of the URL in proxies, which mostly is /KdcProxy")
            .hint(format!("if that is right, {OTHER_NAME}")),
        413 => http("it takes no requests of this length")
            .hint("ask who runs it to take 1 MiB: in nginx by client_max_body_size 1m")
            .hint(another),
        429 => http("it has had too many requests or wrong passwords from this address")
            .hint("wait a minute; others may be behind the same router")
            .hint(another),
        // kdcproxy says so when no KDC answers it, and of a realm that it has none of.
        503 => fault(Layer::Kdc, "it reaches no KDC, or does not serve this realm")
            .hint(OTHER_NAME)
            .hint("who runs it should look after its KDCs")
            .hint(another),
        502 | 504 => fault(Layer::Kdc, "it reaches no KDC")
            .hint("who runs it should look after its KDCs")
            .hint(another),
        500..=599 => http("it failed").hint("its log says why").hint(another),
        _ => http("it does not answer as a KDC proxy does").hint(url),
    }
}

pub(super) fn of_page(status: u16) -> Finding {
    let what = "a web page came instead of an answer";
    http(format!(
        "{what} (HTTP {status}), perhaps a captive portal's"
    ))
    .figure(Figure::Status(status))
    .hint(LOG_IN)
    .hint("else see whether proxies names the right URL, and ask who runs it")
    .hints((status == 403).then(|| FILTERED.into()))
}

pub(super) fn of_not_reply(what: NotReply, key: &str) -> Finding {
    let (layer, came) = match what {
        NotReply::Redirect => (Layer::Http, "a redirect"),
        NotReply::Moved => (Layer::Http, "a redirect to another path"),
        NotReply::WebPage => (Layer::Http, "a web page"),
        NotReply::LoginRequired => (Layer::Http, "HTTP 511"),
        NotReply::OddStatus => (Layer::Http, "an HTTP status without an answer"),
        NotReply::Empty => (Layer::Envelope, "an empty answer"),
        NotReply::Oversized => (Layer::Envelope, "an oversized reply"),
        NotReply::NoEnvelope => (Layer::Envelope, "no KDC-PROXY-MESSAGE"),
        NotReply::NoReplyInside => (Layer::Envelope, "no Kerberos reply inside"),
        NotReply::NoReply => (Layer::Kdc, "no Kerberos reply"),
        NotReply::OtherReply => (
            Layer::Kdc,
            "the reply to another request, or of another realm's KDC",
        ),
        NotReply::TrailingOctets => (Layer::Kdc, "octets after the reply"),
        NotReply::Unproven => (
            Layer::Http,
            "its answer to a ticket does not prove who it is",
        ),
    };
    let perhaps = match layer {
        Layer::Kdc => "KDC",
        _ if what.is_page() => "KDC proxy, perhaps a captive portal",
        _ => "KDC proxy",
    };
    let finding = fault(layer, format!("what answered is no {perhaps}: {came}"));
    match what {
        what if what.is_page() => finding.hint(LOG_IN).hint("else correct the URL in proxies"),
        NotReply::Moved => {
            finding.hint("correct the path of the URL in proxies: it may lack a slash at its end")
        }
        // What proves nothing may be anybody's.
        NotReply::Unproven => finding
            .hint("who runs it should look after its keytab")
            .hint("to have no proof but TLS's")
            .hint(Hint::key("auth = \"none\"")),
        _ => finding.hint(format!("correct {key}: what it names is something else")),
    }
}
