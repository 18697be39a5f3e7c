//! `ca-file`: certificates trusted for a realm's proxies besides the system's.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::error::ConfigError;
use super::{pem, read};

const KEY: &str = "ca-file";

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
        let bytes = read::bytes(path).map_err(|error| error.describe(KEY, path))?;
        let certs = pem::certificates(KEY, path, &bytes)?;
        pem::roots(KEY, path, &certs)?;
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
