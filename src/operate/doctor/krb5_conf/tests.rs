//! One test for each thing that is said, with its words.

mod defaults;
mod files;
mod realm;
mod sssd;

use std::path::Path;

use super::{ClientConfig, examine};
use crate::config::{Config, Sources};
use crate::operate::krb5_conf::Host;
use crate::operate::krb5_conf::disk::Disk;
use crate::relay::finding::{Finding, Layer, Severity};
use crate::wire::Realm;

const INCLUDE: &str = "includedir /etc/krb5.conf.d\n";
const DEFAULTS: &str =
    "[libdefaults]\ndefault_realm = EXAMPLE.COM\ndns_canonicalize_hostname = false\n";
const STANZA: &str = "[realms]\nEXAMPLE.COM = {\nkdc = 127.0.0.1\nkdc = [::1]\nprimary_kdc = 127.0.0.1\nkpasswd_server = 127.0.0.1:464\n}\n";
const CONFIG: &str = "[realms.\"EXAMPLE.COM\"]\nproxies = [\"https://p\"]\n";
const FILE: &str = "/etc/krb5.conf";
const DROP_IN: &str = "/etc/krb5.conf.d/00-loopkdc.conf";

/// A variable of the environment is a file whose name begins with a $.
impl Host for Disk {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(&format!("${name}")).cloned()
    }

    /// So is a unit that is not at work.
    fn is_inactive(&self, unit: &str) -> bool {
        self.0.contains_key(&format!("$inactive {unit}"))
    }
}

/// What is said of a machine with these files, and of this configuration.
fn said_of(files: &[(&str, &str)], toml: &str) -> Vec<Finding> {
    let client = ClientConfig::read(&mut Disk::with(files));
    let config = Config::parse(Path::new("config.toml"), toml, &Sources::default()).unwrap();
    let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
    let findings = examine(&client, &config, &[realm]);
    for finding in &findings {
        let layers = [Layer::Krb5Conf, Layer::Configuration];
        assert!(finding.subject.layer.is_some_and(|of| layers.contains(&of)));
        let wants_hint = matches!(finding.severity, Severity::Warning | Severity::Fault);
        assert_eq!(!finding.hints.is_empty(), wants_hint, "{finding:?}");
    }
    findings
}

/// The one finding that is not as it should be: its severity, its words, its hint.
#[track_caller]
fn wrong_with(files: &[(&str, &str)], toml: &str) -> (Severity, String, String) {
    let mut findings = said_of(files, toml);
    findings.retain(|finding| finding.severity != Severity::Ok);
    let [finding] = findings.as_slice() else {
        panic!("{findings:#?}")
    };
    (finding.severity, finding.placed(), finding.advice())
}

/// Nothing is wrong.
#[track_caller]
fn is_fine(files: &[(&str, &str)], toml: &str) {
    let findings = said_of(files, toml);
    let is_ok = |finding: &Finding| finding.severity == Severity::Ok;
    assert!(findings.iter().all(is_ok), "{findings:#?}");
}

/// The same of a krb5.conf.
#[track_caller]
fn wrong(krb5_conf: &str) -> (Severity, String, String) {
    wrong_with(&[(FILE, krb5_conf)], CONFIG)
}

#[track_caller]
fn warns(found: (Severity, String, String), what: &str, hint: &str) {
    let expected = (Severity::Warning, what.to_owned(), hint.to_owned());
    assert_eq!(found, expected);
}

#[track_caller]
fn faults(found: (Severity, String, String), what: &str, hint: &str) {
    let expected = (Severity::Fault, what.to_owned(), hint.to_owned());
    assert_eq!(found, expected);
}

#[test]
fn what_is_installed_has_nothing_wrong_with_it() {
    let file = format!("{INCLUDE}{DEFAULTS}");
    let findings = said_of(&[(FILE, &file), (DROP_IN, STANZA)], CONFIG);
    let said: Vec<_> = findings
        .iter()
        .map(|finding| (finding.severity, finding.placed()))
        .collect();
    let ok = "/etc/krb5.conf.d/00-loopkdc.conf:3: EXAMPLE.COM goes to kdc = 127.0.0.1, where loopkdc listens";
    assert_eq!(said, [(Severity::Ok, ok.to_owned())]);
}

#[test]
fn the_default_realm_is_known() {
    let client = ClientConfig::read(&mut Disk::with(&[(FILE, DEFAULTS)]));
    assert_eq!(client.default_realm(), Some("EXAMPLE.COM"));
}
