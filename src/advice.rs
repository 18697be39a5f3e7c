//! What a fault amounts to for the people who have it, and what to do next.
//!
//! Pure. Said by `loopkdc status` and by `loopkdc doctor`; the log has [`Fault`]'s own words. A hint names the next command
//! or the key of the configuration that matters, and none says what only the log may: no principal, no path of a URL.

use crate::text::shell;
use crate::upstream::{Bar, Credential, Fault, Unsent};

/// Why, the libraries say, and they may name principals.
const NOTHING_TO_SHOW: &str = "what it wants to be shown cannot be had; the log says why";

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is wrong: lower case, one line, no full stop.
    pub what: String,
    /// The next command to type or key to set, in the same form; nothing where nothing is to be done.
    pub hint: Option<String>,
}

/// What kind of upstream a fault is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A KDC proxy, named by `scheme://host:port`.
    Proxy,
    /// A KDC, named by `host:port`.
    Kdc,
}

impl Kind {
    /// The key of the configuration that lists it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Proxy => "proxies",
            Self::Kdc => "kdcs",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Proxy => "KDC proxy",
            Self::Kdc => "KDC",
        }
    }
}

/// The upstream that a fault is of.
#[derive(Clone, Copy, Debug)]
pub struct Upstream<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its name, as the log has it.
    pub name: &'a str,
}

/// Whether `fault` looks like a captive portal's doing: the network wants a login before it lets anything through.
#[must_use]
pub fn is_portal(fault: &Fault) -> bool {
    match fault {
        Fault::NotKerberos(what) => is_page(what),
        Fault::Page(_) => true,
        _ => false,
    }
}

fn is_page(what: &str) -> bool {
    ["a redirect", "a web page", "HTTP 511"]
        .iter()
        .any(|page| what.starts_with(page))
}

/// What `fault` of `upstream` amounts to.
#[must_use]
pub fn on(fault: &Fault, upstream: Upstream<'_>) -> Advice {
    let key = upstream.kind.key();
    match fault {
        Fault::NotSent(unsent) => on_unsent(unsent, upstream),
        Fault::Stale => nothing("a kept connection had been closed"),
        Fault::Repeat => nothing("only the copy of a repeated request was answered (KRB-ERROR 34)"),
        Fault::Dropped => advice(
            "it closed the connection without an answer",
            format!("if it does so again, its log says why; meanwhile list another in {key}"),
        ),
        Fault::Unanswered => advice(
            "the connection failed before the answer",
            format!("its log may say why; meanwhile list another in {key}"),
        ),
        Fault::Uncertified => advice(
            "the connection failed before the answer, and it asks for a TLS client certificate",
            "set client-certificate and client-key",
        ),
        Fault::Silent => advice(
            "no answer in time",
            format!(
                "list another in {key}; if it needs longer than others, raise deadline-seconds"
            ),
        ),
        Fault::Status(status) => on_status(*status, key),
        Fault::Page(status) => on_page(*status),
        Fault::Wants(credential) => on_credential(*credential),
        Fault::NotKerberos(what) => on_stranger(what, upstream.kind),
        Fault::NotServed => advice(
            "its KDC says that it is not available (KRB-ERROR 29)",
            format!("who runs it should look after that KDC; meanwhile list another in {key}"),
        ),
    }
}

fn on_unsent(unsent: &Unsent, upstream: Upstream<'_>) -> Advice {
    let key = upstream.kind.key();
    match unsent {
        Unsent::Connect(why) => on_connect(why, upstream),
        Unsent::ConnectTimeout => advice(
            "cannot connect: timed out",
            format!(
                "see how far it gets: {}; where a proxy leads out of the network, name it in http-proxy",
                probe(upstream)
            ),
        ),
        Unsent::Untrusted(why) => advice(
            format!("its certificate is not trusted, perhaps a captive portal's: {why}"),
            on_certificate(why),
        ),
        Unsent::Barred { by, bar, why } => on_bar(by, *bar, why, upstream),
        Unsent::NothingToShow(_) => advice(
            NOTHING_TO_SHOW,
            "journalctl -u loopkdc; what is to be shown is in bearer-token-file, headers-file, keytab or ccache",
        ),
        Unsent::Loop => advice(
            "the ticket that it wants to be shown would have to come through it",
            "let that ticket come by another entry of [realms], or by a KDC in krb5.conf",
        ),
        Unsent::TooLong => advice(
            "the request is too long for a datagram, and TCP is refused",
            format!("have its TCP port opened, or list another in {key}"),
        ),
        Unsent::HandedBack => nothing("the connection closed before the request was sent"),
        Unsent::Ended => nothing("a kept connection had ended before the request was sent"),
        Unsent::Busy => advice(
            "too many requests are under way to it",
            format!("list another in {key}"),
        ),
    }
}

/// By what the library and the system say, which no type tells.
fn on_connect(why: &str, upstream: Upstream<'_>) -> Advice {
    let Upstream { kind, name } = upstream;
    let (key, why) = (kind.key(), without_number(why));
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let hint = if says(&[
        "lookup",
        "resolution",
        "not known",
        "no address",
        "no record",
    ]) {
        format!(
            "see whether {key} spells its name right: getent hosts {}",
            // It knows no brackets.
            shell::word(host(name).trim_matches(['[', ']']))
        )
    } else if says(&["refused"]) {
        format!(
            "see whether {key} names the right port, and whether it runs: {}",
            probe(upstream)
        )
    } else if says(&["unreachable", "No route"]) {
        "see where this machine's routes lead: ip route".to_owned()
    } else {
        format!("see how far it gets: {}", probe(upstream))
    };
    advice(format!("cannot connect: {why}"), hint)
}

/// The system's errors without their numbers: `Connection refused (os error 111)`.
fn without_number(why: &str) -> &str {
    why.split_once(" (os error ").map_or(why, |(why, _)| why)
}

fn on_certificate(why: &str) -> String {
    let says = |word: &str| why.contains(word);
    if says("expired") || says("not valid yet") {
        "see whether the clock is right: timedatectl; else who runs it has to renew the certificate"
            .to_owned()
    } else if says("another name") {
        "log in to this network if it wants that; else write into proxies the name in the certificate".to_owned()
    } else if says("pin") {
        "log in to this network if it wants that; if its key was replaced on purpose, put the new hash into pins".to_owned()
    } else {
        "log in to this network if it wants that; else name the authority's certificate in ca-file"
            .to_owned()
    }
}

fn on_bar(by: &str, bar: Bar, why: &str, upstream: Upstream<'_>) -> Advice {
    let why = without_number(why);
    match bar {
        Bar::Unreachable => advice(
            format!("{by} cannot be connected to: {why}"),
            "correct http-proxy, or set http-proxy = \"none\" on networks that have none",
        ),
        Bar::Password => advice(
            format!("{by} wants user and password: {why}"),
            "write both into http-proxy, before its host: user:password@",
        ),
        Bar::OtherPassword => advice(
            format!("{by} does not take the user and password that it was given: {why}"),
            "correct them in http-proxy",
        ),
        Bar::Refused => advice(
            format!("{by} does not connect to the KDC proxy: {why}"),
            format!(
                "have it allow connections to {}, or name another in http-proxy",
                host(upstream.name)
            ),
        ),
    }
}

fn on_status(status: u16, key: &str) -> Advice {
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
            "it has no KDC proxy at this path",
            format!("correct the path of the URL in {key}; mostly it is /KdcProxy"),
        ),
        413 => (
            "it takes no requests of this length",
            format!("have its limit raised to 128 KiB, or list another in {key}"),
        ),
        429 => (
            "it has had too many requests",
            format!("wait a minute, or list another in {key}"),
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

fn on_page(status: u16) -> Advice {
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

fn on_stranger(what: &str, kind: Kind) -> Advice {
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

fn on_credential(credential: Credential) -> Advice {
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

/// `fault` in the words of the log, less what only the log may say.
#[must_use]
pub fn in_short(fault: &Fault) -> String {
    match fault {
        Fault::NotSent(Unsent::NothingToShow(_)) => NOTHING_TO_SHOW.to_owned(),
        fault => fault.to_string(),
    }
}

/// What an error that a KDC replied with says about this machine, if it does.
#[must_use]
pub fn on_error_code(code: i32) -> Option<Advice> {
    // KRB_AP_ERR_SKEW (RFC 4120 7.5.9).
    (code == 37).then(|| {
        advice(
            "the KDC says that the clock here is more than five minutes off (KRB-ERROR 37)",
            "set the clock: timedatectl set-ntp true",
        )
    })
}

/// What shows how far a connection gets.
pub(crate) fn probe(upstream: Upstream<'_>) -> String {
    let name = upstream.name;
    match upstream.kind {
        Kind::Proxy => format!("curl -v {}", shell::word(&format!("{name}/"))),
        // It fails in any case, and says how far it got.
        Kind::Kdc => format!("curl -v {}", shell::word(&format!("telnet://{name}"))),
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

fn advice(what: impl Into<String>, hint: impl Into<String>) -> Advice {
    Advice {
        what: what.into(),
        hint: Some(hint.into()),
    }
}

/// What ends by itself.
fn nothing(what: &str) -> Advice {
    Advice {
        what: what.to_owned(),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: Upstream<'_> = Upstream {
        kind: Kind::Proxy,
        name: "https://kdcproxy.example.com:8443",
    };
    const KDC: Upstream<'_> = Upstream {
        kind: Kind::Kdc,
        name: "[2001:db8::1]:88",
    };

    fn connect(why: &str) -> Fault {
        Fault::NotSent(Unsent::Connect(why.to_owned()))
    }

    #[test]
    fn what_cannot_be_connected_to_is_told_by_its_reason() {
        for (why, upstream, what, hint) in [
            (
                "Connection refused (os error 111)",
                PROXY,
                "cannot connect: Connection refused",
                "see whether proxies names the right port, and whether it runs: curl -v https://kdcproxy.example.com:8443/",
            ),
            (
                "failed to lookup address information: Name or service not known",
                PROXY,
                "cannot connect: failed to lookup address information: Name or service not known",
                "see whether proxies spells its name right: getent hosts kdcproxy.example.com",
            ),
            (
                "Network is unreachable (os error 101)",
                KDC,
                "cannot connect: Network is unreachable",
                "see where this machine's routes lead: ip route",
            ),
            (
                "the name has no address",
                KDC,
                "cannot connect: the name has no address",
                "see whether kdcs spells its name right: getent hosts 2001:db8::1",
            ),
            (
                "tls handshake eof",
                PROXY,
                "cannot connect: tls handshake eof",
                "see how far it gets: curl -v https://kdcproxy.example.com:8443/",
            ),
        ] {
            let Advice {
                what: said,
                hint: hinted,
            } = on(&connect(why), upstream);
            assert_eq!((said.as_str(), hinted.as_deref()), (what, Some(hint)));
        }
    }

    /// A zone may have any name in it that is no URL's end.
    #[test]
    fn no_name_is_a_command_of_its_own() {
        let name = "https://$(reboot).example.com:8443";
        let upstream = Upstream { name, ..PROXY };
        for (why, hint) in [
            ("refused", "curl -v 'https://$(reboot).example.com:8443/'"),
            ("no address", "getent hosts '$(reboot).example.com'"),
        ] {
            let told = on(&connect(why), upstream).hint.unwrap();
            assert!(told.ends_with(&format!(": {hint}")), "{told}");
        }
        let told = on(&Fault::NotSent(Unsent::ConnectTimeout), KDC)
            .hint
            .unwrap();
        assert!(
            told.contains(": curl -v 'telnet://[2001:db8::1]:88';"),
            "{told}"
        );
    }

    #[test]
    fn what_the_libraries_say_of_tickets_stays_in_the_log() {
        let fault = Fault::NotSent(Unsent::NothingToShow("alice@EXAMPLE.COM has none".into()));
        let said = format!("{:?} {}", on(&fault, PROXY), in_short(&fault));
        assert!(!said.contains("alice"), "{said}");
    }

    #[test]
    fn portals_are_known_by_their_pages() {
        for fault in [
            Fault::Page(403),
            Fault::NotKerberos("a web page"),
            Fault::NotKerberos("a redirect"),
            Fault::NotKerberos("HTTP 511, log in to the network first"),
        ] {
            assert!(is_portal(&fault), "{fault:?}");
            let Advice { what, hint } = on(&fault, PROXY);
            assert!(what.contains("captive portal"), "{what}");
            assert!(hint.unwrap().contains("browser"));
        }
        for fault in [
            Fault::Status(403),
            Fault::NotKerberos("no KDC-PROXY-MESSAGE"),
            Fault::Silent,
        ] {
            assert!(!is_portal(&fault), "{fault:?}");
        }
    }

    #[test]
    fn a_host_is_read_out_of_every_name() {
        for (name, expected) in [
            ("https://kdcproxy.example.com", "kdcproxy.example.com"),
            ("https://kdcproxy.example.com:8443", "kdcproxy.example.com"),
            ("https://[::1]:8443", "[::1]"),
            ("https://[2001:db8::a]", "[2001:db8::a]"),
            ("dc1.example.com:88", "dc1.example.com"),
        ] {
            assert_eq!(host(name), expected, "{name}");
        }
    }
}
