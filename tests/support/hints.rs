//! Whether a hint leads on: it names a command that exists, or a key of the configuration that does.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may end its own process"
)]

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};
use loopkdc::cli::Cli;
use loopkdc::relay::finding::{Finding, Hint};

const EXAMPLES: [&str; 2] = [
    include_str!("../../packaging/config.example.toml"),
    include_str!("../../packaging/gateway.example.toml"),
];

/// Commands of others that a hint may tell to type.
const TOOLS: &[&str] = &[
    "cat",
    "chgrp",
    "chmod",
    "curl",
    "findmnt",
    "getent",
    "install",
    "ip",
    "journalctl",
    "kill",
    "kdestroy",
    "kinit",
    "klist",
    "ls",
    "openssl",
    "plistutil",
    "plutil",
    "resolvectl",
    "rm",
    "sed",
    "sudo",
    "systemctl",
    "timedatectl",
    "type",
    "unset",
];
/// What people do without a command.
const DEEDS: &[&str] = &[
    "ask who runs it",
    "open any page in a browser",
    "stop that program",
    "who runs it ",
    // In krb5.conf (krb5.conf(5)).
    "krb5.conf(5)",
    "move the line to the top of the file",
    "take out of krb5.conf what nobody needs",
    "take that line out",
    "take the line out",
    "write \"https://",
    "write the missing }",
];
/// Words with hyphens that are no keys.
const WORDS: &[&str] = &["set-ntp"];
/// Files of others that a hint may speak of.
const FILES: &[&str] = &["krb5.conf"];
/// What may be set in them.
const SETTINGS: &[&str] = &[
    "default_realm",
    "dns_canonicalize_hostname",
    "dns_lookup_kdc",
    "dns_lookup_realm",
    "kdc",
    "krb5_use_kdcinfo",
    "request_timeout",
];
/// What stands before a command of ours in a sentence, if no colon does.
const BEFORE: &[&str] = &["as", "or", "sudo"];

/// Asserts that `hint` names a next step, that all it names exists, and that it is one line.
#[track_caller]
pub(crate) fn assert_leads_on(hint: &str) {
    assert!(!hint.contains('\n'), "{hint}");
    assert_all_leads_on(hint);
}

/// The same of what is to be done about a finding: each command and each key exists, and so does all that its words name, which
/// may have several lines.
#[track_caller]
pub(crate) fn assert_finding_leads_on(finding: &Finding) {
    let mut leads_on = false;
    for hint in &finding.hints {
        leads_on |= match hint {
            Hint::Text(words) => {
                assert_all_exists(words);
                names_a_step(words)
            }
            Hint::Command(words) => {
                assert_program(words, finding);
                true
            }
            Hint::Key(key) => {
                let name = key.split(" = ").next().unwrap_or_default();
                assert!(
                    keys().contains(name),
                    "no key is called {name}: {finding:?}"
                );
                true
            }
        };
    }
    assert!(leads_on, "it names nothing to type or to set: {finding:?}");
}

/// A command of ours with its options, or one that a hint may tell to type.
#[track_caller]
fn assert_program(words: &[String], finding: &Finding) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["loopkdc", ours @ ..] | ["sudo" | "time", "loopkdc", ours @ ..] => {
            assert_command(ours, &finding.advice());
        }
        [tool, ..] => assert!(TOOLS.contains(tool), "{tool}: {finding:?}"),
        [] => panic!("{finding:?}"),
    }
}

/// The same of a hint that may have several lines.
#[track_caller]
pub(crate) fn assert_all_leads_on(hint: &str) {
    assert_all_exists(hint);
    let leads_on = names_a_step(hint);
    assert!(leads_on, "it names nothing to type or to set: {hint}");
}

/// Each command and each key that the hint names exists.
#[track_caller]
fn assert_all_exists(hint: &str) {
    for words in &commands(hint) {
        assert_command(words, hint);
    }
    let (words, keys) = (bare_words(hint), keys());
    for word in &words {
        let is_hyphened =
            word.contains('-') && word.bytes().all(|o| o.is_ascii_lowercase() || o == b'-');
        let is_option = word.starts_with('-');
        let is_known = keys.contains(*word) || WORDS.contains(word);
        assert!(
            !is_hyphened || is_option || is_known,
            "no key is called {word}: {hint}"
        );
    }
    // What is to be written with a sign of equality is a key, too.
    for pair in words.windows(2).filter(|pair| pair[1] == "=") {
        let is_known = keys.contains(pair[0]) || SETTINGS.contains(&pair[0]);
        assert!(is_known, "no key is called {}: {hint}", pair[0]);
    }
    assert!(!hint.lines().any(|line| line.ends_with('.')), "{hint}");
}

/// There is something to type, to set or to do in it.
fn names_a_step(hint: &str) -> bool {
    let (words, keys) = (bare_words(hint), keys());
    let tables = ["[listen]", "[gateway]", "[realms", "[defaults]"];
    let named = [TOOLS, FILES, SETTINGS];
    let mut named = words
        .iter()
        .filter(|word| keys.contains(**word) || named.iter().any(|named| named.contains(word)));
    let mut said = tables.iter().chain(DEEDS);
    !commands(hint).is_empty() || named.next().is_some() || said.any(|words| hint.contains(words))
}

fn bare_words(hint: &str) -> Vec<&str> {
    hint.split_whitespace().map(bare).collect()
}

/// A word without what stands around it.
fn bare(word: &str) -> &str {
    word.trim_end_matches(CLOSING)
        .trim_start_matches(['(', '"'])
}

/// What ends a word of a sentence, and a command in it.
const CLOSING: [char; 5] = [',', ';', ':', ')', '"'];

/// The keys of the examples, which a test of the library's compares with those that it knows.
fn keys() -> BTreeSet<String> {
    let settings = EXAMPLES
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.trim_start_matches('#').split_once(" = "));
    let keys = settings.map(|(key, _)| key.to_owned());
    keys.filter(|key| {
        key.bytes()
            .all(|octet| octet.is_ascii_lowercase() || octet == b'-')
    })
    .collect()
}

/// What follows `loopkdc` where that is to be typed: it may be the name of a unit or of a file as well.
fn commands(hint: &str) -> Vec<Vec<&str>> {
    let lines = hint.lines().map(|line| line.split_whitespace().collect());
    let commands = lines.flat_map(|words: Vec<&str>| {
        let is_typed = |place: &usize| match place.checked_sub(1).map(|before| words[before]) {
            Some(before) => before.ends_with(':') || BEFORE.contains(&before),
            None => true,
        };
        let own = (0..words.len()).filter(|place| words[*place] == "loopkdc");
        let own = own.filter(is_typed);
        own.map(|place| command(&words[place + 1..]))
            .collect::<Vec<_>>()
    });
    commands.collect()
}

/// The words of a command line: up to the end of what is typed.
fn command<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let last = words.iter().position(|word| bare(word) != *word);
    let words = &words[..last.map_or(words.len(), |last| last + 1)];
    words.iter().map(|word| bare(word)).collect()
}

/// `words`, as they follow `loopkdc`: a command, and options of it.
#[track_caller]
fn assert_command(words: &[&str], hint: &str) {
    let cli = Cli::command();
    let name = words.first().copied().unwrap_or_default();
    let command: &Command = cli
        .find_subcommand(name)
        .unwrap_or_else(|| panic!("loopkdc has no command {name:?}: {hint}"));
    for option in words.iter().filter_map(|word| word.strip_prefix("--")) {
        let known = command
            .get_arguments()
            .any(|argument| argument.get_long() == Some(option));
        assert!(known, "loopkdc {name} has no --{option}: {hint}");
    }
}

#[test]
fn hints_that_lead_nowhere_are_found() {
    for good in [
        "loopkdc check --config /etc/loopkdc/config.toml",
        "set auth = \"negotiate\"",
        "systemctl restart loopkdc",
        "raise max-in-flight",
        "run as root to see: sudo loopkdc doctor; or: systemctl enable --now loopkdc",
        "write there\n    request_timeout = 11s",
    ] {
        assert_all_leads_on(good);
    }
    for bad in [
        "try again later",
        "loopkdc repair",
        "loopkdc check --fast",
        "make it so: loopkdc repair",
        "set no-such-key",
        "set colour = \"blue\" in proxies",
        "raise max-in-flight.",
    ] {
        let led = std::panic::catch_unwind(|| assert_all_leads_on(bad));
        assert!(led.is_err(), "{bad}");
    }
    let lines = std::panic::catch_unwind(|| assert_leads_on("raise\nmax-in-flight"));
    assert!(lines.is_err());
    for bad in [
        Hint::command(["loopkdc", "repair"]),
        Hint::command(["loopkdc", "check", "--fast"]),
        Hint::command(["sudo", "loopkdc", "repair"]),
        Hint::command(["reboot"]),
        Hint::key("no-such-key = 1"),
        Hint::from("set no-such-key"),
        Hint::from("try again later"),
    ] {
        let finding = Finding::fault("it is down").hint(bad);
        let led = std::panic::catch_unwind(|| assert_finding_leads_on(&finding));
        assert!(led.is_err(), "{finding:?}");
    }
}
