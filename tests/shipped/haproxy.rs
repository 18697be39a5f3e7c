//! HAProxy's configuration.

use std::fs;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair};
use tempfile::tempdir;

use crate::{run, text};

/// HAProxy takes it, with files and names that exist here.
#[test]
fn it_is_valid() {
    let dir = tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["kdcproxy.example.com".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap()
        .pem();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(
        path("kdcproxy.pem"),
        certificate.clone() + &key.serialize_pem(),
    )
    .unwrap();
    fs::write(path("gateways-ca.pem"), certificate).unwrap();
    let here = text("haproxy/haproxy.cfg")
        .replace("/etc/haproxy", dir.path().to_str().unwrap())
        .replace(" gateway1.example.com:443", " 127.0.0.1:443")
        .replace(" gateway2.example.com:443", " 127.0.0.2:443");
    fs::write(path("haproxy.cfg"), here).unwrap();
    let said = run(Command::new("/usr/sbin/haproxy").args(["-c", "-f", &path("haproxy.cfg")]));
    assert!(said.contains("Configuration file is valid"), "{said}");
}
