//! An authority of the tests' own, and leaf certificates that are right or wrong in one way.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

/// What is wrong with an upstream's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    Right,
    WrongName,
    Expired,
    /// Right for five more days.
    Soon,
    NotYet,
    /// For clients alone.
    Purpose,
    Untrusted,
}

/// The certificate that the relays under test trust, in PEM.
pub fn trusted() -> String {
    authority(true).pem()
}

fn authority(trusted: bool) -> &'static CertifiedIssuer<'static, KeyPair> {
    static TRUSTED: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    static STRANGER: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    let kept = if trusted { &TRUSTED } else { &STRANGER };
    kept.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    })
}

/// A certificate and its key.
pub fn signed(leaf: Leaf) -> (Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let name = if leaf == Leaf::WrongName {
        "127.0.0.2"
    } else {
        "127.0.0.1"
    };
    let names = [name, "*.proxy.test"].map(str::to_owned);
    let mut params = CertificateParams::new(names).unwrap();
    if leaf == Leaf::Expired {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    }
    if leaf == Leaf::NotYet {
        params.not_before = date_time_ymd(2190, 1, 1);
        params.not_after = date_time_ymd(2191, 1, 1);
    }
    if leaf == Leaf::Purpose {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }
    if leaf == Leaf::Soon {
        let then = SystemTime::now() + Duration::from_secs(5 * 86_400);
        let then = der::DateTime::from_system_time(then).unwrap();
        params.not_after = date_time_ymd(then.year().into(), then.month(), then.day());
    }
    let certificate = params
        .signed_by(&key, authority(leaf != Leaf::Untrusted))
        .unwrap();
    (certificate, key)
}

/// Whether an upstream asks its clients for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    NotAsked,
    /// Who has none is served as well.
    Asked,
    /// Who has none is turned away.
    MustHave,
}

/// What an upstream that asks for it believes, or not: a certificate and its key, in PEM.
pub fn client(trusted: bool) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["laptop.example".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority(trusted)).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn verifier(clients: Clients) -> Arc<dyn ClientCertVerifier> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority(true).der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    match clients {
        Clients::NotAsked => WebPkiClientVerifier::no_client_auth(),
        Clients::Asked => verifier.allow_unauthenticated().build().unwrap(),
        Clients::MustHave => verifier.build().unwrap(),
    }
}

/// A chain, the server's own first, and its key.
pub type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What an upstream with such a certificate shows.
pub fn shown(leaf: Leaf) -> Shown {
    let (certificate, key) = signed(leaf);
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (vec![certificate.der().clone()], key)
}

/// TLS of these versions for an upstream on 127.0.0.1 that speaks `protocols`.
pub fn server(
    (chain, key): Shown,
    clients: Clients,
    tls: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder
        .with_protocol_versions(tls)
        .unwrap()
        .with_client_cert_verifier(verifier(clients));
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    config
}
