//! What the realms of a krb5.conf say of KDC proxies, as MIT krb5 reads it.

use std::collections::HashMap;

use url::{Host, Url};

use super::found::{Found, FoundRealm, quoted, url};
use crate::config::ProxyUrl;
use crate::operate::krb5_conf::profile::{self, FileSystem, Relation};
use crate::relay::routes::RealmPattern;
use crate::relay::text::shell;
use crate::wire::Realm;

/// `ENV:` may name a variable that holds `ENV:` again.
const MAX_VARIABLES: usize = 4;

/// What the file speaks of besides.
pub(super) trait Surroundings: FileSystem {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// The absolute path of a file that holds certificates, or why it is of no use.
    fn certificates(&self, path: &str) -> Result<String, String>;
}

/// Reads the text of the file `path`.
pub(super) fn read(path: &str, text: &str, surroundings: &mut dyn Surroundings) -> Found {
    let profile = profile::read(path, text, surroundings);
    let mut found = Found::default();
    let form = "It was read as MIT krb5 1.22 reads a krb5.conf: kdc = https://… in [realms].";
    let passwords =
        "Password changes go through the proxies of their realm, with or without a kpasswd_server.";
    found.remarks = [form, passwords].map(str::to_owned).to_vec();
    for fault in &profile.errors {
        found.note(&fault.place, fault.why.as_str());
    }
    for relation in profile
        .relations
        .iter()
        .filter(|relation| is_one_line(relation))
    {
        found.tell(
            relation,
            "MIT reads no stanza there, as its { and } must end their lines",
        );
    }
    for (name, relations) in stanzas(&profile.relations) {
        realm(name, &relations, surroundings, &mut found);
    }
    found
}

/// Whether it is meant to be a realm's stanza, and MIT takes it for a text.
fn is_one_line(relation: &Relation) -> bool {
    matches!(relation.sections.as_slice(), [section] if section == "realms")
        && relation.value.starts_with('{')
}

/// What is said of the servers of each realm, in the order in which the realms come first.
fn stanzas(relations: &[Relation]) -> Vec<(&str, Vec<&Relation>)> {
    let mut stanzas: Vec<(&str, Vec<&Relation>)> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for relation in relations {
        let [section, realm] = relation.sections.as_slice() else {
            continue;
        };
        if section != "realms" || !is_about_servers(&relation.name) {
            continue;
        }
        let index = *known.entry(realm).or_insert(stanzas.len());
        match stanzas.get_mut(index) {
            Some((_, relations)) => relations.push(relation),
            None => stanzas.push((realm, vec![relation])),
        }
    }
    stanzas
}

fn is_about_servers(name: &str) -> bool {
    matches!(
        name,
        "kdc" | "primary_kdc" | "master_kdc" | "kpasswd_server" | "admin_server" | "http_anchors"
    )
}

fn realm(
    name: &str,
    relations: &[&Relation],
    surroundings: &mut dyn Surroundings,
    found: &mut Found,
) {
    let Some(first) = relations.first().map(|first| &first.place) else {
        return;
    };
    let pattern = match Realm::parse(name.as_bytes()) {
        Ok(realm) => RealmPattern::Exact(realm),
        Err(error) => {
            return found.note(first, format!("realm {}: {error}", name.escape_debug()));
        }
    };
    let (ignored, relations): (Vec<&Relation>, Vec<&Relation>) =
        relations.iter().partition(|relation| relation.is_ignored);
    for relation in ignored {
        found.tell(
            relation,
            "an earlier one is marked as final by a *, so that MIT ignores this one",
        );
    }
    let mut realm = FoundRealm::new(pattern, first.clone());
    if !of(&relations, "kdc").any(|kdc| matches!(server(&kdc.value), Server::Proxy(_))) {
        without_proxies(&relations, found);
        return found.note(
            first,
            format!("realm {name}: has no kdc = https://…, and is left as it is"),
        );
    }
    for relation in of(&relations, "kdc") {
        kdc(relation, &mut realm, found);
    }
    others(&relations, &realm, found);
    let anchors: Vec<_> = of(&relations, "http_anchors").collect();
    realm.ca_file = ca_file(&anchors, &mut realm.remarks, surroundings, found);
    found.add(realm);
}

/// What of a realm could be meant as a proxy, if nothing of it is one.
fn without_proxies(relations: &[&Relation], found: &mut Found) {
    for relation in relations {
        if !relation.value.starts_with("https:") {
            continue;
        }
        let why = match server(&relation.value) {
            Server::Unusable(why) => why,
            _ => "here a realm's proxies serve its KDC, too, and no kdc = names one".to_owned(),
        };
        found.tell(relation, &why);
    }
}

fn of<'a>(relations: &[&'a Relation], name: &str) -> impl Iterator<Item = &'a Relation> {
    relations
        .iter()
        .copied()
        .filter(move |relation| relation.name == name)
}

/// What a value that names a server says.
enum Server {
    Proxy(ProxyUrl),
    /// The host, with its port if there is one.
    Direct(String),
    /// Meant to be a proxy or a host, and neither.
    Unusable(String),
}

fn server(value: &str) -> Server {
    if value.starts_with("https://") {
        if value.starts_with("https:///") {
            return Server::Unusable("MIT reads no host in it".to_owned());
        }
        if value.contains(|character: char| character.is_whitespace()) {
            let why = "a blank is in it: MIT takes all of the value for the URL";
            return Server::Unusable(why.to_owned());
        }
        return url(value).map_or_else(Server::Unusable, Server::Proxy);
    }
    if value
        .get(..8)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
    {
        return Server::Unusable("MIT knows https:// in lower case alone".to_owned());
    }
    if value.starts_with('/') {
        return Server::Unusable("a Unix socket is no HTTPS proxy".to_owned());
    }
    let host = ["tcp/", "udp/"]
        .iter()
        .find_map(|prefix| value.strip_prefix(prefix));
    let host = host.unwrap_or(value);
    // Read by the rules of URLs, of which a host and a port are a part.
    let parsed = Url::parse(&format!("https://{host}"));
    match parsed
        .ok()
        .filter(|url| url.path() == "/" && !host.ends_with('/'))
    {
        Some(url) if is_loopback(&url) => {
            Server::Unusable("that is this machine, where loopkdc itself is to answer".to_owned())
        }
        Some(_) => Server::Direct(host.to_owned()),
        None => Server::Unusable("is no HTTPS proxy".to_owned()),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(addr)) => addr.is_loopback(),
        Some(Host::Ipv6(addr)) => addr.is_loopback(),
        Some(Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        None => false,
    }
}

fn kdc(relation: &Relation, realm: &mut FoundRealm, found: &mut Found) {
    match server(&relation.value) {
        Server::Proxy(proxy) => {
            if !relation.value.trim_start_matches("https://").contains('/') {
                found.tell(
                    relation,
                    "has no path: MIT asks for /, and loopkdc for /KdcProxy",
                );
            }
            realm.add(proxy);
        }
        Server::Direct(host) => {
            found.tell(relation, "is no HTTPS proxy: see direct = and kdcs =");
            let host = quoted(&host);
            realm.remarks.push(format!(
                "A KDC of the file, which direct = and kdcs = can use: {host}"
            ));
        }
        Server::Unusable(why) => found.tell(relation, &why),
    }
}

/// What is not `kdc =`.
fn others(relations: &[&Relation], realm: &FoundRealm, found: &mut Found) {
    for relation in relations {
        let why = match (relation.name.as_str(), server(&relation.value)) {
            ("kdc" | "http_anchors", _) => continue,
            (_, Server::Proxy(proxy)) if realm.proxies.contains(&proxy) => continue,
            ("kpasswd_server", Server::Proxy(_)) => {
                "password changes go through the realm's proxies, and this is none of them"
            }
            ("kpasswd_server", Server::Direct(_)) => {
                "is no HTTPS proxy: password changes go through the realm's proxies; see kpasswd-servers ="
            }
            ("admin_server", _) => "kadmin is not tunnelled",
            (_, Server::Proxy(_)) => {
                "which KDC takes writes is the proxy's knowledge, and this is none of the realm's proxies"
            }
            (_, Server::Direct(_)) => "is no HTTPS proxy: see direct = and kdcs =",
            (_, Server::Unusable(why)) => {
                found.tell(relation, &why);
                continue;
            }
        };
        found.tell(relation, why);
    }
}

/// The one file that `http_anchors` leads to.
fn ca_file(
    anchors: &[&Relation],
    remarks: &mut Vec<String>,
    surroundings: &mut dyn Surroundings,
    found: &mut Found,
) -> Option<String> {
    let mut files: Vec<String> = Vec::new();
    for anchor in anchors {
        match locations(&anchor.value, MAX_VARIABLES, surroundings) {
            Ok(located) => files.extend(located),
            Err(why) => {
                found.tell(anchor, &why);
                remarks.push(format!(
                    "Not taken: http_anchors = {}",
                    anchor.value.escape_debug()
                ));
            }
        }
    }
    let mut seen = Vec::new();
    files.retain(|file| {
        let is_new = !seen.contains(file);
        seen.push(file.clone());
        is_new
    });
    let first = anchors.first()?;
    if files.len() > 1 {
        let words: Vec<_> = files.iter().map(|file| shell::word(file)).collect();
        let cat = words.join(" ");
        found.tell(
            first,
            &format!("ca-file is one file: cat {cat} >all.pem, and set ca-file to that"),
        );
        remarks.push("Not taken: http_anchors, which names more than one file".to_owned());
        return None;
    }
    let file = files.pop()?;
    remarks.push(
        "MIT trusts the ca-file alone, and loopkdc the system's certificates besides.".to_owned(),
    );
    Some(file)
}

/// The files of certificates that a value of `http_anchors` names.
fn locations(
    value: &str,
    variables: usize,
    surroundings: &mut dyn Surroundings,
) -> Result<Vec<String>, String> {
    if let Some(file) = value.strip_prefix("FILE:") {
        return Ok(vec![surroundings.certificates(file)?]);
    }
    if let Some(directory) = value.strip_prefix("DIR:") {
        let mut names = surroundings.names(directory)?;
        names.sort_unstable();
        let directory = directory.trim_end_matches('/');
        let paths = names.iter().filter(|name| !name.starts_with('.'));
        let paths = paths.map(|name| format!("{directory}/{name}"));
        let files: Vec<_> = paths
            .filter_map(|path| surroundings.certificates(&path).ok())
            .collect();
        return match files.is_empty() {
            true => Err("no file in it holds certificates in PEM".to_owned()),
            false => Ok(files),
        };
    }
    let Some(name) = value.strip_prefix("ENV:") else {
        return Err("begins with none of FILE:, DIR: and ENV:".to_owned());
    };
    match (surroundings.variable(name), variables.checked_sub(1)) {
        (Some(value), Some(left)) => locations(&value, left, surroundings),
        (Some(_), None) => Err("ENV: leads to ENV: too often".to_owned()),
        (None, _) => Err("the variable is not set here".to_owned()),
    }
}
