//! Which servers are believed: those that rustls believes, if pins are configured with a pinned key in their chain. What
//! was presented last is kept for those who look into a fault.

use std::fmt;
use std::sync::{Arc, Mutex};

use der::asn1::AnyRef;
use der::{Encode as _, Tag};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use webpki::{Cert, EndEntityCert, KeyUsage, VerifiedPath};

use super::Pin;
use crate::relay::sync::lock;
use crate::relay::upstream::certificate;

/// What a server presented in a handshake, whether or not it was believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presented {
    /// Its certificate, and those that it sent along.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// What the root is called by which it was believed.
    pub(crate) root: Option<String>,
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

/// Checks what rustls itself checks, and then the pins.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// Empty: any key will do.
    pub(super) pins: Vec<Pin>,
    /// What the last handshake presented, the server's own first.
    pub(super) presented: Mutex<Vec<CertificateDer<'static>>>,
}

impl Verifier {
    pub(super) fn presented(&self) -> Presented {
        let certificates = lock(&self.presented).clone();
        let root = certificates.split_first().and_then(|(leaf, sent)| {
            let leaf = EndEntityCert::try_from(leaf).ok()?;
            let path = self.path(&leaf, sent, UnixTime::now(), &|_| true).ok()?;
            certificate::called(&path.anchor().subject)
        });
        Presented { certificates, root }
    }

    fn is_pinned(&self, path: &VerifiedPath<'_>) -> bool {
        let leaf: &Cert<'_> = path.end_entity();
        let sent = std::iter::once(leaf).chain(path.intermediate_certificates());
        let mut keys = sent.map(|certificate| Pin::of(&certificate.subject_public_key_info()));
        keys.any(|key| self.pins.contains(&key))
            || root_key(path.anchor()).is_some_and(|key| self.pins.contains(&key))
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
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, sent, now, algorithms)?;
        verify_server_name(&parsed, name)?;
        let leaf = EndEntityCert::try_from(leaf).map_err(|_| CertificateError::BadEncoding)?;
        let is_pinned = |path: &VerifiedPath<'_>| self.is_pinned(path);
        if self.pins.is_empty() || self.path(&leaf, sent, now, &is_pinned).is_ok() {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::Other(OtherError(Arc::new(Unpinned))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
