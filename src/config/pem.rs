//! Certificates and private keys in PEM (RFC 7468): one reader for all keys of the configuration that name such a file.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::Error as Pkcs5Error;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer,
};
use rustls::{InconsistentKeys, RootCertStore};
use webpki::BorrowedCertRevocationList;

use super::document::ConfigSection;
use super::error::{ConfigError, ConfigPlace};
use super::keys;
use super::read::NamedFile;
use crate::relay::text::short;
use crate::relay::upstream::proxy_options::ClientCertificate;
use crate::relay::upstream::tls_errors;

/// What Windows and editors on it begin UTF-8 and then PEM with: no reader of PEM takes the line for a beginning.
const MARKED_PEM: &[u8] = b"\xef\xbb\xbf-----BEGIN ";
/// What UTF-16 begins with, in either order of octets, and what PEM does in it if that is left out; what iconv(1) calls it.
const UTF16: [(&[u8], &str); 4] = [
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"-\0-\0", "utf-16le"),
    (b"\0-\0-", "utf-16be"),
];
/// What OpenSSL reads as certificates too (openssl-x509(1)).
const OPENSSLS_OWN: [&[u8]; 2] = [
    b"-----BEGIN TRUSTED CERTIFICATE-----",
    b"-----BEGIN X509 CERTIFICATE-----",
];
/// CMS of old (RFC 7468 8).
const BEGIN_PKCS7: &[u8] = b"-----BEGIN PKCS7-----";
/// id-signedData (RFC 5652 5.1), in DER.
const SIGNED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
/// As much of what a section is called is shown.
const MAX_LABEL: usize = 64;
/// PKCS#8's own armour (RFC 7468 11).
const BEGIN_ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END_ENCRYPTED: &str = "-----END ENCRYPTED PRIVATE KEY-----";
/// What says in older files that they are encrypted (RFC 1421 4.6.1.1).
const OLD_ENCRYPTION: &str = "Proc-Type: 4,ENCRYPTED";

/// The certificates in `file`: at least one.
pub(super) fn certificates(file: &NamedFile) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    all(file, "certificate", "x509")
}

/// All of one kind in `file`: at least one. `openssl`: its command that converts them.
fn all<T: PemObject>(file: &NamedFile, kind: &str, openssl: &str) -> Result<Vec<T>, ConfigError> {
    let word = file.word();
    if let Some((form, command)) = other_form(&file.octets, &word, openssl) {
        let hint = format!("convert it, and name {word}.pem instead: {command}");
        return Err(file.error(format!("{file} {form}")).hint(hint));
    }
    let all = T::pem_slice_iter(&file.octets).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| not_pem(file, &error))?;
    if all.is_empty() {
        let rule = format!("{file} holds no {kind} in PEM");
        let hint = format!(
            "see what it holds, and name a file in which a line begins with -----BEGIN: cat {word}"
        );
        return Err(file.error(rule).hint(hint));
    }
    Ok(all)
}

/// What a file is whose certificates a reader of PEM (RFC 7468) passes over, and the command that makes a file of them that it
/// reads.
fn other_form(octets: &[u8], word: &str, kind: &str) -> Option<(&'static str, String)> {
    let holds = |part: &[u8]| holds(octets, part);
    let openssl = |what: &str| format!("openssl {what} -in {word} -out {word}.pem");
    // It reads all that OpenSSL calls certificates, and writes them as others do.
    let store = || format!("openssl storeutl -certs -out {word}.pem {word}");
    let mut utf16 = UTF16.iter();
    if let Some((_, from)) = utf16.find(|(begin, _)| octets.starts_with(begin)) {
        let command = format!("iconv -f {from} -t utf-8 {word} >{word}.pem");
        Some(("is in UTF-16", command))
    } else if octets.starts_with(MARKED_PEM) {
        Some(("begins with a byte order mark", store()))
    } else if OPENSSLS_OWN.iter().any(|begin| holds(begin)) {
        Some(("holds certificates in OpenSSL's own form", store()))
    } else if holds(BEGIN_PKCS7) {
        Some(("holds PKCS #7", openssl("pkcs7 -print_certs")))
    } else if is_signed_data(octets) {
        let command = openssl("pkcs7 -inform der -print_certs");
        Some(("is PKCS #7 in DER", command))
    } else if is_pfx(octets) {
        Some(("is PKCS #12", openssl("pkcs12 -nokeys")))
    } else {
        let command = || openssl(&format!("{kind} -inform der"));
        is_der(octets).then(|| ("is in DER", command()))
    }
}

fn holds(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|found| found == part)
}

/// True for a SEQUENCE (X.690 8.1) too long for a length of one octet: text may begin with its tag, a zero.
fn is_der(octets: &[u8]) -> bool {
    matches!(octets, [0x30, 0x80..=0x84, ..])
}

/// True for what is signed, or certificates alone, in DER or BER (RFC 5652 5.1).
pub(crate) fn is_signed_data(octets: &[u8]) -> bool {
    is_der(octets) && holds(octets, SIGNED_DATA)
}

/// True for a PFX, which begins with its version (RFC 7292 4).
fn is_pfx(octets: &[u8]) -> bool {
    let version = octets.get(..8).unwrap_or_default();
    is_der(octets) && holds(version, b"\x02\x01\x03\x30")
}

/// Why `file` is not PEM.
fn not_pem(file: &NamedFile, error: &pem::Error) -> ConfigError {
    let why = match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            let label = short(&String::from_utf8_lossy(end_marker), MAX_LABEL);
            format!("the line -----END {label}----- is missing")
        }
        pem::Error::IllegalSectionStart { .. } => "a line that begins with ----- has no end".into(),
        pem::Error::Base64Decode(_) => "what stands between its lines is not base64".into(),
        _ => "it cannot be read".into(),
    };
    file.error(format!("{file} is not PEM: {why}"))
}

/// The certificates in `file` as roots of trust: at least one.
pub(super) fn roots(file: &NamedFile) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates(file)?.into_iter().enumerate() {
        let number = index + 1;
        roots.add(certificate).map_err(|error| {
            let why = tls_errors::words(&error);
            file.error(format!("{file}: certificate {number} is of no use: {why}"))
        })?;
    }
    Ok(roots)
}

/// The lists of revoked certificates in `file` (RFC 5280 5): at least one.
pub(super) fn revocation_lists(
    file: &NamedFile,
) -> Result<Vec<CertificateRevocationListDer<'static>>, ConfigError> {
    let lists: Vec<CertificateRevocationListDer<'_>> =
        all(file, "list of revoked certificates", "crl")?;
    for (index, list) in lists.iter().enumerate() {
        BorrowedCertRevocationList::from_der(list).map_err(|error| {
            let number = index + 1;
            let why = of_list(&error);
            file.error(format!("{file}: list {number} is of no use: {why}"))
        })?;
    }
    Ok(lists)
}

/// What is wrong with a list of revoked certificates.
fn of_list(error: &webpki::Error) -> &'static str {
    use webpki::Error;
    match error {
        Error::UnsupportedCrlVersion => "of an older version than 2",
        Error::UnsupportedDeltaCrl => "it says only what has changed since another",
        Error::UnsupportedIndirectCrl => "it speaks for other authorities too",
        Error::UnsupportedCriticalExtension => "it has a critical extension that is not known here",
        Error::UnsupportedCrlIssuingDistributionPoint
        | Error::UnsupportedRevocationReasonsPartitioning => "it is a part of another",
        _ => "it breaks the rules of X.509 (RFC 5280)",
    }
}

/// The first private key in `file`. `locked`: what to do where one is encrypted and there is no passphrase.
pub(super) fn private_key(
    file: &NamedFile,
    passphrase: Option<&str>,
    locked: impl FnOnce() -> String,
) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let text = String::from_utf8_lossy(&file.octets);
    let encrypted = encrypted(&text);
    if encrypted.is_some() || text.contains(OLD_ENCRYPTION) {
        let rule = || {
            file.error(format!("{file} is encrypted, and there is no passphrase"))
                .hint(locked())
        };
        return decrypt(file, encrypted, passphrase.ok_or_else(rule)?);
    }
    PrivateKeyDer::from_pem_slice(&file.octets).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let word = file.word();
            file.error(format!("{file} holds no private key in PEM")).hint(format!(
                "if it is in DER, convert it: (umask 077; openssl pkey -inform der -in {word} -out {word}.pem)"
            ))
        }
        error => not_pem(file, &error),
    })
}

/// The EncryptedPrivateKeyInfo (RFC 5958 3) in `text`, if there is one.
fn encrypted(text: &str) -> Option<Vec<u8>> {
    let (_, after) = text.split_once(BEGIN_ENCRYPTED)?;
    let (body, _) = after.split_once(END_ENCRYPTED)?;
    let base64: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(base64).ok()
}

/// The key in `der`, which is none for the scheme of RFC 1421.
fn decrypt(
    file: &NamedFile,
    der: Option<Vec<u8>>,
    passphrase: &str,
) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let info = der.as_deref().map(EncryptedPrivateKeyInfoRef::try_from);
    let key = info
        .and_then(Result::ok)
        .map(|info| info.decrypt(passphrase));
    match key {
        Some(Ok(key)) => Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into()),
        None
        | Some(Err(pkcs8::Error::EncryptedPrivateKey(
            Pkcs5Error::NoPbes1CryptSupport
            | Pkcs5Error::UnsupportedAlgorithm { .. }
            | Pkcs5Error::AlgorithmParametersInvalid { .. },
        ))) => {
            let word = file.word();
            Err(file.error(format!("{file} is encrypted by an older scheme than PBES2")).hint(format!(
                "convert it: (umask 077; openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -in {word} -out {word}.p8)"
            )))
        }
        // A wrong passphrase decrypts to what is no key, as often as not.
        Some(Err(_)) => {
            let passphrase = keys::CLIENT_KEY_PASSPHRASE_FILE.name;
            Err(file.error(format!("what {passphrase} holds does not open {file}")))
        }
    }
}

/// Why the first certificate in `certificate` and the private key in `key` can't be used together.
pub(super) fn mismatch(
    key: &NamedFile,
    certificate: &NamedFile,
    error: &rustls::Error,
) -> ConfigError {
    let chain = certificate.path.display();
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            let rule = format!("{key} is not the one of the first certificate in {chain}");
            key.error(rule).hint(format!(
                "these must be the same: openssl pkey -in {} -pubout; openssl x509 -in {} -noout -pubkey",
                key.word(),
                certificate.word()
            ))
        }
        rustls::Error::InvalidCertificate(_) => certificate.error(format!(
            "the first certificate in {chain} is of no use: {}",
            tls_errors::words(error)
        )),
        _ => key.error(format!(
            "{key} is of no use: TLS signs with RSA of 2048 bits or more, ECDSA and Ed25519"
        )),
    }
}

/// A file of certificates in PEM, each fit to be a root of trust; at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CaFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// What it holds.
    pub certs: Vec<CertificateDer<'static>>,
}

impl CaFile {
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let (path, place) = (path.to_owned(), ConfigPlace::File);
        Self::new(&NamedFile::read(&keys::CA_FILE, path, place)?)
    }

    pub(super) fn new(file: &NamedFile) -> Result<Self, ConfigError> {
        roots(file)?;
        Ok(Self {
            path: file.path.clone(),
            certs: certificates(file)?,
        })
    }
}

/// What `client-certificate` and the keys beside it say. `base`: what files are relative to.
pub(super) fn client_certificate(
    table: &ConfigSection,
    base: &Path,
) -> Result<Option<ClientCertificate>, ConfigError> {
    let Some(certificate) = NamedFile::of(table, &keys::CLIENT_CERTIFICATE, base)? else {
        let key = table.text(&keys::CLIENT_KEY);
        let alone = key.or_else(|| table.written(&keys::CLIENT_KEY_PASSPHRASE_FILE));
        return alone.map_or(Ok(None), |written| {
            Err(written
                .error("a key without its certificate is of no use")
                .hint("name the certificate: client-certificate = \"FILE\""))
        });
    };
    // Often both are in one file.
    let key_file = NamedFile::of(table, &keys::CLIENT_KEY, base)?;
    let key_file = key_file.unwrap_or_else(|| certificate.clone());
    let passphrase = NamedFile::of(table, &keys::CLIENT_KEY_PASSPHRASE_FILE, base)?;
    let passphrase = passphrase.as_ref().map(NamedFile::text).transpose()?;
    // Editors end the last line, and no passphrase has a line's end in it.
    let passphrase = passphrase.map(|text| text.trim_end_matches(['\r', '\n']));
    let key = private_key(&key_file, passphrase, || {
        "put its passphrase into a file, and name that: client-key-passphrase-file = \"FILE\""
            .to_owned()
    })?;
    let chain = certificates(&certificate)?;
    ClientCertificate::new(certificate.path.clone(), chain, key)
        .map(Some)
        .map_err(|error| mismatch(&key_file, &certificate, &error))
}
