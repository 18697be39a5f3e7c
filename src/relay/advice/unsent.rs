//! What was not sent, by whom it was held up: the network, the upstream's certificate, a proxy on the way, or this machine.

use super::{Advice, Kind, NOTHING_TO_SHOW, Upstream, advice, nothing};
use crate::relay::text::shell;
use crate::relay::upstream::{Bar, Unsent};

pub(super) fn on_unsent(unsent: &Unsent, upstream: Upstream<'_>) -> Advice {
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
pub(super) fn host(name: &str) -> &str {
    let authority = name.split_once("://").map_or(name, |(_, rest)| rest);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => host,
        _ => authority,
    }
}
