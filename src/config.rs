//! The configuration: text becomes values that are already valid, or an error that points at the text.
//!
//! What follows is `loopkdc run`'s; `gateway` is `loopkdc gateway`'s, by the same means.
//!
//! `file` knows the keys and their TOML types, `listen`, `realms`, `proxies`, `out`, `direct` and `kdcs` the rules of the values,
//! `entries` how realm, `[defaults]` and command line add up, and `error` how a broken rule is shown.

mod ca;
mod direct;
pub(crate) mod endpoint;
mod entries;
mod error;
mod excerpt;
mod file;
pub mod gateway;
mod given;
mod kdcs;
mod listen;
mod locate;
mod out;
mod pem;
mod proxies;
mod proxy;
pub(crate) mod read;
mod realms;
mod warning;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use ca::CaFile;
pub use direct::{Direct, Order};
pub(crate) use error::ConfigError;
pub use kdcs::{Discover, KdcAddr, Kdcs};
pub use listen::{Listen, StatusSocket};
pub(crate) use locate::state_places;
pub use proxies::Proxies;
pub use proxy::ProxyUrl;
pub(crate) use realms::PatternKey;
pub use realms::{OnFailure, RealmEntry, RealmPattern};

use crate::relay::failure::Failure;
use entries::Builder;
use file::File;
use given::Given;

/// All that the command line says about the configuration. Kept by a daemon, to read the file again.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`. `None`: the usual places, or no file at all when `realms` has an entry.
    pub file: Option<PathBuf>,
    /// `--realm`, each `REALM=URL`: the proxies of these realms, whatever the file says.
    pub realms: Vec<String>,
    /// `--ca`: the `ca-file` of the realms in `realms`, relative to the working directory.
    pub ca_file: Option<PathBuf>,
    /// `--listen-kdc`: instead of the file's `kdc`, unless empty.
    pub listen_kdc: Vec<String>,
    /// `--listen-kpasswd`: instead of the file's `kpasswd`, unless empty.
    pub listen_kpasswd: Vec<String>,
}

/// A configuration that can work.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// The realms in the file's order, then those of the command line. No two patterns or aliases are
    /// the same. May be empty.
    pub realms: Vec<RealmEntry>,
    /// For a request to a realm that nothing here matches.
    pub default_on_failure: OnFailure,
    /// The file that was read.
    pub source: Option<PathBuf>,
}

impl Config {
    /// Reads and validates everything, certificates too. Opens files and nothing else.
    pub fn load(sources: &Sources) -> Result<Self, Failure> {
        // What was typed out in full should not change with a file that happens to lie about.
        if sources.file.is_none() && !sources.realms.is_empty() {
            return Self::build("", Path::new(""), sources)
                .map_err(|broken| broken.into_failure(None));
        }
        let (path, text) = locate::RUN.read(sources.file.as_deref())?;
        Self::parse(&path, &text, sources)
    }

    /// Validates `text` as that of the file `path`, whose directory a `ca-file` in it is relative to, with what the
    /// command line says above it.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(path: &Path, text: &str, sources: &Sources) -> Result<Self, Failure> {
        let base = path.parent().unwrap_or(Path::new(""));
        let built = Self::build(text, base, sources)
            .map_err(|broken| broken.into_failure(Some((path, text))));
        built.map(|config| Self {
            source: Some(path.to_owned()),
            ..config
        })
    }

    /// `base`: the directory that a `ca-file` in `text` is relative to.
    fn build(text: &str, base: &Path, sources: &Sources) -> Result<Self, ConfigError> {
        let file = File::parse(text)?;
        let listen = Listen::build(&file.listen, &sources.listen_kdc, &sources.listen_kpasswd)?;
        let given = Given::parse(&sources.realms)?;
        let mut builder = Builder::new(&file.defaults, base, sources.ca_file.as_deref());
        let (realms, default_on_failure) = builder.all(&file, given)?;
        Ok(Self {
            listen,
            realms,
            default_on_failure,
            source: None,
        })
    }
}
