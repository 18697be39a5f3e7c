//! Certificates and private keys in PEM (RFC 7468): one reader for all keys of the configuration that name such a file.
//!
//! `key` is always the key that names the file, for the errors.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, RootCertStore};

use super::error::ConfigError;
use crate::relay::text::shell;

/// PKCS#8's own armour (RFC 7468 11).
const BEGIN_ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END_ENCRYPTED: &str = "-----END ENCRYPTED PRIVATE KEY-----";
/// What says in older files that they are encrypted (RFC 1421 4.6.1.1).
const OLD_ENCRYPTION: &str = "Proc-Type: 4,ENCRYPTED";

/// A private key as its file holds it.
pub(super) enum KeyPem {
    /// Ready for use.
    Plain(PrivateKeyDer<'static>),
    /// An EncryptedPrivateKeyInfo (RFC 5958 3), in DER.
    Encrypted(Vec<u8>),
    /// Encrypted as RFC 1421 has it.
    OldEncryption,
}

/// The certificates in `pem`: at least one.
pub(super) fn certificates(
    key: &str,
    file: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let name = file.display();
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| ConfigError::new(format!("{key} {name} is not PEM: {error}")))?;
    if certificates.is_empty() {
        let word = shell::path(file);
        return Err(
            ConfigError::new(format!("{key} {name} holds no certificate in PEM")).hint(format!(
                "if it is in DER, convert it: openssl x509 -inform der -in {word} -out {word}.pem"
            )),
        );
    }
    Ok(certificates)
}

/// The certificates as roots of trust.
pub(super) fn roots(
    key: &str,
    file: &Path,
    certificates: &[CertificateDer<'static>],
) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        roots.add(certificate.clone()).map_err(|error| {
            let (name, number) = (file.display(), index + 1);
            ConfigError::new(format!(
                "{key} {name}: certificate {number} is of no use: {error}"
            ))
        })?;
    }
    Ok(roots)
}

/// The first private key in `pem`.
pub(super) fn private_key(key: &str, file: &Path, pem: &[u8]) -> Result<KeyPem, ConfigError> {
    let text = String::from_utf8_lossy(pem);
    if text.contains(OLD_ENCRYPTION) {
        return Ok(KeyPem::OldEncryption);
    }
    if let Some(der) = encrypted(&text) {
        return Ok(KeyPem::Encrypted(der));
    }
    let name = file.display();
    let parsed = PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let word = shell::path(file);
            ConfigError::new(format!("{key} {name} holds no private key in PEM")).hint(format!(
                "if it is in DER, convert it: (umask 077; openssl pkey -inform der -in {word} -out {word}.pem)"
            ))
        }
        error => ConfigError::new(format!("{key} {name} is not PEM: {error}")),
    });
    parsed.map(KeyPem::Plain)
}

/// The encrypted key in `text`, if there is one.
fn encrypted(text: &str) -> Option<Vec<u8>> {
    let (_, after) = text.split_once(BEGIN_ENCRYPTED)?;
    let (body, _) = after.split_once(END_ENCRYPTED)?;
    let base64: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(base64).ok()
}

/// Why the first certificate in `certificate` and the private key in `file` can't be used together.
pub(super) fn mismatch(
    key: &str,
    file: &Path,
    certificate: &Path,
    error: &rustls::Error,
) -> ConfigError {
    let (name, chain) = (file.display(), certificate.display());
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => ConfigError::new(format!(
            "{key} {name} is not the one of the first certificate in {chain}"
        ))
        .hint(format!(
            "these must be the same: openssl pkey -in {} -pubout; openssl x509 -in {} -noout -pubkey",
            shell::path(file),
            shell::path(certificate)
        )),
        rustls::Error::InvalidCertificate(_) => ConfigError::new(format!(
            "the first certificate in {chain} is of no use: {error}"
        )),
        error => ConfigError::new(format!("{key} {name} is of no use: {error}")),
    }
}
