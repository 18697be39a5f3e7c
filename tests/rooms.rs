//! The rooms of `src` and the arrows between them: who may import whom, and which parts do no I/O and read no clock.
//!
//! All files are read, so that a new one is held to the rules from its first day. `src/lib.rs` says what the rooms are for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may end its own process"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may import. `main.rs`, `lib.rs` and `cli.rs` may import all of them.
const ARROWS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("relay", &["wire"]),
    ("config", &["relay", "wire"]),
    ("daemon", &["config", "relay", "wire"]),
    ("shim", &["daemon", "config", "relay", "wire"]),
    ("gateway", &["daemon", "config", "relay", "wire"]),
    ("operate", &["daemon", "config", "relay", "wire"]),
];

const ABOVE_THE_ROOMS: &[&str] = &["main", "lib", "cli"];

/// Pure whether their comments say so or not; whoever else says "Pure." in the first comment of a file is, too.
const PURE: &[&str] = &[
    "wire",
    "relay/answer",
    "relay/explain",
    "relay/finding",
    "relay/retransmits",
    "relay/routes",
    "relay/text",
];

/// What a pure part must not name. Time and peers come as arguments, so their types may be named.
const IMPURE: &[&str] = &[
    "tokio",
    "reqwest",
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "std::thread",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "Instant::now",
    "SystemTime::now",
    ".elapsed()",
];

/// Crates that `wire` may use: a parser that needs more is more than one.
const CRATES_OF_WIRE: &[&str] = &["bytes", "der", "std", "core", "alloc"];

/// A file of the source, without its comments.
struct Source {
    /// `relay/routes.rs`.
    name: String,
    /// `["relay", "routes"]`.
    module: Vec<String>,
    /// Its first comment says "Pure.".
    says_pure: bool,
    code: String,
    /// The same without tests.
    untested: String,
}

impl Source {
    fn read(src: &Path, path: &Path) -> Self {
        let name = path.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
        let module = name.trim_end_matches(".rs").split('/');
        let text = fs::read_to_string(path).unwrap();
        let mut first_comment = text.lines().take_while(|line| line.starts_with("//!"));
        Self {
            module: module.map(str::to_owned).collect(),
            says_pure: first_comment.any(|line| line.contains("Pure.") || line.contains("Pure:")),
            untested: without_tests(&name, &text),
            code: without_comments(&text),
            name,
        }
    }

    fn room(&self) -> &str {
        &self.module[0]
    }

    fn is_pure(&self) -> bool {
        let stem = self.name.trim_end_matches(".rs");
        let inside = |room: &str| stem == room || stem.starts_with(&format!("{room}/"));
        self.says_pure || PURE.iter().any(|room| inside(room))
    }

    /// The rooms that it names: by `crate::`, by `super::` out of its own room, or from outside by the crate's name.
    fn imports(&self) -> BTreeSet<String> {
        let mut rooms = BTreeSet::new();
        for root in ["crate::", "loopkdc::"] {
            for (at, _) in self.code.match_indices(root) {
                rooms.extend(first_names(&self.code[at + root.len()..]));
            }
        }
        for (at, _) in self.code.match_indices("super::") {
            let rest = &self.code[at..];
            let ups = rest
                .split("super::")
                .take_while(|part| part.is_empty())
                .count();
            let is_chain = self.code[..at].ends_with("super::");
            if !is_chain && ups >= self.module.len() {
                rooms.extend(first_names(&rest[ups * "super::".len()..]));
            }
        }
        rooms.retain(|name| {
            let is_room = |(room, _): &(&str, _)| room == name;
            ARROWS.iter().any(is_room) || ABOVE_THE_ROOMS.contains(&name.as_str())
        });
        rooms.remove(self.room());
        rooms
    }
}

/// The first names of a path, or of each path in braces: `relay` of `relay::text`, `a` and `b` of `{a, b::{c, d}}`.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let is_word = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        text.trim_start().chars().take_while(is_word).collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut names = vec![name(group)];
    let mut depth = 1;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn without_comments(text: &str) -> String {
    let code = |line: &str| {
        if line.trim_start().starts_with("//") {
            String::new()
        } else {
            line.to_owned()
        }
    };
    text.lines().map(|line| code(line) + "\n").collect()
}

/// Tests may read a clock: they are files of their own, or stand at the end of a file.
fn without_tests(name: &str, text: &str) -> String {
    let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
    let untested = text.split("\n#[cfg(test)]\nmod ").next();
    without_comments(untested.filter(|_| !is_test).unwrap_or_default())
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&src, &mut paths);
    assert!(paths.len() > 100, "{} files", paths.len());
    let sources: Vec<_> = paths.iter().map(|path| Source::read(&src, path)).collect();
    for name in [
        "main.rs",
        "wire/message.rs",
        "relay/routes.rs",
        "gateway.rs",
    ] {
        assert!(sources.iter().any(|source| source.name == name), "{name}");
    }
    sources
}

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    for source in sources() {
        let room = source.room();
        if ABOVE_THE_ROOMS.contains(&room) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{}: {room} is no room", source.name));
            continue;
        };
        let imports = source.imports();
        let over = imports
            .iter()
            .filter(|name| !allowed.contains(&name.as_str()));
        wrong.extend(over.map(|name| format!("{}: {room} must not know {name}", source.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_arrows_have_no_circle() {
    let place = |room: &str| ARROWS.iter().position(|(name, _)| *name == room).unwrap();
    for (room, allowed) in ARROWS {
        assert!(
            allowed.iter().all(|other| place(other) < place(room)),
            "{room}"
        );
    }
}

#[test]
fn pure_parts_name_no_io_and_no_clock() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.is_pure()) {
        for (number, line) in source.untested.lines().enumerate() {
            let found = IMPURE.iter().filter(|word| line.contains(**word));
            wrong.extend(found.map(|word| format!("{}:{}: {word}", source.name, number + 1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for room in PURE {
        let is_there = |source: &Source| source.name == format!("{room}.rs");
        assert!(sources().iter().any(is_there), "there is no {room}");
    }
}

#[test]
fn wire_needs_a_parser_and_nothing_else() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.room() == "wire") {
        for line in source
            .code
            .lines()
            .filter_map(|line| line.trim().strip_prefix("use "))
        {
            let first = first_names(line).remove(0);
            let is_own = ["crate", "super", "self"].contains(&first.as_str())
                || source.code.contains(&format!("mod {first};"));
            if !is_own && !CRATES_OF_WIRE.contains(&first.as_str()) {
                wrong.push(format!("{}: {line}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_found_however_they_are_written() {
    let source = |name: &str, code: &str| Source {
        name: format!("{name}.rs"),
        module: name.split('/').map(str::to_owned).collect(),
        says_pure: false,
        code: without_comments(code),
        untested: String::new(),
    };
    for (name, code, expected) in [
        ("wire/a", "use crate::relay::text;", &["relay"][..]),
        (
            "wire/a",
            "use crate::{config, relay::{self, text}};",
            &["config", "relay"],
        ),
        ("wire/a", "fn f() { crate::shim::run() }", &["shim"]),
        ("wire/a", "use super::super::daemon::accept;", &["daemon"]),
        ("wire", "use super::gateway;", &["gateway"]),
        ("wire/a", "use super::relay;", &[]),
        ("wire/a", "use crate::cli::Cli;", &["cli"]),
        ("wire/a", "// crate::relay\n/// [`crate::relay`]\n", &[]),
        ("wire/a", "use crate::wire::Realm;", &[]),
    ] {
        let found: Vec<_> = source(name, code).imports().into_iter().collect();
        assert_eq!(found, expected, "{name}: {code}");
    }
}
