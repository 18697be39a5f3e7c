//! The gateway's own certificate, as its files have it.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::handshake::{self, days};
use crate::config::gateway::TlsFiles;
use crate::relay::finding::{Figure, Finding, Hint, Layer};
use crate::relay::status::{StatusDocument, unix_ms};
use crate::relay::upstream::certificate::Validity;
use crate::relay::upstream::tls::{Presented, SystemRoots};

const RENEW: &str = "renew it; the gateway reads the file again by itself. See what it holds";

/// What is to be said of the chain in `files`, which fits its key; `status` is what the gateway says that runs.
pub(super) fn examine(
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
    let mut findings = vec![names(leaf, &file)];
    findings.push(match validity.and_then(|validity| validity.warning(now)) {
        Some(warning) => {
            let left = validity.map_or(0, |validity| days(validity.not_after(), now));
            fault(warning)
                .figure(Figure::Days(left))
                .hint(RENEW)
                .hint(show(&file, "-dates"))
        }
        None => chain(&presented, &file, now),
    });
    let served = status.and_then(|status| status.certificate_until);
    if let (Some(served), Some(validity)) = (served, validity)
        && served != unix_ms(validity.not_after())
    {
        let what = format!("the gateway that runs serves another certificate than {file} holds");
        let log = ["journalctl", "-u", "loopkdc-gateway"];
        let other = Finding::warning(what).on(Layer::Tls);
        findings.push(other.command("see in its log why it does not take this one", log));
    }
    findings
}

fn fault(what: impl Into<String>) -> Finding {
    Finding::fault(what).on(Layer::Tls)
}

fn show(file: &str, what: &str) -> Hint {
    Hint::command(["openssl", "x509", "-noout", what, "-in", file])
}

fn names(leaf: &CertificateDer<'static>, file: &str) -> Finding {
    let names = handshake::names(leaf);
    if names.is_empty() {
        return fault("the certificate names no host (subjectAltName): clients refuse it")
            .hint("have one made for the name in the URL that clients ask; see what it holds")
            .hint(Hint::command([
                "openssl", "x509", "-noout", "-text", "-in", file,
            ]));
    }
    let what = format!("clients find it by {}", names.join(", "));
    Finding::ok(Layer::Tls, what)
}

/// Whether whoever knows the root alone can follow the chain. No list of roots has all that clients know.
fn chain(presented: &Presented, file: &str, now: SystemTime) -> Finding {
    let found = handshake::chain(presented, now);
    if presented.root.is_some() || presented.certificates.last().is_some_and(is_own_issuer) {
        return found;
    }
    let issuer = handshake::root(presented);
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
