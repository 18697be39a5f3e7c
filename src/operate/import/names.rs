//! The name of a realm that stands with a value of the policy, whatever form both are in.
//!
//! It is the nearest in the same line, or else in the lines before, or else behind a label in the lines after. What has a dot
//! and looks like a domain is a name; what has none must stand where a name does.

/// Behind these stands a name: options of reg.exe and of PowerShell, attributes and elements of XML, the policy editor.
const LABELS: [&str; 4] = ["v", "name", "valuename", "realm"];
/// No name stands there if it is one of these, which head a column or a line.
const HEADINGS: [&str; 10] = [
    "value", "data", "type", "name", "kdc", "kkdcp", "proxy", "server", "servers", "url",
];
/// What may stand between a name and its value.
const TYPES: [&str; 6] = [
    "REG_SZ",
    "REG_EXPAND_SZ",
    "REG_MULTI_SZ",
    "SZ",
    "EXSZ",
    "MULTISZ",
];
/// Names of files look like those of domains, but for their ends.
const FILE_ENDS: [&str; 13] = [
    "admx", "bat", "cmd", "conf", "csv", "exe", "html", "json", "pol", "ps1", "reg", "txt", "xml",
];

/// How far a name is from its value: the first of these is preferred.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    SameLine,
    /// With no empty line between.
    Above,
    /// Likewise.
    Below,
    /// In the paragraph before.
    FarAbove,
}

/// The name of the realm that a value is for: it stands between `before`, which begins behind the last one, and `after`, which
/// ends before the next. Also what of `after` is left to name that one.
pub(super) fn nearest<'a>(
    before: &'a str,
    servers: &str,
    after: &'a str,
) -> (Option<&'a str>, &'a str) {
    let own = before.rsplit('\n').next().unwrap_or_default().trim_start();
    // An export (.reg) has it in quotes, or @ for none.
    if let Some(name) = own.strip_suffix("=\"")
        && (name == "@" || name.starts_with('"') && name.ends_with('"'))
    {
        let name = name.trim_matches('"');
        return (Some(name).filter(|name| *name != "@"), after);
    }
    // As near, a domain is preferred.
    let rank = |distance: Distance, name: &str| (distance, !name.contains(['.', '*']));
    match (above(before, servers), below(after)) {
        (Some((far, name)), Some((near, other, rest))) if rank(near, other) < rank(far, name) => {
            (Some(other), rest)
        }
        (Some((_, name)), _) => (Some(name), after),
        (None, Some((_, name, rest))) => (Some(name), rest),
        (None, None) => (None, after),
    }
}

fn above<'a>(before: &'a str, servers: &str) -> Option<(Distance, &'a str)> {
    let is_server = |name: &str| {
        let mut words = servers.split([' ', ',', ':', '\t', '\r', '\n']);
        words.any(|word| word.eq_ignore_ascii_case(name))
    };
    let (mut distance, mut is_gap) = (Distance::SameLine, false);
    for line in before.rsplit('\n') {
        let was_gap = is_gap;
        is_gap = distance > Distance::SameLine && line.trim().is_empty();
        if is_gap && !was_gap {
            if distance == Distance::FarAbove {
                return None;
            }
            distance = Distance::FarAbove;
        }
        // A proxy may be named by itself, too; and a domain may be its own proxy.
        let any = |_: &&str| true;
        let own = || (distance == Distance::SameLine).then(|| name_in(line, any));
        let other = name_in(line, |name| !is_server(name));
        if let Some(name) = other.or_else(|| own().flatten()) {
            return Some((distance, name));
        }
        distance = distance.max(Distance::Above);
    }
    None
}

/// Also what stands behind it.
fn below(after: &str) -> Option<(Distance, &str, &str)> {
    let mut rest = after;
    let mut distance = Distance::SameLine;
    while let Some(line) = rest.split('\n').next() {
        if distance == Distance::Below && line.trim().is_empty() {
            return None;
        }
        if let Some((end, name)) = labelled(line).next() {
            return Some((distance, name, rest.get(end..)?));
        }
        rest = rest.get(line.len() + 1..)?;
        distance = Distance::Below;
    }
    None
}

/// The name that a line has before a value, or instead of one.
fn name_in<'a>(line: &'a str, is_wanted: impl Fn(&&'a str) -> bool) -> Option<&'a str> {
    let words: Vec<_> = words(line).map(|(_, word)| word).collect();
    let mut domains = words.iter().rev().filter_map(|word| domain(word));
    let labelled = || labelled(line).last().map(|(_, name)| name);
    let placed = match *words {
        // As reg.exe shows it, and not behind what its type is called.
        [name, kind] if TYPES.contains(&kind) && is_name(name) && !line.contains(':') => Some(name),
        [name] if is_upper_case(name) => Some(name),
        [.., "*"] => Some("*"),
        _ => None,
    };
    let domain = domains.find(&is_wanted);
    domain.or_else(labelled).or(placed).filter(is_wanted)
}

/// Names behind a label, and where they end. No part of a phrase is one: "-Name Default Domain Policy".
fn labelled(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let pairs = words(line).zip(words(line).skip(1));
    pairs.filter_map(move |((label_end, label), (end, name))| {
        let between = line.get(label_end..end.checked_sub(name.len())?)?;
        let next = line.get(end..)?;
        let is_phrase =
            next.starts_with(' ') && next.trim_start().starts_with(char::is_alphanumeric);
        let is_marked = label.starts_with(['-', '/']) || !between.trim().is_empty();
        let is_single = is_marked && is_value_name(name) && !is_phrase;
        let label = label.trim_start_matches(['-', '/']).rsplit(':').next()?;
        let name = domain(name).or(Some(name).filter(|name| is_single || is_upper_case(name)));
        let name = name.filter(|_| is_one_of(&LABELS, label));
        Some((end, name?))
    })
}

/// The words of a line, and where they end: with what paths, URLs and principals have in them, as none of these is a name.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_within = |c: char| c.is_alphanumeric() || r"._*\/:@%$()-".contains(c);
    let mut at = 0;
    let words = line
        .split_inclusive(move |c| !is_within(c))
        .map(move |piece| {
            let word = piece.trim_end_matches(move |c| !is_within(c) || c == ':');
            let end = at + word.len();
            at += piece.len();
            (end, word)
        });
    words.filter(|(_, word)| *word == "*" || word.contains(char::is_alphanumeric))
}

/// A name without a dot that is no word of somebody's language.
fn is_upper_case(word: &str) -> bool {
    is_value_name(word) && !word.contains(char::is_lowercase) && !is_one_of(&TYPES, word)
}

/// A name that heads nothing.
fn is_value_name(word: &str) -> bool {
    is_name(word) && !is_one_of(&HEADINGS, word)
}

fn is_one_of(list: &[&str], word: &str) -> bool {
    list.iter().any(|one| one.eq_ignore_ascii_case(word))
}

/// The name of a domain, or of all below one: `.example.com`.
fn domain(word: &str) -> Option<&str> {
    let word = word
        .trim_matches(['(', ')'])
        .trim_end_matches(['.', ':', '-']);
    let name = word
        .rsplit(':')
        .next()
        .filter(|_| !word.contains(['/', '\\']))?;
    let name = name.strip_prefix('*').unwrap_or(name);
    let mut labels = name.strip_prefix('.').unwrap_or(name).split('.');
    let last = name.rsplit('.').next()?;
    let is_top =
        last.contains(char::is_alphabetic) && !FILE_ENDS.contains(&last.to_lowercase().as_str());
    (name.contains('.') && is_top && labels.all(is_name)).then_some(name)
}

/// True for a label of a domain, for a realm without a dot, and for all realms.
fn is_name(word: &str) -> bool {
    let is_within = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    word == "*"
        || word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.chars().all(is_within)
}
