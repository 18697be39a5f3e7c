//! What is valid, and still worth a word.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::document::Document;
use super::endpoint::EndpointAddr;
use super::error::excerpt;
use super::{Config, Proxies, RealmEntry, RealmPattern};
use crate::relay::finding::{Finding, Hint};
use crate::relay::upstream::proxy_options::ForwardProxy;

/// Keys in `document` that do nothing any more. It is the text of the file `path`.
pub(super) fn removed(document: &Document, path: &Path, text: &str) -> Vec<Finding> {
    let removed = |(name, span): &(&str, Range<usize>)| {
        let (position, _) = excerpt(path, text, span);
        Finding::warning(format!("{name} does nothing any more"))
            .in_file(position)
            .hint("delete the line")
    };
    document.removed.iter().map(removed).collect()
}

/// What to say of a file with a secret that everybody may read.
pub(super) fn exposed(file: &Path) -> Option<Finding> {
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
