//! The doctor's own TLS handshake, which tells what reqwest does not: chain, key exchange, suite and ALPN.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use webpki::EndEntityCert;

use crate::relay::finding::{Figure, Finding, Hint, Layer};
use crate::relay::text::short;
use crate::relay::upstream::certificate::{Validity, called};
use crate::relay::upstream::tls::{Pin, Presented, Unpinned};

/// A certificate that ends sooner than this is worth a word.
const SOON: i64 = 14;
const DAY: u64 = 86_400;
/// As many names of a certificate are shown.
const MAX_NAMES: usize = 4;

/// Shakes hands over `stream`; what was agreed on.
///
/// # Errors
/// What went wrong.
pub(super) async fn shake(
    stream: TcpStream,
    host: &str,
    config: ClientConfig,
    within: Duration,
) -> io::Result<Finding> {
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| io::Error::other("this is no name that TLS can check"))?;
    let began = Instant::now();
    let shaken = timeout(
        within,
        TlsConnector::from(Arc::new(config)).connect(name, stream),
    )
    .await;
    let stream = shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    let took = began.elapsed();
    let tls = stream.get_ref().1;
    let version = tls.protocol_version().map(|version| format!("{version:?}"));
    let version = version.unwrap_or_default().replace("TLSv1_", "TLS 1.");
    let group = tls.negotiated_key_exchange_group();
    let group = group.map_or_else(String::new, |group| format!(", {:?}", group.name()));
    let suite = tls.negotiated_cipher_suite();
    let suite = suite.map_or_else(String::new, |suite| format!(", {:?}", suite.suite()));
    let suite = suite.replace("TLS13_", "").replace("TLS_", "");
    let alpn = tls.alpn_protocol().map(String::from_utf8_lossy);
    let alpn = alpn.map_or_else(|| ", no ALPN".to_owned(), |alpn| format!(", {alpn}"));
    let finding = Finding::ok(Layer::Tls, format!("{version}{group}{suite}{alpn}"));
    Ok(finding.figure(took))
}

/// What is to be said of a chain that is trusted.
pub(super) fn chain(presented: &Presented, now: SystemTime) -> Finding {
    let mut names: Vec<String> = presented.certificates.iter().map(subject).collect();
    if let Some(root) = &presented.root
        && names.last() != Some(root)
    {
        names.push(root.clone());
    }
    let what = format!("certificates: {}", names.join(" < "));
    let ends = presented.certificates.iter().filter_map(|certificate| {
        let validity = Validity::of(certificate)?;
        Some((days(validity.not_after(), now), subject(certificate)))
    });
    match ends.min() {
        None => Finding::ok(Layer::Tls, what),
        Some((left, whose)) if left < SOON => {
            Finding::warning(format!("{what}; that of {whose} is about to expire"))
                .on(Layer::Tls)
                .figure(Figure::Days(left))
                .hint("who runs it has to renew the certificate")
        }
        Some((left, _)) => Finding::ok(Layer::Tls, what).figure(Figure::Days(left)),
    }
}

fn tls(what: impl Into<String>) -> Finding {
    Finding::fault(what).on(Layer::Tls)
}

/// What is wrong with a handshake with `host`, whose realm's table is `table`.
pub(super) fn fault(
    error: &io::Error,
    presented: &Presented,
    (host, table): (&str, &str),
    now: SystemTime,
) -> Finding {
    let lower =
        "the server speaks no TLS as new as min-tls asks for: lower min-tls, or have it renewed";
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(error)) => {
            untrusted(error, presented, (host, table), now)
        }
        Some(rustls::Error::InvalidMessage(_)) => tls("what answers speaks no TLS").hint(
            "see whether proxies names the right port, and whether a browser shows a login page of this network",
        ),
        Some(rustls::Error::AlertReceived(alert)) => {
            tls(format!("the server ends the handshake: {alert:?}")).hint(match alert {
                AlertDescription::ProtocolVersion => lower,
                AlertDescription::UnrecognisedName => {
                    "it has another name: see whether proxies spells it right"
                }
                _ => "it may want client-certificate and client-key; else its log says why",
            })
        }
        Some(rustls::Error::PeerIncompatible(why)) => {
            tls(format!("no version or cipher of TLS in common: {why:?}")).hint(lower)
        }
        Some(error) => tls(short(&error.to_string(), 200))
            .hint("see what another client makes of it: curl -v, with the URL in proxies"),
        None if error.kind() == io::ErrorKind::TimedOut => {
            tls("the server takes connections and does not shake hands").hint(
                "what stands in front of it is up, and it is not: ask who runs it; list another in proxies",
            )
        }
        None => tls("the connection ends in the handshake").hint(
            "something on the way may forbid TLS to it: http-proxy names a way out; else ask who runs it",
        ),
    }
}

fn untrusted(
    error: &CertificateError,
    presented: &Presented,
    (host, table): (&str, &str),
    now: SystemTime,
) -> Finding {
    use CertificateError as Why;
    let leaf = presented.certificates.first();
    let renew = "who runs it has to renew the certificate";
    let clock = "see whether the clock is right";
    match error {
        Why::UnknownIssuer | Why::BadSignature => {
            let root = root(presented);
            tls(format!(
                "certificate signed by \"{root}\", which is not trusted here"
            ))
            .hint("if this network has a login page, log in")
            .hint(format!(
                "if \"{root}\" is your own authority, name its certificate in {table}"
            ))
            .hint(Hint::key("ca-file = \"FILE.pem\""))
            .hint("else somebody may be intercepting the connection: ask who runs it")
        }
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            tls(format!("certificate for {}, not for {host}", names(leaf)))
                .hint("log in to this network if it wants that")
                .hint(format!(
                    "else write the certificate's name into proxies, in {table}"
                ))
        }
        Why::Expired | Why::ExpiredContext { .. } => {
            let fault = tls("a certificate of its chain has expired, or the clock here is wrong")
                .command(clock, ["timedatectl"])
                .hint(format!("else {renew}"));
            match leaf.and_then(|leaf| Validity::of(leaf)) {
                Some(validity) => fault.figure(Figure::Days(days(validity.not_after(), now))),
                None => fault,
            }
        }
        Why::NotValidYet | Why::NotValidYetContext { .. } => {
            tls("its certificate is not valid yet, or the clock here is wrong")
                .command(clock, ["timedatectl"])
        }
        Why::Other(other) if other.0.is::<Unpinned>() => {
            let pin = leaf.and_then(|leaf| Pin::of_certificate(leaf));
            let key = pin.map_or_else(|| "pins".to_owned(), |pin| format!("pins = [\"{pin}\"]"));
            tls("no key of its certificates is among the pins")
                .hint(format!(
                    "somebody may read along; if its key was replaced on purpose, put the new one into {table}"
                ))
                .hint(Hint::key(key))
        }
        error => tls(format!(
            "its certificate is not trusted: {}",
            short(&error.to_string(), 200)
        ))
        .hint(renew),
    }
}

/// Who is said to vouch for it all.
fn root(presented: &Presented) -> String {
    let last = presented.certificates.last();
    let issuer = last.and_then(|last| called(EndEntityCert::try_from(last).ok()?.issuer()));
    issuer.unwrap_or_else(|| "nobody by name".to_owned())
}

/// What a certificate is called: a server's by the name that is checked, an authority by its own.
fn subject(certificate: &CertificateDer<'static>) -> String {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return "?".to_owned();
    };
    let first = certificate
        .valid_dns_names()
        .next()
        .map(|name| short(name, 64));
    let own = || called(certificate.subject());
    first
        .or_else(own)
        .unwrap_or_else(|| "a nameless one".to_owned())
}

/// What a certificate is for.
fn names(leaf: Option<&CertificateDer<'static>>) -> String {
    let leaf = leaf.and_then(|leaf| EndEntityCert::try_from(leaf).ok());
    let names = leaf.map(|leaf| {
        let names = leaf.valid_dns_names().map(|name| short(name, 64));
        names.take(MAX_NAMES).collect::<Vec<_>>().join(", ")
    });
    let names = names.filter(|names| !names.is_empty());
    names.unwrap_or_else(|| "another address".to_owned())
}

/// Days from `now` until `then`, rounded down.
fn days(then: SystemTime, now: SystemTime) -> i64 {
    let whole = |time: Duration| i64::try_from(time.as_secs() / DAY).unwrap_or(i64::MAX);
    match then.duration_since(now) {
        Ok(left) => whole(left),
        Err(gone) => -whole(gone.duration()) - 1,
    }
}
