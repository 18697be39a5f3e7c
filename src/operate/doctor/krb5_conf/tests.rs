//! One test for each thing that is said, with its words.

mod defaults;
mod files;
mod realm;

use std::path::Path;

use super::{Scene, examine, others};
use crate::config::{Config, Sources};
use crate::operate::krb5_conf::Host;
use crate::operate::krb5_conf::disk::Disk;
use crate::relay::finding::{Finding, Layer, Severity};
use crate::wire::Realm;

const INCLUDE: &str = "includedir /etc/krb5.conf.d\n";
const DEFAULTS: &str =
    "[libdefaults]\ndefault_realm = EXAMPLE.COM\ndns_canonicalize_hostname = false\n";
const STANZA: &str = "[realms]\nEXAMPLE.COM = {\nkdc = 127.0.0.1\nprimary_kdc = 127.0.0.1\nkpasswd_server = 127.0.0.1:464\n}\n";
const CONFIG: &str = "[realms.\"EXAMPLE.COM\"]\nproxies = [\"https://p\"]\n";
const FILE: &str = "/etc/krb5.conf";
const DROP_IN: &str = "/etc/krb5.conf.d/loopkdc.conf";

/// A variable of the environment is a file whose name begins with a $.
impl Host for Disk {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(&format!("${name}")).cloned()
    }
}

fn config(text: &str) -> Config {
    Config::parse(Path::new("config.toml"), text, &Sources::default()).unwrap()
}

fn realms() -> Vec<Realm> {
    vec![Realm::parse(b"EXAMPLE.COM").unwrap()]
}

/// What is said of a machine with these files, and of this configuration.
fn said_of(files: &[(&str, &str)], toml: &str, unreachable: &[&str]) -> Vec<Finding> {
    let scene = Scene::read(&mut Disk::with(files));
    let unreachable: Vec<_> = unreachable
        .iter()
        .map(|server| (*server).to_owned())
        .collect();
    let findings = examine(&scene, &config(toml), &realms(), &unreachable);
    for finding in &findings {
        assert_eq!(finding.subject.layer, Some(Layer::Krb5Conf));
        let wants_hint = matches!(finding.severity, Severity::Warning | Severity::Fault);
        assert_eq!(!finding.hints.is_empty(), wants_hint, "{finding:?}");
    }
    findings
}

/// The one finding that is not as it should be: its severity, its words, its hint.
#[track_caller]
fn wrong_with(files: &[(&str, &str)], toml: &str) -> (Severity, String, String) {
    let mut findings = said_of(files, toml, &[]);
    findings.retain(|finding| finding.severity != Severity::Ok);
    let [finding] = findings.as_slice() else {
        panic!("{findings:#?}")
    };
    (finding.severity, finding.what.clone(), finding.advice())
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
    let findings = said_of(&[(FILE, &file), (DROP_IN, STANZA)], CONFIG, &[]);
    let said: Vec<_> = findings
        .iter()
        .map(|finding| (finding.severity, finding.what.as_str()))
        .collect();
    let ok = "EXAMPLE.COM goes to kdc = 127.0.0.1, where loopkdc listens (/etc/krb5.conf.d/loopkdc.conf, line 3)";
    assert_eq!(said, [(Severity::Ok, ok)]);
}

#[test]
fn the_default_realm_is_known() {
    let scene = Scene::read(&mut Disk::with(&[(FILE, DEFAULTS)]));
    assert_eq!(scene.default_realm(), Some("EXAMPLE.COM"));
}

#[test]
fn servers_beside_ours_can_be_tried() {
    let stanza = "[realms]\nEXAMPLE.COM = {\nkdc = 127.0.0.1\nkdc = dc1\nkdc = [2001:db8::1]:1088\nkdc = /run/k\nkdc = https://p/x\n}\n";
    let scene = Scene::read(&mut Disk::with(&[(FILE, stanza)]));
    assert_eq!(
        others(&scene, &config(CONFIG), &realms()),
        ["[2001:db8::1]:1088", "dc1:88"]
    );
}
