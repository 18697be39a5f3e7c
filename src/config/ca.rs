//! `ca-file`: certificates trusted for a realm's proxies besides the system's.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::Broken;
use super::read;
use crate::relay::text::shell;

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

/// What makes PEM of a certificate in DER.
pub(crate) fn from_der(file: &Path) -> String {
    let file = shell::path(file);
    format!("if it is in DER, convert it: openssl x509 -inform der -in {file} -out {file}.pem")
}

impl CaFile {
    pub(crate) fn load(path: &Path) -> Result<Self, Broken> {
        let bytes = read::bytes(path).map_err(|error| error.broken("ca-file", path))?;
        let name = path.display();
        let certs: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| Broken::new(format!("ca-file {name} is not PEM: {error}")))?;
        if certs.is_empty() {
            return Err(
                Broken::new(format!("ca-file {name} holds no certificate in PEM"))
                    .hint(from_der(path)),
            );
        }
        let mut roots = RootCertStore::empty();
        for (number, cert) in certs.iter().enumerate() {
            roots.add(cert.clone()).map_err(|error| {
                Broken::new(format!(
                    "ca-file {name}: certificate {} is of no use: {error}",
                    number + 1
                ))
            })?;
        }
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
    pub(super) fn load(&mut self, path: PathBuf) -> Result<Arc<CaFile>, Broken> {
        if let Some(known) = self.0.get(&path) {
            return Ok(Arc::clone(known));
        }
        let loaded = Arc::new(CaFile::load(&path)?);
        self.0.insert(path, Arc::clone(&loaded));
        Ok(loaded)
    }
}
