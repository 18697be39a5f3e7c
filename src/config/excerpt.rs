//! The line of a file that an error shows. Errors end up in journals and with help desks: what may be a secret has an asterisk for
//! each of its characters. Whether it is one is told by the key alone, as what is wrong may be the rest.

use crate::relay::text::urls::without_secrets;

/// Keys whose values are no secrets, not even by mistake.
const PUBLIC: &[&str] = &[
    "access-log",
    "access-log-lines-per-second",
    "address",
    "aliases",
    "allow-plaintext",
    "allow-remote-clients",
    "any-realm",
    "ca-file",
    "ccache",
    "certificate",
    "client-burst",
    "client-ca-file",
    "client-certificate",
    "client-key",
    "client-max-in-flight",
    "client-requests-per-second",
    "dclocator-hint",
    "deadline-seconds",
    "direct",
    "discover",
    "discover-networks",
    "discover-ports",
    "exit-when-idle-seconds",
    "failed-login-burst",
    "failed-logins-per-minute",
    "idle-timeout-seconds",
    "kdc",
    "kdcs",
    "key",
    "keytab",
    "kpasswd",
    "kpasswd-servers",
    "listen",
    "log-principals",
    "max-connections",
    "max-in-flight",
    "max-in-flight-per-kdc",
    "metrics-listen",
    "min-tls",
    "negotiate-principal",
    "on-failure",
    "path",
    "pins",
    "plain-listen",
    "primary",
    "require-client-cert",
    "services",
    "status-mode",
    "status-socket",
    "target-domain",
    "transport",
    "trusted-proxies",
    "udp-reply-max-bytes",
    "unix-mode",
];
/// Keys whose values are URLs: passwords and tokens stand in them beside the host.
const OF_URLS: [&str; 2] = ["http-proxy", "proxies"];

/// What of a line may be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    All,
    /// URLs without what stands in them beside the host.
    Hosts,
    /// What stands before its equals sign.
    Key,
    /// The name of a table.
    Table,
    /// Whatever may be shown of the line that it goes on with.
    AsBefore,
}

/// The line of `text` of this number, counted from 0, with as many characters as it has.
pub(super) fn line(text: &str, number: usize) -> String {
    let mut lines: Vec<_> = text.lines().take(number + 1).collect();
    let line = match lines.len() > number {
        true => lines.pop().unwrap_or_default(),
        false => "",
    };
    let before = || {
        let mut before = lines.iter().rev().map(|line| of(line));
        before.find(|shown| *shown != Shown::AsBefore)
    };
    let shown = match of(line) {
        Shown::AsBefore => before()
            .filter(|shown| *shown != Shown::Table)
            .unwrap_or(Shown::Key),
        shown => shown,
    };
    let hosts = without_secrets(line);
    match shown {
        Shown::All | Shown::Table => hosts,
        Shown::Hosts if are_hosts(&hosts) => hosts,
        Shown::Hosts | Shown::Key | Shown::AsBefore => masked(line),
    }
}

fn of(line: &str) -> Shown {
    let begin = line.trim_start();
    let keys: Vec<_> = keys(line).collect();
    let are_all = |known: &[&str]| keys.iter().all(|key| known.contains(key));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '[';
    match begin.strip_prefix('[') {
        Some(name) if keys.is_empty() && name.starts_with(is_name) => return Shown::Table,
        _ => {}
    }
    match keys.is_empty() {
        true if begin.is_empty()
            || begin.starts_with(['"', '\'', '[', ']', '{', '}', ',', '#']) =>
        {
            Shown::AsBefore
        }
        false if are_all(PUBLIC) || is_meant(begin) => Shown::All,
        false if are_all(&OF_URLS) => Shown::Hosts,
        _ => Shown::Key,
    }
}

/// Whether the value is none that somebody has taken the key for, as of one that names a file or a kind: a credential of systemd's
/// by its name, or a word.
fn is_meant(line: &str) -> bool {
    let Some((key, value)) = line.split_once(" = \"") else {
        return false;
    };
    match key {
        "auth" => value
            .bytes()
            .all(|octet| octet.is_ascii_lowercase() || octet == b'"'),
        _ => key.ends_with("-file") && value.starts_with("credential:"),
    }
}

/// The words before equals signs, those in quotes aside: a key in quotes is none of ours.
fn keys(line: &str) -> impl Iterator<Item = &str> {
    let mut quote = None;
    let signs = line.char_indices().filter(move |(_, character)| {
        match (quote, *character) {
            (None, '"' | '\'') => quote = Some(*character),
            (Some(open), character) if open == character => quote = None,
            _ => {}
        }
        quote.is_none() && *character == '='
    });
    signs.map(|(sign, _)| {
        let before = line.get(..sign).unwrap_or_default().trim_end();
        let begin = before
            .rfind(|c: char| !is_of_key(c))
            .map_or(0, |begin| begin + 1);
        before.get(begin..).unwrap_or_default()
    })
}

fn is_of_key(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

/// Whether `line`, of which URLs tell no more than the host, holds nothing else that could be more than that.
fn are_hosts(line: &str) -> bool {
    let (_, values) = line.split_once('=').unwrap_or(("", line));
    let mut words = values.split(['"', '\'', ' ', '\t', ',', '[', ']']);
    words.all(|word| {
        let host = match word.split_once('/') {
            Some((host, path)) if path.eq_ignore_ascii_case("KdcProxy") => host,
            _ => word,
        };
        word.contains("://") || !host.contains(['/', '\\', '@', '?', '#'])
    })
}

/// The key, if there is one, and asterisks.
fn masked(line: &str) -> String {
    let is_key = |rest: &str| {
        let rest = rest.trim_start_matches([' ', '\t']);
        let value = rest.strip_prefix(['=', ':']);
        value.is_some_and(|value| !value.trim_start().is_empty() && !value.starts_with('='))
    };
    let begin = line.len() - line.trim_start().len();
    let word = line.get(begin..).unwrap_or_default();
    let end = word.find(|c: char| !is_of_key(c)).unwrap_or(word.len());
    let rest = word.get(end..).unwrap_or_default();
    let end = match is_key(rest) {
        true => begin + end,
        false => begin,
    };
    let (shown, rest) = line.split_at(end);
    let mask = |c: char| match c.is_whitespace() || "=:[]{}\"',#".contains(c) {
        true => c,
        false => '*',
    };
    shown.chars().chain(rest.chars().map(mask)).collect()
}
