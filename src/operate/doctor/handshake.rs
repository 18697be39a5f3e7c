//! TLS: the doctor's own handshake, which tells what reqwest does not, and what certificates say that were presented, or are in
//! the gateway's own files.

use std::io;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use webpki::EndEntityCert;

use crate::config::gateway::TlsFiles;
use crate::operate::terminal::joined;
use crate::relay::clock::unix_ms;
use crate::relay::finding::{Figure, Finding, Hint, Layer};
use crate::relay::status::StatusDocument;
use crate::relay::text::short;
use crate::relay::upstream::CertificateFault;
use crate::relay::upstream::certificate::{Validity, called};
use crate::relay::upstream::tls::{Pin, Presented, SystemRoots};

/// A certificate that ends sooner than this is worth a word.
const SOON: i64 = 14;
const DAY: i64 = 86_400;
/// As many names of a certificate are shown.
const MAX_NAMES: usize = 4;
/// What names a certificate that is to be trusted.
const CA_FILE: &str = "ca-file = \"FILE.pem\"";
/// What is to be done about the gateway's own.
const RENEW: &str = "renew it; the gateway reads the file again by itself. See what it holds";

/// Shakes hands over `stream`; what was agreed on: version, key exchange, suite and ALPN.
///
/// # Errors
/// There is none. The daemon's own client says best why.
pub(super) async fn shake(
    stream: TcpStream,
    host: &str,
    mut config: ClientConfig,
) -> io::Result<Finding> {
    // The handshake of the daemon's client is to be a whole one, too.
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let began = Instant::now();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await?;
    let took = began.elapsed();
    let tls = stream.get_ref().1;
    let version = tls.protocol_version().map(|version| format!("{version:?}"));
    let group = tls.negotiated_key_exchange_group();
    let suite = tls.negotiated_cipher_suite();
    let suite = suite.map(|suite| format!("{:?}", suite.suite()));
    let alpn = tls.alpn_protocol().map(String::from_utf8_lossy);
    let agreed = [
        version.map(|version| version.replace("TLSv1_", "TLS 1.")),
        group.map(|group| format!("{:?}", group.name())),
        suite.map(|suite| suite.replace("TLS13_", "").replace("TLS_", "")),
        Some(alpn.map_or_else(|| "no ALPN".to_owned(), Into::into)),
    ];
    let agreed = joined(agreed.into_iter().flatten());
    Ok(Finding::ok(Layer::Tls, agreed).figure(took))
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

/// `finding` about a chain that is not trusted, with what it shows besides: names, the date, and what the realm's `table` may
/// have to say.
pub(super) fn untrusted(
    mut finding: Finding,
    why: CertificateFault,
    presented: &Presented,
    (host, table): (&str, &str),
    now: SystemTime,
) -> Finding {
    let Some(leaf) = presented.certificates.first() else {
        return finding;
    };
    match why {
        CertificateFault::UnknownIssuer => signed_by_stranger(finding, presented, table),
        CertificateFault::Authority => authority(finding, leaf, table),
        CertificateFault::WrongName => {
            let names = joined(names(leaf));
            let what = match names.as_str() {
                "" => format!("certificate for another name than {host}"),
                names => format!("certificate for {names}, not for {host}"),
            };
            finding.reworded(what)
        }
        CertificateFault::NotPinned => {
            let pin = Pin::of_certificate(leaf).map(|pin| format!("pins = [\"{pin}\"]"));
            finding.hints.extend(pin.map(Hint::key));
            finding
        }
        CertificateFault::Expired => {
            let validity = Validity::of(leaf);
            finding.figure = validity.map(|it| Figure::Days(days(it.not_after(), now)));
            finding
        }
        _ => finding,
    }
}

fn signed_by_stranger(mut finding: Finding, presented: &Presented, table: &str) -> Finding {
    let root = format!("\"{}\"", root(presented));
    let is_own = format!("if {root} is your own authority, name its certificate in {table}");
    finding.hints.truncate(1);
    let mut finding = finding
        .reworded(format!(
            "certificate signed by {root}, which is not trusted here"
        ))
        .hint(format!("else, {is_own}"))
        .hint(Hint::key(CA_FILE));
    if !presented.certificates.last().is_some_and(is_own_issuer) {
        let below = "else, if that is below one that is trusted, who runs it has to append its certificate to the server's";
        finding = finding.hint(below);
    }
    finding.hint("else somebody may be intercepting the connection: ask who runs it")
}

fn authority(mut finding: Finding, leaf: &CertificateDer<'static>, table: &str) -> Finding {
    let name = subject(leaf);
    let file = format!("get it from who runs it, and name it in {table}");
    finding.hints.truncate(1);
    finding
        .reworded(format!(
            "certificate of {name} is an authority's own (CA:TRUE), not in ca-file"
        ))
        .hint(format!("else, if it is the proxy's own, {file}"))
        .hint(Hint::key(CA_FILE))
        .hint("else who runs it has to renew the certificate, with CA:FALSE")
}

/// The issuer of the last certificate, which vouches for the chain.
fn root(presented: &Presented) -> String {
    let last = presented.certificates.last();
    let issuer = last.and_then(|last| called(EndEntityCert::try_from(last).ok()?.issuer()));
    issuer.unwrap_or_else(|| "nobody by name".to_owned())
}

/// What a certificate is called: a server's by the name that is checked, an authority by its own.
fn subject(certificate: &CertificateDer<'static>) -> String {
    let own = || called(EndEntityCert::try_from(certificate).ok()?.subject());
    let first = names(certificate).into_iter().next().or_else(own);
    first.unwrap_or_else(|| "a nameless one".to_owned())
}

/// What a certificate is for.
fn names(certificate: &CertificateDer<'static>) -> Vec<String> {
    let certificate = EndEntityCert::try_from(certificate);
    let names = certificate.iter().flat_map(|it| it.valid_dns_names());
    names.take(MAX_NAMES).map(|name| short(name, 64)).collect()
}

/// Days from `now` until `then`, rounded down.
fn days(then: SystemTime, now: SystemTime) -> i64 {
    let seconds = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs().cast_signed()
    };
    (seconds(then) - seconds(now)).div_euclid(DAY)
}

/// What is to be said of the chain in `files`, which fits its key; `status` is what the gateway says that runs.
pub(super) fn own_certificate(
    files: &TlsFiles,
    roots: &SystemRoots,
    status: Option<&StatusDocument>,
    now: SystemTime,
) -> Vec<Finding> {
    let identity = files.read().and_then(|pems| pems.identity());
    // It was read a moment ago.
    let Ok(identity) = identity else {
        return Vec::new();
    };
    let file = files.certificate.display().to_string();
    let presented = roots.judge(identity.certified.cert);
    let Some(leaf) = presented.certificates.first() else {
        return Vec::new();
    };
    let validity = Validity::of(leaf);
    let mut findings = vec![host_names(leaf, &file)];
    findings.push(match validity.and_then(|validity| validity.warning(now)) {
        Some(warning) => {
            let left = validity.map_or(0, |validity| days(validity.not_after(), now));
            fault(warning)
                .figure(Figure::Days(left))
                .hint(RENEW)
                .hint(show(&file, "-dates"))
        }
        None => own_chain(&presented, &file, now),
    });
    let served = status.and_then(|status| status.certificate_until);
    if let (Some(served), Some(validity)) = (served, validity)
        && served != unix_ms(validity.not_after())
    {
        let what = format!("the gateway that runs serves another certificate than {file} holds");
        let log = "journalctl -u loopkdc-gateway";
        let other = Finding::warning(what).on(Layer::Tls);
        findings.push(other.typed("see in its log why it does not take this one", log));
    }
    findings
}

fn fault(what: impl Into<String>) -> Finding {
    Finding::fault(what).on(Layer::Tls)
}

fn show(file: &str, what: &str) -> Hint {
    Hint::command(["openssl", "x509", "-noout", what, "-in", file])
}

fn host_names(leaf: &CertificateDer<'static>, file: &str) -> Finding {
    let names = names(leaf);
    if names.is_empty() {
        return fault("the certificate names no host (subjectAltName): clients refuse it")
            .hint("have one made for the name in the URL that clients ask; see what it holds")
            .hint(show(file, "-text"));
    }
    let what = format!("clients find it by {}", names.join(", "));
    Finding::ok(Layer::Tls, what)
}

/// Whether whoever knows the root alone can follow the chain. No list of roots has all that clients know.
fn own_chain(presented: &Presented, file: &str, now: SystemTime) -> Finding {
    let found = chain(presented, now);
    if presented.root.is_some() || presented.certificates.last().is_some_and(is_own_issuer) {
        return found;
    }
    let issuer = root(presented);
    Finding {
        what: format!("{}; \"{issuer}\", who signed the last, is not trusted here", found.what),
        ..Finding::warning("")
    }
    .on(Layer::Tls)
    .hint(format!(
        "unless clients trust \"{issuer}\" itself, append its certificate to {file}, and those up to the root. See who signs"
    ))
    .hint(show(file, "-issuer"))
}

/// It is a root.
fn is_own_issuer(certificate: &CertificateDer<'static>) -> bool {
    let certificate = EndEntityCert::try_from(certificate);
    certificate.is_ok_and(|certificate| certificate.issuer() == certificate.subject())
}
