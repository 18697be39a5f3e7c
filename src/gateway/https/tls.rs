//! The gateway's side of TLS: PEM files become a [`ServerConfig`], or an error in words.

mod replace;

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};

use crate::relay::text::shell;

pub use self::replace::watch;
pub use crate::relay::upstream::certificate::Validity;

/// What HTTP/2 over TLS is called by ALPN (RFC 9113 3.1).
pub(super) const HTTP2: &[u8] = b"h2";
/// And HTTP/1.1 (RFC 7301 6).
pub(super) const HTTP1: &[u8] = b"http/1.1";

/// Where the certificates are, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The gateway's certificate, and then those that lead to its root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who may sign the certificates of clients.
    pub client_ca: Option<PathBuf>,
    /// Whether a client without one is turned away; nothing without `client_ca`.
    pub require_client_cert: bool,
}

/// One of [`TlsFiles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFile {
    /// `certificate`.
    Certificate,
    /// `key`.
    Key,
    /// `client-ca-file`.
    ClientCa,
}

impl fmt::Display for TlsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::ClientCa => "client-ca-file",
        })
    }
}

/// Why the files are of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    /// The file that is to be mended.
    pub file: TlsFile,
    /// What is wrong, in words that name the file.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether it exists and may not be read.
    pub denied: bool,
}

impl TlsError {
    fn new(file: TlsFile, text: String) -> Self {
        Self {
            file,
            text,
            hint: None,
            denied: false,
        }
    }

    fn hint(self, hint: String) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for TlsError {}

/// What a listener speaks TLS with.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// Certificate, key and versions; HTTP/2 or HTTP/1.1.
    pub any_http: Arc<ServerConfig>,
    /// The same for HTTP/1.1 alone.
    pub http1: Arc<ServerConfig>,
    /// When the certificate is valid, if that can be read.
    pub validity: Option<Validity>,
}

/// What was read from [`TlsFiles`].
#[derive(Debug)]
pub struct Loaded {
    /// What came of it.
    pub tls: ServerTls,
    pems: Pems,
}

impl ServerTls {
    /// TLS with `config`, whatever protocols it names.
    #[must_use]
    pub fn new(config: ServerConfig, validity: Option<Validity>) -> Self {
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        Self {
            any_http: offering(&[HTTP2, HTTP1]),
            http1: offering(&[HTTP1]),
            validity,
        }
    }

    /// Reads the files and checks that they fit together.
    ///
    /// # Errors
    /// They can't be read or do not; a certificate that is not valid at the moment is none, see [`ServerTls::warning`].
    pub fn load(files: &TlsFiles) -> Result<Loaded, TlsError> {
        let pems = Pems::read(files)?;
        let tls = Self::build(files, &pems)?;
        Ok(Loaded { tls, pems })
    }

    /// What is wrong with the certificate for the time being, in words: it may be renewed while clients wait.
    #[must_use]
    pub fn warning(&self, now: SystemTime) -> Option<String> {
        self.validity.and_then(|validity| validity.warning(now))
    }

    fn build(files: &TlsFiles, pems: &Pems) -> Result<Self, TlsError> {
        let chain = certificates(TlsFile::Certificate, &files.certificate, &pems.certificate)?;
        let validity = chain.first().and_then(|leaf| Validity::of(leaf));
        let key = private_key(&files.key, &pems.key)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let bug = |error: Error| TlsError::new(TlsFile::Certificate, format!("TLS: {error}"));
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(bug)?;
        let builder = match verifier(files, pems, provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| misfit(files, &error))?;
        // Tickets hold the state of sessions, so that resuming costs no memory here.
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(bug)?;
        Ok(Self::new(config, validity))
    }
}

/// What the files hold.
#[derive(Clone, PartialEq, Eq)]
struct Pems {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl fmt::Debug for Pems {
    /// Not the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pems").finish_non_exhaustive()
    }
}

impl Pems {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let client_ca = files.client_ca.as_deref();
        Ok(Self {
            certificate: read(TlsFile::Certificate, &files.certificate)?,
            key: read(TlsFile::Key, &files.key)?,
            client_ca: client_ca
                .map(|path| read(TlsFile::ClientCa, path))
                .transpose()?,
        })
    }
}

fn read(file: TlsFile, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| {
        let name = path.display();
        let text = match error.kind() {
            ErrorKind::NotFound => format!("{file} {name} does not exist"),
            _ => format!("{file} {name} can't be read: {error}"),
        };
        let denied = error.kind() == ErrorKind::PermissionDenied;
        TlsError {
            denied,
            ..TlsError::new(file, text)
        }
    })
}

fn certificates(
    file: TlsFile,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let name = path.display();
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::new(file, format!("{file} {name} is not PEM: {error}")))?;
    if certificates.is_empty() {
        let text = format!("{file} {name} holds no certificate in PEM");
        let word = shell::path(path);
        let convert = format!(
            "if it is in DER, convert it: openssl x509 -inform der -in {word} -out {word}.pem"
        );
        return Err(TlsError::new(file, text).hint(convert));
    }
    Ok(certificates)
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let (name, word) = (path.display(), shell::path(path));
    // PKCS#8's own armour, and the header of older ones (RFC 1421 4.6.1.1).
    let is_encrypted = [
        &b"ENCRYPTED PRIVATE KEY-----"[..],
        b"Proc-Type: 4,ENCRYPTED",
    ]
    .iter()
    .any(|mark| pem.windows(mark.len()).any(|octets| octets == *mark));
    if is_encrypted {
        let text = format!("key {name} is encrypted, and nobody is there to type its passphrase");
        return Err(TlsError::new(TlsFile::Key, text).hint(format!(
            "decrypt it: (umask 077; openssl pkey -in {word} -out {word}.plain)"
        )));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            let text = format!("key {name} holds no private key in PEM");
            let convert = format!(
                "if it is in DER, convert it: (umask 077; openssl pkey -inform der -in {word} -out {word}.pem)"
            );
            TlsError::new(TlsFile::Key, text).hint(convert)
        }
        error => TlsError::new(TlsFile::Key, format!("key {name} is not PEM: {error}")),
    })
}

fn verifier(
    files: &TlsFiles,
    pems: &Pems,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let (Some(path), Some(pem)) = (&files.client_ca, &pems.client_ca) else {
        return Ok(None);
    };
    let useless = |number: usize, error: &dyn fmt::Display| {
        let name = path.display();
        let text = format!("client-ca-file {name}: certificate {number} is of no use: {error}");
        TlsError::new(TlsFile::ClientCa, text)
    };
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates(TlsFile::ClientCa, path, pem)?
        .into_iter()
        .enumerate()
    {
        roots
            .add(certificate)
            .map_err(|error| useless(index + 1, &error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match files.require_client_cert {
        true => builder,
        false => builder.allow_unauthenticated(),
    };
    // Fails without roots only, and there are some.
    builder
        .build()
        .map(Some)
        .map_err(|error| useless(1, &error))
}

/// Why certificate and key can't be used together.
fn misfit(files: &TlsFiles, error: &Error) -> TlsError {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::new(
            TlsFile::Key,
            format!("key {key} is not the one of the first certificate in {certificate}"),
        )
        .hint(format!(
            "these must be the same: openssl pkey -in {} -pubout; openssl x509 -in {} -noout -pubkey",
            shell::path(&files.key),
            shell::path(&files.certificate)
        )),
        Error::InvalidCertificate(_) => TlsError::new(
            TlsFile::Certificate,
            format!("the first certificate in {certificate} is of no use: {error}"),
        ),
        error => TlsError::new(TlsFile::Key, format!("key {key} is of no use: {error}")),
    }
}

#[cfg(test)]
mod tests;
