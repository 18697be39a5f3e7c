//! The last configuration that was in effect, kept for a start that finds one with a mistake.
//!
//! What is kept is the text, and what its files of certificates held. Other files that it names may be secrets, which stay where
//! they are: without them it is of no use.

use std::path::{self, Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::state_file::StateFile;
use crate::config::{CaFile, Config, ConfigText, Sources, read};
use crate::relay::failure::Failure;

const FILE: StateFile = StateFile {
    name: "last-good.toml",
    what: "the last good configuration",
    title: "The configuration that loopkdc run took last. It is served if a start finds a mistake.",
    most: 8 << 20,
};

/// What a configuration was made of, beside the command line.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LastGood {
    /// The file's whole path; empty if there was none.
    file: PathBuf,
    /// What it said.
    text: ConfigText,
    /// What it said before, by whose `[listen]` the sockets were opened, if what it says of that was to hold after a restart.
    listen: Option<ConfigText>,
    ca: Vec<KeptCertificates>,
}

/// A file of certificates.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct KeptCertificates {
    file: PathBuf,
    /// Each in base64.
    certificates: Vec<String>,
}

impl LastGood {
    /// What `config` was made of, but for a `[listen]` that is not its own.
    pub(super) fn of(config: &Config, listen: Option<ConfigText>) -> Self {
        let mut ca: Vec<KeptCertificates> = Vec::new();
        for read in config.realms.iter().filter_map(|entry| entry.ca.as_ref()) {
            if ca.iter().all(|kept| kept.file != read.path) {
                ca.push(KeptCertificates::of(read));
            }
        }
        Self {
            file: config.source.as_deref().map(whole).unwrap_or_default(),
            text: config.text.clone(),
            listen,
            ca,
        }
    }

    /// The configuration anew, below what the command line says now. None: it is that of another file.
    ///
    /// # Errors
    /// It can't be used any more.
    pub(super) fn config(&self, sources: &Sources) -> Option<Result<Config, Failure>> {
        let Some(file) = self.file_of(sources) else {
            let file = self.file.display();
            tracing::info!(%file, "the last good configuration is another file's");
            return None;
        };
        let kept: Vec<_> = self.ca.iter().map(KeptCertificates::read).collect();
        let config = Config::parse_again(&file, &self.text, sources, &kept);
        Some(config.and_then(|config| match &self.listen {
            Some(text) => config.listening_by(text, sources),
            None => Ok(config),
        }))
    }

    /// The file that `sources` lead to, or would if there were any, if it was made of that one.
    fn file_of(&self, sources: &Sources) -> Option<PathBuf> {
        let files = sources.files();
        if files.is_empty() {
            return Some(PathBuf::new()).filter(|none| *none == self.file);
        }
        let is_missing =
            |file: &PathBuf| file.metadata().is_err_and(|error| read::is_missing(&error));
        let there = files.iter().find(|file| !is_missing(file));
        let files = there.map_or(&*files, std::slice::from_ref);
        files.iter().find(|file| whole(file) == self.file).cloned()
    }

    /// The text whose `[listen]` it goes by.
    pub(super) fn into_listen(self) -> ConfigText {
        self.listen.unwrap_or(self.text)
    }

    /// What is kept in the first of `places` that has it, and since when it has been good.
    pub(super) fn read(places: &[PathBuf]) -> Option<(Self, SystemTime)> {
        FILE.read(places)
    }

    /// Writes it into the first of `places` that takes it, unless it is there, and tells what came of that.
    pub(super) fn keep(&self, places: &[PathBuf]) {
        if Self::read(places).is_some_and(|(kept, _)| kept == *self) {
            return;
        }
        match FILE.write(places, self) {
            Ok(place) => {
                tracing::debug!(place = %place.display(), "the configuration is kept for the next start")
            }
            Err(why) => {
                tracing::warn!("the configuration can't be kept for the next start: {why}")
            }
        }
    }
}

/// Wherever the daemon is started.
fn whole(file: &Path) -> PathBuf {
    path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

impl KeptCertificates {
    fn of(ca: &CaFile) -> Self {
        let certificates = ca.certs.iter();
        Self {
            file: ca.path.clone(),
            certificates: certificates.map(|der| STANDARD.encode(der)).collect(),
        }
    }

    fn read(&self) -> CaFile {
        let ders = self.certificates.iter();
        let ders = ders.filter_map(|text| STANDARD.decode(text).ok());
        CaFile {
            path: self.file.clone(),
            certs: ders.map(CertificateDer::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
