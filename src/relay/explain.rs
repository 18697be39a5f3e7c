//! The words for a [`Fault`], and what to do about it. Pure.
//!
//! The log, `loopkdc status`, `loopkdc doctor`, e-text and what `kpasswd` prints are views of these. Hints name the next command
//! or the key of the configuration that matters; none holds what only the log may say: no principal, no path of a URL.

use std::borrow::Cow;
use std::fmt;

use super::finding::{Figure, Finding, Hint, Layer};
use super::upstream::{
    CertificateFault, ConnectError, Credential, Fault, ForwardProxyFault, NotReply, Unsent,
};

/// What kind of upstream a fault is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamKind {
    /// A KDC proxy, named by `scheme://host:port`.
    Proxy,
    /// A KDC, named by `host:port`.
    Kdc,
}

impl UpstreamKind {
    /// The key of the configuration that lists it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Proxy => "proxies",
            Self::Kdc => "kdcs",
        }
    }
}

/// The upstream that a fault is of.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamRef<'a> {
    /// What it is.
    pub kind: UpstreamKind,
    /// Its name, as the log has it.
    pub name: &'a str,
}

/// What `fault` of `upstream` amounts to. No hint: nothing is to be done.
#[must_use]
pub fn explain(fault: &Fault, upstream: UpstreamRef<'_>) -> Finding {
    let finding = Finding::fault(what(fault))
        .on(layer(fault))
        .at(upstream.name)
        .hints(hints(fault, upstream));
    match fault {
        Fault::Status(status) | Fault::Page(status) => finding.figure(Figure::Status(*status)),
        _ => finding,
    }
}

/// `fault` in the words of the log, less what only the log may say.
pub(crate) fn what(fault: &Fault) -> String {
    match fault {
        // Why, the libraries say, and they may name principals.
        Fault::NotSent(Unsent::NoCredential(_)) => format!("{}; the log says why", summary(fault)),
        fault => fault.to_string(),
    }
}

/// What an error that a KDC replied with says about this machine, if it does.
#[must_use]
pub fn explain_error_code(code: i32) -> Option<Finding> {
    // KRB_AP_ERR_SKEW (RFC 4120 7.5.9).
    (code == 37).then(|| {
        Finding::fault(
            "the KDC says that the clock here is more than five minutes off (KRB-ERROR 37)",
        )
        .on(Layer::Clock)
        .hint("set the clock")
        .hint(Hint::command(["timedatectl", "set-ntp", "true"]))
    })
}

/// `fault` for an error message that a client shows: what it is and the first thing to do about it, in one line of ASCII.
pub(crate) fn in_short(fault: &Fault) -> String {
    Finding::fault(summary(fault))
        .hints(first_hint(fault))
        .to_string()
}

/// The first thing to do about it, and its command or key; of those that say nothing of whose fault it is.
fn first_hint(fault: &Fault) -> Vec<Hint> {
    let nobody = UpstreamRef {
        kind: UpstreamKind::Proxy,
        name: "",
    };
    let mut hints = match fault {
        Fault::NotSent(Unsent::Untrusted(_)) => return vec![LOG_IN.into()],
        Fault::NotSent(Unsent::ForwardProxy { fault, .. })
            if *fault == ForwardProxyFault::Refused =>
        {
            return Vec::new();
        }
        Fault::NotSent(Unsent::TicketLoop | Unsent::ForwardProxy { .. })
        | Fault::AuthenticationRequired(_)
        | Fault::ClosedAfterCertificateRequest
        | Fault::NotKerberos(_)
        | Fault::Page(_) => hints(fault, nobody),
        _ => return Vec::new(),
    };
    let is_whole = matches!(hints.get(1), None | Some(Hint::Text(_)));
    hints.truncate(if is_whole { 1 } else { 2 });
    hints
}

/// The command that shows how far a connection gets.
#[must_use]
pub fn probe(upstream: UpstreamRef<'_>) -> Hint {
    let name = upstream.name;
    let url = match upstream.kind {
        UpstreamKind::Proxy => format!("{name}/"),
        // It fails in any case, and says how far it got.
        UpstreamKind::Kdc => format!("telnet://{name}"),
    };
    Hint::command(["curl", "-v", &url])
}

/// In the words of the log.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(Unsent::ForwardProxy {
                proxy,
                fault,
                detail,
            }) => write!(f, "the {proxy} {}: {detail}", forward_proxy(*fault)),
            fault => {
                f.write_str(&summary(fault))?;
                detail(fault).map_or(Ok(()), |detail| write!(f, ": {detail}"))
            }
        }
    }
}

/// The fault without what libraries and other hosts said of it: one line of ASCII.
pub(crate) fn summary(fault: &Fault) -> Cow<'static, str> {
    match fault {
        Fault::NotSent(unsent) => unsent_summary(unsent),
        Fault::ReusedConnectionClosed => "a reused connection had been closed".into(),
        Fault::ClosedWithoutReply => "it closed the connection without an answer".into(),
        Fault::Unanswered => "the connection failed before the answer".into(),
        Fault::ClosedAfterCertificateRequest => {
            "the connection failed before the answer, and it asks for a TLS client certificate"
                .into()
        }
        Fault::Silent => "no answer in time".into(),
        Fault::Status(status) => format!("{} (HTTP {status})", status_summary(*status)).into(),
        Fault::Page(status) => format!(
            "a web page came instead of an answer (HTTP {status}), perhaps a captive portal's"
        )
        .into(),
        Fault::AuthenticationRequired(credential) => credential_summary(*credential).into(),
        Fault::NotKerberos(what) => {
            let perhaps = if what.is_page() {
                ", perhaps a captive portal"
            } else {
                ""
            };
            let server = match what {
                NotReply::NoReply | NotReply::TrailingOctets => "KDC",
                _ => "KDC proxy",
            };
            format!("what answered is no {server}{perhaps}: {what}").into()
        }
        Fault::NotServed => "its KDC says that it is not available (KRB-ERROR 29)".into(),
        Fault::Repeat => "only the copy of a repeated request was answered (KRB-ERROR 34)".into(),
    }
}

fn unsent_summary(unsent: &Unsent) -> Cow<'static, str> {
    match unsent {
        Unsent::Connect(_) => "cannot connect".into(),
        Unsent::ConnectTimeout => "cannot connect: timed out".into(),
        Unsent::Untrusted(why) => format!(
            "certificate not trusted, perhaps a captive portal's: {}",
            certificate(why)
        )
        .into(),
        Unsent::ForwardProxy { fault, .. } => {
            format!("the forward proxy {}", forward_proxy(*fault)).into()
        }
        Unsent::NoCredential(_) => "the credential that it wants is not available".into(),
        Unsent::TicketLoop => "the ticket that it wants would have to come through it".into(),
        Unsent::TooLong => "the request is too long for a datagram, and TCP is refused".into(),
        Unsent::HandedBack => "the connection closed before the request was sent".into(),
        Unsent::Ended => "a reused connection had ended before the request was sent".into(),
        Unsent::Busy => "too many requests are under way to it".into(),
    }
}

/// What libraries and other hosts said.
fn detail(fault: &Fault) -> Option<&str> {
    match fault {
        Fault::NotSent(Unsent::NoCredential(why)) => Some(why),
        Fault::NotSent(Unsent::Untrusted(CertificateFault::Other(why))) => Some(why),
        Fault::NotSent(Unsent::Connect(error)) => Some(match error {
            ConnectError::Refused => "Connection refused",
            ConnectError::Name(text)
            | ConnectError::NotPermitted(text)
            | ConnectError::Unreachable(text)
            | ConnectError::Other(text) => text,
        }),
        _ => None,
    }
}

/// Whose certificate it is, is not known: in none of its words.
fn certificate(why: &CertificateFault) -> &'static str {
    match why {
        CertificateFault::UnknownIssuer => "signed by an unknown authority",
        CertificateFault::WrongName => "made out to another name",
        CertificateFault::Expired => "expired, or the clock here is wrong",
        CertificateFault::NotYetValid => "not valid yet, or the clock here is wrong",
        CertificateFault::NotPinned => "no key of its chain is among the pins",
        CertificateFault::Other(_) => "it cannot be verified",
    }
}

fn forward_proxy(fault: ForwardProxyFault) -> &'static str {
    match fault {
        ForwardProxyFault::Unreachable => "cannot be connected to",
        ForwardProxyFault::PasswordRequired => "wants user and password",
        ForwardProxyFault::PasswordRejected => {
            "does not take the user and password that it was given"
        }
        ForwardProxyFault::Refused => "does not connect to the KDC proxy",
    }
}

fn status_summary(status: u16) -> &'static str {
    match status {
        400 => "it cannot read the request",
        401 => "it wants to be shown who asks, in a way that is not known here",
        403 => "it forbids this",
        404 | 405 | 410 => "it has no KDC proxy at this path, or does not serve this realm",
        413 => "it takes no requests of this length",
        429 => "it has had too many requests or wrong passwords from this address",
        502..=504 => "it reaches no KDC",
        500..=599 => "it failed",
        _ => "it does not answer as a KDC proxy does",
    }
}

fn credential_summary(credential: Credential) -> &'static str {
    match credential {
        Credential::Ticket => "it wants a Kerberos ticket (HTTP 401)",
        Credential::OtherTicket => "it does not take the ticket that it is shown (HTTP 401)",
        Credential::Token => "it wants a token or a password (HTTP 401)",
        Credential::OtherToken => {
            "it does not take the token or password that it is shown (HTTP 401)"
        }
        Credential::Certificate => "it asks for a TLS client certificate",
        Credential::OtherCertificate => "it does not take the client certificate that it is shown",
    }
}

impl fmt::Display for NotReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redirect => "a redirect",
            Self::WebPage => "a web page",
            Self::LoginRequired => "HTTP 511",
            Self::OddStatus => "an HTTP status without an answer",
            Self::Empty => "an empty answer",
            Self::Oversized => "an oversized reply",
            Self::NoEnvelope => "no KDC-PROXY-MESSAGE",
            Self::NoReplyInside => "no Kerberos reply inside",
            Self::NoReply => "no Kerberos reply",
            Self::TrailingOctets => "octets after the reply",
            Self::Unproven => "its answer to a ticket does not prove who it is",
        })
    }
}

/// Where the fault is.
pub(crate) fn layer(fault: &Fault) -> Layer {
    match fault {
        Fault::NotSent(Unsent::Untrusted(_)) | Fault::ClosedAfterCertificateRequest => Layer::Tls,
        Fault::NotSent(Unsent::Connect(ConnectError::Name(_) | ConnectError::NotPermitted(_))) => {
            Layer::Names
        }
        Fault::NotSent(
            Unsent::Connect(_) | Unsent::ConnectTimeout | Unsent::ForwardProxy { .. },
        ) => Layer::Tcp,
        Fault::AuthenticationRequired(Credential::Certificate | Credential::OtherCertificate) => {
            Layer::Tls
        }
        // What kdcproxy and others say when no KDC answers them.
        Fault::Status(502..=504) | Fault::NotServed | Fault::Repeat => Layer::Kdc,
        Fault::NotKerberos(
            NotReply::NoEnvelope | NotReply::Empty | NotReply::NoReplyInside | NotReply::Oversized,
        ) => Layer::Envelope,
        Fault::NotKerberos(NotReply::NoReply | NotReply::TrailingOctets) => Layer::Kdc,
        _ => Layer::Http,
    }
}

/// What to do, in this order.
fn hints(fault: &Fault, upstream: UpstreamRef<'_>) -> Vec<Hint> {
    let key = upstream.kind.key();
    match fault {
        Fault::NotSent(unsent) => unsent_hints(unsent, upstream),
        Fault::ReusedConnectionClosed | Fault::Repeat => Vec::new(),
        Fault::ClosedWithoutReply => vec![
            "if it does so again, its log says why".into(),
            meanwhile(key),
        ],
        Fault::Unanswered => vec!["its log may say why".into(), meanwhile(key)],
        Fault::ClosedAfterCertificateRequest => credential_hints(Credential::Certificate),
        Fault::Silent => vec![
            another(key),
            "if it needs longer than others, raise deadline-seconds".into(),
        ],
        Fault::Status(status) => status_hints(*status, key),
        Fault::Page(status) => vec![LOG_IN.into(), page_hint(*status).into()],
        Fault::AuthenticationRequired(credential) => credential_hints(*credential),
        Fault::NotKerberos(what) => not_reply_hints(*what, upstream.kind),
        Fault::NotServed => vec![
            "who runs it should look after that KDC".into(),
            meanwhile(key),
        ],
    }
}

/// Of a captive portal.
const LOG_IN: &str = "open any page in a browser: the network may want a login";

fn another(key: &str) -> Hint {
    format!("list another in {key}").into()
}

fn meanwhile(key: &str) -> Hint {
    format!("meanwhile list another in {key}").into()
}

fn unsent_hints(unsent: &Unsent, upstream: UpstreamRef<'_>) -> Vec<Hint> {
    let key = upstream.kind.key();
    match unsent {
        Unsent::Connect(error) => connect_hints(error, upstream),
        Unsent::ConnectTimeout => vec![
            "see how far it gets".into(),
            probe(upstream),
            "where a proxy leads out of the network, name it in http-proxy".into(),
        ],
        Unsent::Untrusted(why) => certificate_hints(why),
        Unsent::ForwardProxy { fault, .. } => forward_proxy_hints(*fault, upstream.name),
        Unsent::NoCredential(_) => vec![
            "see why".into(),
            Hint::command(["journalctl", "-u", "loopkdc"]),
            "what is to be shown is in bearer-token-file, headers-file, keytab or ccache".into(),
        ],
        Unsent::TicketLoop => {
            vec![
                "let that ticket come by another entry of [realms], or by a KDC in krb5.conf"
                    .into(),
            ]
        }
        Unsent::TooLong => vec!["have its TCP port opened".into(), another(key)],
        Unsent::HandedBack | Unsent::Ended => Vec::new(),
        Unsent::Busy => vec![another(key)],
    }
}

fn connect_hints(error: &ConnectError, upstream: UpstreamRef<'_>) -> Vec<Hint> {
    let key = upstream.kind.key();
    match error {
        ConnectError::Name(_) => vec![
            format!("see whether {key} spells its name right").into(),
            // It knows no brackets.
            Hint::command([
                "getent",
                "hosts",
                host(upstream.name).trim_matches(['[', ']']),
            ]),
        ],
        ConnectError::NotPermitted(_) => vec![
            "if DNS says so rightly, allow its network".into(),
            Hint::key("discover-networks"),
        ],
        ConnectError::Refused => vec![
            format!("see whether {key} names the right port, and whether it runs").into(),
            probe(upstream),
        ],
        ConnectError::Unreachable(_) => vec![
            "see where this machine's routes lead".into(),
            Hint::command(["ip", "route"]),
        ],
        ConnectError::Other(_) => vec!["see how far it gets".into(), probe(upstream)],
    }
}

fn certificate_hints(why: &CertificateFault) -> Vec<Hint> {
    let otherwise = match why {
        CertificateFault::Expired | CertificateFault::NotYetValid => {
            return vec![
                "see whether the clock is right".into(),
                Hint::command(["timedatectl"]),
                "else who runs it has to renew the certificate".into(),
            ];
        }
        CertificateFault::WrongName => "else write into proxies the name in the certificate",
        CertificateFault::NotPinned => {
            "else, if its key was replaced on purpose, put the new hash into pins"
        }
        CertificateFault::UnknownIssuer | CertificateFault::Other(_) => {
            "else name the authority's certificate in ca-file"
        }
    };
    vec![LOG_IN.into(), otherwise.into()]
}

fn forward_proxy_hints(fault: ForwardProxyFault, upstream: &str) -> Vec<Hint> {
    match fault {
        ForwardProxyFault::Unreachable => vec![
            "correct http-proxy".into(),
            "on networks that have none".into(),
            Hint::key("http-proxy = \"none\""),
        ],
        ForwardProxyFault::PasswordRequired => {
            vec!["write both into http-proxy, before its host: user:password@".into()]
        }
        ForwardProxyFault::PasswordRejected => vec!["correct them in http-proxy".into()],
        ForwardProxyFault::Refused => vec![
            format!("have it allow connections to {}", host(upstream)).into(),
            "or name another in http-proxy".into(),
        ],
    }
}

fn status_hints(status: u16, key: &str) -> Vec<Hint> {
    match status {
        401 => vec![
            "who runs it knows which: headers-file and bearer-token-file show what they hold".into(),
        ],
        403 => vec![
            "who runs it knows why: it may know the realm by another name (target-domain), or want client-certificate".into(),
        ],
        404 | 405 | 410 => vec![
            format!("correct the path of the URL in {key}, which mostly is /KdcProxy").into(),
            "if it is right, ask who runs it whether it serves the realm".into(),
        ],
        413 => vec!["have its limit raised to 128 KiB".into(), another(key)],
        429 => vec![
            "wait a minute; others may be behind the same router".into(),
            another(key),
        ],
        502..=504 => vec![
            "who runs it should look after its KDCs".into(),
            meanwhile(key),
        ],
        500..=599 => vec!["its log says why".into(), meanwhile(key)],
        _ => vec![
            format!("see whether {key} names a KDC proxy's own URL, with its path").into(),
        ],
    }
}

fn page_hint(status: u16) -> &'static str {
    match status {
        500..=599 => "else its log says why, and proxies can list another",
        401 | 403 => "else who runs it knows why, and headers-file can show what it wants",
        _ => "else correct the path of the URL in proxies",
    }
}

fn not_reply_hints(what: NotReply, kind: UpstreamKind) -> Vec<Hint> {
    match (kind, what) {
        (UpstreamKind::Proxy, what) if what.is_page() => {
            vec![LOG_IN.into(), "else correct the URL in proxies".into()]
        }
        // What proves nothing may be anybody's.
        (UpstreamKind::Proxy, NotReply::Unproven) => vec![
            "who runs it should look after its keytab".into(),
            "to have no proof but TLS's".into(),
            Hint::key("auth = \"none\""),
        ],
        (UpstreamKind::Proxy, _) => vec!["correct proxies: it must name a KDC proxy".into()],
        (UpstreamKind::Kdc, _) => vec!["correct kdcs: it must name a KDC".into()],
    }
}

fn credential_hints(credential: Credential) -> Vec<Hint> {
    match credential {
        Credential::Ticket => vec![Hint::key("auth = \"negotiate\"")],
        Credential::OtherTicket => vec![
            "see whose ticket that is".into(),
            Hint::command(["klist"]),
            "keytab, ccache and negotiate-principal say whose it shall be".into(),
        ],
        Credential::Token => vec![
            Hint::key("bearer-token-file"),
            "or put what it wants into headers-file".into(),
        ],
        Credential::OtherToken => vec![
            "put a new one into the file of bearer-token-file or headers-file".into(),
            "it is read again when it changes".into(),
        ],
        Credential::Certificate => {
            vec![Hint::key("client-certificate"), Hint::key("client-key")]
        }
        Credential::OtherCertificate => vec![
            "see whether the one in client-certificate has expired".into(),
            Hint::command(["loopkdc", "check"]),
            "else who runs it knows which it takes".into(),
        ],
    }
}

/// The host of `scheme://host:port` or `host:port`.
fn host(name: &str) -> &str {
    let authority = name.split_once("://").map_or(name, |(_, rest)| rest);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests;
