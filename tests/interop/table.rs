//! The table of what comes through, in packaging/doc/interop.md: each test that passes says what it has shown, and here it is compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::support::marked::Marked;
use crate::support::{netns, unpacked};

/// The table in the document.
const PART: Marked<'_> = Marked {
    file: "packaging/doc/interop.md",
    marks: [
        "<!-- The interop tests write this table. -->\n",
        "<!-- End of what they write. -->\n",
    ],
    write: "WRITE_TABLE",
    command: "cargo nextest run --test interop --run-ignored only table::is_current",
};
/// What ends the names of a test that is done several ways: through the program and the gateway, or otherwise.
const THIS_WAY: [&str; 2] = ["::gateway::over_udp", "::gateway::over_tcp"];
const ANOTHER_WAY: [&str; 2] = ["::gateway::native", "::kdcproxy::"];

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    Clients,
    Kdcs,
    Exchanges,
    Proxies,
    /// RFC 3244.
    Passwords,
    /// RFC 4559.
    Web,
    /// RFC 5896.
    Delegation,
    /// RFC 8129.
    Indicators,
}

impl About {
    const ALL: [(About, &'static str); 8] = [
        (About::Clients, "Clients"),
        (About::Kdcs, "KDCs"),
        (About::Exchanges, "Exchanges"),
        (About::Proxies, "KDC proxies, and what stands before them"),
        (About::Passwords, "Passwords (RFC 3244)"),
        (About::Web, "Web logins (RFC 4559)"),
        (About::Delegation, "Delegation by policy (RFC 5896)"),
        (About::Indicators, "Authentication indicators (RFC 8129)"),
    ];
}

/// A program that a test ran, with its version.
pub(crate) struct Software(String);

impl Software {
    /// A Debian package, with the version of what is packaged: `1.20.1` of `1.20.1-2+deb12u4`.
    pub(crate) fn debian(name: &str, package: &str) -> Software {
        Software(format!("{name} {}", upstream(&installed(package))))
    }

    /// One of which Debian replaces the version within a release: its first number, which may have grown since.
    pub(crate) fn rolling(name: &str, package: &str) -> Software {
        let version = installed(package);
        let version = upstream(&version);
        let major = version.split('.').next().unwrap();
        Software(format!("{name} {major}{ROLLING}"))
    }

    /// Anything else.
    pub(crate) fn other(name: &str, version: &str) -> Software {
        Software(format!("{name} {version}"))
    }

    /// One whose package tests/run unpacks, in this group, without installing it.
    pub(crate) fn unpacked(name: &str, group: &str, package: &str) -> Software {
        let version = unpacked::version(group, package);
        Software(format!("{name} {}", upstream(&version)))
    }

    pub(crate) fn heimdal() -> Software {
        Software::unpacked("Heimdal", "heimdal", "heimdal-clients")
    }

    pub(crate) fn openldap() -> Software {
        Software::debian("OpenLDAP", "slapd")
    }

    pub(crate) fn mit() -> Software {
        Software::debian("MIT", "krb5-user")
    }
}

/// Behind a version that does not have to be the newest.
const ROLLING: &str = " or later";

/// The version of a Debian package.
pub(crate) fn installed(package: &str) -> String {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}", package])
        .output()
        .unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    assert!(!version.is_empty(), "{package}: tests/run installs it");
    version
}

/// Without epoch, Debian's revision, and what says that files were left out.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(first, _)| first);
    let end = version.find(['+', '~']).unwrap_or(version.len());
    let version = &version[..end];
    version.find(".git").map_or(version, |end| &version[..end])
}

/// What the test that runs here has shown.
static SHOWN: Mutex<Option<String>> = Mutex::new(None);

/// The test that runs here has shown that `what` comes through, to be said at its end.
pub(crate) fn comes_through(about: About, what: &str, with: &[Software]) {
    let test = netns::name();
    if ANOTHER_WAY.iter().any(|way| test.contains(way)) {
        return;
    }
    let shown = THIS_WAY.iter().find_map(|way| test.strip_suffix(way));
    let shown = shown.unwrap_or(&test);
    let with: Vec<&str> = with.iter().map(|one| &*one.0).collect();
    let row = format!("{about:?}\n| {what} | {} | `{shown}` |\n", with.join(", "));
    *SHOWN.lock().unwrap() = Some(row);
}

/// Writes down what the test has shown, after so many replies came to its clients through the tunnel.
pub(crate) fn write(replies: usize) {
    let Some(row) = SHOWN.lock().unwrap().take() else {
        return;
    };
    assert!(replies > 0, "nothing came through");
    fs::create_dir_all(rows()).unwrap();
    fs::write(rows().join(netns::name().replace("::", ".")), row).unwrap();
}

fn rows() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("comes-through")
}

/// The table of the rows that were written since the folder was emptied.
fn table() -> String {
    let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in fs::read_dir(rows()).expect("tests/run runs the others before") {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let (about, row) = text.split_once('\n').unwrap();
        shown
            .entry(about.to_owned())
            .or_default()
            .push(row.to_owned());
    }
    let mut table = String::from("| what | with | test |\n|---|---|---|\n");
    for (about, title) in About::ALL {
        let mut rows = shown.remove(&format!("{about:?}")).unwrap_or_default();
        rows.sort();
        rows.dedup();
        let what = |row: &String| row.split(" | ").next().map(str::to_owned);
        let same = rows.windows(2).find(|two| what(&two[0]) == what(&two[1]));
        assert_eq!(same, None, "what makes the difference?");
        assert!(
            !rows.is_empty(),
            "no test has shown anything about {about:?}"
        );
        table.push_str(&format!("| **{title}** | | |\n{}", rows.concat()));
    }
    table
}

/// The digits before [`ROLLING`] left out.
fn without_rolling_versions(table: &str) -> String {
    let mut parts = table.split(ROLLING).peekable();
    let mut kept = String::new();
    while let Some(part) = parts.next() {
        let ends_in_version = parts.peek().is_some();
        kept.push_str(if ends_in_version {
            part.trim_end_matches(|c: char| c.is_ascii_digit())
        } else {
            part
        });
    }
    kept
}

/// The document has a row for each test that passed, and no other.
#[test]
#[ignore = "tests/run runs it after all others"]
fn is_current() {
    PART.is_like(&table(), without_rolling_versions);
}

#[test]
fn versions_are_those_of_what_is_packaged() {
    for (version, shown) in [
        ("1.20.1-2+deb12u4", "1.20.1"),
        ("2:4.17.12+dfsg-0+deb12u4", "4.17.12"),
        ("7.8.git20221117.28daf24+dfsg-2", "7.8"),
        ("17.0.21.1+2-1~deb12u1", "17.0.21.1"),
    ] {
        assert_eq!(upstream(version), shown);
    }
}
