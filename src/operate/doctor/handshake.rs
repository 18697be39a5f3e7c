//! The doctor's own TLS handshake, which tells what reqwest does not: chain, key exchange, suite and ALPN.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ProtocolVersion};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use webpki::EndEntityCert;

use super::line::{Figure, Layer, Line};
use crate::relay::text::short;
use crate::relay::upstream::certificate::{Validity, called};
use crate::relay::upstream::tls::{Pin, Presented, Unpinned};

/// A certificate that ends sooner than this is worth a word.
const SOON: i64 = 14;
const DAY: u64 = 86_400;
/// As many names of a certificate are shown.
const MAX_NAMES: usize = 4;

/// Whose certificate is expected, and where that is configured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// The proxy's name, or its address without brackets.
    pub(super) host: &'a str,
    /// The realm's table, for hints.
    pub(super) table: &'a str,
}

/// Shakes hands over `stream`; a line on what was agreed on.
///
/// # Errors
/// What went wrong.
pub(super) async fn shake(
    stream: TcpStream,
    host: &str,
    config: ClientConfig,
    within: Duration,
) -> io::Result<Line> {
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
    let version = tls.protocol_version().map_or("TLS", version);
    let group = tls.negotiated_key_exchange_group();
    let group = group.map_or_else(String::new, |group| format!(", {:?}", group.name()));
    let suite = tls.negotiated_cipher_suite();
    let suite = suite.map_or_else(String::new, |suite| format!(", {:?}", suite.suite()));
    let suite = suite.replace("TLS13_", "").replace("TLS_", "");
    let alpn = tls.alpn_protocol().map(String::from_utf8_lossy);
    let alpn = alpn.map_or_else(|| ", no ALPN".to_owned(), |alpn| format!(", {alpn}"));
    let line = Line::ok(Layer::Tls, format!("{version}{group}{suite}{alpn}"));
    Ok(line.figure(took))
}

fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => "TLS 1.3",
        ProtocolVersion::TLSv1_2 => "TLS 1.2",
        _ => "an old TLS",
    }
}

/// What is to be said of a chain that was believed.
pub(super) fn chain(presented: &Presented, now: SystemTime) -> Line {
    let mut names: Vec<String> = presented.certificates.iter().map(subject).collect();
    if let Some(root) = presented
        .root
        .as_ref()
        .filter(|root| names.last() != Some(root))
    {
        names.push(root.clone());
    }
    let what = format!("certificates: {}", names.join(" < "));
    let ends = presented.certificates.iter().filter_map(|certificate| {
        let validity = Validity::of(certificate)?;
        Some((days(validity.not_after(), now), subject(certificate)))
    });
    let Some((left, whose)) = ends.min() else {
        return Line::ok(Layer::Tls, what);
    };
    let line = match left < SOON {
        true => Line::warn(
            Layer::Tls,
            format!("{what}; that of {whose} is about to expire"),
            "who runs it has to renew the certificate",
        ),
        false => Line::ok(Layer::Tls, what),
    };
    line.figure(Figure::Days(left))
}

/// What is wrong with a handshake.
pub(super) fn fault(
    error: &io::Error,
    presented: &Presented,
    expected: Expected<'_>,
    now: SystemTime,
) -> Line {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(error)) => {
            untrusted(error, presented, expected, now)
        }
        Some(rustls::Error::InvalidMessage(_)) => Line::fault(
            Layer::Tls,
            "what answers speaks no TLS",
            "see whether proxies names the right port, and whether a browser shows a login page of this network",
        ),
        Some(rustls::Error::AlertReceived(alert)) => Line::fault(
            Layer::Tls,
            format!("it ends the handshake: {alert:?}"),
            match alert {
                rustls::AlertDescription::ProtocolVersion => {
                    "it speaks no TLS as new as min-tls asks for: lower min-tls, or have it renewed"
                }
                rustls::AlertDescription::UnrecognisedName => {
                    "it does not go by this name: see whether proxies spells it right"
                }
                _ => "it may want client-certificate and client-key; else its log says why",
            },
        ),
        Some(rustls::Error::PeerIncompatible(why)) => Line::fault(
            Layer::Tls,
            format!("no version or cipher of TLS in common: {why:?}"),
            "it speaks no TLS as new as min-tls asks for: lower min-tls, or have it renewed",
        ),
        Some(error) => Line::fault(
            Layer::Tls,
            short(&error.to_string(), 200),
            "see what another client makes of it: curl -v, with the URL in proxies",
        ),
        None if error.kind() == io::ErrorKind::TimedOut => Line::fault(
            Layer::Tls,
            "it takes connections and does not shake hands",
            "what stands in front of it is up, and it is not: ask who runs it; list another in proxies",
        ),
        None => Line::fault(
            Layer::Tls,
            "the connection ends in the handshake",
            "something on the way may forbid TLS to it: http-proxy names a way out; else ask who runs it",
        ),
    }
}

fn untrusted(
    error: &CertificateError,
    presented: &Presented,
    expected: Expected<'_>,
    now: SystemTime,
) -> Line {
    use CertificateError as Why;
    let Expected { host, table } = expected;
    let leaf = presented.certificates.first();
    let validity = leaf.and_then(|leaf| Validity::of(leaf));
    match error {
        Why::UnknownIssuer | Why::BadSignature => {
            let root = root(presented);
            Line::fault(
                Layer::Tls,
                format!(
                    "nobody whom this machine trusts vouches for its certificate; \"{root}\" does"
                ),
                format!(
                    "if this network has a login page, log in; if \"{root}\" is your own authority, name its certificate in {table}: ca-file = \"FILE.pem\"; else somebody may be intercepting the connection"
                ),
            )
        }
        Why::NotValidForName | Why::NotValidForNameContext { .. } => Line::fault(
            Layer::Tls,
            format!("its certificate is for {}, not for {host}", names(leaf)),
            format!(
                "log in to this network if it wants that; else write the certificate's name into proxies, in {table}"
            ),
        ),
        Why::Expired | Why::ExpiredContext { .. } => {
            let line = Line::fault(
                Layer::Tls,
                "a certificate of its chain has expired, or the clock here is wrong",
                "see whether the clock is right: timedatectl; else who runs it has to renew the certificate",
            );
            match validity {
                Some(validity) => line.figure(Figure::Days(days(validity.not_after(), now))),
                None => line,
            }
        }
        Why::NotValidYet | Why::NotValidYetContext { .. } => Line::fault(
            Layer::Tls,
            "its certificate is not valid yet, or the clock here is wrong",
            "see whether the clock is right: timedatectl",
        ),
        Why::Other(other) if other.0.is::<Unpinned>() => {
            let pin = leaf.and_then(|leaf| Pin::of_certificate(leaf));
            let pin = pin.map_or_else(String::new, |pin| format!(": pins = [\"{pin}\"]"));
            Line::fault(
                Layer::Tls,
                "no key of its certificates is among the pins",
                format!(
                    "somebody may read along; if its key was replaced on purpose, put the new one into {table}{pin}"
                ),
            )
        }
        error => Line::fault(
            Layer::Tls,
            format!(
                "its certificate is not believed: {}",
                short(&error.to_string(), 200)
            ),
            "who runs it has to renew the certificate",
        ),
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
