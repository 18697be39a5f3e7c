//! What a text says of KDC proxies: a krb5.conf, an export of the Windows registry, or lines as people write them down.
//!
//! Of a krb5.conf it is `kdc = https://…` in the stanzas of `[realms]`, as MIT krb5 reads them. Of Windows it is the policy
//! "Specify KDC proxy servers for Kerberos clients", whose own text says how it is written: the name of a value is a DNS name
//! ("example.com"), a suffix (".example.com") or "*", and the value is `<https SERVER SERVER />` with blanks or commas between
//! the servers, each `host`, `host:port` or `host:port:path`.

use std::collections::HashMap;

use url::Url;

use super::found::{ImportedConfig, ImportedRealm, quoted, url};
use crate::config::ProxyUrl;
use crate::operate::krb5_conf::Host;
use crate::operate::krb5_conf::profile::{self, FileLine, Relation};
use crate::relay::routes::RealmPattern;
use crate::relay::text::shell;
use crate::wire::Realm;

/// `ENV:` may name a variable that holds `ENV:` again.
const MAX_VARIABLES: usize = 4;
/// What is said of a realm's servers.
const SERVERS: [&str; 6] = [
    "kdc",
    "primary_kdc",
    "master_kdc",
    "kpasswd_server",
    "admin_server",
    "http_anchors",
];
/// The registry's key of the policies for Kerberos, below its hive, and those of the list and of what switches it.
const POLICY: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System\Kerberos";
const LIST: &str = r"\KdcProxy\ProxyServers";
const ENABLED: &str = "KdcProxyServer_Enabled";
const HIVES: [&str; 2] = ["HKEY_LOCAL_MACHINE", "HKLM"];

/// What the text speaks of besides.
pub(super) trait Surroundings: Host {
    /// The absolute path of a file that holds certificates, or why it is of no use.
    fn certificates(&self, path: &str) -> Result<String, String>;
}

/// Reads the text of the file `path`.
pub(super) fn scan(path: &str, text: &str, surroundings: &mut dyn Surroundings) -> ImportedConfig {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let begins = ["Windows Registry Editor Version", "REGEDIT4", "[HK"];
    if begins.iter().any(|begin| first.starts_with(begin)) {
        return policy(text, true);
    }
    let is_value = |line: &str| !is_comment(line) && line.contains("<http");
    match text.lines().any(is_value) {
        true => policy(text, false),
        false => krb5_conf(path, text, surroundings),
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with([';', '#'])
}

fn krb5_conf(path: &str, text: &str, surroundings: &mut dyn Surroundings) -> ImportedConfig {
    let profile = profile::read(path, text, surroundings);
    let mut found = ImportedConfig::new(&[
        "It was read as MIT krb5 1.22 reads a krb5.conf: kdc = https://… in [realms].",
        "Password changes go through the proxies of their realm, with or without a kpasswd_server.",
    ]);
    for error in &profile.errors {
        found.note(&error.place, error.why.as_str());
    }
    // The realms in the order in which they come first.
    let mut stanzas: Vec<(&str, Vec<&Relation>)> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for relation in &profile.relations {
        match relation.sections.as_slice() {
            [section] if section == "realms" && relation.value.starts_with('{') => found.tell(
                relation,
                "MIT reads no stanza there, as its { and } must end their lines",
            ),
            [section, realm] if section == "realms" && SERVERS.contains(&&*relation.name) => {
                let index = *known.entry(realm).or_insert(stanzas.len());
                match stanzas.get_mut(index) {
                    Some((_, relations)) => relations.push(relation),
                    None => stanzas.push((realm, vec![relation])),
                }
            }
            _ => {}
        }
    }
    for (name, relations) in stanzas {
        stanza(name, relations, surroundings, &mut found);
    }
    found
}

/// What stands in the stanza of a realm.
fn stanza(
    name: &str,
    mut relations: Vec<&Relation>,
    surroundings: &mut dyn Surroundings,
    found: &mut ImportedConfig,
) {
    let Some(first) = relations.first().map(|first| &first.place) else {
        return;
    };
    let pattern = match Realm::parse(name.as_bytes()) {
        Ok(realm) => RealmPattern::Exact(realm),
        Err(error) => return found.note(first, format!("realm {}: {error}", name.escape_debug())),
    };
    for relation in relations.extract_if(.., |relation| relation.is_ignored) {
        found.tell(
            relation,
            "an earlier one is marked as final by a *, so that MIT ignores this one",
        );
    }
    let mut realm = ImportedRealm::new(pattern, first.clone());
    // The KDC's servers first, which others may be the same as.
    relations.sort_by_key(|relation| relation.name != "kdc");
    let has_proxy = relations.iter().any(|relation| {
        relation.name == "kdc" && matches!(server(&relation.value), ServerValue::Proxy(_))
    });
    if !has_proxy {
        let why = format!("realm {name}: has no kdc = https://…, and is left as it is");
        found.note(first, why);
        let schemes = ["https:", "kkdcp:"];
        relations.retain(|relation| schemes.iter().any(|of| relation.value.starts_with(of)));
    }
    for relation in &relations {
        if relation.name != "http_anchors"
            && let Some(why) = take_server(relation, has_proxy, &mut realm)
        {
            found.tell(relation, &why);
        }
    }
    if has_proxy {
        relations.retain(|relation| relation.name == "http_anchors");
        ca_file(&relations, &mut realm, surroundings, found);
        found.add(realm);
    }
}

/// What a value that names a server says.
enum ServerValue {
    Proxy(ProxyUrl),
    /// The host, with its port if there is one.
    Direct(String),
    /// Meant to be a proxy or a host, and neither.
    Unusable(String),
}

fn server(value: &str) -> ServerValue {
    let unusable = |why: &str| ServerValue::Unusable(why.to_owned());
    // So Apple's Heimdal writes it.
    let value = &value.replacen(
        "kkdcp://",
        "https://",
        usize::from(value.starts_with("kkdcp://")),
    );
    let scheme = value.get(..8).unwrap_or_default();
    if scheme == "https://" {
        return match value {
            _ if value.starts_with("https:///") => unusable("MIT reads no host in it"),
            _ if value.contains(char::is_whitespace) => {
                unusable("a blank is in it: MIT takes all of the value for the URL")
            }
            _ => url(value).map_or_else(ServerValue::Unusable, ServerValue::Proxy),
        };
    }
    if scheme.eq_ignore_ascii_case("https://") {
        return unusable("MIT knows https:// in lower case alone");
    }
    if value.starts_with('/') {
        return unusable("a Unix socket is no HTTPS proxy");
    }
    let mut prefixes = ["tcp/", "udp/"].iter();
    let host = prefixes.find_map(|prefix| value.strip_prefix(prefix));
    let host = host.unwrap_or(value);
    // Read by the rules of URLs, of which a host and a port are a part.
    let parsed = Url::parse(&format!("https://{host}")).ok();
    match parsed.filter(|url| url.path() == "/" && !host.ends_with('/')) {
        Some(url) if is_loopback(&url) => {
            unusable("that is this machine, where loopkdc itself is to answer")
        }
        Some(_) => ServerValue::Direct(host.to_owned()),
        None => unusable("is no HTTPS proxy"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(addr)) => addr.is_loopback(),
        Some(url::Host::Ipv6(addr)) => addr.is_loopback(),
        Some(url::Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        None => false,
    }
}

/// Adds a server to its realm, or tells why not, or what is to be known of it.
fn take_server(relation: &Relation, has_proxy: bool, realm: &mut ImportedRealm) -> Option<String> {
    let why = match (relation.name.as_str(), server(&relation.value)) {
        (_, ServerValue::Proxy(_)) if !has_proxy => {
            "here a realm's proxies serve its KDC, too, and no kdc = names one"
        }
        ("kdc", ServerValue::Proxy(proxy)) => {
            let has_path = proxy_has_path(&relation.value);
            realm.add(proxy);
            if has_path {
                return None;
            }
            "has no path: MIT asks for /, and loopkdc for /KdcProxy"
        }
        (_, ServerValue::Proxy(proxy)) if realm.proxies.contains(&proxy) => return None,
        ("kdc", ServerValue::Direct(host)) => {
            realm.remarks.push(format!(
                "A KDC of the file, which direct = and kdcs = can use: {}",
                quoted(&host)
            ));
            "is no HTTPS proxy: see direct = and kdcs ="
        }
        ("kpasswd_server", ServerValue::Proxy(_)) => {
            "password changes go through the realm's proxies, and this is none of them"
        }
        ("kpasswd_server", ServerValue::Direct(_)) => {
            "is no HTTPS proxy: password changes go through the realm's proxies; see kpasswd-servers ="
        }
        ("admin_server", _) => "kadmin is not tunnelled",
        (_, ServerValue::Proxy(_)) => {
            "which KDC takes writes is the proxy's knowledge, and this is none of the realm's proxies"
        }
        (_, ServerValue::Direct(_)) => "is no HTTPS proxy: see direct = and kdcs =",
        (_, ServerValue::Unusable(why)) => return Some(why),
    };
    Some(why.to_owned())
}

/// Whether a URL says more than its host.
fn proxy_has_path(url: &str) -> bool {
    url.split_once("://")
        .is_some_and(|(_, rest)| rest.contains('/'))
}

/// Takes the one file that `http_anchors` leads to.
fn ca_file(
    anchors: &[&Relation],
    realm: &mut ImportedRealm,
    surroundings: &mut dyn Surroundings,
    found: &mut ImportedConfig,
) {
    let mut files: Vec<String> = Vec::new();
    for anchor in anchors {
        match certificates(&anchor.value, MAX_VARIABLES, surroundings) {
            Ok(located) => {
                for file in located {
                    if !files.contains(&file) {
                        files.push(file);
                    }
                }
            }
            Err(why) => {
                found.tell(anchor, &why);
                let value = anchor.value.escape_debug();
                let remark = format!("Not taken: http_anchors = {value}");
                realm.remarks.push(remark);
            }
        }
    }
    let remark = match (files.as_slice(), anchors.first()) {
        ([], _) | (_, None) => return,
        ([file], _) => {
            realm.ca_file = Some(file.clone());
            "MIT trusts the ca-file alone, and loopkdc the system's certificates besides."
        }
        (files, Some(first)) => {
            let words: Vec<_> = files.iter().map(|file| shell::word(file)).collect();
            let cat = words.join(" ");
            let why = format!("ca-file is one file: cat {cat} >all.pem, and set ca-file to that");
            found.tell(first, &why);
            "Not taken: http_anchors, which names more than one file"
        }
    };
    realm.remarks.push(remark.to_owned());
}

/// The files of certificates that a value of `http_anchors` names. `variables`: how many may still be looked up.
fn certificates(
    value: &str,
    variables: usize,
    surroundings: &mut dyn Surroundings,
) -> Result<Vec<String>, String> {
    match value.split_once(':') {
        Some(("FILE", file)) => Ok(vec![surroundings.certificates(file)?]),
        Some(("DIR", directory)) => {
            let mut names = surroundings.names(directory)?;
            names.retain(|name| !name.starts_with('.'));
            names.sort_unstable();
            let directory = directory.trim_end_matches('/');
            let paths = names.iter().map(|name| format!("{directory}/{name}"));
            let files = paths.filter_map(|path| surroundings.certificates(&path).ok());
            let files: Vec<_> = files.collect();
            match files.is_empty() {
                true => Err("no file in it holds certificates in PEM".to_owned()),
                false => Ok(files),
            }
        }
        Some(("ENV", name)) => match (surroundings.variable(name), variables.checked_sub(1)) {
            (Some(value), Some(left)) => certificates(&value, left, surroundings),
            (Some(_), None) => Err("ENV: leads to ENV: too often".to_owned()),
            (None, _) => Err("the variable is not set here".to_owned()),
        },
        _ => Err("begins with none of FILE:, DIR: and ENV:".to_owned()),
    }
}

/// A key of the registry, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PolicyKey {
    List,
    Switch,
    Other,
}

/// Reads the values of the policy: of an export, as `reg export` and the registry editor write it, or of lines, as one writes
/// them down or `reg query` shows them.
fn policy(text: &str, is_export: bool) -> ImportedConfig {
    let mut key = PolicyKey::List;
    let mut form = "lines of a realm and its <https … />, as the Windows policy has them";
    if is_export {
        key = PolicyKey::Other;
        form = "the list of KDC proxies in an export of the Windows registry";
    }
    let mut found = ImportedConfig::new(&[
        &format!("It was read as {form}."),
        "Windows has DNS names there; the realm of a domain is its name in upper case.",
        "Windows asks a domain controller if it finds one: direct = \"prefer\" does.",
    ]);
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let place = FileLine {
            file: None,
            line: number,
        };
        let mut line = line.trim().to_owned();
        // Only values in hexadecimal go on in the next line.
        while line.ends_with('\\') && line.contains("=hex") {
            line.pop();
            line.push_str(lines.next().map_or("", |(next, _)| next.trim()));
        }
        // `reg query` shows the key above its values.
        if line.is_empty() || is_comment(&line) || line.starts_with("HKEY_") {
            continue;
        }
        if line.starts_with('[') {
            key = policy_key(&line, &place, &mut found);
        } else if let Err(why) = policy_value(key, is_export, &line, &place, &mut found) {
            found.note(&place, why);
        }
    }
    found
}

/// Reads a line that is no key.
fn policy_value(
    key: PolicyKey,
    is_export: bool,
    line: &str,
    place: &FileLine,
    found: &mut ImportedConfig,
) -> Result<(), String> {
    let (name, text) = match (registry_value(line), key) {
        (Some((name, _)), PolicyKey::Switch)
            if name.eq_ignore_ascii_case(ENABLED) && line.ends_with("=dword:00000000") =>
        {
            return Err("the policy is disabled: Windows does not use the list".to_owned());
        }
        (_, PolicyKey::Switch | PolicyKey::Other) => return Ok(()),
        (Some(value), PolicyKey::List) => value,
        (None, PolicyKey::List) if is_export => {
            return Err("is no value of the registry".to_owned());
        }
        (None, PolicyKey::List) => written_value(line)
            .ok_or("is not of the form EXAMPLE.COM <https proxy.example.com:443:KdcProxy />")?,
    };
    let text = text.map_err(|why| format!("{}: {why}", name.escape_debug()))?;
    mapping(&name, &text, place, found)
}

/// `[HIVE\KEY]`.
fn policy_key(line: &str, place: &FileLine, found: &mut ImportedConfig) -> PolicyKey {
    let path = line.trim_start_matches('[').trim_end_matches(']');
    let path = path.to_ascii_lowercase();
    let policy = POLICY.to_ascii_lowercase();
    let (hive, below) = path.split_once('\\').unwrap_or_default();
    if HIVES.iter().any(|known| hive.eq_ignore_ascii_case(known)) {
        match below.strip_prefix(&policy) {
            Some("") => return PolicyKey::Switch,
            Some(below) if below.eq_ignore_ascii_case(LIST) => return PolicyKey::List,
            _ => {}
        }
    }
    if path.ends_with(&LIST.to_ascii_lowercase()) {
        let why = match path.starts_with('-') {
            true => "the list is deleted here",
            false => "Windows reads its list below HKEY_LOCAL_MACHINE alone, where policies are",
        };
        found.note(place, format!("{}: {why}", line.escape_debug()));
    }
    PolicyKey::Other
}

/// The name of a value, and its text, or why it has none.
type NamedText = (String, Result<String, &'static str>);

/// `"name"=data`, or `@=data` for one without a name, and the text that the data is.
fn registry_value(line: &str) -> Option<NamedText> {
    let (name, rest) = match line.strip_prefix('@') {
        Some(rest) => (String::new(), rest),
        None => quoted_string(line)?,
    };
    let data = rest.strip_prefix('=')?;
    Some((name, text_of(data)))
}

/// `NAME <https … />`, with or without quotes, `=` or `REG_SZ` between.
fn written_value(line: &str) -> Option<NamedText> {
    let (name, servers) = line.split_once('<')?;
    let name = name.trim_end_matches(['"', ' ', '\t']);
    let name = name.strip_suffix("REG_SZ").unwrap_or(name);
    let name = name.trim_end_matches(['=', ' ', '\t']).trim_matches('"');
    Some((
        name.to_owned(),
        Ok(format!("<{}", servers.trim_matches('"'))),
    ))
}

/// A quoted string, and what stands behind it.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut characters = text.strip_prefix('"')?.chars();
    loop {
        match characters.next()? {
            '"' => return Some((plain, characters.as_str())),
            '\\' => plain.push(characters.next()?),
            other => plain.push(other),
        }
    }
}

/// The text of REG_SZ, or of any kind of text in hexadecimal.
fn text_of(data: &str) -> Result<String, &'static str> {
    if let Some((text, "")) = quoted_string(data) {
        return Ok(text);
    }
    if data == "-" {
        return Err("the value is deleted here");
    }
    let mut kinds = ["hex(1):", "hex(2):", "hex(7):"].iter();
    let hex = kinds.find_map(|kind| data.strip_prefix(kind));
    let octet = |octet: &str| u8::from_str_radix(octet.trim(), 16).ok();
    let octets: Option<Vec<u8>> = hex.and_then(|hex| hex.split(',').map(octet).collect());
    let octets = octets.ok_or("the value is no text")?;
    let (pairs, _) = octets.as_chunks::<2>();
    let units: Vec<_> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    let text = String::from_utf16(&units).map_err(|_| "the value is not UTF-16")?;
    // Texts end with NUL, and lists of them with one more.
    let text = text.trim_end_matches('\0');
    match text.contains('\0') {
        true => Err("the value is a list of texts"),
        false => Ok(text.to_owned()),
    }
}

/// Takes a name of the list and its value.
fn mapping(
    name: &str,
    value: &str,
    place: &FileLine,
    found: &mut ImportedConfig,
) -> Result<(), String> {
    let shown = format!("{} {}", name.escape_debug(), value.escape_debug());
    let told = |why: String| format!("{}: {why}", shown.trim_start());
    let pattern = pattern(name).map_err(told)?;
    let mut realm = ImportedRealm::new(pattern, place.clone());
    for server in servers(value).map_err(told)? {
        match policy_proxy(server) {
            Ok(proxy) => realm.add(proxy),
            Err(why) => found.note(place, format!("{}: {why}", server.escape_debug())),
        }
    }
    if realm.proxies.is_empty() {
        return Err(told("no server is left of it".to_owned()));
    }
    found.add(realm);
    Ok(())
}

fn pattern(name: &str) -> Result<RealmPattern, String> {
    let realm = |text: &str| {
        if text.contains(['*', ' ', '\\', '/', ':']) {
            return Err("what stands before it is no DNS name".to_owned());
        }
        Realm::parse(text.to_ascii_uppercase().as_bytes()).map_err(|error| error.to_string())
    };
    match name {
        "" => Err("no realm stands before it".to_owned()),
        "*" => Ok(RealmPattern::Any),
        "." => Err("a suffix is more than a dot".to_owned()),
        suffix if suffix.starts_with('.') => realm(suffix).map(RealmPattern::Suffix),
        name => realm(name).map(RealmPattern::Exact),
    }
}

/// What stands between `<https` and `/>`.
fn servers(value: &str) -> Result<impl Iterator<Item = &str>, String> {
    let inside = value.trim().strip_prefix("<https");
    let inside = inside.and_then(|inside| inside.strip_suffix("/>"));
    let is_one = |inside: &&str| inside.starts_with([' ', '\t']) && !inside.contains(['<', '>']);
    let inside = inside.filter(is_one);
    let why = "is not in the form <https proxy.example.com:443:KdcProxy />";
    let servers = inside.ok_or(why)?.split([' ', '\t', ',']);
    Ok(servers.filter(|server| !server.is_empty()))
}

/// `host`, `host:port` or `host:port:path`.
fn policy_proxy(server: &str) -> Result<ProxyUrl, String> {
    if server.contains("://") {
        return Err("Windows has host:port:path here, and no URL".to_owned());
    }
    let bracket = server.find(']').filter(|_| server.starts_with('['));
    let end = bracket.map(|bracket| bracket + 1);
    let (host, rest) = server.split_at(end.or_else(|| server.find(':')).unwrap_or(server.len()));
    if host.contains(['/', '?', '#', '@', '\\']) {
        return Err("host:port:path must stand here".to_owned());
    }
    if !rest.is_empty() && !rest.starts_with(':') {
        return Err("a : must stand behind the host".to_owned());
    }
    let mut parts = rest.splitn(3, ':').skip(1);
    let port = match parts.next().unwrap_or_default() {
        "" => String::new(),
        port if port.parse::<u16>().is_ok_and(|port| port > 0) => format!(":{port}"),
        port => return Err(format!("{} is no port", port.escape_debug())),
    };
    let path = parts.next().unwrap_or_default().trim_start_matches('/');
    url(&format!("https://{host}{port}/{path}"))
}
