//! TLS that tells what it was presented, for those who look into a fault: the daemon's own, with a witness beside it.

use std::sync::{Arc, Mutex};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use webpki::VerifiedPath;

use super::asked::Asked;
use super::pins::{Pinned, vouches};
use super::{ClientTls, SystemRoots};
use crate::relay::sync::lock;
use crate::relay::upstream::certificate;
use crate::relay::upstream::proxy_options::ProxyOptions;

/// What a server presented in a handshake, whether or not it was believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presented {
    /// Its certificate, and those that it sent along.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// What the root is called by which it was believed.
    pub(crate) root: Option<String>,
}

/// Who remembers it. A second handshake overwrites the first.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    presented: Arc<Mutex<Presented>>,
    asked: Asked,
}

impl Witness {
    /// What was presented last.
    pub(crate) fn presented(&self) -> Presented {
        lock(&self.presented).clone()
    }

    /// Whether the server has asked for a certificate.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.was()
    }
}

impl SystemRoots {
    /// TLS exactly as [`SystemRoots::client`] makes it, and who remembers what it is presented.
    ///
    /// # Errors
    /// As those of [`SystemRoots::client`].
    pub(crate) fn witnessed(
        &self,
        extra: &[CertificateDer<'static>],
        options: &ProxyOptions,
    ) -> Result<(ClientConfig, Witness), Error> {
        let ClientTls {
            mut config,
            asked,
            roots,
        } = self.client(extra, options)?;
        let witness = Witness {
            presented: Arc::default(),
            asked,
        };
        let verifier = Witnessed {
            verifier: verifier(&roots, options)?,
            provider: Arc::new(aws_lc_rs::default_provider()),
            roots,
            presented: Arc::clone(&witness.presented),
        };
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(verifier));
        Ok((config, witness))
    }
}

/// What [`SystemRoots::client`] has certificates checked by. Nothing if there are no roots: then none is believed.
fn verifier(
    roots: &Arc<RootCertStore>,
    options: &ProxyOptions,
) -> Result<Option<Arc<dyn ServerCertVerifier>>, Error> {
    let (roots, pins) = (Arc::clone(roots), options.pins.clone());
    if roots.is_empty() {
        return Ok(None);
    }
    if !pins.is_empty() {
        return Ok(Some(Arc::new(Pinned::new(roots, pins)?)));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
    let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
    Ok(Some(verifier))
}

/// Believes whom the verifier inside believes.
#[derive(Debug)]
struct Witnessed {
    verifier: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    presented: Arc<Mutex<Presented>>,
}

impl Witnessed {
    fn verifier(&self) -> Result<&Arc<dyn ServerCertVerifier>, Error> {
        let verifier = self.verifier.as_ref();
        verifier.ok_or_else(|| CertificateError::UnknownIssuer.into())
    }

    /// The root that vouches for the leaf, by name.
    fn root(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<String> {
        let root = Mutex::new(None);
        let name = |path: &VerifiedPath<'_>| {
            *lock(&root) = certificate::called(&path.anchor().subject);
            Ok(())
        };
        let is_vouched = vouches(&self.provider, &self.roots, leaf, intermediates, now, &name);
        is_vouched.then(|| lock(&root).take())?
    }
}

impl ServerCertVerifier for Witnessed {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(leaf).chain(intermediates);
        *lock(&self.presented) = Presented {
            certificates: all.map(|each| each.clone().into_owned()).collect(),
            root: self.root(leaf, intermediates, now),
        };
        let verifier = self.verifier()?;
        verifier.verify_server_cert(leaf, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verifier = self.verifier()?;
        verifier.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verifier = self.verifier()?;
        verifier.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let supported = &self.provider.signature_verification_algorithms;
        supported.supported_schemes()
    }
}
