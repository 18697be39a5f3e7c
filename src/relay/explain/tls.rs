//! The words for what TLS has against a KDC proxy, and what to do about it.

use std::fmt;

use super::{LOG_IN, SWITCH_ON, UpstreamKind, another, fault, no_connection, probe};
use crate::relay::finding::{Finding, Layer};
use crate::relay::upstream::{CertificateFault, TlsFault};

/// What TLS alerts are called (RFC 8446 6), those of older versions too (RFC 5246 7.2).
const ALERTS: [(u8, &str); 25] = [
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (22, "record_overflow"),
    (40, "handshake_failure"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (90, "user_canceled"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (UNRECOGNIZED_NAME, "unrecognized_name"),
    (116, "certificate_required"),
    (120, "no_application_protocol"),
];
/// It serves nobody of the name that it was asked for (RFC 6066 3).
const UNRECOGNIZED_NAME: u8 = 112;

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTls => "what answers speaks no TLS",
            Self::NothingInCommon => "no version or cipher of TLS in common",
            Self::NoHttp => "it speaks neither HTTP/2 nor HTTP/1.1",
            Self::NoCertificate => "it shows no certificate",
            Self::Alert(number) => return alert(*number, f),
            Self::RulesBroken => "what answers breaks the rules of TLS",
            Self::Other => "the handshake of TLS failed",
        })
    }
}

fn alert(number: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let known = ALERTS.iter().find(|(known, _)| *known == number);
    let name = known.map_or("no name", |(_, name)| name);
    write!(f, "it ended the handshake with TLS alert {number} ({name})")
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownIssuer => "signed by an unknown authority",
            Self::WrongName => "made out to another name",
            Self::NoName => "made out to no name (subjectAltName)",
            Self::Expired => "expired, or the clock here is wrong",
            Self::NotYetValid => "not valid yet, or the clock here is wrong",
            Self::NotPinned => "no key of its chain is among the pins",
            Self::Authority => "an authority's own (CA:TRUE), not in ca-file",
            Self::SignedByNoAuthority => "signed by one that is no authority (CA:FALSE)",
            Self::Constrained => "its authority may not sign it (nameConstraints, pathlen)",
            Self::WrongPurpose => "not made for servers (extendedKeyUsage)",
            Self::OldVersion => "of an older version of X.509 than 3",
            Self::UnsupportedSignature => "signed in a way that is not trusted, such as SHA-1",
            Self::ShortKey => "an RSA key of fewer than 2048 bits",
            Self::CriticalExtension => "it has a critical extension that is not known here",
            Self::LongChain => "its chain is too long",
            Self::Revoked => "revoked",
            Self::Malformed => "it breaks the rules of X.509 (RFC 5280)",
            Self::Other => "it cannot be verified",
        })
    }
}

/// Why a handshake failed.
pub(super) fn of_handshake(why: TlsFault, upstream: &str) -> Finding {
    let key = UpstreamKind::of(upstream).key();
    let found = fault(Layer::Tls, format!("cannot connect: {why}"));
    match why {
        TlsFault::NotTls | TlsFault::NoHttp => found
            .hint(format!("see whether {key} names the right port"))
            .hint(LOG_IN),
        TlsFault::NothingInCommon => {
            found.hint(format!("if min-tls is 1.3, lower it; else {SWITCH_ON}"))
        }
        TlsFault::NoCertificate => found
            .hint("who runs it has to give it a certificate")
            .hint(another(key)),
        TlsFault::Alert(UNRECOGNIZED_NAME) => found
            .hint(format!("see whether {key} spells its name right"))
            .hint(probe(upstream)),
        TlsFault::Alert(_) => found
            .hint("who runs it finds why in its log")
            .hint(another(key)),
        TlsFault::RulesBroken | TlsFault::Other => {
            no_connection(Layer::Tls, &format!(": {why}"), upstream)
        }
    }
}

/// Of the certificate itself nothing is quoted: it may be anybody's. The doctor, which saw it, quotes names and dates
/// (`operate/doctor/handshake.rs`).
pub(super) fn of_certificate(why: CertificateFault) -> Finding {
    // What kpasswd shows of it fits whole: words that are not of a portal's certificate are longer.
    let whose = match why {
        CertificateFault::UnknownIssuer
        | CertificateFault::WrongName
        | CertificateFault::Expired
        | CertificateFault::NotYetValid
        | CertificateFault::NotPinned
        | CertificateFault::Other => ", perhaps a captive portal's",
        _ => "",
    };
    let what = format!("certificate not trusted{whose}: {why}");
    let untrusted = fault(Layer::Tls, what).hint(LOG_IN);
    let renewed = |how: &str| format!("else who runs it has to renew the certificate{how}");
    match why {
        CertificateFault::UnknownIssuer => {
            untrusted.hint("else name the authority's certificate in ca-file")
        }
        CertificateFault::WrongName => {
            untrusted.hint("else write into proxies the name in the certificate")
        }
        CertificateFault::Expired | CertificateFault::NotYetValid => untrusted
            .typed("else see whether the clock is right", "timedatectl")
            .hint(renewed("")),
        CertificateFault::NotPinned => {
            untrusted.hint("else, if its key was replaced on purpose, put the new one into pins")
        }
        CertificateFault::Authority => untrusted
            .hint("else, if it is the proxy's own, put this very certificate into ca-file")
            .hint(renewed(", with CA:FALSE")),
        CertificateFault::LongChain => {
            untrusted.hint("else who runs it has to have it send its own chain alone")
        }
        why => untrusted.hint(renewed(remedy(why))),
    }
}

/// How a certificate is to be made that is better than one with this fault.
fn remedy(why: CertificateFault) -> &'static str {
    match why {
        CertificateFault::NoName => ", with its host in subjectAltName: the CN does not count",
        CertificateFault::OldVersion => ", as version 3, with its host in subjectAltName",
        CertificateFault::WrongPurpose => ", for serverAuth",
        CertificateFault::UnsupportedSignature => ", signed with SHA-256",
        CertificateFault::ShortKey => ", with a key of 2048 bits or more",
        CertificateFault::SignedByNoAuthority | CertificateFault::Constrained => {
            ", at an authority that may sign it"
        }
        CertificateFault::CriticalExtension => ", without that extension",
        _ => "",
    }
}
