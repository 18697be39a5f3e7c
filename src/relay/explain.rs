//! The words for a [`Fault`], its layer, and what to do about it. Pure.
//!
//! The log, `loopkdc status`, `loopkdc doctor`, e-text and what `kpasswd` prints are views of these. Hints name the next command
//! or the key of the configuration that matters; none holds what only the log may say: no principal, no path of a URL.

mod answers;
mod tls;

use std::fmt;

use super::finding::{Finding, Hint, Layer};
use super::upstream::{ConnectError, Credential, Fault, ForwardProxyFault, OwnWords, Unsent};

/// What an upstream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamKind {
    /// A KDC proxy, named by `scheme://host:port`.
    Proxy,
    /// A KDC, named by `host:port`.
    Kdc,
}

impl UpstreamKind {
    /// Of the upstream that the log calls `name`.
    pub(crate) fn of(name: &str) -> Self {
        if name.contains("://") {
            Self::Proxy
        } else {
            Self::Kdc
        }
    }

    /// The key of the configuration that lists it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Proxy => "proxies",
            Self::Kdc => "kdcs",
        }
    }
}

/// As people call it.
impl fmt::Display for UpstreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proxy => "proxy",
            Self::Kdc => "KDC",
        })
    }
}

/// The hint if a KDC proxy may have no KDC of the realm.
const OTHER_NAME: &str =
    "ask who runs it whether it serves the realm, perhaps by another name (target-domain)";
/// What a server of TLS lacks that has nothing in common with this program.
const SWITCH_ON: &str = "who runs it has to switch on TLS 1.3, or ECDHE ciphers of TLS 1.2";
/// Stands for a KDC proxy whose name is not told: of it the kind alone matters.
const ANY_PROXY: &str = "https://";
/// The hint if a captive portal may be in the way.
const LOG_IN: &str = "open any page in a browser: the network may want a login";

/// What `fault` of `upstream` amounts to. No hint: nothing is to be done.
///
/// `upstream` is its name, as the log has it: a KDC proxy's scheme, host and port; a KDC has no scheme.
pub fn explain(fault: &Fault, upstream: &str) -> Finding {
    let finding = of_fault(fault, upstream).at(upstream);
    finding.reworded(what(fault))
}

/// `fault` in the words of the log, less what only the log may say.
pub(crate) fn what(fault: &Fault) -> String {
    match fault {
        // Why, the libraries say, and they may name principals.
        Fault::NotSent(Unsent::NoCredential(_)) => of_fault(fault, ANY_PROXY).what,
        fault => fault.to_string(),
    }
}

/// What an error that a KDC replied with says about this machine, if it does.
pub fn explain_error_code(code: i32) -> Option<Finding> {
    let what =
        "the KDC says that the clock here is more than five minutes off: KRB_AP_ERR_SKEW (37)";
    // KRB_AP_ERR_SKEW (RFC 4120 7.5.9).
    (code == 37).then(|| set_clock(fault(Layer::Clock, what)))
}

/// `finding`, and how a wrong clock is set.
pub(crate) fn set_clock(finding: Finding) -> Finding {
    finding.typed("set the clock", "timedatectl set-ntp true")
}

/// `fault` for an error message that a client shows: what it is and the first thing to do about it, in one line of ASCII.
pub(crate) fn in_short(fault: &Fault) -> String {
    let mut finding = of_fault(fault, ANY_PROXY);
    if is_for_users(fault) {
        let is_text_alone = matches!(finding.hints.get(1), None | Some(Hint::Text(_)));
        finding.hints.truncate(if is_text_alone { 1 } else { 2 });
    } else {
        finding.hints.clear();
    }
    finding.to_string()
}

/// Whoever waits, or runs this machine, can do something about it; else it is for whoever runs the other side.
fn is_for_users(fault: &Fault) -> bool {
    match fault {
        Fault::NotSent(Unsent::ForwardProxy { fault, .. }) => *fault != ForwardProxyFault::Refused,
        Fault::NotSent(unsent) => matches!(unsent, Unsent::Untrusted(_) | Unsent::TicketLoop),
        Fault::AuthenticationRequired(..)
        | Fault::ClosedWanting(_)
        | Fault::NotKerberos(_)
        | Fault::Page(_) => true,
        Fault::ReusedConnectionClosed
        | Fault::ClosedWithoutReply
        | Fault::Unanswered
        | Fault::Lifeless
        | Fault::StreamRefused
        | Fault::Silent
        | Fault::Status(..)
        | Fault::NotServed
        | Fault::Repeat => false,
    }
}

/// The command that shows how far a connection gets.
fn probe(upstream: &str) -> Hint {
    let url = match UpstreamKind::of(upstream) {
        UpstreamKind::Proxy => format!("{upstream}/"),
        // It fails in any case, and says how far it got.
        UpstreamKind::Kdc => format!("telnet://{upstream}"),
    };
    Hint::command(["curl", "-v", &url])
}

/// In the words of the log: with what libraries and other hosts said, and by `{:#}` without what an upstream says to people.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = of_fault(self, ANY_PROXY).what;
        let detail = match self {
            Self::Status(_, OwnWords(Some(said)))
            | Self::AuthenticationRequired(_, OwnWords(Some(said)))
                if !f.alternate() =>
            {
                return write!(f, "{words}; in its own words: \"{said}\"");
            }
            Self::NotSent(Unsent::ForwardProxy { proxy, detail, .. }) => {
                words = words.replacen("forward proxy", proxy, 1);
                detail
            }
            Self::NotSent(
                Unsent::NoCredential(why)
                | Unsent::Connect(
                    ConnectError::Name(why)
                    | ConnectError::NotPermitted(why)
                    | ConnectError::Unreachable(why)
                    | ConnectError::Other(why),
                ),
            ) => why,
            _ => return f.write_str(&words),
        };
        write!(f, "{words}: {detail}")
    }
}

fn fault(layer: Layer, what: impl Into<String>) -> Finding {
    Finding::fault(what).on(layer)
}

fn http(what: impl Into<String>) -> Finding {
    fault(Layer::Http, what)
}

fn another(key: &str) -> Hint {
    format!("meanwhile list another in {key}").into()
}

/// Words, layer and hints. The words are one line of ASCII and quote nothing that libraries or other hosts said; the log's, which
/// do, are `Display`'s.
fn of_fault(fault: &Fault, upstream: &str) -> Finding {
    let key = UpstreamKind::of(upstream).key();
    let kdc = |what: &str| Finding::fault(what).on(Layer::Kdc);
    match fault {
        Fault::NotSent(unsent) => of_unsent(unsent, upstream),
        Fault::ReusedConnectionClosed => http("a reused connection had been closed"),
        Fault::ClosedWithoutReply => http("it closed the connection without an answer")
            .hint("if it does so again, its log says why")
            .hint(another(key)),
        Fault::Unanswered | Fault::Lifeless => {
            let failed = http("the connection failed before the answer");
            let failed = failed.hint("its log may say why").hint(another(key));
            match (fault, UpstreamKind::of(upstream)) {
                // KPSSVC has no other word for that.
                (Fault::Unanswered, UpstreamKind::Proxy) => failed.hint(format!(
                    "if it is Windows', and always does so: it may not know this realm; {OTHER_NAME}"
                )),
                _ => failed,
            }
        }
        Fault::StreamRefused => of_http_2("it refuses requests over HTTP/2 (REFUSED_STREAM)"),
        Fault::ClosedWanting(credential) => {
            let finding = of_credential(*credential);
            let what = format!(
                "the connection failed before the answer, and {}",
                finding.what
            );
            finding.reworded(what)
        }
        // Who showed no life was found out before.
        Fault::Silent => kdc("it took the request, and did not answer in time")
            .hint("who runs it should look after its KDCs")
            .hint(another(key))
            .hint("if it needs longer than others, raise deadline-seconds"),
        Fault::Status(status, _) => answers::of_status(*status),
        Fault::Page(status) => answers::of_page(*status),
        Fault::AuthenticationRequired(credential, _) => of_credential(*credential),
        Fault::NotKerberos(what) => answers::of_not_reply(*what, key),
        Fault::NotServed => {
            kdc("its KDC says that it is not available: KDC_ERR_SVC_UNAVAILABLE (29)")
                .hint("who runs it should look after that KDC")
                .hint(another(key))
        }
        Fault::Repeat => {
            kdc("only the copy of a repeated request was answered: KRB_AP_ERR_REPEAT (34)")
        }
    }
}

fn of_unsent(unsent: &Unsent, upstream: &str) -> Finding {
    let key = UpstreamKind::of(upstream).key();
    match unsent {
        Unsent::Connect(error) => of_connect(error, upstream),
        Unsent::ConnectTimeout => no_connection(Layer::Tcp, ": timed out", upstream),
        Unsent::Untrusted(why) => tls::of_certificate(*why),
        Unsent::ForwardProxy { fault, .. } => of_forward_proxy(*fault, upstream),
        Unsent::NoCredential(_) => http("the credential that it wants is not available")
            .typed("see why", "journalctl -u loopkdc")
            .hint("what is to be shown is in bearer-token-file, headers-file, keytab or ccache"),
        Unsent::TicketLoop => http("the ticket that it wants would have to come through it")
            .hint("let that ticket come by another entry of [realms], or by a KDC in krb5.conf"),
        Unsent::TooLong => fault(Layer::Tcp, "too long for a datagram, and TCP is refused")
            .hint("have its TCP port opened")
            .hint(another(key)),
        Unsent::HandedBack => http("the request was handed back unread"),
        Unsent::Unprocessed => of_http_2("it hands requests back unread (HTTP/2 GOAWAY)"),
        Unsent::Ended => http("a reused connection had ended before the request was sent"),
        Unsent::Busy => {
            http("its places were all taken, and this request waited for its turn in vain")
                .hint(another(key))
        }
    }
}

/// What may be so over HTTP/2 alone.
fn of_http_2(what: &str) -> Finding {
    http(what)
        .hint("if it does so each time, have it asked over HTTP/1.1")
        .hint(Hint::key("http-version = \"1.1\""))
        .hint("if that is no better, ask who runs it: its log says why")
        .hint(another("proxies"))
}

fn of_connect(error: &ConnectError, upstream: &str) -> Finding {
    let key = UpstreamKind::of(upstream).key();
    let fault = |layer, why: &str| fault(layer, format!("cannot connect{why}"));
    match error {
        ConnectError::Name(_) => {
            let purpose = format!("see whether {key} spells its name right");
            // It knows no brackets.
            let host = host(upstream).trim_matches(['[', ']']);
            fault(Layer::Names, "")
                .command(purpose, ["getent", "hosts", host])
                .typed("and which name servers are asked", "cat /etc/resolv.conf")
        }
        ConnectError::NotPermitted(_) => fault(Layer::Names, "")
            .hint("if DNS says so rightly, allow its network")
            .hint(Hint::key("discover-networks")),
        ConnectError::Refused => fault(Layer::Tcp, ": Connection refused")
            .hint(format!(
                "see whether {key} names the right port, and whether it runs"
            ))
            .hint(probe(upstream)),
        ConnectError::Unreachable(_) => {
            fault(Layer::Tcp, "").typed("see where this machine's routes lead", "ip route")
        }
        ConnectError::Tls(why) => tls::of_handshake(*why, upstream),
        ConnectError::Other(_) => {
            // Windows ends it without a word if there is nothing in common.
            let is_proxy = UpstreamKind::of(upstream) == UpstreamKind::Proxy;
            let ciphers = is_proxy.then(|| format!("where curl gets further, {SWITCH_ON}").into());
            no_connection(Layer::Tcp, "", upstream).hints(ciphers)
        }
    }
}

/// Something on the way may be why.
fn no_connection(layer: Layer, why: &str, upstream: &str) -> Finding {
    let found = fault(layer, format!("cannot connect{why}"))
        .hint("see how far it gets")
        .hint(probe(upstream));
    match UpstreamKind::of(upstream) {
        UpstreamKind::Kdc => found,
        UpstreamKind::Proxy => {
            found.hint("where a proxy leads out of the network, name it in http-proxy")
        }
    }
}

fn of_forward_proxy(why: ForwardProxyFault, upstream: &str) -> Finding {
    let tcp = |why: &str| fault(Layer::Tcp, format!("the forward proxy {why}"));
    match why {
        ForwardProxyFault::Unreachable => tcp("cannot be connected to")
            .hint("correct http-proxy")
            .hint("on networks that have none")
            .hint(Hint::key("http-proxy = \"none\"")),
        ForwardProxyFault::PasswordRequired => tcp("wants user and password")
            .hint("write both into http-proxy, before its host: user:password@"),
        ForwardProxyFault::PasswordRejected => {
            tcp("does not take the user and password that it was given")
                .hint("correct them in http-proxy")
        }
        ForwardProxyFault::Refused => tcp("does not connect to the KDC proxy")
            .hint(format!("have it allow connections to {}", host(upstream)))
            .hint("or name another in http-proxy"),
    }
}

fn of_credential(credential: Credential) -> Finding {
    let tls = |what: &str| fault(Layer::Tls, what);
    match credential {
        Credential::Ticket => {
            http("it wants a Kerberos ticket (HTTP 401)").hint(Hint::key("auth = \"negotiate\""))
        }
        Credential::OtherTicket => http("it does not take the ticket that it is shown (HTTP 401)")
            .typed("see whose ticket that is", "klist")
            .hint("keytab, ccache and negotiate-principal say whose it shall be"),
        Credential::Token => http("it wants a token or a password (HTTP 401)")
            .hint(Hint::key("bearer-token-file"))
            .hint("or put what it wants into headers-file"),
        Credential::OtherToken => {
            http("it does not take the token or password that it is shown (HTTP 401)")
                .hint("put a new one into the file of bearer-token-file or headers-file")
                .hint("it is read again when it changes")
        }
        Credential::Certificate => tls("it asks for a TLS client certificate")
            .hint(Hint::key("client-certificate"))
            .hint(Hint::key("client-key")),
        Credential::OtherCertificate => {
            let purpose = "see whether the one in client-certificate has expired";
            let end = ["openssl", "x509", "-enddate", "-noout", "-in", "FILE"];
            tls("it does not take the client certificate that it is shown")
                .command(purpose, end)
                .hint("else who runs it knows which it takes")
        }
        Credential::UnaskedCertificate => tls(
            "it did not ask for the client certificate in the handshake, and serves nobody without",
        )
        .hint("ask who runs it to have it ask at once: loopkdc-recipes(7) has Apache and http.sys")
        .hint("if it wants none, remove client-certificate: then it says what else it is"),
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
