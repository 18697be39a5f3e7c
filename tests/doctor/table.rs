//! What the doctor can find and what it says then: a table for people, in its manual page, made of what the tests have seen.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use loopkdc::relay::finding::{Finding, Hint, Layer};

use crate::scene::said;
use crate::support::marked::Marked;

/// The table in the manual. The page itself is made of it: WRITE_MANUALS=1 cargo nextest run --test shipped manuals.
const PART: Marked<'_> = Marked {
    file: "packaging/man/prose/loopkdc-doctor.8",
    marks: [".\\\" lines: begin\n", ".\\\" lines: end\n"],
    write: "WRITE_TABLE",
    command: "cargo nextest run --test doctor --run-ignored only table::is_current",
};

/// The test that runs here has seen this finding. `usual` replaces what differs from run to run.
pub(crate) fn write(finding: &Finding, usual: impl Fn(&str) -> String) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let inside = std::env::var("LOOPKDC_TEST_INSIDE").ok();
    let test = inside.or_else(|| std::thread::current().name().map(ToOwned::to_owned));
    let test = test
        .expect("a test's thread has its name")
        .replace("::", ".");
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    fs::create_dir_all(rows()).unwrap();
    let row = format!(
        "{:02}\n.TP\n\\fB{}\\fR {}\n{}\n",
        finding.subject.layer.unwrap().exit_code(),
        finding.severity.word(),
        tag(&any_time(&any_process(&usual(&said(finding))))),
        advice(&finding.hints, usual)
    );
    fs::write(rows().join(format!("{test}-{count}")), row).unwrap();
}

/// A line for each thing to do; a command stands behind the words that it belongs to.
fn advice(hints: &[Hint], usual: impl Fn(&str) -> String) -> String {
    let mut advice = String::new();
    let mut last: Option<&Hint> = None;
    for hint in hints {
        advice.push_str(match (last, hint) {
            (None, _) => "",
            (Some(Hint::Text(_)), Hint::Command(_)) => ": ",
            (Some(Hint::Command(_)), Hint::Command(_)) => "; ",
            _ => "\n.br\n",
        });
        let shown = any_process(&usual(&hint.to_string()));
        advice.push_str(&match hint {
            Hint::Command(_) => format!("\\fB{}\\fR", roff(&shown)),
            _ => paragraph(&shown),
        });
        last = Some(hint);
    }
    advice
}

/// Which process it is differs from run to run.
fn any_process(what: &str) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let words = ["process ", "kill -HUP ", "kill -TERM "];
    let found = words.into_iter().find_map(|word| {
        let (before, after) = what.split_once(word)?;
        let rest = after.strip_prefix(is_digit)?.trim_start_matches(is_digit);
        Some(format!("{before}{word}512{rest}"))
    });
    found.unwrap_or_else(|| what.to_owned())
}

/// And so does when a configuration was good.
fn any_time(what: &str) -> String {
    let between = what.split_once(", of ").and_then(|(before, after)| {
        let (_, after) = after.split_once(", is served")?;
        Some((before, after))
    });
    between.map_or_else(
        || what.to_owned(),
        |(before, after)| format!("{before}, of 2026-07-01T09:00:00Z, is served{after}"),
    )
}

/// What is not well: words, and below them what is shown as it is, such as a line of a file and what points at it.
fn tag(what: &str) -> String {
    let (words, shown) = what.split_once('\n').unwrap_or((what, ""));
    let shown: String = shown.lines().map(|line| roff(line) + "\n").collect();
    if shown.is_empty() {
        roff(words)
    } else {
        format!("{}\n.nf\n{shown}.fi", roff(words))
    }
}

/// Lines of words, each of which begins anew; what is to be written somewhere is indented.
fn paragraph(hint: &str) -> String {
    let lines = hint.lines().map(|line| match line.strip_prefix("    ") {
        Some(indented) => roff(&format!("  {}", indented.trim_start())),
        None => roff(line),
    });
    lines.collect::<Vec<_>>().join("\n.br\n")
}

/// What groff(7) shows as this line.
fn roff(line: &str) -> String {
    let words = line.trim_start_matches(' ');
    let indent = "\\ ".repeat(line.len() - words.len());
    // At the beginning of a line it would be a request.
    let guard = if words.starts_with('.') && indent.is_empty() {
        "\\&"
    } else {
        ""
    };
    let signs = words.chars().map(|sign| match sign {
        '\\' => "\\e".to_owned(),
        '-' => "\\-".to_owned(),
        '\'' => "\\(aq".to_owned(),
        '"' => "\\(dq".to_owned(),
        '^' => "\\(ha".to_owned(),
        '~' => "\\(ti".to_owned(),
        '`' => "\\(ga".to_owned(),
        other => other.to_string(),
    });
    indent + guard + &signs.collect::<String>()
}

fn rows() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("doctor-lines")
}

/// The table of the rows that were written since the folder was emptied.
fn table() -> String {
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in fs::read_dir(rows()).expect("tests/run runs the others before") {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let (code, row) = text.split_once('\n').unwrap();
        seen.entry(code.to_owned())
            .or_default()
            .push(row.to_owned());
    }
    let mut table = String::new();
    for (layer, _) in Layer::ALL {
        let code = layer.exit_code();
        let Some(mut rows) = seen.remove(&format!("{code:02}")) else {
            // Each layer is seen red, but that which is an estimate.
            assert_eq!(
                layer,
                Layer::Estimate,
                "no test has seen a line of this layer"
            );
            continue;
        };
        rows.sort();
        rows.dedup();
        table.push_str(&format!(
            ".SS \"{}, exit status {code}\"\n{}",
            layer.word(),
            rows.concat()
        ));
    }
    table
}

/// The manual has a row for each line that a test has seen, and no other.
#[test]
#[ignore = "tests/run runs it after all others"]
fn is_current() {
    PART.is(&table());
}

#[test]
fn lines_stay_apart() {
    let error = "f.toml:2:1: no such key\n  |\n2 | .key = '~'\n  | ^^^^";
    assert_eq!(
        tag(error),
        "f.toml:2:1: no such key\n.nf\n\\ \\ |\n2 | .key = \\(aq\\(ti\\(aq\n\\ \\ | \\(ha\\(ha\\(ha\\(ha\n.fi"
    );
    assert_eq!(tag("no answer"), "no answer");
    assert_eq!(
        paragraph("to go without: loopkdc run\nto make one, write:\n    .key = 1"),
        "to go without: loopkdc run\n.br\nto make one, write:\n.br\n\\ \\ .key = 1"
    );
    assert_eq!(paragraph("write\n.key"), "write\n.br\n\\&.key");
}
