//! The manual pages, the completions and the examples: made of the command line, of the table of keys and of the recipes, and of
//! what `packaging/man/prose` says beside.
//!
//! With `WRITE_MANUALS=1` they are written; else what lies in `packaging` must be what would be written.

mod commands;
mod keys;
mod recipes;
mod schema;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use loopkdc::config::keys::{GATEWAY, RUN};

use crate::{packaging, run, text};

/// Commands that print JSON, and where its fields are declared.
const DOCUMENTS: [(&str, &str); 2] = [
    (
        "loopkdc-doctor.8",
        concat!(
            include_str!("../../src/operate/doctor/report.rs"),
            include_str!("../../src/relay/finding.rs")
        ),
    ),
    (
        "loopkdc-status.8",
        concat!(
            include_str!("../../src/relay/status.rs"),
            include_str!("../../src/relay/finding.rs")
        ),
    ),
];

/// Names below `packaging`, and what is to stand there.
fn made() -> Vec<(String, String)> {
    let keys = [
        ("loopkdc.toml.5", "loopkdc run", &RUN),
        ("loopkdc-gateway.toml.5", "the gateway", &GATEWAY),
    ];
    let keys = keys.map(|(page, daemon, schema)| {
        let prose = text(&format!("man/prose/{page}"));
        (
            format!("man/{page}"),
            keys::page(page, daemon, schema) + &prose,
        )
    });
    let commands = commands::pages();
    let commands = commands.into_iter().map(|(page, mut text)| {
        let source = DOCUMENTS.iter().find(|(of, _)| *of == page);
        if let (Some((_, source)), Some(end)) = (source, text.find(".SH SEE ALSO")) {
            text.insert_str(end, &schema::section(source));
        }
        (format!("man/{page}"), text)
    });
    let completions = commands::completions();
    let completions = completions
        .into_iter()
        .map(|(name, script)| (format!("completions/{name}"), script));
    let recipes = recipes::page(&text("doc/recipes.md")) + &text("man/prose/loopkdc-recipes.7");
    let pages = keys.into_iter().chain(commands);
    let pages = pages.chain([("man/loopkdc-recipes.7".to_owned(), recipes)]);
    pages
        .map(|(name, page)| (name, whole_words(&page)))
        .chain(completions)
        .chain(examples())
        .collect()
}

fn examples() -> [(String, String); 2] {
    // The gateway's own table is needed, as HTTPS needs a certificate.
    let in_use = ["[gateway]", "[defaults]"];
    [
        (
            "config.example.toml".to_owned(),
            keys::example("loopkdc", "loopkdc check", &RUN, &[]),
        ),
        (
            "gateway.example.toml".to_owned(),
            keys::example(
                "loopkdc gateway",
                "loopkdc check --gateway",
                &GATEWAY,
                &in_use,
            ),
        ),
    ]
}

/// The page without hyphenation and with a ragged right margin, so that a command can be copied as it is shown.
fn whole_words(page: &str) -> String {
    let title = page.find(".TH ").unwrap();
    let end = title + page[title..].find('\n').unwrap() + 1;
    let (head, rest) = page.split_at(end);
    format!("{head}.nh\n.ad l\n{rest}")
}

fn names(folder: &str) -> BTreeSet<String> {
    let files = fs::read_dir(packaging(folder)).unwrap();
    let names = files
        .map(|file| file.unwrap())
        .filter(|file| file.path().is_file());
    names
        .map(|file| format!("{folder}/{}", file.file_name().into_string().unwrap()))
        .collect()
}

#[test]
fn are_what_the_program_says() {
    let made = made();
    if std::env::var_os("WRITE_MANUALS").is_some() {
        for (name, text) in &made {
            fs::write(packaging(name), text).unwrap();
        }
    }
    for (name, expected) in &made {
        let there = fs::read_to_string(packaging(name)).unwrap_or_default();
        assert!(
            there == *expected,
            "packaging/{name} is not what it should be: WRITE_MANUALS=1 cargo test --test shipped manuals"
        );
    }
    let there: BTreeSet<_> = names("man")
        .into_iter()
        .chain(names("completions"))
        .collect();
    let made = made.into_iter().map(|(name, _)| name);
    let made: BTreeSet<_> = made.filter(|name| name.contains('/')).collect();
    assert_eq!(there, made);
}

#[test]
fn are_read_without_a_warning() {
    for page in names("man") {
        let page = packaging(&page);
        let told = run(Command::new("sh")
            .args(["-c", r#"groff -Kutf8 -man -Tutf8 -wall -z "$0" 2>&1"#])
            .arg(&page));
        assert_eq!(told, "", "{}", page.display());
        let pages = names("man");
        for referred in referred(&fs::read_to_string(&page).unwrap()) {
            assert!(
                pages.contains(&format!("man/{referred}")),
                "{}: {referred}",
                page.display()
            );
        }
    }
}

/// At 80 columns a line ends between words: what is broken at a hyphen can't be copied.
#[test]
fn words_are_not_broken() {
    for page in names("man") {
        let shown = run(Command::new("groff")
            .args(["-Kutf8", "-man", "-Tutf8", "-P-cbou"])
            .arg(packaging(&page)));
        let broken: Vec<_> = shown
            .lines()
            .filter(|line| line.ends_with(['\u{2010}', '-']))
            .collect();
        assert!(broken.is_empty(), "{page}: {broken:#?}");
    }
}

/// The pages of ours that a page leads to: `loopkdc-run(8)`.
fn referred(page: &str) -> Vec<String> {
    let plain = page
        .replace("\\fB", "")
        .replace("\\fR", "")
        .replace("\\-", "-");
    let plain = plain.replace(" (", "(");
    let words = plain.split(|end: char| !(end.is_alphanumeric() || "-.()".contains(end)));
    let pages = words.filter_map(|word| {
        let (name, section) = word.trim_matches('.').split_once('(')?;
        let (section, _) = section.split_once(')')?;
        name.starts_with("loopkdc")
            .then(|| format!("{name}.{section}"))
    });
    pages.collect()
}

#[test]
fn completions_are_read_by_their_shells() {
    for (shell, name) in [
        ("bash", "loopkdc.bash"),
        ("zsh", "_loopkdc"),
        ("fish", "loopkdc.fish"),
    ] {
        run(Command::new(shell)
            .arg("-n")
            .arg(packaging("completions").join(name)));
    }
}

/// What is offered for the last of these words, by the shells that can be asked.
#[test]
fn commands_realms_and_files_are_completed() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/loopkdc");
    fs::create_dir_all(&folder).unwrap();
    let realm =
        |name: &str| format!("[realms.\"{name}\"]\nproxies = [\"https://kdcproxy.example.com\"]\n");
    let realms = [
        "EXAMPLE.COM",
        "EXAMPLE.ORG",
        "*.EXAMPLE.NET",
        "$(touch${IFS}pwned)X",
    ]
    .map(realm);
    fs::write(folder.join("config.toml"), realms.concat()).unwrap();
    fs::write(home.path().join("there.toml"), "").unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_loopkdc")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let offered = |shell: &str, words: &str| {
        let (script, name) = match shell {
            "bash" => (BASH, "loopkdc.bash"),
            _ => (FISH, "loopkdc.fish"),
        };
        let mut command = Command::new(shell);
        command.arg("-c").arg(script).env("LINE", words);
        command.env("SCRIPT", packaging("completions").join(name));
        command.env("PATH", &path).env("HOME", home.path());
        command
            .env_remove("XDG_CONFIG_HOME")
            .current_dir(home.path());
        let offered = run(&mut command);
        offered
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for shell in ["bash", "fish"] {
        let offers = |words: &str, expected: &[&str]| {
            assert_eq!(offered(shell, words), expected, "{shell}: {words}");
        };
        offers("loopkdc ch", &["check"]);
        offers("loopkdc he", &["help"]);
        offers("loopkdc help st", &["status"]);
        offers("loopkdc doctor EX", &["EXAMPLE.COM", "EXAMPLE.ORG"]);
        offers("loopkdc wait EXAMPLE.O", &["EXAMPLE.ORG"]);
        assert!(!offered(shell, "loopkdc doctor $").is_empty());
        assert!(!home.path().join("pwned").exists(), "{shell}");
        offers("loopkdc import --realm EXAMPLE.C", &["EXAMPLE.COM"]);
        offers("loopkdc check --config the", &["there.toml"]);
        offers("loopkdc import the", &["there.toml"]);
    }
}

/// Bash asks the function, and offers files itself where that has nothing.
const BASH: &str = r#"
. "$SCRIPT"
COMP_WORDS=($LINE) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_loopkdc_words loopkdc "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
[ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "${COMP_WORDS[-1]}"))
echo "${COMPREPLY[*]}"
"#;
/// Each with what it is for behind a tab.
const FISH: &str = r#"
source $SCRIPT
complete -C $LINE | cut -f 1
"#;

/// What the recipes say of loopkdc's configuration is read by it.
#[test]
fn recipes_are_valid() {
    let document = text("doc/recipes.md");
    let blocks = document.split("\n```toml\n").skip(1);
    let recipes: Vec<_> = blocks
        .map(|block| block.split("\n```\n").next().unwrap())
        .collect();
    assert_eq!(recipes.len(), 5);
    let dir = tempfile::tempdir().unwrap();
    let laptop = rcgen::generate_simple_self_signed(["laptop.example.com".to_owned()]).unwrap();
    fs::write(dir.path().join("laptop.pem"), laptop.cert.pem()).unwrap();
    fs::write(
        dir.path().join("laptop-key.pem"),
        laptop.signing_key.serialize_pem(),
    )
    .unwrap();
    let config = dir.path().join("config.toml");
    for recipe in recipes {
        fs::write(&config, recipe.replace("/etc/ipa/ca.crt", "laptop.pem")).unwrap();
        let checked = run(Command::new(env!("CARGO_BIN_EXE_loopkdc"))
            .args(["check", "--config"])
            .arg(&config));
        let realm = recipe.split('"').nth(1).unwrap();
        assert!(checked.contains(&format!("realm {realm}")), "{checked}");
    }
}
