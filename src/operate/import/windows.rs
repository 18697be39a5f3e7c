//! Where Windows keeps its KDC proxies: the policy "Specify KDC proxy servers for Kerberos clients".
//!
//! The policy's own text says how it is written: the name of a value is a DNS name ("example.com"), a suffix
//! (".example.com") or "*", and the value is `<https SERVER SERVER />` with blanks or commas between the servers, each
//! `host`, `host:port` or `host:port:path`.

use super::found::{Found, FoundRealm, url};
use crate::config::ProxyUrl;
use crate::operate::krb5_conf::profile::FileLine;
use crate::relay::routes::RealmPattern;
use crate::wire::Realm;

/// The key of the list, below its hive.
const LIST: &str =
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System\Kerberos\KdcProxy\ProxyServers";
/// The key that says whether the list is used.
const POLICY: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System\Kerberos";
const ENABLED: &str = "KdcProxyServer_Enabled";
const HIVES: [&str; 2] = ["HKEY_LOCAL_MACHINE", "HKLM"];

/// Whether the text is a registry export.
pub(super) fn is_registry(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    first.starts_with("Windows Registry Editor Version")
        || first == "REGEDIT4"
        || first.starts_with("[HK")
}

/// Whether the text has a line with a value of the list.
pub(super) fn is_list(text: &str) -> bool {
    text.lines()
        .any(|line| !is_comment(line) && line.contains("<http"))
}

/// Reads a registry export, as `reg export` and the registry editor write it.
pub(super) fn registry(text: &str) -> Found {
    let mut found = begin("the list of KDC proxies in an export of the Windows registry");
    let mut key = Key::Other;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let place = at(number);
        let mut line = line.trim().to_owned();
        // Only values in hexadecimal go on in the next line.
        while line.ends_with('\\') && line.contains("=hex") {
            line.pop();
            line.push_str(lines.next().map_or("", |(_, next)| next.trim()));
        }
        if line.starts_with('[') {
            key = Key::read(&line, &place, &mut found);
        } else if let Some((name, data)) = named(&line) {
            value(key, &name, data, &place, &mut found);
        } else if key == Key::List && !line.is_empty() && !is_comment(&line) {
            found.note(&place, "is no value of the registry");
        }
    }
    found
}

/// Reads lines of a name and its value, as one writes them down, or as `reg query` shows them.
pub(super) fn list(text: &str) -> Found {
    let mut found = begin("lines of a realm and its <https … />, as the Windows policy has them");
    for (number, line) in text.lines().enumerate() {
        let (place, line) = (at(number), line.trim());
        // `reg query` shows the key above its values.
        if line.is_empty() || is_comment(line) || line.starts_with("HKEY_") {
            continue;
        }
        let Some((name, servers)) = line.split_once('<') else {
            found.note(
                &place,
                "is not of the form EXAMPLE.COM <https proxy.example.com:443:KdcProxy />",
            );
            continue;
        };
        let name = match servers.ends_with('"') {
            true => name.trim_end().strip_suffix('"').unwrap_or(name),
            false => name,
        };
        let name = name.trim_end();
        let name = name.strip_suffix("REG_SZ").unwrap_or(name).trim_end();
        let name = name.strip_suffix('=').unwrap_or(name).trim();
        mapping(
            name.trim_matches('"'),
            &format!("<{}", servers.trim_matches('"')),
            &place,
            &mut found,
        );
    }
    found
}

fn begin(form: &str) -> Found {
    let mut found = Found::default();
    found.remarks = [
        &format!("It was read as {form}."),
        "Windows has DNS names there; the realm of a domain is its name in upper case.",
        "Windows asks a domain controller if it finds one: direct = \"prefer\" does.",
    ]
    .map(str::to_owned)
    .to_vec();
    found
}

fn at(number: usize) -> FileLine {
    FileLine {
        file: None,
        line: number + 1,
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with([';', '#'])
}

/// A key of the registry, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    List,
    Policy,
    Other,
}

impl Key {
    fn read(line: &str, place: &FileLine, found: &mut Found) -> Self {
        let path = line.trim_start_matches('[').trim_end_matches(']');
        let is = |path: &str, key: &str| path.eq_ignore_ascii_case(key);
        let Some((hive, below)) = path.split_once('\\') else {
            return Self::Other;
        };
        if is(below, LIST) && HIVES.iter().any(|known| is(hive, known)) {
            return Self::List;
        }
        if is(below, POLICY) && HIVES.iter().any(|known| is(hive, known)) {
            return Self::Policy;
        }
        let path = path.to_ascii_lowercase();
        if path.ends_with(r"\kdcproxy\proxyservers") {
            let why = match path.starts_with('-') {
                true => "the list is deleted here",
                false => {
                    "Windows reads its list below HKEY_LOCAL_MACHINE alone, where policies are"
                }
            };
            found.note(place, format!("{}: {why}", line.escape_debug()));
        }
        Self::Other
    }
}

/// `"name"=data` with its escapes undone; the default value has no name.
fn named(line: &str) -> Option<(String, &str)> {
    if let Some(data) = line.strip_prefix("@=") {
        return Some((String::new(), data));
    }
    let (name, rest) = string(line)?;
    Some((name, rest.strip_prefix('=')?))
}

/// A quoted string, and what stands behind it.
fn string(text: &str) -> Option<(String, &str)> {
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

fn value(key: Key, name: &str, data: &str, place: &FileLine, found: &mut Found) {
    match key {
        Key::List => match text_of(data) {
            Ok(servers) => mapping(name, &servers, place, found),
            Err(why) => found.note(place, format!("{}: {why}", name.escape_debug())),
        },
        Key::Policy if name.eq_ignore_ascii_case(ENABLED) && data == "dword:00000000" => {
            found.note(
                place,
                "the policy is disabled: Windows does not use the list",
            );
        }
        Key::Policy | Key::Other => {}
    }
}

/// The text of REG_SZ, or of any kind of text in hexadecimal.
fn text_of(data: &str) -> Result<String, String> {
    if let Some((text, "")) = string(data) {
        return Ok(text);
    }
    if data == "-" {
        return Err("the value is deleted here".to_owned());
    }
    let hex = ["hex(1):", "hex(2):", "hex(7):"]
        .iter()
        .find_map(|kind| data.strip_prefix(kind));
    let octet = |octet: &str| u8::from_str_radix(octet.trim(), 16).ok();
    let octets: Option<Vec<u8>> = hex.and_then(|hex| hex.split(',').map(octet).collect());
    let octets = octets.ok_or("the value is no text")?;
    let (pairs, _) = octets.as_chunks::<2>();
    let units: Vec<_> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    let text = String::from_utf16(&units).map_err(|_| "the value is not UTF-16")?;
    // Texts end with NUL, and lists of them with one more.
    let text = text.trim_end_matches('\0');
    match text.contains('\0') {
        true => Err("the value is a list of texts".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// A name of the list and its value.
fn mapping(name: &str, value: &str, place: &FileLine, found: &mut Found) {
    let shown = format!("{} {}", name.escape_debug(), value.escape_debug());
    let shown = shown.trim_start();
    let pattern = match pattern(name) {
        Ok(pattern) => pattern,
        Err(why) => return found.note(place, format!("{shown}: {why}")),
    };
    let Some(servers) = inside(value) else {
        return found.note(
            place,
            format!("{shown}: is not in the form <https proxy.example.com:443:KdcProxy />"),
        );
    };
    let mut realm = FoundRealm::new(pattern, place.clone());
    for server in servers
        .split([' ', '\t', ','])
        .filter(|server| !server.is_empty())
    {
        match proxy(server) {
            Ok(proxy) => realm.add(proxy),
            Err(why) => found.note(place, format!("{}: {why}", server.escape_debug())),
        }
    }
    if realm.proxies.is_empty() {
        found.note(place, format!("{shown}: no server is left of it"));
    }
    found.add(realm);
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
fn inside(value: &str) -> Option<&str> {
    let inside = value.trim().strip_prefix("<https")?.strip_suffix("/>")?;
    let is_one = inside.starts_with([' ', '\t']) && !inside.contains(['<', '>']);
    is_one.then_some(inside)
}

/// `host`, `host:port` or `host:port:path`.
fn proxy(server: &str) -> Result<ProxyUrl, String> {
    if server.contains("://") {
        return Err("Windows has host:port:path here, and no URL".to_owned());
    }
    let bracket = server.strip_prefix('[').and_then(|_| server.find(']'));
    let (host, rest) = server.split_at(bracket.map_or_else(
        || server.find(':').unwrap_or(server.len()),
        |bracket| bracket + 1,
    ));
    let rest = match rest.strip_prefix(':') {
        Some(rest) => rest,
        None if rest.is_empty() => rest,
        None => return Err("a : must stand behind the host".to_owned()),
    };
    if host.contains(['/', '?', '#', '@', '\\']) {
        return Err("host:port:path must stand here".to_owned());
    }
    let (port, path) = rest.split_once(':').unwrap_or((rest, ""));
    let port = match port.parse::<u16>() {
        _ if port.is_empty() => String::new(),
        Ok(number) if number > 0 => format!(":{number}"),
        _ => return Err(format!("{} is no port", port.escape_debug())),
    };
    url(&format!(
        "https://{host}{port}/{}",
        path.trim_start_matches('/')
    ))
}
