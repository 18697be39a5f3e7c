//! Pins: keys of which one must be in the chain that vouches for a KDC proxy, besides all that is checked anyway
//! (RFC 7469 2.6).

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

/// The SHA-256 of a certificate's SubjectPublicKeyInfo in DER (RFC 7469 2.4).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pin([u8; 32]);

impl Pin {
    /// What `sha256/BASE64` stands for, as curl and others write it.
    #[must_use]
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

/// The chain is good, and no key in it is pinned.
#[derive(Debug)]
pub(crate) struct Unpinned;

impl fmt::Display for Unpinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no key of its certificates is among the pins")
    }
}

impl std::error::Error for Unpinned {}

/// Checks what is checked anyway, and then the pins.
#[derive(Debug)]
pub(super) struct Pinned {
    chain: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    pins: Vec<Pin>,
}

impl Pinned {
    /// # Errors
    /// There are no roots: nothing could be checked.
    pub(super) fn new(roots: Arc<RootCertStore>, pins: Vec<Pin>) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        Ok(Self {
            chain: chain
                .build()
                .map_err(|error| Error::General(error.to_string()))?,
            roots,
            provider,
            pins,
        })
    }

    /// Whether a chain that vouches for the leaf holds a pinned key. What a server sends besides such a chain says
    /// nothing: anybody can send anybody's certificate along.
    fn is_pinned(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> bool {
        let in_path = |path: &VerifiedPath<'_>| match self.has_pin(path) {
            true => Ok(()),
            false => Err(webpki::Error::UnknownIssuer),
        };
        vouches(
            &self.provider,
            &self.roots,
            leaf,
            intermediates,
            now,
            &in_path,
        )
    }

    fn has_pin(&self, path: &VerifiedPath<'_>) -> bool {
        let leaf = Pin::of(&path.end_entity().subject_public_key_info());
        let between = path
            .intermediate_certificates()
            .map(|certificate| Pin::of(&certificate.subject_public_key_info()));
        let root = Pin::of(&spki(path.anchor()));
        let mut keys = std::iter::once(leaf).chain(between).chain([root]);
        keys.any(|key| self.pins.contains(&key))
    }
}

/// Whether a chain from the roots vouches for the leaf that `takes` takes.
pub(super) fn vouches(
    provider: &CryptoProvider,
    roots: &RootCertStore,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
    takes: &dyn Fn(&VerifiedPath<'_>) -> Result<(), webpki::Error>,
) -> bool {
    let Ok(leaf) = EndEntityCert::try_from(leaf) else {
        return false;
    };
    let path = leaf.verify_for_usage(
        provider.signature_verification_algorithms.all,
        &roots.roots,
        intermediates,
        now,
        KeyUsage::server_auth(),
        None,
        Some(takes),
    );
    path.is_ok()
}

/// A trust anchor's SubjectPublicKeyInfo, of which it has the content alone.
fn spki(anchor: &TrustAnchor<'_>) -> Vec<u8> {
    let content = &anchor.subject_public_key_info;
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|octet| *octet != 0).unwrap_or(7);
    let length = length.get(significant..).unwrap_or_default();
    let mut der = vec![0x30];
    // X.690 8.1.3: one octet up to 127, else their number and then they.
    if content.len() > 0x7f {
        der.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
    }
    der.extend_from_slice(length);
    der.extend_from_slice(content);
    der
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .chain
            .verify_server_cert(leaf, intermediates, name, ocsp, now)?;
        match self.is_pinned(leaf, intermediates, now) {
            true => Ok(verified),
            false => Err(CertificateError::Other(OtherError(Arc::new(Unpinned))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
