//! URLs inside of a text: what stands in them beside scheme, host and port may be a secret.
//!
//! Which `@` ends the user's name and password cannot be told where there is one behind a `/` too: a password may hold a `/` that
//! should have been written as `%2F`, and a path may hold an `@`. What could be part of a password is taken for it.

/// Marks that end a sentence around a URL, not the URL.
const MARKS: [char; 9] = [',', ';', ':', '.', ')', '>', '\'', '"', '`'];
/// What ends a host, and the parts of a path and a query (WHATWG URL 4.4, where a backslash is a slash).
const ENDS: [char; 4] = ['/', '?', '#', '\\'];
/// Where something is left out.
const LEFT_OUT: &str = "***";

/// `text` without what stands in URLs beside scheme, host and port: paths may be secrets, and passwords are.
pub(crate) fn origins(text: &str) -> String {
    each(text, |url| match url.quote {
        Some(_) => origin(url.text).to_owned(),
        None => {
            let end = url.text.find(char::is_whitespace);
            let (word, after) = url.text.split_at(end.unwrap_or(url.text.len()));
            let bare = word.trim_end_matches(MARKS);
            let mark = word.get(bare.len()..).unwrap_or_default();
            format!("{}{mark}{}", origin(bare), origins(after))
        }
    })
}

/// `text` with an asterisk for each character between the `://` of a URL and its last `@`: what is wrong with it may be told to
/// others, or be in a log.
pub(crate) fn without_passwords(text: &str) -> String {
    each(text, |url| {
        let user = url.text.rfind('@').unwrap_or_default();
        let (user, host) = url.text.split_at(user);
        "*".repeat(user.chars().count()) + host
    })
}

/// The same, and what stands in paths and queries, as tokens do; what has to stand in the path of a KDC proxy is none
/// ([MS-KKDCP] 2.1).
pub(crate) fn without_secrets(text: &str) -> String {
    each(&without_passwords(text), |url| {
        let path = url.text.find(ENDS).unwrap_or(url.text.len());
        let (origin, path) = url.text.split_at(path);
        let masked = path.split_inclusive(ENDS).map(without_token);
        masked.fold(origin.to_owned(), |shown, part| shown + &part)
    })
}

/// A part of a path, with the mark that ends it.
fn without_token(part: &str) -> String {
    let name = part.trim_end_matches(ENDS);
    let mark = part.get(name.len()..).unwrap_or_default();
    if name.eq_ignore_ascii_case("KdcProxy") {
        part.to_owned()
    } else {
        "*".repeat(name.chars().count()) + mark
    }
}

/// A URL from behind its `://`.
struct Url<'a> {
    /// To the quote that ends it, or else as far as it could go: to the end of the text.
    text: &'a str,
    /// What it stands in.
    quote: Option<char>,
}

/// `text` with each URL from behind its `://` as it is `shown`.
fn each(text: &str, shown: impl Fn(Url<'_>) -> String) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        kept.extend([before, "://"]);
        let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let quote = before.trim_end_matches(is_of_scheme).chars().next_back();
        let quote = quote.filter(|quote| "\"'`".contains(*quote));
        let end = quote.and_then(|quote| end_of_quoted(after, quote));
        let (text, after) = after.split_at(end.unwrap_or(after.len()));
        kept.push_str(&shown(Url {
            text,
            quote: quote.filter(|_| end.is_some()),
        }));
        rest = after;
    }
    kept + rest
}

/// Where the `quote` is that ends what `text` begins with; one behind a backslash ends nothing.
fn end_of_quoted(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(place, character)| {
        let ends = character == quote && !is_escaped;
        is_escaped = character == '\\' && quote == '"' && !is_escaped;
        ends.then_some(place)
    })
}

/// Host and port of what stands behind `://`, if it is beyond doubt which they are.
fn origin(url: &str) -> &str {
    let end = url.find(ENDS).unwrap_or(url.len());
    let (authority, rest) = url.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let is_one = host.ends_with(']') || port.bytes().all(|octet| octet.is_ascii_digit());
    if is_one && !rest.contains('@') && !host.contains(char::is_whitespace) {
        host
    } else {
        LEFT_OUT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_urls_nothing_but_the_origin_is_left() {
        for (text, expected) in [
            ("no URL", "no URL"),
            ("://", "://"),
            ("https://p.example/secret", "https://p.example"),
            ("https://u:p@[::1]:8443?q=1 and", "https://[::1]:8443 and"),
            ("\"http://a/b\", http://c/d: x", "\"http://a\", http://c: x"),
            ("(https://a:1/b), http://c.", "(https://a:1), http://c."),
            ("`https://a\\b` x", "`https://a` x"),
            ("http://a/b http://c/d", "http://a http://c"),
            // Whichever of them ends the password.
            ("https://u:p@ss/word@host/x y", "https://*** y"),
            ("https://u:pa/ss@host", "https://***"),
            ("https://user:1/23@host", "https://***"),
            ("https://host/path@x", "https://***"),
            ("https://u:p@ss@host:1/x", "https://host:1"),
            ("https://u:pass", "https://***"),
            ("\"https://u:p ss@host/x\" y", "\"https://host\" y"),
            ("\"https://u:p s/s@host/x\" y", "\"https://***\" y"),
        ] {
            assert_eq!(origins(text), expected, "{text}");
        }
    }

    #[test]
    fn no_part_of_a_password_is_left() {
        for (text, expected) in [
            ("no URL, a@b", "no URL, a@b"),
            ("x = \"https://h/p\" # @", "x = \"https://h/p\" # @"),
            ("x = \"https://u:pw@h/p\"", "x = \"https://****@h/p\""),
            (
                "\"https://u:p@ss/word@host/\"",
                "\"https://***********@host/\"",
            ),
            ("\"https://u:p's s@h\"", "\"https://*******@h\""),
            ("\"https://u:p\\\"s@h\"", "\"https://******@h\""),
            ("'https://u:p\"s@h' x@y", "'https://*****@h' x@y"),
            (
                "[\"https://a@b\", \"c://d@e\"]",
                "[\"https://*@b\", \"c://*@e\"]",
            ),
            // Without quotes nobody knows where it ends.
            ("R=https://u:p s@h/", "R=https://*****@h/"),
            ("\"https://u:p s@h/", "\"https://*****@h/"),
        ] {
            assert_eq!(without_passwords(text), expected, "{text}");
            assert_eq!(expected.chars().count(), text.chars().count());
        }
    }

    #[test]
    fn no_part_of_a_token_is_left() {
        for (text, expected) in [
            ("no URL, a/b?c", "no URL, a/b?c"),
            (
                "p = [\"https://h:1/KdcProxy\"] # a/b",
                "p = [\"https://h:1/KdcProxy\"] # a/b",
            ),
            (
                "\"https://u:p@h/jet/kdcproxy/tök\", 1",
                "\"https://***@h/***/kdcproxy/***\", 1",
            ),
            ("\"https://h?q=1&r#f/\"", "\"https://h?*****#*/\""),
            (
                "\"https://h\", 'https://h/t'",
                "\"https://h\", 'https://h/*'",
            ),
            // Without quotes nobody knows where it ends.
            ("https://h/t o", "https://h/***"),
        ] {
            assert_eq!(without_secrets(text), expected, "{text}");
            assert_eq!(expected.chars().count(), text.chars().count());
        }
    }
}
