//! The configuration, without files but for certificates.

mod direct;
pub(super) mod example;
mod listen;
mod proxies;
mod proxy_options;
mod realms;
mod secrets;
mod syntax;
mod values;

use std::path::Path;

use super::keys::KeyTable;
use super::{Config, Sources};

/// A test by that name: the text is refused in these words.
macro_rules! refused {
    ($($name:ident: $text:expr => $words:expr;)*) => {
        $(#[test]
        fn $name() {
            assert_eq!(error($text), $words.trim_start_matches('\n').trim_end());
        })*
    };
}

pub(super) use refused;

/// A realm that nothing is wrong with.
const REALM: &str = "[realms.\"A\"]\nproxies = [\"https://p\"]\n";

fn build(text: &str) -> Config {
    build_with(text, &Sources::default())
}

fn build_with(text: &str, sources: &Sources) -> Config {
    let built = Config::build(text, Path::new("/nowhere/f.toml"), sources, &[]);
    built.unwrap_or_else(|broken| panic!("{}", show(text, broken)))
}

/// What the user reads.
fn error(text: &str) -> String {
    error_with(text, &Sources::default())
}

fn error_with(text: &str, sources: &Sources) -> String {
    match Config::build(text, Path::new("/nowhere/f.toml"), sources, &[]) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(broken) => show(text, broken),
    }
}

pub(super) fn show(text: &str, broken: super::error::ConfigError) -> String {
    broken
        .into_failure(Some((Path::new("f.toml"), text)))
        .to_string()
}

/// The keys of a table, as an error lists them.
pub(super) fn names(table: &KeyTable) -> String {
    let names: Vec<_> = table.keys.iter().map(|key| key.name).collect();
    names.join(", ")
}

/// What is valid and still worth a word, as the log has it.
fn warnings(config: &Config) -> Vec<String> {
    config.warnings().iter().map(ToString::to_string).collect()
}

fn given(options: &[&str]) -> Sources {
    Sources {
        realms: options.iter().map(ToString::to_string).collect(),
        ..Sources::default()
    }
}

/// A certificate that can be a root, in PEM.
fn certificate() -> String {
    certified().0
}

/// The same, and its key.
fn certified() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["proxy.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    (certificate, key.serialize_pem())
}
