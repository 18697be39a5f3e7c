//! What is valid, and still worth a word.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Config, Proxies, RealmEntry, RealmPattern};
use crate::config::endpoint::EndpointAddr;
use crate::relay::text::shell;
use crate::relay::upstream::out::Via;

impl Config {
    /// One line each: lower case, no full stop.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.realms.is_empty() {
            warnings.push("no realm is configured: to every client it will look as if no KDC could be reached".to_owned());
        }
        let endpoints = self.listen.kdc.iter().chain(&self.listen.kpasswd);
        let remote = endpoints.filter(|endpoint| matches!(endpoint.addr, EndpointAddr::Remote(_)));
        warnings.extend(remote.map(|endpoint| {
            format!("{endpoint} is not a loopback address: other machines can use this tunnel")
        }));
        warnings.extend(self.realms.iter().flat_map(of_realm));
        let exposed = self.secret_files();
        let exposed = exposed
            .into_iter()
            .filter(|file| is_readable_by_others(file));
        warnings.extend(exposed.map(|file| {
            let (name, file) = (file.display(), shell::path(file));
            format!("any local user may read {name}, which holds a secret: chmod o= {file}")
        }));
        warnings
    }

    fn secret_files(&self) -> BTreeSet<&Path> {
        let mut files = BTreeSet::new();
        for entry in &self.realms {
            files.extend(entry.out.secret_files.iter().map(PathBuf::as_path));
            let has_password =
                matches!(&entry.out.via, Via::Proxy(proxy) if proxy.has_credentials());
            files.extend(self.source.as_deref().filter(|_| has_password));
        }
        files
    }
}

fn of_realm(entry: &RealmEntry) -> Vec<String> {
    let mut warnings = Vec::new();
    match &entry.pattern {
        RealmPattern::Any => {
            warnings.push(
                "realm * lets any local user choose the realm that the proxy is asked about"
                    .to_owned(),
            );
        }
        // Realms differ by letter case (RFC 4120 6.1), and a proxy may take the name literally.
        RealmPattern::Exact(realm)
            if entry.target_domain.is_none()
                && realm.as_str().contains(|c: char| c.is_ascii_lowercase()) =>
        {
            warnings.push(format!("realm {realm} is sent to the proxy in this spelling, and most realms are upper case"));
        }
        _ => {}
    }
    let plain = entry
        .proxies
        .listed()
        .iter()
        .filter(|proxy| proxy.is_plaintext());
    if let Proxies::Discovered(discovery) = &entry.proxies
        && discovery.allowed().plaintext
    {
        warnings.push(format!(
            "realm {} may go in plain text to any proxy that DNS names",
            entry.pattern
        ));
    }
    warnings.extend(
        plain.map(|proxy| format!("realm {} goes to {proxy} in plain text", entry.pattern)),
    );
    warnings
}

#[cfg(unix)]
fn is_readable_by_others(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(file).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Path) -> bool {
    false
}
