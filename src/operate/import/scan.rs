//! What a text says of KDC proxies: a krb5.conf, Windows' policy, an Apple profile, or a file of Remote Desktop.
//!
//! Of a krb5.conf it is `kdc = https://…` in the stanzas of `[realms]`, as MIT krb5 reads them, and the same of `primary_kdc`,
//! `master_kdc` and `kpasswd_server`.

use std::sync::Arc;

use super::decode::unescaped;
use super::policy::{IN_COMMENT, is_comment, is_policy, lines, policy, take_servers};
use super::{ImportedConfig, ImportedRealm, add, mobileconfig, shown};
use crate::config::ProxyUrl;
use crate::operate::krb5_conf::profile::{self, FileLine, FileSystem, Relation, SERVER_NAMES};
use crate::relay::text::is_unseen;

/// A setting of Remote Desktop (.rdp), in lower case: its type is that of text.
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
    let has_policy = is_policy(&plain);
    if has_policy {
        policy(&file, &plain, &mut found);
    }
    let has_rdp = plain.to_ascii_lowercase().contains(RDP_PROXY);
    if has_rdp {
        rdp(&file, &plain, &mut found);
    }
    let has_payloads = plain.contains("<key>") && plain.contains(mobileconfig::KDCS);
    if has_payloads {
        apple(&file, &plain, &mut found);
    }
    let is_other = has_policy || has_rdp || has_payloads;
    if !is_other || names_servers(text) {
        let mut profile = profile_of(path, text, files);
        // The rest of what is something else is no krb5.conf with mistakes.
        profile.errors.retain(|_| !is_other);
        krb5_conf(&profile, &mut found);
    }
    found
}

/// Settings of Remote Desktop stand in a line each, or side by side, behind semicolons, where a host pool has them.
fn rdp(file: &Arc<str>, text: &str, found: &mut ImportedConfig) {
    for (line, place) in lines(file, text) {
        let (lower, is_comment) = (line.to_ascii_lowercase(), is_comment(line));
        let mut pieces = lower.split(RDP_PROXY);
        let mut at = pieces.next().map_or(0, str::len);
        for piece in pieces {
            let begin = at + RDP_PROXY.len();
            at = begin + piece.len();
            let is_end = |c: char| c.is_whitespace() || r#";"'\"#.contains(c);
            let server = line.get(begin..at).unwrap_or_default();
            let server = server.split(is_end).next().unwrap_or_default();
            if is_comment {
                found.note(&place, format!("{}: {IN_COMMENT}", shown(line)));
            } else if !server.is_empty() {
                let setting = shown(&format!("{RDP_PROXY}{server}"));
                take_servers(found, None, &setting, server, &place);
            }
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

/// True for a text with lines that name KDC proxies as a krb5.conf does.
fn names_servers(text: &str) -> bool {
    let mut relations = text.lines().filter_map(|line| line.split_once('='));
    relations.any(|(name, value)| SERVER_NAMES.contains(&name.trim()) && value.contains("://"))
}

/// What a krb5.conf says, or stanzas of it that somebody quotes without the head of their section.
fn profile_of(path: &str, text: &str, files: &mut dyn FileSystem) -> profile::Profile {
    let has_sections = text.lines().any(|line| line.trim_start().starts_with('['));
    if has_sections || !names_servers(text) {
        return profile::read(path, text, files);
    }
    let mut profile = profile::read(path, &format!("[realms]\n{text}"), files);
    let relations = profile.relations.iter_mut().map(|one| &mut one.place);
    let errors = profile.errors.iter_mut().map(|one| &mut one.place);
    let own = relations.chain(errors).filter(|place| *place.file == *path);
    own.for_each(|place| place.line = place.line.saturating_sub(1));
    profile
}

fn krb5_conf(profile: &profile::Profile, found: &mut ImportedConfig) {
    for error in &profile.errors {
        found.note(&error.place, error.why.clone());
    }
    let is_native = |of: &&Relation| SERVER_NAMES.contains(&&*of.name) && of.proxy().is_some();
    let native = profile.relations.iter().find(is_native);
    found.native = native.map(|of| of.place.clone());
    for relation in &profile.relations {
        if let [section, realm @ ..] = relation.sections.as_slice()
            && section == "realms"
            && realm.len() < 2
            && (relation.name == "http_anchors" || SERVER_NAMES.contains(&&*relation.name))
        {
            take(relation, realm.first().map(String::as_str), found);
        }
    }
}

/// Adds what a relation says of a realm, and notes what is to be known of it.
fn take(relation: &Relation, realm: Option<&str>, found: &mut ImportedConfig) {
    let line = shown(&format!("{} = {}", relation.name, relation.value));
    if let Some(realm) = found.realm_or_given(realm, &line, &relation.place)
        && let Some(why) = take_relation(relation, &line, realm)
    {
        realm
            .notes
            .push((relation.place.clone(), format!("{line}: {why}")));
    }
}

/// Adds what a line of a realm's stanza says, which is shown as `line`; returns what is to be known of it.
fn take_relation(relation: &Relation, line: &str, realm: &mut ImportedRealm) -> Option<String> {
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
        Err(error) => {
            let why = error.into_failure(None);
            let what = format!("{line}: {}", why.message());
            realm.refused.push((relation.place.clone(), what));
            return None;
        }
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
