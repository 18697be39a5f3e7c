//! The example that is shipped.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{build, certificate, certified, warnings};
use crate::config::keys::{KeyTable, RUN};
use crate::config::{Config, Sources, StatusSocket};

const EXAMPLE: &str = include_str!("../../../packaging/config.example.toml");

/// Takes the `#` from the settings of an example, as its head says.
pub(in crate::config) fn in_use(example: &str) -> String {
    fn line(line: &str) -> &str {
        match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        }
    }
    example.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The keys that `table` may hold.
pub(in crate::config) fn known(table: &KeyTable) -> BTreeSet<String> {
    table.keys.iter().map(|key| key.name.to_owned()).collect()
}

#[test]
fn as_shipped_it_says_nothing() {
    let config = build(EXAMPLE);
    assert_eq!(config.listen, build("").listen);
    assert!(config.realms.is_empty());
}

#[test]
fn in_use_it_is_valid_and_says_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let (laptop, key) = certified();
    for (name, content) in [
        ("example-ca.pem", certificate()),
        ("laptop.pem", laptop),
        ("laptop-key.pem", key),
        ("laptop-key.passphrase", "none\n".to_owned()),
        ("headers.txt", "X-Device: laptop\n".to_owned()),
        ("token.txt", "abc.def\n".to_owned()),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    let file = dir.path().join("config.toml");
    fs::write(&file, in_use(EXAMPLE)).unwrap();
    let config = Config::load(&Sources {
        file: Some(file),
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(warnings(&config), [""; 0]);

    let mut listen = build("").listen;
    listen
        .kdc
        .iter_mut()
        .chain(&mut listen.kpasswd)
        .for_each(|endpoint| endpoint.optional = false);
    // Where the usual place depends on who starts it.
    listen.status_socket = StatusSocket::At("/run/loopkdc/status.sock".into());
    assert_eq!(config.listen, listen);
    let plain = &build("[realms.\"A\"]\nproxies = [\"https://p\"]\n").realms[0];
    let [entry] = &config.realms[..] else {
        panic!("{:?}", config.realms)
    };
    assert_eq!(
        (entry.deadline, entry.on_failure),
        (plain.deadline, plain.on_failure)
    );
    assert_eq!(entry.aliases.len(), 1);
    assert!(entry.direct.is_none() && plain.direct.is_none());
    let out = &entry.proxy_options;
    assert_eq!(
        (&out.forward_proxy, out.min_tls, out.http_version),
        (
            &plain.proxy_options.forward_proxy,
            plain.proxy_options.min_tls,
            plain.proxy_options.http_version
        )
    );
    assert!(out.client_certificate.is_some());
    assert_eq!((out.headers.fixed.len(), out.pins.len()), (1, 2));
}

/// A key that nobody reads would be taken and do nothing.
#[test]
fn every_key_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
    let files = [&root, &root.join("gateway")].map(|folder| fs::read_dir(folder).unwrap());
    let files = files.into_iter().flatten().map(|file| file.unwrap().path());
    let text = files
        .filter(|file| file.is_file())
        .map(|file| fs::read_to_string(file).unwrap());
    let words: BTreeSet<_> = text
        .flat_map(|text| {
            let uses = text.split("keys::").skip(1);
            let word = |c: char| c.is_ascii_uppercase() || c == '_';
            uses.map(|rest| rest.chars().take_while(|c| word(*c)).collect::<String>())
                .collect::<Vec<_>>()
        })
        .collect();
    let table = include_str!("../keys.rs").lines();
    let declared =
        table.filter_map(|line| Some(line.strip_prefix("    ")?.split_once(" = key(")?.0));
    let declared: Vec<_> = declared.collect();
    assert!(declared.len() > 50);
    for key in declared {
        assert!(words.contains(key), "nobody reads keys::{key}");
    }
}

#[test]
fn every_key_stands_in_it() {
    let text = in_use(EXAMPLE);
    let shown: toml::Table = toml::from_str(&text).unwrap();
    let keys = |table: &toml::Value| {
        table
            .as_table()
            .unwrap()
            .keys()
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(keys(&shown["listen"]), known(RUN.service));
    let of_realms = &keys(&shown["defaults"]) | &keys(&shown["realms"]["EXAMPLE.COM"]);
    assert_eq!(of_realms, known(RUN.realm));
}
