//! The page of a configuration and its example, from the table of keys.
//!
//! In an example a comment says what the setting below it is for, or the table. Settings are commented out.

use clap_mangen::roff::{Roff, bold, italic, roman};
use loopkdc::config::keys::{ConfigKey, Mark, Preset, Schema, ValueKind};

const HEAD: &str = "The file is TOML. An unknown key is an error, told with file, line and column. Names of files are relative to it.";

/// Columns of an example's comments.
const WIDTH: usize = 100;

/// A table of the file: its header, what it is for, and its keys.
type Table = (&'static str, &'static str, Vec<&'static ConfigKey>);

fn tables(schema: &'static Schema) -> [Table; 3] {
    let Schema {
        service,
        realm,
        defaults,
    } = schema;
    let keys = realm.keys.iter().copied();
    let (of_one_realm, of_all) = keys.partition(|key| key.is(Mark::OfOneRealm));
    [
        (service.header, service.about, service.keys.to_vec()),
        ("[defaults]", defaults, of_all),
        (realm.header, realm.about, of_one_realm),
    ]
}

fn kind(key: &ConfigKey) -> String {
    match &key.kind {
        ValueKind::Text | ValueKind::Word(_) => "string".to_owned(),
        ValueKind::Mode => "string of octal digits".to_owned(),
        ValueKind::Flag => "boolean".to_owned(),
        ValueKind::Integer(_) => "integer".to_owned(),
        ValueKind::Flags(_) => "array of strings, or integer".to_owned(),
        ValueKind::Ports => "array of integers".to_owned(),
        ValueKind::List => "array of strings".to_owned(),
        ValueKind::ListOr(word) => format!("array of strings, or \"{word}\""),
        ValueKind::Address(_) => "string or table".to_owned(),
        ValueKind::Tables(_) => "array of tables".to_owned(),
        ValueKind::Addresses(_) => "array of strings and tables".to_owned(),
    }
}

/// What the key is for, which values it takes, and that it has no default.
fn about(key: &ConfigKey) -> String {
    let mut about = vec![key.about.to_owned()];
    match &key.kind {
        ValueKind::Integer(bounds) => {
            about.push(format!("From {} to {}.", bounds.start(), bounds.end()));
        }
        ValueKind::Word(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            about.push(format!("One of {}.", words.join(", ")));
        }
        _ => {}
    }
    if matches!(key.preset, Preset::Example(_)) && !key.about.contains("Default: ") {
        about.push("None by default.".to_owned());
    }
    about.join(" ")
}

/// The value, and whether it is the default or an example.
fn value(key: &ConfigKey) -> (&'static str, &'static str) {
    match key.preset {
        Preset::Default(value) => (value, "default"),
        Preset::Example(value) => (value, "for example"),
    }
}

/// The example file of `command`. The headers of the tables in `in_use` are not commented out.
pub(super) fn example(
    command: &str,
    check: &str,
    schema: &'static Schema,
    in_use: &[&str],
) -> String {
    let mut example = format!(
        "# {command}: every key, each with its default where it has one.\n\
         # Lines that start with \"#\" and no space are settings: take the \"#\" away to use one.\n\
         # \"{check}\" says whether the file is valid and what it means.\n"
    );
    for (header, text, keys) in tables(schema) {
        example.push('\n');
        comment(&mut example, text);
        let mark = if in_use.contains(&header) { "" } else { "#" };
        example.push_str(&format!("{mark}{header}\n"));
        for key in keys {
            comment(&mut example, &about(key));
            example.push_str(&format!("#{} = {}\n", key.name, value(key).0));
        }
    }
    example
}

fn comment(example: &mut String, text: &str) {
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            example.push_str(&format!("{line}\n"));
            line = "#".to_owned();
        }
        line = format!("{line} {word}");
    }
    if line != "#" {
        example.push_str(&format!("{line}\n"));
    }
}

/// The page up to what is said beside.
pub(super) fn page(name: &str, daemon: &str, schema: &'static Schema) -> String {
    let (name, _) = name.rsplit_once('.').unwrap();
    let version = concat!("loopkdc ", env!("CARGO_PKG_VERSION"));
    let mut page = Roff::new();
    page.control(
        "TH",
        [&*name.to_uppercase(), "5", "", version, "File Formats"],
    );
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{name} - configuration of {daemon}"))]);
    page.control("SH", ["KEYS"]);
    page.text([roman(HEAD)]);
    for (header, text, keys) in tables(schema) {
        page.control("SS", [header]);
        if !text.is_empty() {
            page.text([roman(text)]);
        }
        for key in keys {
            let (value, says) = value(key);
            page.control("TP", []);
            page.text([
                bold(key.name),
                roman(format!(" ({}; {says} ", kind(key))),
                italic(value),
                roman(")"),
            ]);
            page.text([roman(about(key))]);
        }
    }
    // An empty date is left out, and the next word taken for it.
    page.to_roff().replacen(" 5  \"", " 5 \"\" \"", 1)
}
