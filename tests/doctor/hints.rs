//! Whether a hint can be followed: what it names must exist.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Programs of others that hints name, each part of every system that they are for.
const PROGRAMS: [&str; 11] = [
    "systemctl ",
    "timedatectl",
    "journalctl ",
    "curl ",
    "getent ",
    "ip route",
    "cat /etc/",
    "type -a ",
    "kinit",
    "kdestroy",
    "unset KRB5_CONFIG",
];
/// What is to be done in krb5.conf (krb5.conf(5)).
const IN_KRB5_CONF: [&str; 10] = [
    "request_timeout = ",
    "under [libdefaults]",
    "krb5.conf(5)",
    "take that line out",
    "take the line out",
    "write the missing }",
    "take the * away",
    "write into its first line",
    "move the line to the top of the file",
    "write the path from the root",
];

/// Fails the test unless `hint` names a command or a key, and each command of this program that it names exists.
#[track_caller]
pub(crate) fn can_be_followed(hint: &str) {
    let commands = commands(hint);
    let named = PROGRAMS.iter().any(|program| hint.contains(program));
    let has_key = keys().iter().any(|key| hint.contains(key.as_str()));
    let for_people = ["ask who runs it", "who runs it ", "stop that program"];
    let named = named || IN_KRB5_CONF.iter().any(|words| hint.contains(words));
    let has_somebody = for_people.iter().any(|words| hint.contains(words));
    assert!(
        !commands.is_empty() || named || has_key || has_somebody,
        "nothing to do in {hint:?}"
    );
    for words in commands {
        exists(&words, hint);
    }
}

/// What follows `loopkdc`, where that is to be typed: up to what is no word of a command line.
fn commands(hint: &str) -> Vec<Vec<String>> {
    let typed = |before: &str| {
        [": ", "sudo ", "see: "]
            .iter()
            .any(|end| before.ends_with(end))
    };
    let starts = hint
        .match_indices("loopkdc ")
        .map(|(at, _)| hint.split_at(at));
    let typed = starts.filter(|(before, _)| before.is_empty() || typed(before));
    let commands = typed.map(|(_, rest)| {
        let mut words = Vec::new();
        for word in rest.split_whitespace().skip(1) {
            let bare = word.trim_end_matches([';', ',', ')']);
            let is_word = bare.starts_with("--") || bare.starts_with(char::is_alphabetic);
            if is_word {
                words.push(bare.to_owned());
            }
            if !is_word || bare != word {
                break;
            }
        }
        words
    });
    commands.filter(|words| !words.is_empty()).collect()
}

#[track_caller]
fn exists(words: &[String], hint: &str) {
    let (command, options) = words.split_first().unwrap();
    let help = help(&[command, "--help"]);
    let help = help.unwrap_or_else(|| panic!("no command {command:?}, named in {hint:?}"));
    for option in options.iter().filter(|option| option.starts_with("--")) {
        assert!(
            help.contains(option.as_str()),
            "no {option} in {command}, named in {hint:?}"
        );
    }
}

fn help(args: &[&str]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_loopkdc"))
        .args(args)
        .output();
    let output = output.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    output.status.success().then_some(help)
}

/// The keys of the configuration, as the example has them.
fn keys() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/config.example.toml");
    let example = fs::read_to_string(file).unwrap();
    let keys = example.lines().filter_map(|line| {
        let (key, _) = line.trim_start_matches(['#', ' ']).split_once(" = ")?;
        let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        (is_key && key.len() > 2).then(|| key.to_owned())
    });
    let keys: Vec<_> = keys.collect();
    assert!(keys.len() > 20, "{keys:?}");
    keys
}

#[test]
fn commands_are_told_from_names() {
    assert_eq!(
        commands("restart it: systemctl restart loopkdc"),
        [[""; 0]; 0]
    );
    assert_eq!(
        commands("see whose, as root: sudo loopkdc doctor"),
        [["doctor"]]
    );
    assert_eq!(
        commands("look: loopkdc doctor --config /etc/x; as root: sudo loopkdc check, or not"),
        [vec!["doctor", "--config"], vec!["check"]]
    );
}
