//! `client-certificate`, `client-key` and `client-key-passphrase-file`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::Decode as _;
use der::asn1::{AnyRef, OctetStringRef};
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{Error, InconsistentKeys};
use toml::Spanned;

use super::Keys;
use super::files::Files;
use crate::config::ca::from_der;
use crate::config::error::Broken;
use crate::relay::text::shell;
use crate::relay::upstream::out::Identity;

/// PKCS#8's own armour (RFC 7468 11).
const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
/// What says in older files that they are encrypted (RFC 1421 4.6.1.1).
const OLDER: &str = "Proc-Type: 4,ENCRYPTED";

pub(super) fn identity(keys: Keys<'_>, files: Files<'_>) -> Result<Option<Identity>, Broken> {
    let key = keys.get(|table| &table.client_key);
    let passphrase = keys.get(|table| &table.client_key_passphrase_file);
    let Some(certificate) = keys.get(|table| &table.client_certificate) else {
        return match key.or(passphrase) {
            Some(written) => Err(Broken::new("a key without its certificate is of no use")
                .hint("name the certificate: client-certificate = \"FILE\"")
                .at(written.span())),
            None => Ok(None),
        };
    };
    let (file, pem) = files.read("client-certificate", certificate)?;
    let chain = chain(&file, &pem).map_err(|broken| broken.at(certificate.span()))?;
    // Often both are in one file.
    let written = key.unwrap_or(certificate);
    let (key_file, pem) = files.read("client-key", written)?;
    let passphrase = passphrase
        .map(|written| read_passphrase(files, written))
        .transpose()?;
    let key = private_key(
        &key_file,
        &String::from_utf8_lossy(&pem),
        passphrase.as_deref(),
    )
    .map_err(|broken| broken.at(written.span()))?;
    Identity::new(file.clone(), chain, key)
        .map(Some)
        .map_err(|error| misfit(&file, &key_file, &error).at(written.span()))
}

fn read_passphrase(files: Files<'_>, written: &Spanned<String>) -> Result<String, Broken> {
    let (_, text) = files.read_text("client-key-passphrase-file", written)?;
    // Editors end the last line, and no passphrase has a line's end in it.
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn chain(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Broken> {
    let name = file.display();
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| Broken::new(format!("client-certificate {name} is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(Broken::new(format!(
            "client-certificate {name} holds no certificate in PEM"
        ))
        .hint(from_der(file)));
    }
    Ok(chain)
}

fn private_key(
    file: &Path,
    text: &str,
    passphrase: Option<&str>,
) -> Result<PrivateKeyDer<'static>, Broken> {
    let name = file.display();
    if text.contains(OLDER) {
        return Err(older(file));
    }
    if let Some(der) = encrypted(text) {
        return decrypt(file, &der, passphrase);
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let word = shell::path(file);
            Broken::new(format!("client-key {name} holds no private key in PEM")).hint(format!(
                "if it is in DER, convert it: (umask 077; openssl pkey -inform der -in {word} -out {word}.pem)"
            ))
        }
        error => Broken::new(format!("client-key {name} is not PEM: {error}")),
    })
}

/// The encrypted key in `text`, if there is one.
fn encrypted(text: &str) -> Option<Vec<u8>> {
    let (_, after) = text.split_once(BEGIN)?;
    let (body, _) = after.split_once(END)?;
    let base64: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(base64).ok()
}

/// EncryptedPrivateKeyInfo (RFC 5958 3), by whatever scheme.
#[derive(der::Sequence)]
struct Encrypted<'a> {
    _algorithm: AnyRef<'a>,
    _data: &'a OctetStringRef,
}

fn decrypt(
    file: &Path,
    der: &[u8],
    passphrase: Option<&str>,
) -> Result<PrivateKeyDer<'static>, Broken> {
    let name = file.display();
    let key = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| {
        // It reads the parameters of those schemes alone that it knows.
        match Encrypted::from_der(der) {
            Ok(_) => older(file),
            Err(_) => Broken::new(format!("client-key {name} is not PKCS#8: {error}")),
        }
    })?;
    let Some(passphrase) = passphrase else {
        return Err(Broken::new(format!("client-key {name} is encrypted")).hint(
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
        Err(_) => Err(Broken::new(format!(
            "what client-key-passphrase-file holds does not open client-key {name}"
        ))),
    }
}

/// Encrypted by a scheme that nobody should use any more: PBES1, or the one of RFC 1421.
fn older(file: &Path) -> Broken {
    let (name, word) = (file.display(), shell::path(file));
    Broken::new(format!("client-key {name} is encrypted by an older scheme than PBES2"))
        .hint(format!("convert it: (umask 077; openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -in {word} -out {word}.p8)"))
}

/// Why certificate and key can't be used together.
fn misfit(file: &Path, key_file: &Path, error: &Error) -> Broken {
    let (certificate, key) = (file.display(), key_file.display());
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Broken::new(format!(
            "client-key {key} is not the one of the first certificate in {certificate}"
        ))
        .hint(format!(
            "these must be the same: openssl pkey -in {} -pubout; openssl x509 -in {} -noout -pubkey",
            shell::path(key_file),
            shell::path(file)
        )),
        Error::InvalidCertificate(_) => Broken::new(format!(
            "the first certificate in {certificate} is of no use: {error}"
        )),
        error => Broken::new(format!("client-key {key} is of no use: {error}")),
    }
}
