//! The files that HTTPS is served with: read, and checked that they fit together.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::sign::CertifiedKey;

use crate::config::error::{ConfigError, ConfigPlace};
use crate::config::keys::{self, ConfigKey};
use crate::config::pem;
use crate::config::read::NamedFile;

/// Where the certificates are, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The gateway's certificate, and then those that lead to its root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The file of the authorities that may sign certificates of clients.
    pub client_ca: Option<PathBuf>,
    /// The file of the certificates that these have revoked.
    pub client_crl: Option<PathBuf>,
    /// A client without one is turned away; nothing without `client_ca`.
    pub require_client_cert: bool,
}

/// What the files hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TlsPems {
    certificate: NamedFile,
    key: NamedFile,
    client_ca: Option<NamedFile>,
    client_crl: Option<NamedFile>,
}

/// Certificate and key that fit together, and who signs for clients.
pub(crate) struct ServerIdentity {
    pub(crate) certified: CertifiedKey,
    /// At least one root.
    pub(crate) client_roots: Option<RootCertStore>,
    /// What those have revoked; nothing if nobody asks.
    pub(crate) client_crls: Vec<CertificateRevocationListDer<'static>>,
}

impl TlsFiles {
    /// Reads all files.
    pub(crate) fn read(&self) -> Result<TlsPems, ConfigError> {
        let read = |key: &'static ConfigKey, path: &Path| {
            NamedFile::read(key, path.to_owned(), ConfigPlace::Key(key))
        };
        let read_any = |key: &'static ConfigKey, path: &Option<PathBuf>| {
            path.as_deref().map(|path| read(key, path)).transpose()
        };
        Ok(TlsPems {
            certificate: read(&keys::CERTIFICATE, &self.certificate)?,
            key: read(&keys::CERTIFICATE_KEY, &self.key)?,
            client_ca: read_any(&keys::CLIENT_CA_FILE, &self.client_ca)?,
            client_crl: read_any(&keys::CLIENT_CRL_FILE, &self.client_crl)?,
        })
    }
}

impl TlsPems {
    /// What comes of the files' content.
    pub(crate) fn identity(&self) -> Result<ServerIdentity, ConfigError> {
        let chain = pem::certificates(&self.certificate)?;
        let key = pem::private_key(&self.key, None, || {
            let word = self.key.word();
            format!("decrypt it: (umask 077; openssl pkey -in {word} -out {word}.plain)")
        })?;
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(|error| pem::mismatch(&self.key, &self.certificate, &error))?;
        Ok(ServerIdentity {
            certified,
            client_roots: self.client_ca.as_ref().map(pem::roots).transpose()?,
            client_crls: match &self.client_crl {
                Some(file) => pem::revocation_lists(file)?,
                None => Vec::new(),
            },
        })
    }
}
