//! What a text says of KDC proxies: a krb5.conf, Windows' policy, an Apple profile, or a file of Remote Desktop.
//!
//! Of a krb5.conf it is `kdc = https://…` in the stanzas of `[realms]`, as MIT krb5 reads them, and the same of `primary_kdc`,
//! `master_kdc` and `kpasswd_server`.

use std::sync::Arc;

use super::decode::unescaped;
use super::policy::{is_policy, policy, take_servers};
use super::{ImportedConfig, ImportedRealm, add, mobileconfig, shown};
use crate::config::ProxyUrl;
use crate::operate::krb5_conf::profile::{self, FileLine, FileSystem, Relation, SERVER_NAMES};
use crate::relay::text::is_unseen;

/// A setting of Remote Desktop (.rdp): its type is that of text.
const RDP_PROXY: &str = "kdcproxyname:s:";

/// Reads the text of the file `path`. `realm` is that of proxies that stand without one.
pub(super) fn scan(
    path: &str,
    text: &str,
    realm: Option<&str>,
    files: &mut dyn FileSystem,
) -> ImportedConfig {
    let mut found = ImportedConfig {
        given: realm.map(str::to_owned),
        ..ImportedConfig::default()
    };
    // An empty line first, so that each line of the file is behind a line feed.
    let plain = format!("\n{}", unescaped(text));
    let file = Arc::from(path);
    let is_rdp = plain.contains(&format!("\n{RDP_PROXY}"));
    let is_profile = plain.contains("<key>") && plain.contains(mobileconfig::KDCS);
    if is_policy(&plain) {
        policy(&file, &plain, &mut found);
    } else if is_rdp {
        rdp(&file, &plain, &mut found);
    } else if is_profile {
        apple(&file, &plain, &mut found);
    } else {
        krb5_conf(&profile::read(path, text, files), &mut found);
    }
    found
}

fn rdp(file: &Arc<str>, text: &str, found: &mut ImportedConfig) {
    for (line, number) in text.split('\n').map(str::trim).zip(0..) {
        let place = FileLine {
            file: file.clone(),
            line: number,
        };
        if let Some(server) = line
            .strip_prefix(RDP_PROXY)
            .filter(|server| !server.is_empty())
        {
            take_servers(found, None, &shown(line), server, &place);
        }
    }
}

fn apple(file: &Arc<str>, text: &str, found: &mut ImportedConfig) {
    for payload in mobileconfig::payloads(text) {
        for (line, kdc) in payload.kdcs {
            let relation = Relation {
                sections: Vec::new(),
                name: mobileconfig::KDCS.to_owned(),
                value: kdc.to_owned(),
                place: FileLine {
                    file: file.clone(),
                    line,
                },
            };
            take(&relation, payload.realm, found);
        }
    }
}

fn krb5_conf(profile: &profile::Profile, found: &mut ImportedConfig) {
    for error in &profile.errors {
        found.note(&error.place, error.why.clone());
    }
    let is_native = |of: &&Relation| SERVER_NAMES.contains(&&*of.name) && of.proxy().is_some();
    let native = profile.relations.iter().find(is_native);
    found.native = native.map(|of| of.place.clone());
    for relation in &profile.relations {
        if let [section, realm] = relation.sections.as_slice()
            && section == "realms"
            && (relation.name == "http_anchors" || SERVER_NAMES.contains(&&*relation.name))
        {
            take(relation, Some(realm), found);
        }
    }
}

/// Adds what a relation says of a realm, and notes what is to be known of it.
fn take(relation: &Relation, realm: Option<&str>, found: &mut ImportedConfig) {
    let line = shown(&format!("{} = {}", relation.name, relation.value));
    if let Some(realm) = found.realm_or_given(realm, &line, &relation.place)
        && let Some(why) = take_relation(relation, realm)
    {
        realm
            .notes
            .push((relation.place.clone(), format!("{line}: {why}")));
    }
}

/// Adds what a line of a realm's stanza says; returns what is to be known of it.
fn take_relation(relation: &Relation, realm: &mut ImportedRealm) -> Option<String> {
    let value = relation.value.as_str();
    if relation.name == "http_anchors" {
        let file = value.strip_prefix("FILE:");
        let file = file.filter(|file| !file.contains(is_unseen) && realm.ca_file.is_none());
        let Some(file) = file else {
            return Some("set ca-file to one file that holds all these certificates".to_owned());
        };
        realm.ca_file = Some((relation.place.clone(), file.into()));
        return None;
    }
    let Some(rest) = relation.proxy() else {
        return Some("no KDC proxy; KDCs themselves belong to direct and kdcs".to_owned());
    };
    let proxy = match ProxyUrl::parse(&format!("https://{rest}")) {
        Ok(proxy) => proxy,
        Err(error) => return Some(error.into_failure(None).message().to_owned()),
    };
    let shown = proxy.to_string();
    let list = match &*relation.name {
        "kdc" | mobileconfig::KDCS => &mut realm.proxies,
        "kpasswd_server" => &mut realm.kpasswd_proxies,
        _ => &mut realm.primary_proxies,
    };
    add(list, proxy);
    // MIT asks for / where no path is given.
    (shown != value).then(|| format!("{shown} here"))
}
