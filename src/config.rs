//! The configuration: text becomes values that are already valid, or an error that points at the text.
//!
//! `document` reads the file by the table in `keys`: what is not in that table, or not as it says, is an error. `listen`, `realms`,
//! `proxies`, `out`, `kdcs` and, for the other command, `gateway` say what the values mean; `error` and `excerpt` how a broken rule
//! is shown.
//!
//! A new key touches these places:
//! 1. `keys`: the key in its table, with its documentation above it and marks for what is special about it,
//! 2. the field of the type that carries its value: `Listen`, `RealmEntry`, `Serving`, ...,
//! 3. the line that reads it, beside that type,
//! 4. whoever obeys it,
//! 5. `operate::check`, which tells it where it is not as usual,
//! 6. a test in `config/tests`, or in `config/gateway/tests`,
//! 7. `CHANGELOG.md`, and
//! 8. `WRITE_MANUALS=1 cargo nextest run --test shipped manuals`, which writes the examples and the manuals.

mod address;
mod document;
pub(crate) mod endpoint;
mod error;
mod excerpt;
pub mod gateway;
mod kdcs;
pub mod keys;
mod listen;
mod locate;
mod negotiate;
mod out;
mod pem;
mod proxies;
pub(crate) mod read;
mod realms;
mod warning;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use address::KdcAddr;
pub(crate) use error::ConfigError;
pub use kdcs::{Direct, Kdcs, Order};
pub use listen::{Listen, StatusSocket};
pub(crate) use locate::state_places;
pub use pem::CaFile;
pub use proxies::{Proxies, ProxyUrl};
pub use realms::{OnFailure, RealmEntry, RealmPattern};

use crate::relay::failure::Failure;
use crate::relay::finding::Finding;
use document::Document;

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
    /// Keys in it that do nothing any more.
    removed: Vec<Finding>,
}

impl Config {
    /// Reads and validates everything, certificates too. Opens files and nothing else.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn load(sources: &Sources) -> Result<Self, Failure> {
        // What was typed out in full should not change with a file that happens to lie about.
        if sources.file.is_none() && !sources.realms.is_empty() {
            let built = Self::build("", Path::new(""), sources);
            return built.map_err(|error| error.into_failure(None));
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
        let built = Self::build(text, path, sources);
        built.map_err(|error| error.into_failure(Some((path, text))))
    }

    /// `path`: where `text` is, to whose directory the files in it are relative; empty without a file.
    fn build(text: &str, path: &Path, sources: &Sources) -> Result<Self, ConfigError> {
        let document = Document::parse(text, &keys::RUN)?;
        let listen = Listen::read(&document.service, sources)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let (realms, default_on_failure) = realms::read(&document, base, sources)?;
        Ok(Self {
            listen,
            realms,
            default_on_failure,
            source: path.file_name().map(|_| path.to_owned()),
            removed: warning::removed(&document, path, text),
        })
    }
}
