//! What the doctor can find and what it says then: a table for people, in its manual page, made of what the tests have seen.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use loopkdc::doctor::Layer;

const WRITE: &str = "WRITE_TABLE";
const PROSE: &str = "packaging/man/prose/loopkdc-doctor.8";
const MARKS: [&str; 2] = [".\\\" lines: begin\n", ".\\\" lines: end\n"];

/// The test that runs here has seen this line.
pub(crate) fn write(layer: Layer, verdict: &str, what: &str, hint: &str) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let inside = std::env::var("LOOPKDC_TEST_INSIDE").ok();
    let test = inside.or_else(|| std::thread::current().name().map(ToOwned::to_owned));
    let test = test
        .expect("a test's thread has its name")
        .replace("::", ".");
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    fs::create_dir_all(rows()).unwrap();
    // As a terminal shows them.
    let verdict = match verdict {
        "fault" => "FAULT",
        other => other,
    };
    let row = format!(
        "{:02}\n.TP\n\\fB{verdict}\\fR {}\n{}\n",
        layer.exit_code(),
        roff(&any_process(what)),
        roff(hint)
    );
    fs::write(rows().join(format!("{test}-{count}")), row).unwrap();
}

/// Which process it is differs from run to run.
fn any_process(what: &str) -> String {
    let Some((before, after)) = what.split_once("(process ") else {
        return what.to_owned();
    };
    let after = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
    format!("{before}(process 512{after}")
}

/// What groff(7) shows as `text`: a line of it stays one only where it is indented.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let text = text.replace('\'', "\\(aq").replace('"', "\\(dq");
    let lines = text.lines().map(|line| match line.strip_prefix("    ") {
        Some(indented) => format!("\n.br\n\\ \\ {}", indented.trim_start()),
        None => format!(" {line}"),
    });
    let text = lines.collect::<String>();
    text.trim_start().to_owned()
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
    for layer in Layer::ALL {
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
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(PROSE);
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).unwrap();
    let (written, after) = rest.split_once(MARKS[1]).unwrap();
    let table = table();
    if std::env::var_os(WRITE).is_some() {
        // The page itself is made of it: WRITE_MANUALS=1 cargo test --test shipped manuals.
        let [begin, end] = MARKS;
        fs::write(&file, [before, begin, &table, end, after].concat()).unwrap();
        return;
    }
    assert_eq!(
        written, table,
        "to write it: {WRITE}=1 cargo nextest run --test doctor --run-ignored only table::is_current"
    );
}
