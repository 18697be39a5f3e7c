//! The configuration: text becomes values that are already valid, or an error that points at the text.
//!
//! `document` reads the file by the table in `keys`: what is not in that table, or not as it says, is an error. What the values mean
//! say `listen`, `realms`, `proxies`, `kdcs`, `proxy_options` with `pem`, and for the other command `gateway`; `endpoint` reads what
//! several of them hold. `locate` finds the file, `read` reads it and those that it names, `error` shows how a rule is broken, and
//! `warnings` say what is valid and still worth a word.
//!
//! A new key touches these places:
//! 1. `keys`: the key in its table, with its documentation above it and marks for what is special about it,
//! 2. the type that carries its value, and the line beside it that reads it: `Listen`, `RealmEntry`, `Serving`, `KdcRealm`, or
//!    in the relay `ProxyOptions`,
//! 3. what obeys it,
//! 4. a test in `config/tests`, or in `config/gateway/tests`,
//! 5. `CHANGELOG.md`, and
//! 6. `WRITE_MANUALS=1 cargo nextest run --all-features --test shipped manuals`, which writes the examples and the manuals.
//!
//! Besides: `operate::check`, if it changes where requests go or what they show; `warnings`, if a value is valid and risky;
//! `config/tests/example.rs`, if it names a file, and `bounds` in `config/gateway/tests/example.rs`, if its default is to be that of
//! the example; `packaging/doc`, if people must know of it before they look it up. A key of a table in `kdcs` stands in
//! `keys::KDC_PARTS` and its value in `KdcAddr`, one of a gateway's `listen` in `keys::LISTEN_PARTS` and `Endpoint`. One that goes is named in `keys::REMOVED`.

mod document;
pub(crate) mod endpoint;
mod error;
pub mod gateway;
mod kdcs;
pub mod keys;
mod listen;
mod locate;
mod pem;
mod proxies;
mod proxy_options;
pub(crate) mod read;
mod realms;

#[cfg(test)]
mod tests;

pub(crate) use error::ConfigError;
pub use kdcs::{Direct, KdcAddr, Kdcs, Order};
pub(crate) use kdcs::{KDC_PORT, KPASSWD_PORT};
pub use listen::{Listen, StatusSocket};
pub(crate) use locate::state_places;
pub use pem::CaFile;
pub(crate) use pem::is_signed_data;
pub use proxies::{Proxies, ProxyUrl};
pub use realms::{OnFailure, RealmEntry, RealmPattern};

use std::collections::BTreeSet;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use serde::{Deserialize, Serialize};

use crate::relay::failure::Failure;
use crate::relay::finding::{Finding, Hint};
use crate::relay::upstream::proxy_options::ForwardProxy;
use document::Document;
use endpoint::EndpointAddr;
use error::excerpt;

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
    /// What it says.
    pub(crate) text: ConfigText,
    /// Keys in it that do nothing any more.
    removed: Vec<Finding>,
}

/// The text of a configuration, in which there may be secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ConfigText(String);

/// Not what it says.
impl fmt::Debug for ConfigText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.0.len())
    }
}

impl Sources {
    /// This file, or the usual one.
    #[must_use]
    pub fn of_file(file: Option<PathBuf>) -> Self {
        Self {
            file,
            ..Self::default()
        }
    }

    /// The files of which the first that exists is read. None, if the command line says all: what was typed out in full should not
    /// change with a file that happens to lie about.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match &self.file {
            Some(file) => vec![file.clone()],
            None if self.realms.is_empty() => locate::RUN.places(),
            None => Vec::new(),
        }
    }
}

impl Config {
    /// Reads and validates everything, certificates too. Opens files and nothing else.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn load(sources: &Sources) -> Result<Self, Failure> {
        let files = sources.files();
        if files.is_empty() {
            let built = Self::build("", Path::new(""), sources, &[]);
            return built.map_err(|error| error.into_failure(None));
        }
        let (path, text) = locate::RUN.first(&files)?;
        Self::parse(&path, &text, sources)
    }

    /// Validates `text` as that of the file `path`, whose directory a `ca-file` in it is relative to, with what the
    /// command line says above it.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(path: &Path, text: &str, sources: &Sources) -> Result<Self, Failure> {
        let built = Self::build(text, path, sources, &[]);
        built.map_err(|error| error.into_failure(Some((path, text))))
    }

    /// The same for a text that was valid once, `kept` being what its files of certificates held then: that is taken in place of
    /// those that are of no use any more.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(crate) fn parse_again(
        path: &Path,
        ConfigText(text): &ConfigText,
        sources: &Sources,
        kept: &[CaFile],
    ) -> Result<Self, Failure> {
        let built = Self::build(text, path, sources, kept);
        built.map_err(|error| error.into_failure(Some((path, text))))
    }

    /// The same with what `text`, the file's before, says of listening.
    ///
    /// # Errors
    /// What is wrong with that, and where.
    pub(crate) fn listening_by(
        self,
        ConfigText(text): &ConfigText,
        sources: &Sources,
    ) -> Result<Self, Failure> {
        let document = Document::parse(text, &keys::RUN);
        let listen = document.and_then(|document| Listen::read(&document.service, sources));
        let file = self.source.as_deref().unwrap_or(Path::new(""));
        let listen = listen.map_err(|error| error.into_failure(Some((file, text))))?;
        Ok(Self { listen, ..self })
    }

    /// No realm at all, at the default addresses: what is left to serve where nothing valid is known of `sources`.
    ///
    /// # Errors
    /// The defaults are invalid.
    pub(crate) fn without_realms(sources: &Sources) -> Result<Self, Failure> {
        let nothing = Self::parse(Path::new(""), "", &Sources::default())?;
        Ok(Self {
            source: sources.file.clone(),
            ..nothing
        })
    }

    /// `path`: where `text` is, to whose directory the files in it are relative; empty without a file.
    fn build(
        text: &str,
        path: &Path,
        sources: &Sources,
        kept: &[CaFile],
    ) -> Result<Self, ConfigError> {
        let document = Document::parse(text, &keys::RUN)?;
        let listen = Listen::read(&document.service, sources)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let (realms, default_on_failure) = realms::read(&document, base, sources, kept)?;
        Ok(Self {
            listen,
            realms,
            default_on_failure,
            source: path.file_name().map(|_| path.to_owned()),
            text: ConfigText(text.to_owned()),
            removed: removed(&document, path, text),
        })
    }
}

/// Keys in `document` that do nothing any more. It is the text of the file `path`.
fn removed(document: &Document, path: &Path, text: &str) -> Vec<Finding> {
    let removed = |(name, span): &(&str, Range<usize>)| {
        let (position, _) = excerpt(path, text, span);
        Finding::warning(format!("{name} does nothing any more"))
            .in_file(position)
            .hint("delete the line")
    };
    document.removed.iter().map(removed).collect()
}

/// The commands read `file` without being told to.
pub(crate) fn is_usual(file: &Path) -> bool {
    let is_first = |usual: &locate::Usual| {
        let first = usual.places().into_iter().find(|place| place.exists());
        first.is_some_and(|first| first == file)
    };
    [locate::RUN, locate::GATEWAY].iter().any(is_first)
}

/// What to say of a file with a secret that everybody may read.
fn exposed(file: &Path) -> Option<Finding> {
    let is_exposed = fs::metadata(file).is_ok_and(|file| file.mode() & 0o004 != 0);
    let name = file.display().to_string();
    let what = format!("any local user may read {name}, which holds a secret");
    let warning = Finding::warning(what).hint(Hint::command(["chmod", "o=", &name]));
    is_exposed.then_some(warning)
}

impl Config {
    /// What is valid, and still worth a word.
    pub fn warnings(&self) -> Vec<Finding> {
        let mut warnings = self.removed.clone();
        if self.realms.is_empty() {
            warnings.push(Finding::warning("no realm is configured: to every client it will look as if no KDC could be reached"));
        }
        let endpoints = self.listen.kdc.iter().chain(&self.listen.kpasswd);
        let remote = endpoints.filter(|endpoint| matches!(endpoint.addr, EndpointAddr::Remote(_)));
        warnings.extend(remote.map(|endpoint| {
            Finding::warning(format!(
                "{endpoint} is not a loopback address: other machines can use this tunnel"
            ))
        }));
        warnings.extend(self.realms.iter().flat_map(of_realm));
        warnings.extend(self.secret_files().into_iter().filter_map(exposed));
        warnings
    }

    /// All files that it stands in.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        let of_realm = |entry: &RealmEntry| {
            let options = &entry.proxy_options;
            let certificate = options.client_certificate.iter();
            let ca = entry.ca.iter().map(|ca| ca.path.clone());
            let certificate = certificate.map(|certificate| certificate.file.clone());
            let secrets = options.secret_files.clone();
            ca.chain(certificate).chain(secrets).collect::<Vec<_>>()
        };
        let files = self.realms.iter().flat_map(of_realm);
        self.source.iter().cloned().chain(files).collect()
    }

    fn secret_files(&self) -> BTreeSet<&Path> {
        let mut files = BTreeSet::new();
        for entry in &self.realms {
            let options = &entry.proxy_options;
            files.extend(options.secret_files.iter().map(PathBuf::as_path));
            let has_password = matches!(&options.forward_proxy, ForwardProxy::Url(proxy) if proxy.has_credentials());
            files.extend(self.source.as_deref().filter(|_| has_password));
        }
        files
    }
}

fn of_realm(entry: &RealmEntry) -> Vec<Finding> {
    let pattern = &entry.pattern;
    let warning = |what: String| Finding::warning(what).of(pattern);
    let mut warnings = Vec::new();
    match pattern {
        RealmPattern::Any => warnings.push(warning(
            "realm * lets any local user choose the realm that the proxy is asked about".to_owned(),
        )),
        // Realms differ by letter case (RFC 4120 6.1), and a proxy may take the name literally.
        RealmPattern::Exact(realm)
            if entry.target_domain.is_none()
                && realm.as_str().contains(|c: char| c.is_ascii_lowercase()) =>
        {
            warnings.push(warning(format!("realm {realm} is sent to the proxy in this spelling, and most realms are upper case")));
        }
        _ => {}
    }
    if let Proxies::Discovered(discovery) = &entry.proxies
        && discovery.plaintext
    {
        warnings.push(warning(format!(
            "realm {pattern} may go in plain text to any proxy that DNS names"
        )));
    }
    let listed = entry.proxies.listed().into_iter();
    let plain = listed.filter(|proxy| proxy.is_plaintext());
    warnings.extend(
        plain.map(|proxy| warning(format!("realm {pattern} goes to {proxy} in plain text"))),
    );
    warnings
}
