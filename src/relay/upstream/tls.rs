//! TLS towards KDC proxies: rustls on aws-lc-rs, the system's roots and the configured ones, and the certificate that is shown.
//!
//! Those servers are believed that rustls believes, and those whose very certificate is configured, if pins are configured with a
//! pinned key in their chain (RFC 7469 2.6). What was presented last is kept for those who look into a fault.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::asn1::AnyRef;
use der::{Decode as _, Encode as _, Tag};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ResolvesClientCert, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use webpki::{Cert, EndEntityCert, KeyUsage, VerifiedPath};

use super::certificate::{self, Validity};
use super::fault::{CertificateFault, Credential};
use super::proxy_options::{MinTls, ProxyOptions};
use crate::relay::sync::lock;

/// Has the random generator gather its entropy: AWS-LC takes a tenth of a second for that at its first use, which would
/// otherwise be the first handshake, with a user waiting.
pub fn warm_up() {
    // That it does not work shows in the first handshake.
    let _ = aws_lc_rs::default_provider().secure_random.fill(&mut [0]);
}

/// The system's roots, read once for all upstreams.
#[derive(Clone, Debug)]
pub struct SystemRoots {
    alone: Arc<RootCertStore>,
    /// With certificates beside them: each set once, of however many upstreams it is.
    extended: Arc<Mutex<HashMap<Vec<CertificateDer<'static>>, Weak<RootCertStore>>>>,
}

impl PartialEq for SystemRoots {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.alone, &other.alone) || self.alone.roots == other.alone.roots
    }
}

impl Eq for SystemRoots {}

impl SystemRoots {
    /// Reads the roots of the system; those that cannot be read are left out, since others may do.
    pub fn load() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a system root certificate was left out");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Self::of(roots)
    }

    fn of(roots: RootCertStore) -> Self {
        Self {
            alone: Arc::new(roots),
            extended: Arc::default(),
        }
    }

    /// These and `extra`.
    fn with(&self, extra: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, Error> {
        if extra.is_empty() {
            return Ok(Arc::clone(&self.alone));
        }
        let mut extended = lock(&self.extended);
        if let Some(known) = extended.get(extra).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let mut roots = RootCertStore::clone(&self.alone);
        for certificate in extra {
            roots.add(certificate.clone())?;
        }
        let roots = Arc::new(roots);
        extended.retain(|_, roots| roots.strong_count() > 0);
        extended.insert(extra.to_vec(), Arc::downgrade(&roots));
        Ok(roots)
    }

    /// What a server presents with this chain, its own certificate first: by which of these roots it is believed, if by any.
    pub(crate) fn judge(&self, certificates: Vec<CertificateDer<'static>>) -> Presented {
        let verifier = Verifier {
            roots: Arc::clone(&self.alone),
            itself: Vec::new(),
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
            pins: Vec::new(),
            presented: Mutex::new(certificates),
        };
        verifier.presented()
    }

    /// TLS that trusts these roots and `extra`, as `options` wants it: X25519MLKEM768 offered first, HTTP/2 before HTTP/1.1.
    ///
    /// # Errors
    /// If the provider supports none of the versions, which is a bug, or `extra` holds what is no certificate.
    pub fn client(
        &self,
        extra: &[CertificateDer<'static>],
        options: &ProxyOptions,
    ) -> Result<ClientTls, rustls::Error> {
        let roots = self.with(extra)?;
        let versions = match options.min_tls {
            MinTls::Tls12 => &[&TLS13, &TLS12][..],
            MinTls::Tls13 => &[&TLS13],
        };
        let provider = aws_lc_rs::default_provider();
        let verifier = Arc::new(Verifier {
            roots,
            itself: extra.to_vec(),
            algorithms: provider.signature_verification_algorithms,
            pins: options.pins.clone(),
            presented: Mutex::default(),
        });
        let certificate = options.client_certificate.as_ref();
        let certified = certificate.map(|own| Arc::clone(&own.certified));
        let client_auth = Arc::new(ClientAuth::new(certified));
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_client_cert_resolver(Arc::clone(&client_auth) as _);
        config.alpn_protocols = options.http_version.alpn();
        Ok(ClientTls {
            config,
            client_auth,
            verifier,
        })
    }
}

/// TLS towards one KDC proxy.
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub(crate) config: ClientConfig,
    pub(super) client_auth: Arc<ClientAuth>,
    verifier: Arc<Verifier>,
}

impl ClientTls {
    /// What the server presented in the last handshake.
    pub(crate) fn presented(&self) -> Presented {
        self.verifier.presented()
    }

    /// The server has asked for a client certificate.
    pub(crate) fn was_certificate_requested(&self) -> bool {
        self.client_auth.was_requested()
    }
}

/// The certificate that there is, if any, and what the server did about it: if it asks for one, that decides what it means that it
/// refuses.
#[derive(Debug)]
pub(in crate::relay::upstream) struct ClientAuth {
    certified: Option<Arc<CertifiedKey>>,
    requested: AtomicBool,
    served: AtomicBool,
}

impl ClientAuth {
    fn new(certified: Option<Arc<CertifiedKey>>) -> Self {
        Self {
            certified,
            requested: AtomicBool::new(false),
            served: AtomicBool::new(false),
        }
    }

    /// The server has asked for a certificate.
    pub(in crate::relay::upstream) fn was_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// It has served a request, without a certificate perhaps: what else it refuses is for another reason.
    pub(in crate::relay::upstream) fn set_served(&self) {
        self.served.store(true, Ordering::Release);
    }

    /// For want of what certificate an upstream may refuse or end what it is asked, if it has served nothing yet.
    pub(in crate::relay::upstream) fn unmet(&self) -> Option<Credential> {
        if self.served.load(Ordering::Acquire) {
            return None;
        }
        match (self.has_certs(), self.was_requested()) {
            (false, true) => Some(Credential::Certificate),
            (true, false) => Some(Credential::UnaskedCertificate),
            _ => None,
        }
    }

    /// It has asked, and nothing shows that it is content with what it got.
    pub(in crate::relay::upstream) fn may_be_missing(&self) -> bool {
        self.was_requested() && !self.served.load(Ordering::Acquire)
    }
}

impl ResolvesClientCert for ClientAuth {
    /// The authorities that the server names are not looked at: the list is often wrong, and there is one certificate to choose.
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.requested.store(true, Ordering::Release);
        let certified = self.certified.as_ref()?;
        certified.key.choose_scheme(schemes)?;
        Some(Arc::clone(certified))
    }

    fn has_certs(&self) -> bool {
        self.certified.is_some()
    }
}

/// The SHA-256 of a certificate's SubjectPublicKeyInfo in DER (RFC 7469 2.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// What `sha256/BASE64` stands for, as curl and others write it.
    pub fn parse(text: &str) -> Option<Self> {
        let hash = STANDARD.decode(text.strip_prefix("sha256/")?).ok()?;
        hash.try_into().ok().map(Self)
    }

    fn of(spki: &[u8]) -> Self {
        Self(Sha256::digest(spki).into())
    }

    /// The pin of a certificate's key, if it can be read.
    pub(crate) fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = EndEntityCert::try_from(certificate).ok()?;
        Some(Self::of(&certificate.subject_public_key_info()))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

/// What a server presented in a handshake, whether or not it was believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presented {
    /// Its certificate, and those that it sent along.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// What the root is called by which it was believed.
    pub(crate) root: Option<String>,
}

/// Checks what rustls itself checks, and then the pins.
#[derive(Debug)]
struct Verifier {
    roots: Arc<RootCertStore>,
    /// A server that presents one of these is believed for that alone. `openssl req -x509` makes authorities, which no chain may
    /// begin with, and OpenSSL and GnuTLS believe them as servers if they are trusted.
    itself: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
    /// Empty: any key will do.
    pins: Vec<Pin>,
    /// What the last handshake presented, the server's own first.
    presented: Mutex<Vec<CertificateDer<'static>>>,
}

impl Verifier {
    fn presented(&self) -> Presented {
        let certificates = lock(&self.presented).clone();
        let root = certificates.split_first().and_then(|(leaf, sent)| {
            let leaf = EndEntityCert::try_from(leaf).ok()?;
            let path = self.path(&leaf, sent, UnixTime::now(), &|_| true).ok()?;
            certificate::called(&path.anchor().subject)
        });
        Presented { certificates, root }
    }

    /// The server's certificate is one that is trusted, or there is a chain from it to a root; and by the clock it is valid.
    fn trust(
        &self,
        leaf: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if !self.itself.contains(leaf) {
            let algorithms = self.algorithms.all;
            return verify_server_cert_signed_by_trust_anchor(
                parsed,
                &self.roots,
                sent,
                now,
                algorithms,
            );
        }
        let validity = Validity::of(leaf).ok_or(CertificateError::BadEncoding)?;
        let now = UNIX_EPOCH + Duration::from_secs(now.as_secs());
        if now > validity.not_after() {
            return Err(CertificateError::Expired.into());
        }
        if now < validity.not_before() {
            return Err(CertificateError::NotValidYet.into());
        }
        Ok(())
    }

    /// The server's certificate is one that is trusted, and its own key is pinned.
    fn is_pinned_itself(&self, leaf: &CertificateDer<'_>) -> bool {
        let is_pinned = |key| self.pins.contains(&key);
        self.itself.contains(leaf) && Pin::of_certificate(leaf).is_some_and(is_pinned)
    }

    fn is_pinned(&self, path: &VerifiedPath<'_>) -> bool {
        let leaf: &Cert<'_> = path.end_entity();
        let sent = std::iter::once(leaf).chain(path.intermediate_certificates());
        let mut keys = sent.map(|certificate| Pin::of(&certificate.subject_public_key_info()));
        keys.any(|key| self.pins.contains(&key))
            || root_key(path.anchor()).is_some_and(|key| self.pins.contains(&key))
    }

    /// `error`, or that a key of the chain is too short: of what such a key has signed rustls says no more than that it is wrong.
    fn reason<'a>(
        &self,
        error: Error,
        chain: impl Iterator<Item = &'a CertificateDer<'a>>,
    ) -> Error {
        let is_short = |spki: &[u8]| certificate::is_short_rsa(spki) == Some(true);
        let is_short_rooted = |certificate: EndEntityCert<'_>| {
            let spki = certificate.subject_public_key_info();
            let spki = AnyRef::from_der(&spki).map(|spki| is_short(spki.value()));
            let mut roots = self.roots.roots.iter();
            spki == Ok(true)
                || roots.any(|root| {
                    *root.subject == *certificate.issuer()
                        && is_short(&root.subject_public_key_info)
                })
        };
        let mut chain = chain.filter_map(|it| EndEntityCert::try_from(it).ok());
        if error == CertificateError::BadSignature.into() && chain.any(is_short_rooted) {
            return refused(CertificateFault::ShortKey);
        }
        error
    }

    /// A chain from the roots to the leaf that `accepts` accepts. What a server sends besides such a chain says nothing:
    /// anybody can send anybody's certificate along.
    fn path<'a>(
        &'a self,
        leaf: &'a EndEntityCert<'a>,
        sent: &'a [CertificateDer<'a>],
        now: UnixTime,
        accepts: &dyn Fn(&VerifiedPath<'_>) -> bool,
    ) -> Result<VerifiedPath<'a>, webpki::Error> {
        leaf.verify_for_usage(
            self.algorithms.all,
            &self.roots.roots,
            sent,
            now,
            KeyUsage::server_auth(),
            None,
            Some(&|path| {
                accepts(path)
                    .then_some(())
                    .ok_or(webpki::Error::UnknownIssuer)
            }),
        )
    }
}

/// What rustls has no word for.
fn refused(why: CertificateFault) -> Error {
    CertificateError::Other(OtherError(Arc::new(why))).into()
}

/// The pin of a trust anchor, of whose SubjectPublicKeyInfo it has the content alone.
fn root_key(anchor: &TrustAnchor<'_>) -> Option<Pin> {
    let spki = AnyRef::new(Tag::Sequence, &anchor.subject_public_key_info).ok()?;
    Some(Pin::of(&spki.to_der().ok()?))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(leaf).chain(sent);
        *lock(&self.presented) = all.map(|each| each.clone().into_owned()).collect();
        let parsed = ParsedCertificate::try_from(leaf)?;
        let trusted = self.trust(leaf, &parsed, sent, now);
        trusted.map_err(|error| self.reason(error, std::iter::once(leaf).chain(sent)))?;
        verify_server_name(&parsed, name)?;
        if self.pins.is_empty() || self.is_pinned_itself(leaf) {
            return Ok(ServerCertVerified::assertion());
        }
        let leaf = EndEntityCert::try_from(leaf).map_err(|_| CertificateError::BadEncoding)?;
        let is_pinned = |path: &VerifiedPath<'_>| self.is_pinned(path);
        if self.path(&leaf, sent, now, &is_pinned).is_ok() {
            return Ok(ServerCertVerified::assertion());
        }
        Err(refused(CertificateFault::NotPinned))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &self.algorithms)
            .map_err(|error| self.reason(error, std::iter::once(leaf)))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.algorithms)
            .map_err(|error| self.reason(error, std::iter::once(leaf)))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
