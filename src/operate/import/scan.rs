//! What a text says of KDC proxies: a krb5.conf, an export of the Windows registry, or lines as people write them down.
//!
//! Of a krb5.conf it is `kdc = https://…` in the stanzas of `[realms]`, as MIT krb5 reads them, and the same of `primary_kdc`,
//! `master_kdc` and `kpasswd_server`. Of Windows it is the policy
//! "Specify KDC proxy servers for Kerberos clients", whose own text says how it is written: the name of a value is a DNS name
//! ("example.com"), a suffix (".example.com") or "*", and the value is `<https SERVER SERVER />` with blanks or commas between
//! the servers, each `host`, `host:port` or `host:port:path`.

use std::sync::Arc;

use super::{ImportedConfig, ImportedRealm};
use crate::config::ProxyUrl;
use crate::operate::krb5_conf::profile::{self, FileLine, FileSystem, Relation, SERVER_NAMES};
use crate::relay::text;

/// The policy's own value, where it is off.
const SWITCHED_OFF: &str = r#""KdcProxyServer_Enabled"=dword:00000000"#;

/// Reads the text of the file `path`.
pub(super) fn scan(path: &str, text: &str, files: &mut dyn FileSystem) -> ImportedConfig {
    let mut found = ImportedConfig::default();
    let is_policy = |line: &str| line.contains("<https") || is_list_key(line);
    if policy_lines(path, text).any(|(line, _)| is_policy(line)) {
        policy(policy_lines(path, text), &mut found);
    } else {
        krb5_conf(&profile::read(path, text, files), &mut found);
    }
    found
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
            && let Some(realm) = found.realm(realm, &relation.place)
            && let Some(why) = take_relation(relation, realm)
        {
            let (name, value) = (&relation.name, text::line(&relation.value));
            let what = format!("{name} = {value}: {why}");
            realm.notes.push((relation.place.clone(), what));
        }
    }
}

/// Adds what a line of a realm's stanza says; returns what is to be known of it.
fn take_relation(relation: &Relation, realm: &mut ImportedRealm) -> Option<String> {
    let value = relation.value.as_str();
    if relation.name == "http_anchors" {
        let file = value.strip_prefix("FILE:");
        let file = file.filter(|file| !file.contains(text::is_unseen) && realm.ca_file.is_none());
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
        "kdc" => &mut realm.proxies,
        "kpasswd_server" => &mut realm.kpasswd_proxies,
        _ => &mut realm.primary_proxies,
    };
    add(list, proxy);
    // MIT asks for / where no path is given.
    (shown != value).then(|| format!("{shown} here"))
}

/// Adds a proxy behind those before it, unless it is one of them.
fn add(list: &mut Vec<ProxyUrl>, proxy: ProxyUrl) {
    if !list.contains(&proxy) {
        list.push(proxy);
    }
}

/// The lines that are no comments, and where they are.
fn policy_lines<'a>(path: &str, text: &'a str) -> impl Iterator<Item = (&'a str, FileLine)> {
    let file: Arc<str> = path.into();
    let lines = text.lines().map(str::trim).zip(1..);
    let lines = lines.filter(|(line, _)| !line.starts_with([';', '#']));
    lines.map(move |(text, line)| {
        let file = file.clone();
        (text, FileLine { file, line })
    })
}

/// The header of the key whose values are the list; a list elsewhere, or in a key that is to be deleted (`[-…]`), is none.
fn is_list_key(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    header.starts_with(r"[hkey_local_machine\") && header.ends_with(r"\kdcproxy\proxyservers]")
}

/// Reads an export, or lines that stand below no key.
fn policy<'a>(lines: impl Iterator<Item = (&'a str, FileLine)>, found: &mut ImportedConfig) {
    let mut key: Option<&str> = None;
    for (line, place) in lines {
        let elsewhere = key.filter(|key| !is_list_key(key));
        let shown = text::line(line);
        if line.starts_with('[') && line.ends_with(']') {
            key = Some(line);
        } else if line.eq_ignore_ascii_case(SWITCHED_OFF) {
            found.note(&place, format!("{shown}: Windows follows no list there"));
        } else if let Some(key) = elsewhere {
            if line.contains("<https") {
                let what = format!("{shown}: not in force under {}", text::line(key));
                found.note(&place, what);
            }
        } else if let Some((value, _)) = line.split_once("=hex(1):") {
            let what = "not read in hexadecimal, only as text";
            found.note(&place, format!("{}=hex(1): {what}", text::line(value)));
        } else if line.contains("https") {
            policy_line(line, &place, found);
        }
    }
}

/// Reads `NAME <https SERVER … />`, as people write it down, or with the marks that `reg query` or an export has between.
fn policy_line(line: &str, place: &FileLine, found: &mut ImportedConfig) {
    let Some((name, servers)) = policy_value(line) else {
        let form = "EXAMPLE.COM <https proxy.example.com:443:KdcProxy />";
        let what = format!("{}: not in the form {form}", text::line(line));
        return found.note(place, what);
    };
    let suffix = if name.starts_with('.') { "*" } else { "" };
    let name = format!("{suffix}{}", name.to_ascii_uppercase());
    let Some(realm) = found.realm(&name, place) else {
        return;
    };
    let servers = servers.split([' ', '\t', ',']);
    for server in servers.filter(|server| !server.is_empty()) {
        match policy_proxy(server) {
            Some(proxy) => add(&mut realm.proxies, proxy),
            None => {
                let what = format!("{}: not in the form host:port:path", text::line(server));
                realm.notes.push((place.clone(), what));
            }
        }
    }
}

/// The name, and what stands between `<https` and `/>`.
fn policy_value(line: &str) -> Option<(&str, &str)> {
    let (before, rest) = line.split_once("<https")?;
    let words = before.split(['"', '=', ' ', '\t']);
    let mut words = words.filter(|word| !word.is_empty() && *word != "REG_SZ");
    let (name, None) = (words.next()?, words.next()) else {
        return None;
    };
    let servers = rest.trim_end_matches('"').strip_suffix("/>")?;
    let is_one = servers.starts_with([' ', '\t']) && !servers.contains(['<', '>']);
    // An @ stands for no name in an export.
    (is_one && !name.contains(['@', '\\', '/', ':'])).then_some((name, servers))
}

/// `host`, `host:port` or `host:port:path`; an address of IPv6 stands in brackets.
fn policy_proxy(server: &str) -> Option<ProxyUrl> {
    let bracket = server.find(']').map(|bracket| bracket + 1);
    let end = bracket.or_else(|| server.find(':'));
    let (host, rest) = server.split_at(end.unwrap_or(server.len()));
    let nothing = rest.is_empty().then_some("");
    let rest = rest.strip_prefix(':').or(nothing)?;
    let (port, path) = rest.split_once(':').unwrap_or((rest, ""));
    let port: u16 = match port {
        "" => 443,
        port => port.parse().ok()?,
    };
    let is_host = !host.contains(['/', '?', '#', '@', '\\']) && port > 0;
    let url = format!("https://{host}:{port}/{}", path.trim_start_matches('/'));
    is_host.then(|| ProxyUrl::parse(&url).ok()).flatten()
}
