//! What is valid, and still worth a word.

use super::{Config, RealmEntry, RealmPattern};
use crate::listen::EndpointAddr;

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
        warnings
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
    let plain = entry.proxies.iter().filter(|proxy| proxy.is_plaintext());
    warnings.extend(
        plain.map(|proxy| format!("realm {} goes to {proxy} in plain text", entry.pattern)),
    );
    warnings
}
