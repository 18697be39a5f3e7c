//! The configuration of `loopkdc gateway`.
//!
//! `file` knows the keys and their TOML types, `serving` the rules of `[gateway]`, `realms` and [`crate::config`]'s `kdcs` those of the realms.

mod file;
mod realms;
mod serving;
mod settings;
mod tls;
mod warning;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use realms::KdcRealm;
pub use serving::Serving;
pub use settings::{
    AccessLogSettings, AccessLogTarget, DEFAULT_PATH, HEALTH_PATH, Quotas, TrustedProxies,
};
pub(crate) use tls::{ServerIdentity, TlsFile, TlsPems};
pub use tls::{TlsFileError, TlsFiles};

use super::error::ConfigError;
use super::{file as shared, locate};
use crate::relay::failure::Failure;
use file::File;

/// A configuration that can work.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// What is served, where, and within which bounds.
    pub serving: Serving,
    /// The realms in the file's order. No two names or aliases are the same. May be empty.
    pub realms: Vec<KdcRealm>,
    /// The file that was read.
    pub source: PathBuf,
}

impl GatewayConfig {
    /// Reads and validates the file that was `given`, else the one in the usual places, and the certificate.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn load(given: Option<&Path>) -> Result<Self, Failure> {
        let (source, text) = locate::GATEWAY.read(given)?;
        Self::parse(&source, &text)
    }

    /// Validates `text` as that of the file `source`, to whose directory the files in it are relative.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(source: &Path, text: &str) -> Result<Self, Failure> {
        let config = shared::parse(text).and_then(|file: File| {
            let config = Self::build(&file, source)?;
            serving::check_files(&file.gateway, config.serving.tls.as_ref())?;
            Ok(config)
        });
        config.map_err(|broken| broken.into_failure(Some((source, text))))
    }

    /// `source`: where `file` is, to whose directory the files in it are relative. Opens none of them.
    fn build(file: &File, source: &Path) -> Result<Self, ConfigError> {
        let base = source.parent().unwrap_or(Path::new(""));
        Ok(Self {
            serving: Serving::build(&file.gateway, base)?,
            realms: realms::all(file)?,
            source: source.to_owned(),
        })
    }
}
