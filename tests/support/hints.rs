//! Whether a hint leads on: it names a command that exists, or a key of the configuration that does.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may end its own process"
)]

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};
use loopkdc::cli::Cli;

const EXAMPLE: &str = include_str!("../../packaging/config.example.toml");

/// Commands of others that a hint may tell to type.
const TOOLS: &[&str] = &[
    "curl",
    "getent",
    "ip",
    "journalctl",
    "klist",
    "ls",
    "resolvectl",
    "sudo",
    "systemctl",
    "timedatectl",
    "type",
];
/// What people do without a command.
const DEEDS: &[&str] = &["open any page in a browser"];
/// Words with hyphens that are no keys.
const WORDS: &[&str] = &["set-ntp"];
/// Files of others that a hint may speak of.
const FILES: &[&str] = &["krb5.conf"];

/// Asserts that `hint` names a next step, and that all it names exists.
pub(crate) fn assert_leads_on(hint: &str) {
    let words: Vec<&str> = hint.split_whitespace().map(bare).collect();
    let (keys, tables) = (keys(), ["[listen]", "[realms", "[defaults]"]);
    let own = words
        .iter()
        .enumerate()
        .filter(|(_, word)| **word == "loopkdc");
    let mut leads_on = false;
    for (place, _) in own {
        // The name of a unit or of a file; else of a command.
        let before = place
            .checked_sub(1)
            .and_then(|before| words.get(before))
            .copied();
        if !matches!(
            before,
            Some("restart" | "status" | "edit" | "-u" | "-a" | "type")
        ) {
            assert_command(&words[place + 1..], hint);
            leads_on = true;
        }
    }
    for word in &words {
        let is_hyphened =
            word.contains('-') && word.bytes().all(|o| o.is_ascii_lowercase() || o == b'-');
        let is_option = word.starts_with('-');
        if is_hyphened && !is_option && !WORDS.contains(word) {
            assert!(keys.contains(*word), "no key is called {word}: {hint}");
        }
        leads_on |= keys.contains(*word) || TOOLS.contains(word) || FILES.contains(word);
    }
    // What is to be written with a sign of equality is a key, too.
    for pair in words.windows(2).filter(|pair| pair[1] == "=") {
        assert!(
            keys.contains(pair[0]),
            "no key is called {}: {hint}",
            pair[0]
        );
    }
    leads_on |= tables.iter().any(|table| hint.contains(table));
    leads_on |= DEEDS.iter().any(|deed| hint.contains(deed));
    assert!(leads_on, "it names nothing to type or to set: {hint}");
    assert!(!hint.ends_with('.') && !hint.contains('\n'), "{hint}");
}

/// A word without what stands around it.
fn bare(word: &str) -> &str {
    word.trim_end_matches([',', ';', ':', ')', '"'])
        .trim_start_matches(['(', '"'])
}

/// The keys of the example, which a test of the library's compares with those that it knows.
fn keys() -> BTreeSet<String> {
    let settings = EXAMPLE
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once(" = "));
    let keys = settings.map(|(key, _)| key.to_owned());
    keys.filter(|key| {
        key.bytes()
            .all(|octet| octet.is_ascii_lowercase() || octet == b'-')
    })
    .collect()
}

/// `words`, as they follow `loopkdc`: a command, and options of it.
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
    ] {
        assert_leads_on(good);
    }
    for bad in [
        "try again later",
        "loopkdc repair",
        "loopkdc check --fast",
        "set no-such-key",
        "set colour = \"blue\" in proxies",
    ] {
        let led = std::panic::catch_unwind(|| assert_leads_on(bad));
        assert!(led.is_err(), "{bad}");
    }
}
