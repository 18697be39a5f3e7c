//! The page of a configuration, from the example that has every key with its default and its reason.
//!
//! In an example a comment says what the settings below it are for, or the table. Settings are commented out. Where a comment
//! says that there is none by default, or what the default is, the value is an example.

use clap_mangen::roff::{Roff, bold, italic, roman};

const HEAD: &str = "The file is TOML. An unknown key is an error, told with file, line and column. Names of files are relative to it.";

/// A key of a table.
struct Setting {
    key: String,
    /// As TOML has it.
    value: String,
    /// Whether the value is only an example.
    has_no_default: bool,
}

impl Setting {
    fn kind(&self) -> &'static str {
        match self.value.chars().next() {
            Some('"') => "string",
            Some('[') if self.value.starts_with("[\"") => "array of strings",
            Some('[') if self.value.starts_with("[{") => "array of strings and tables",
            Some('[') => "array of integers",
            Some('t' | 'f') => "boolean",
            _ => "integer",
        }
    }
}

/// Settings that one text is about.
struct Group {
    text: String,
    settings: Vec<Setting>,
}

struct Table {
    /// `[listen]`.
    name: String,
    text: String,
    groups: Vec<Group>,
}

fn tables(example: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut text = String::new();
    for line in example.lines() {
        let setting = line.strip_prefix('#').unwrap_or(line);
        if let Some(words) = line.strip_prefix("# ") {
            text = format!("{text} {words}").trim().to_owned();
        } else if setting.starts_with('[') {
            let (name, text, groups) = (setting.to_owned(), std::mem::take(&mut text), Vec::new());
            tables.push(Table { name, text, groups });
        } else if let Some((key, value)) = setting.split_once(" = ") {
            let groups = &mut tables.last_mut().unwrap().groups;
            if !text.is_empty() {
                let text = std::mem::take(&mut text);
                groups.push(Group {
                    text,
                    settings: Vec::new(),
                });
            }
            let group = groups.last_mut().unwrap();
            let has_no_default = ["None by default", "Absent by default", "Default: "]
                .iter()
                .any(|words| group.text.contains(words));
            let (key, value) = (key.to_owned(), value.to_owned());
            group.settings.push(Setting {
                key,
                value,
                has_no_default,
            });
        } else {
            assert_eq!(line, "");
            // The head of the file.
            text.clear();
        }
    }
    tables
}

/// The page up to what is said beside.
pub(super) fn page(name: &str, example: &str) -> String {
    let (name, _) = name.rsplit_once('.').unwrap();
    let version = concat!("loopkdc ", env!("CARGO_PKG_VERSION"));
    let mut page = Roff::new();
    page.control(
        "TH",
        [&*name.to_uppercase(), "5", "", version, "File Formats"],
    );
    page.control("SH", ["NAME"]);
    let daemon = if name.contains("gateway") {
        "the gateway"
    } else {
        "loopkdc run"
    };
    page.text([roman(format!("{name} - configuration of {daemon}"))]);
    page.control("SH", ["KEYS"]);
    page.text([roman(HEAD)]);
    for table in tables(example) {
        page.control("SS", [&*table.name]);
        if !table.text.is_empty() {
            page.text([roman(table.text)]);
        }
        for group in table.groups {
            describe(&mut page, group);
        }
    }
    // An empty date is left out, and the next word taken for it.
    page.to_roff().replacen(" 5  \"", " 5 \"\" \"", 1)
}

fn describe(page: &mut Roff, group: Group) {
    for (index, setting) in group.settings.iter().enumerate() {
        page.control(if index == 0 { "TP" } else { "TQ" }, []);
        let says = if setting.has_no_default {
            "for example"
        } else {
            "default"
        };
        page.text([
            bold(&setting.key),
            roman(format!(" ({}; {says} ", setting.kind())),
            italic(&setting.value),
            roman(")"),
        ]);
    }
    page.text([roman(group.text)]);
}
