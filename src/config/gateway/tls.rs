//! The files that HTTPS is served with: read, and checked that they fit together.

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use crate::config::error::ConfigError;
use crate::config::keys::{self, ConfigKey};
use crate::config::pem::{self, KeyPem};
use crate::config::read;
use crate::relay::failure::Failure;
use crate::relay::text::shell;

/// Where the certificates are, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The gateway's certificate, and then those that lead to its root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who may sign the certificates of clients.
    pub client_ca: Option<PathBuf>,
    /// A client without one is turned away; nothing without `client_ca`.
    pub require_client_cert: bool,
}

/// One of [`TlsFiles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsFile {
    Certificate,
    Key,
    ClientCa,
}

impl TlsFile {
    /// What names it in the configuration.
    pub(super) fn key(self) -> &'static ConfigKey {
        match self {
            Self::Certificate => &keys::CERTIFICATE,
            Self::Key => &keys::CERTIFICATE_KEY,
            Self::ClientCa => &keys::CLIENT_CA_FILE,
        }
    }
}

/// Why one of the files is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFileError {
    /// The file that is to be mended.
    pub(crate) file: TlsFile,
    pub(crate) error: ConfigError,
}

impl TlsFileError {
    /// What the user reads, without a place in the configuration.
    pub(crate) fn into_failure(self) -> Failure {
        self.error.into_failure(None)
    }
}

impl fmt::Display for TlsFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for TlsFileError {}

/// What the files hold.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TlsPems {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl fmt::Debug for TlsPems {
    /// Not the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsPems").finish_non_exhaustive()
    }
}

/// Certificate and key that fit together, and who signs for clients.
pub(crate) struct ServerIdentity {
    pub(crate) certified: CertifiedKey,
    /// At least one root.
    pub(crate) client_roots: Option<RootCertStore>,
}

impl TlsFiles {
    /// Reads all files.
    pub(crate) fn read(&self) -> Result<TlsPems, TlsFileError> {
        let client_ca = self.client_ca.as_deref();
        Ok(TlsPems {
            certificate: octets(TlsFile::Certificate, &self.certificate)?,
            key: octets(TlsFile::Key, &self.key)?,
            client_ca: client_ca
                .map(|path| octets(TlsFile::ClientCa, path))
                .transpose()?,
        })
    }

    /// What comes of the files' content.
    pub(crate) fn identity(&self, pems: &TlsPems) -> Result<ServerIdentity, TlsFileError> {
        Ok(ServerIdentity {
            certified: self.certified(pems)?,
            client_roots: self.client_roots(pems)?,
        })
    }

    fn certified(&self, pems: &TlsPems) -> Result<CertifiedKey, TlsFileError> {
        let of = |file| move |error| TlsFileError { file, error };
        let chain = pem::certificates("certificate", &self.certificate, &pems.certificate)
            .map_err(of(TlsFile::Certificate))?;
        let key = private_key(&self.key, &pems.key).map_err(of(TlsFile::Key))?;
        let provider = aws_lc_rs::default_provider();
        CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
            let file = match error {
                rustls::Error::InvalidCertificate(_) => TlsFile::Certificate,
                _ => TlsFile::Key,
            };
            let error = pem::mismatch("key", &self.key, &self.certificate, &error);
            TlsFileError { file, error }
        })
    }

    fn client_roots(&self, pems: &TlsPems) -> Result<Option<RootCertStore>, TlsFileError> {
        let (Some(path), Some(pem)) = (&self.client_ca, &pems.client_ca) else {
            return Ok(None);
        };
        let key = TlsFile::ClientCa.key().name;
        let roots = pem::certificates(key, path, pem)
            .and_then(|certificates| pem::roots(key, path, &certificates));
        let file = TlsFile::ClientCa;
        roots
            .map(Some)
            .map_err(|error| TlsFileError { file, error })
    }
}

fn octets(file: TlsFile, path: &Path) -> Result<Vec<u8>, TlsFileError> {
    read::bytes(path).map_err(|error| TlsFileError {
        file,
        error: error.describe(file.key().name, path),
    })
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, ConfigError> {
    match pem::private_key("key", path, pem)? {
        KeyPem::Plain(key) => Ok(key),
        KeyPem::Encrypted(_) | KeyPem::OldEncryption => {
            let (name, word) = (path.display(), shell::path(path));
            Err(ConfigError::new(format!(
                "key {name} is encrypted, and nobody is there to type its passphrase"
            ))
            .hint(format!(
                "decrypt it: (umask 077; openssl pkey -in {word} -out {word}.plain)"
            )))
        }
    }
}
