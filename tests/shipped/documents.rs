//! The documents: short where they must be, complete, and with links that lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;

/// Somebody who comes for the first time reads it to the end.
const README_BYTES: usize = 12 * 1024;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of the files of a folder that end so, without that ending.
fn stems(folder: &Path, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter_map(|name| name.strip_suffix(ending).map(str::to_owned))
        .collect()
}

fn documents() -> Vec<PathBuf> {
    let folders = ["", "packaging", "packaging/doc", "tests/fuzz"];
    let folders = folders.map(|folder| root().join(folder));
    let files = folders.iter().flat_map(|folder| {
        let names = stems(folder, ".md").into_iter();
        names.map(move |name| folder.join(name + ".md"))
    });
    files.collect()
}

/// Where the links of a document lead.
fn links(text: &str) -> Vec<&str> {
    let behind = text.split("](").skip(1);
    behind
        .map(|rest| rest.split(')').next().unwrap())
        .filter(|target| !target.starts_with("https://"))
        .collect()
}

/// What a heading is called in a link, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -".contains(*c));
    kept.collect::<String>().replace(' ', "-")
}

fn has_anchor(text: &str, wanted: &str) -> bool {
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    headings.any(|heading| anchor(heading) == wanted)
}

#[test]
fn each_link_leads_somewhere() {
    let documents = documents();
    assert!(documents.len() > 10, "{documents:?}");
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                document.clone()
            } else {
                document.with_file_name("").join(file)
            };
            assert!(target.exists(), "{}: {link}", document.display());
            let found = place.is_empty() || has_anchor(&fs::read_to_string(target).unwrap(), place);
            assert!(found, "{}: {link}", document.display());
        }
    }
}

#[test]
fn the_readme_is_short_and_leads_to_each_document() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.len() <= README_BYTES, "{} octets", readme.len());
    let links = links(&readme);
    for name in stems(&root().join("packaging/doc"), ".md") {
        let link = format!("packaging/doc/{name}.md");
        assert!(links.contains(&&*link), "{link}");
    }
}

/// A part that `tests/run` does not know can't be run by its name.
#[test]
fn each_test_is_a_part() {
    let help = run(Command::new(root().join("tests/run")).arg("--help"));
    let parts: BTreeSet<&str> = help
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .collect();
    let tests = root().join("tests");
    let mut targets = stems(&tests, ".rs");
    let folders = stems(&tests, "").into_iter();
    targets.extend(folders.filter(|name| tests.join(name).join("main.rs").exists()));
    assert!(targets.len() > 10, "{targets:?}");
    for target in targets {
        assert!(parts.contains(&*target), "{target}");
    }
}
