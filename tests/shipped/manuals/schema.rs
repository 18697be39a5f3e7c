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
    if let Some(head) = head(source) {
        page.text([roman(head)]);
    }
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

/// What the first file of the source says of the schema as a whole, if it does.
fn head(source: &str) -> Option<String> {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<_> = lines.map(str::trim).collect();
    let lines = lines.join(" ");
    let (_, schema) = lines.split_once("# The schema")?;
    Some(plain(schema))
}

fn plain(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('`', "\"")
}

/// How the variants of an enumeration are spelled.
type Spelled = fn(&str) -> String;

fn types(source: &str) -> Vec<Type> {
    let (mut types, mut comment) = (Vec::<Type>::new(), Vec::new());
    let (mut spelled, mut is_code, mut declares) = (None::<Spelled>, false, false);
    for line in source.lines() {
        let inner = line.trim();
        if inner.starts_with("///") {
            let fence = inner.starts_with("/// ```");
            is_code ^= fence;
            comment.extend(inner.strip_prefix("/// ").filter(|_| !fence && !is_code));
            continue;
        }
        if inner.starts_with("#[") {
            spelled = match inner {
                _ if inner.contains("kebab-case") => Some(kebab_case),
                _ if inner.contains("lowercase") => Some(str::to_lowercase),
                _ => spelled,
            };
            continue;
        }
        let inner = without_attribute(inner);
        let text = plain(&comment.join(" "));
        comment.clear();
        let declared = ["pub struct ", "pub enum "];
        let declared = declared.iter().find_map(|word| line.strip_prefix(word));
        if let Some(rest) = declared {
            let name = rest.trim_end_matches(" {").to_owned();
            let fields = Vec::new();
            types.push(Type { name, text, fields });
            declares = true;
        } else if line == "}" {
            (declares, spelled) = (false, None);
        } else if let (true, Some(last)) = (declares, types.last_mut()) {
            let inner = inner.trim_end_matches(',');
            let field = inner.strip_prefix("pub ");
            let field = field.and_then(|field| field.split_once(": "));
            let (name, kind) = match (field, inner.trim_end_matches(')').split_once('(')) {
                (Some((name, kind)), _) => (name.to_owned(), Some(kind)),
                (None, Some((name, kind))) => (spelled.unwrap()(name), Some(kind)),
                (None, None) => (spelled.unwrap()(inner), None),
            };
            last.fields.push((name, kind.map(str::to_owned), text));
        }
    }
    assert!(types.len() > 3, "the declarations are read");
    types
}

/// A variant without the attribute of what is in it.
fn without_attribute(variant: &str) -> String {
    match (variant.find("(#["), variant.find(")] ")) {
        (Some(start), Some(end)) => format!("{}({}", &variant[..start], &variant[end + 3..]),
        _ => variant.to_owned(),
    }
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
        return format!("{}, or null", said(kind, types));
    }
    if let Some(kind) = inside("Vec<") {
        return format!("array: {}", said(kind, types));
    }
    match kind {
        "Text" | "String" | "&'static str" => "string".to_owned(),
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
