//! What a text says of the Windows policy "Specify KDC proxy servers for Kerberos clients", whether it was exported, typed,
//! shown by a tool or written down.
//!
//! The policy's own text says how it is written: the name of a value is a DNS name ("example.com"), a suffix (".example.com") or
//! "*", and the value is `<https SERVER SERVER />` with blanks or commas between the servers, each `host`, `host:port` or
//! `host:port:path`. The value is looked for in any text, and then the name that stands nearest to it.

use std::sync::Arc;

use super::names::nearest;
use super::{ImportedConfig, add, shown};
use crate::config::ProxyUrl;
use crate::operate::krb5_conf::profile::FileLine;

/// How a value begins.
const VALUE: &str = "<https";
/// What it should look like.
const FORM: &str = "not in the form EXAMPLE.COM <https proxy.example.com:443:KdcProxy />";
/// What is told of a value there.
pub(super) const IN_COMMENT: &str = "in a comment, and left out";
/// The policy's own value, which switches it off if it is 0.
const ENABLED: &str = "kdcproxyserver_enabled";
/// Another, with which Windows asks no KDC itself.
const FORCE_PROXY: &str = "forceproxy";

/// True if `text` has values, or should have.
pub(super) fn is_policy(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !is_comment(line));
    lines.any(|line| line.contains(VALUE) || is_list_key(line))
}

/// Reads all values of `text`, which begins with an empty line that the file does not have.
pub(super) fn policy(file: &Arc<str>, text: &str, found: &mut ImportedConfig) {
    let mut reader = PolicyReader {
        found,
        place: FileLine {
            file: file.clone(),
            line: 0,
        },
        key: None,
        is_comment: false,
        is_markup_comment: false,
    };
    let mut pieces = text.split(VALUE);
    let mut passed = pieces.next().unwrap_or_default();
    let mut before = passed;
    for piece in pieces {
        reader.pass(passed);
        before = reader.value(before, piece);
        passed = piece;
    }
    unread(file, text, found);
    switches(file, text, found);
}

/// Reads values, one after the other.
struct PolicyReader<'a> {
    found: &'a mut ImportedConfig,
    place: FileLine,
    /// The key that an export has the values in.
    key: Option<&'a str>,
    /// This line is a comment, in an export or a script.
    is_comment: bool,
    /// A comment of XML has begun.
    is_markup_comment: bool,
}

impl<'a> PolicyReader<'a> {
    /// Notes what a text means to the values behind it.
    fn pass(&mut self, text: &'a str) {
        for line in text.split('\n').skip(1).map(str::trim) {
            self.place.line += 1;
            self.is_comment = is_comment(line);
            if is_header(line) {
                self.key = Some(line);
            }
        }
        let (begun, ended) = (text.rfind("<!--"), text.rfind("-->"));
        if begun != ended {
            self.is_markup_comment = begun > ended;
        }
    }

    /// Takes the value that `piece` begins with, behind [`VALUE`]. What it returns may name the next one.
    fn value(&mut self, before: &'a str, piece: &'a str) -> &'a str {
        let whole = piece.split_once("/>");
        let whole = whole.filter(|(servers, _)| {
            servers.starts_with(char::is_whitespace) && !servers.contains(['<', '>'])
        });
        let Some((servers, after)) = whole else {
            let line = piece.lines().next().unwrap_or_default();
            let what = format!("{}: {FORM}", shown(&format!("{VALUE}{line}")));
            self.found.note(&self.place, what);
            return piece;
        };
        let value = shown(&format!("{VALUE}{servers}/>"));
        let elsewhere = self.key.filter(|key| !is_list_key(key));
        let (name, rest) = nearest(before, servers, after);
        if self.is_comment || self.is_markup_comment {
            let what = format!("{value}: {IN_COMMENT}");
            self.found.note(&self.place, what);
        } else if let Some(key) = elsewhere {
            let what = format!("{value}: not in force under {}", shown(key));
            self.found.note(&self.place, what);
        } else {
            take_servers(self.found, name, &value, servers, &self.place);
        }
        rest
    }
}

/// Adds the proxies of a value to the realm of this name.
pub(super) fn take_servers(
    found: &mut ImportedConfig,
    name: Option<&str>,
    value: &str,
    servers: &str,
    place: &FileLine,
) {
    let name = name.map(|name| {
        let suffix = if name.starts_with('.') { "*" } else { "" };
        format!("{suffix}{}", name.to_ascii_uppercase())
    });
    let Some(realm) = found.realm_or_given(name.as_deref(), value, place) else {
        return;
    };
    let servers = servers.split([' ', '\t', ',', '\r', '\n']);
    for server in servers.filter(|server| !server.is_empty()) {
        match policy_proxy(server) {
            Some(proxy) => add(&mut realm.proxies, proxy),
            None => {
                let what = format!("{}: not in the form host:port:path", shown(server));
                realm.refused.push((place.clone(), what));
            }
        }
    }
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
    // A script has variables there.
    let is_host = host
        .chars()
        .all(|c| c.is_alphanumeric() || ".-_[]:".contains(c))
        && port > 0;
    let url = format!("https://{host}:{port}/{}", path.trim_start_matches('/'));
    is_host.then(|| ProxyUrl::parse(&url).ok()).flatten()
}

/// Lines of scripts, exports and LGPO's text.
pub(super) fn is_comment(line: &str) -> bool {
    let is_remark = |word: &str| word.eq_ignore_ascii_case("rem") || word == "::";
    line.starts_with([';', '#']) || line.split_whitespace().next().is_some_and(is_remark)
}

/// The header of a key.
fn is_header(line: &str) -> bool {
    let key = line
        .strip_prefix('[')
        .map(|key| key.trim_start_matches('-'));
    let hive = key.and_then(|key| key.get(..2));
    hive.is_some_and(|hive| hive.eq_ignore_ascii_case("hk")) && line.ends_with(']')
}

/// The header of the key whose values are the list; a list elsewhere, or in a key that is to be deleted (`[-…]`), is none.
fn is_list_key(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    let machine = [r"[hkey_local_machine\", r"[hklm\"];
    machine.iter().any(|hive| header.starts_with(hive))
        && header.ends_with(r"\kdcproxy\proxyservers]")
}

/// Notes values of the list that are not in its form.
fn unread(file: &Arc<str>, text: &str, found: &mut ImportedConfig) {
    let mut is_list = false;
    for (line, place) in lines(file, text) {
        if is_header(line) {
            is_list = is_list_key(line);
        }
        if !is_list || is_comment(line) || line.contains(VALUE) {
            continue;
        }
        // Hexadecimal that stands for something is text by now.
        if ["https", "=\"", "=hex("]
            .iter()
            .any(|sign| line.contains(sign))
        {
            found.note(&place, format!("{}: {FORM}", shown(line)));
        }
    }
}

/// The lines of the file.
pub(super) fn lines<'a>(
    file: &Arc<str>,
    text: &'a str,
) -> impl Iterator<Item = (&'a str, FileLine)> {
    let lines = text.split('\n').map(str::trim).zip(0..);
    let file = file.clone();
    lines.map(move |(text, line)| {
        let file = file.clone();
        (text, FileLine { file, line })
    })
}

/// Takes what the policy's numbers say.
fn switches(file: &Arc<str>, text: &str, found: &mut ImportedConfig) {
    let all: Vec<_> = lines(file, text).collect();
    // The last number that stands with "Value", as Get-GPRegistryValue shows it before the name.
    let mut above = None;
    for (index, (line, place)) in all.iter().enumerate() {
        if is_comment(line) {
            continue;
        }
        let lower = line.to_ascii_lowercase();
        let below = || {
            let below = all.iter().skip(index + 1);
            let mut below = below.map(|(line, _)| line.to_ascii_lowercase());
            let next = below.next()?;
            // The registry's editor has the type between.
            if next.ends_with("reg_dword") {
                return number(&below.next()?);
            }
            number(&next).filter(|_| has_number(&next))
        };
        let switch = |name: &str| {
            let behind = lower.rsplit_once(name).map(|(_, behind)| number(behind))?;
            behind.or_else(below).or(above)
        };
        if switch(ENABLED) == Some(false) {
            found.note(
                place,
                format!("{}: Windows follows no list there", shown(line)),
            );
        } else if switch(FORCE_PROXY) == Some(true) {
            found.is_direct_ruled_out = true;
        }
        if line.is_empty() {
            above = None;
        } else if let Some((name, value)) = lower.split_once(':')
            && name.trim_end() == "value"
        {
            above = number(value).or(above);
        }
    }
}

/// True if a line that follows a name has its number: in LGPO's text, in a report of XML, in a table of PowerShell.
fn has_number(line: &str) -> bool {
    let mut words = ["dword", "number", "value"].iter();
    // In an export, it is that of another name.
    !line.starts_with('"') && words.any(|word| line.contains(word))
}

/// The first number in `text`: true if it is not 0.
fn number(text: &str) -> Option<bool> {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.find_map(|word| {
        let digits = word.strip_prefix("0x").unwrap_or(word);
        let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.bytes().all(|octet| octet.is_ascii_hexdigit());
        is_number.then(|| digits.contains(|c| c != '0'))
    })
}
