//! `client-certificate`, `client-key` and `client-key-passphrase-file`.

use std::path::Path;

use der::Decode as _;
use der::asn1::{AnyRef, OctetStringRef};
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use toml::Spanned;

use super::Keys;
use super::files::Files;
use crate::config::error::ConfigError;
use crate::config::pem::{self, KeyPem};
use crate::relay::text::shell;
use crate::relay::upstream::out::Identity;

pub(super) fn identity(keys: Keys<'_>, files: Files<'_>) -> Result<Option<Identity>, ConfigError> {
    let key = keys.get(|table| &table.client_key);
    let passphrase = keys.get(|table| &table.client_key_passphrase_file);
    let Some(certificate) = keys.get(|table| &table.client_certificate) else {
        return match key.or(passphrase) {
            Some(written) => Err(
                ConfigError::new("a key without its certificate is of no use")
                    .hint("name the certificate: client-certificate = \"FILE\"")
                    .at(written.span()),
            ),
            None => Ok(None),
        };
    };
    let (file, pem) = files.read("client-certificate", certificate)?;
    let chain = pem::certificates("client-certificate", &file, &pem)
        .map_err(|broken| broken.at(certificate.span()))?;
    // Often both are in one file.
    let written = key.unwrap_or(certificate);
    let (key_file, pem) = files.read("client-key", written)?;
    let passphrase = passphrase
        .map(|written| read_passphrase(files, written))
        .transpose()?;
    let key = private_key(&key_file, &pem, passphrase.as_deref())
        .map_err(|broken| broken.at(written.span()))?;
    Identity::new(file.clone(), chain, key)
        .map(Some)
        .map_err(|error| pem::mismatch("client-key", &key_file, &file, &error).at(written.span()))
}

fn read_passphrase(files: Files<'_>, written: &Spanned<String>) -> Result<String, ConfigError> {
    let (_, text) = files.read_text("client-key-passphrase-file", written)?;
    // Editors end the last line, and no passphrase has a line's end in it.
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn private_key(
    file: &Path,
    pem: &[u8],
    passphrase: Option<&str>,
) -> Result<PrivateKeyDer<'static>, ConfigError> {
    match pem::private_key("client-key", file, pem)? {
        KeyPem::Plain(key) => Ok(key),
        KeyPem::Encrypted(der) => decrypt(file, &der, passphrase),
        KeyPem::OldEncryption => Err(older(file)),
    }
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
) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let name = file.display();
    let key = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| {
        // It reads the parameters of those schemes alone that it knows.
        match Encrypted::from_der(der) {
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
