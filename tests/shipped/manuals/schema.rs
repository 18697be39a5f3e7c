//! The fields of a JSON document, from the comments of the types that it is made of.

use clap_mangen::roff::{Roff, bold, italic, roman};

/// A type of the document.
#[derive(Default)]
struct Type {
    name: String,
    text: String,
    /// Name, type (none for a word of several), comment.
    fields: Vec<(String, Option<String>, String)>,
}

/// The section about a document whose types `source` declares, in the order in which they stand there.
pub(super) fn section(source: &str) -> String {
    let types = types(source);
    let mut page = Roff::new();
    page.control("SH", ["JSON"]);
    page.text([roman(head(source))]);
    for described in &types {
        page.control("SS", [&*described.name]);
        page.text([roman(&described.text)]);
        for (name, kind, text) in &described.fields {
            page.control("TP", []);
            let kind = kind.as_deref().map(|kind| said(kind, &types));
            let kind = kind.map_or_else(String::new, |kind| format!(" ({kind})"));
            page.text([bold(name), italic(kind)]);
            page.text([roman(text)]);
        }
    }
    page.to_roff()
}

/// What the source says of the schema as a whole.
fn head(source: &str) -> String {
    let lines = source.lines().filter_map(|line| line.strip_prefix("//!"));
    let (_, rest) = lines
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
        .split_once("# The schema")
        .map(|(before, rest)| (before.to_owned(), rest.to_owned()))
        .unwrap();
    plain(rest.trim())
}

fn plain(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('`', "\"")
}

fn types(source: &str) -> Vec<Type> {
    let (mut types, mut comment, mut kebab) = (Vec::<Type>::new(), Vec::new(), false);
    for line in source.lines() {
        let inner = line.trim();
        if let Some(words) = inner.strip_prefix("/// ") {
            comment.push(words);
            continue;
        }
        if inner.starts_with("#[") {
            kebab |= inner.contains("kebab-case");
            continue;
        }
        let text = plain(&comment.join(" "));
        comment.clear();
        let declared = ["pub struct ", "pub enum "];
        if let Some(rest) = declared.iter().find_map(|word| line.strip_prefix(word)) {
            let name = rest.trim_end_matches(" {").to_owned();
            types.push(Type {
                name,
                text,
                fields: Vec::new(),
            });
        } else if let Some(field) = inner
            .strip_prefix("pub ")
            .filter(|_| line.starts_with("    "))
        {
            let (name, kind) = field.trim_end_matches(',').split_once(": ").unwrap();
            let fields = &mut types.last_mut().unwrap().fields;
            fields.push((name.to_owned(), Some(kind.to_owned()), text));
        } else if kebab && !text.is_empty() && inner.ends_with(',') {
            let name = kebab_case(inner.trim_end_matches(','));
            types.last_mut().unwrap().fields.push((name, None, text));
        } else if line == "}" {
            kebab = false;
        } else if line.starts_with("impl") {
            break;
        }
    }
    assert!(types.len() > 3, "the declarations are read");
    types
}

fn kebab_case(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// A type of Rust in words of JSON.
fn said(kind: &str, types: &[Type]) -> String {
    let inside = |outer: &str| kind.strip_prefix(outer)?.strip_suffix('>');
    if let Some(kind) = inside("Option<") {
        return format!("{}, or absent", said(kind, types));
    }
    if let Some(kind) = inside("Vec<") {
        return format!("array: {}", said(kind, types));
    }
    match kind {
        "Text" | "String" => "string".to_owned(),
        "bool" => "boolean".to_owned(),
        "f64" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "number".to_owned(),
        other => {
            assert!(
                types.iter().any(|known| known.name == other),
                "{other} is described"
            );
            other.to_owned()
        }
    }
}
