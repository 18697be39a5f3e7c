//! Certificates and private keys in PEM (RFC 7468): one reader for all keys of the configuration that name such a file.
//!
//! `key` is always the key that names the file, for the errors.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::Decode as _;
use der::asn1::{AnyRef, OctetStringRef};
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{InconsistentKeys, RootCertStore};

use super::document::ConfigSection;
use super::error::{ConfigError, Located};
use super::keys;
use super::read::{self, NamedFiles};
use crate::relay::text::shell;
use crate::relay::upstream::proxy_options::ClientCertificate;

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

/// A file of certificates in PEM, each fit to be a root of trust; at least one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CaFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// What it holds.
    pub certs: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for CaFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CaFile({}, {} certificates)",
            self.path.display(),
            self.certs.len()
        )
    }
}

impl CaFile {
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let key = keys::CA_FILE.name;
        let bytes = read::bytes(path).map_err(|error| error.describe(key, path))?;
        let certs = certificates(key, path, &bytes)?;
        roots(key, path, &certs)?;
        Ok(Self {
            path: path.to_owned(),
            certs,
        })
    }
}

/// The files read so far: realms that name the same file share what it holds.
#[derive(Default)]
pub(super) struct CaFiles(HashMap<PathBuf, Arc<CaFile>>);

impl CaFiles {
    pub(super) fn load(&mut self, path: PathBuf) -> Result<Arc<CaFile>, ConfigError> {
        if let Some(known) = self.0.get(&path) {
            return Ok(Arc::clone(known));
        }
        let loaded = Arc::new(CaFile::load(&path)?);
        self.0.insert(path, Arc::clone(&loaded));
        Ok(loaded)
    }
}

/// What `client-certificate` and the keys beside it say.
pub(super) fn identity(
    table: &ConfigSection,
    files: NamedFiles<'_>,
) -> Result<Option<ClientCertificate>, ConfigError> {
    let key = table.text(&keys::CLIENT_KEY);
    let passphrase = table.text(&keys::CLIENT_KEY_PASSPHRASE_FILE);
    let Some(certificate) = table.text(&keys::CLIENT_CERTIFICATE) else {
        return key.or(passphrase).map_or(Ok(None), |written| {
            Err(written
                .error("a key without its certificate is of no use")
                .hint("name the certificate: client-certificate = \"FILE\""))
        });
    };
    let (file, pem) = files.read(&keys::CLIENT_CERTIFICATE, &certificate)?;
    let chain = certificate.parse(|_| certificates("client-certificate", &file, &pem))?;
    // Often both are in one file.
    let written = key.unwrap_or(certificate);
    let (key_file, pem) = files.read(&keys::CLIENT_KEY, &written)?;
    let passphrase = passphrase
        .map(|written| read_passphrase(files, &written))
        .transpose()?;
    written.parse(|_| {
        let key = client_key(&key_file, &pem, passphrase.as_deref())?;
        ClientCertificate::new(file.clone(), chain, key)
            .map(Some)
            .map_err(|error| mismatch("client-key", &key_file, &file, &error))
    })
}

fn read_passphrase(files: NamedFiles<'_>, written: &Located<&str>) -> Result<String, ConfigError> {
    let (_, text) = files.read_secret(&keys::CLIENT_KEY_PASSPHRASE_FILE, written)?;
    // Editors end the last line, and no passphrase has a line's end in it.
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn client_key(
    file: &Path,
    pem: &[u8],
    passphrase: Option<&str>,
) -> Result<PrivateKeyDer<'static>, ConfigError> {
    match private_key("client-key", file, pem)? {
        KeyPem::Plain(key) => Ok(key),
        KeyPem::Encrypted(der) => decrypt(file, &der, passphrase),
        KeyPem::OldEncryption => Err(older(file)),
    }
}

/// EncryptedPrivateKeyInfo (RFC 5958 3), by whatever scheme.
#[derive(der::Sequence)]
struct AnyEncryptedKey<'a> {
    _algorithm: AnyRef<'a>,
    _data: &'a OctetStringRef,
}

fn decrypt(
    file: &Path,
    der: &[u8],
    passphrase: Option<&str>,
) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let name = file.display();
    let key = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| {
        // It reads the parameters of those schemes alone that it knows.
        match AnyEncryptedKey::from_der(der) {
            Ok(_) => older(file),
            Err(_) => ConfigError::new(format!("client-key {name} is not PKCS#8: {error}")),
        }
    })?;
    let Some(passphrase) = passphrase else {
        return Err(ConfigError::new(format!("client-key {name} is encrypted")).hint(
            "put its passphrase into a file, and name that: client-key-passphrase-file = \"FILE\"",
        ));
    };
    match key.decrypt(passphrase) {
        Ok(key) => Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into()),
        Err(pkcs8::Error::EncryptedPrivateKey(
            pkcs8::pkcs5::Error::NoPbes1CryptSupport
            | pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }
            | pkcs8::pkcs5::Error::AlgorithmParametersInvalid { .. },
        )) => Err(older(file)),
        // A wrong passphrase decrypts to what is no key, as often as not.
        Err(_) => Err(ConfigError::new(format!(
            "what client-key-passphrase-file holds does not open client-key {name}"
        ))),
    }
}

/// Encrypted by a scheme that nobody should use any more: PBES1, or the one of RFC 1421.
fn older(file: &Path) -> ConfigError {
    let (name, word) = (file.display(), shell::path(file));
    ConfigError::new(format!("client-key {name} is encrypted by an older scheme than PBES2"))
        .hint(format!("convert it: (umask 077; openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -in {word} -out {word}.p8)"))
}
