//! The binary as a user and a service manager see it: output, exit code, and who may read what.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests but not in what they call"
)]

mod finding;
mod gateway;
#[path = "../support/hints.rs"]
mod hints;
mod import;
mod out;
#[cfg(unix)]
mod permission;
#[cfg(unix)]
mod status;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A directory with a configuration in it.
struct Home {
    dir: TempDir,
}

impl Home {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.toml"), config).unwrap();
        Self { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn config(&self) -> PathBuf {
        self.path().join("config.toml")
    }

    /// Runs `loopkdc` here, without the caller's own configuration.
    fn loopkdc(&self, args: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loopkdc"));
        command
            .args(args)
            .current_dir(self.path())
            .env_remove("XDG_CONFIG_HOME")
            .env("HOME", self.path());
        Ended::new(&command.output().unwrap())
    }
}

#[derive(Debug, PartialEq)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn new(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }
}

const REALM: &str = "[realms.\"EXAMPLE.COM\"]\nproxies = [\"https://kdcproxy.example.com\"]\n";

#[test]
fn check_shows_what_would_listen_and_where_each_realm_goes() {
    let home = Home::new(
        r#"
        [listen]
        kdc = ["127.0.0.1:1088", "unix:/run/loopkdc/kdc.sock"]
        [defaults]
        on-failure = "explain"
        [realms."*"]
        proxies = ["https://any"]
        [realms."*.COM"]
        proxies = ["https://com"]
        [realms."*.EXAMPLE.COM"]
        proxies = ["https://below"]
        [realms."EXAMPLE.COM"]
        proxies = ["https://one/KdcProxy", "https://two:8443/tenant/kerberos"]
        aliases = ["CORP", "EXAMPLE"]
        deadline-seconds = 20
        target-domain = "AD.EXAMPLE.COM"
        primary-proxies = ["https://two:8443/tenant/kerberos"]
        dclocator-hint = -2147483648
        "#,
    );
    let ended = home.loopkdc(&["check", "--config", "config.toml"]);
    let stdout = "\
config.toml: valid
kdc: 127.0.0.1:1088, unix:/run/loopkdc/kdc.sock
kpasswd: 127.0.0.1:464, [::1]:464 (if this machine has IPv6)
realm EXAMPLE.COM (also CORP, EXAMPLE)
  1. https://one/KdcProxy
  2. https://two:8443/tenant/kerberos (primary)
  kpasswd 1. https://two:8443/tenant/kerberos (primary)
  kpasswd 2. https://one/KdcProxy
  deadline 20 s, on-failure explain
  target-domain AD.EXAMPLE.COM
  dclocator-hint 0x80000000
realm *.EXAMPLE.COM
  1. https://below/KdcProxy
  deadline 9 s, on-failure explain
realm *.COM
  1. https://com/KdcProxy
  deadline 9 s, on-failure explain
realm *
  1. https://any/KdcProxy
  deadline 9 s, on-failure explain
";
    let stderr = "loopkdc: warning: realm * lets any local user choose the realm that the proxy is asked about\n";
    assert_eq!(
        ended,
        Ended {
            code: Some(0),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned()
        }
    );
}

#[test]
fn check_says_what_happens_to_other_realms_and_names_certificates() {
    let home = Home::new(&format!(
        "[listen]\nkpasswd = []\n{REALM}ca-file = \"ca.pem\"\n"
    ));
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["ca".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    fs::write(home.path().join("ca.pem"), certificate.pem()).unwrap();
    let ended = home.loopkdc(&["check", "--config", "config.toml"]);
    let stdout = "\
config.toml: valid
kdc: 127.0.0.1:88, [::1]:88 (if this machine has IPv6)
kpasswd: not offered
realm EXAMPLE.COM
  1. https://kdcproxy.example.com/KdcProxy
  deadline 9 s, on-failure unreachable
  trusts besides the system's roots: ca.pem (certificates: 1)
any other realm: no proxy, on-failure unreachable
";
    assert_eq!(
        ended,
        Ended {
            code: Some(0),
            stdout: stdout.to_owned(),
            stderr: String::new()
        }
    );
}

#[test]
fn the_users_configuration_is_found() {
    let home = Home::new("");
    let dir = home.path().join(".config/loopkdc");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("config.toml"), REALM).unwrap();
    let ended = home.loopkdc(&["check"]);
    let first = format!("{}: valid\n", dir.join("config.toml").display());
    assert!(ended.stdout.starts_with(&first), "{ended:?}");
}

#[test]
fn a_bad_configuration_is_told_once_and_ends_with_78() {
    let home = Home::new("[realms.\"EXAMPLE.COM\"]\nproxies = [\"https://a\", \"http://b\"]\n");
    let stderr = "\
loopkdc: error: config.toml:2:25: http:// would send what realm EXAMPLE.COM is asked across the network in plain text
  |
2 | proxies = [\"https://a\", \"http://b\"]
  |                         ^^^^^^^^^^
loopkdc: hint: write https://, or set allow-plaintext = true for the realm in the file
";
    for command in ["check", "run"] {
        let ended = home.loopkdc(&[command, "--config", "config.toml"]);
        assert_eq!(
            ended,
            Ended {
                code: Some(78),
                stdout: String::new(),
                stderr: stderr.to_owned()
            }
        );
    }
}

#[test]
fn a_missing_file_ends_with_78_and_says_how_to_make_one() {
    let home = Home::new("");
    for command in ["check", "run"] {
        let ended = home.loopkdc(&[command, "--config", "no.toml"]);
        assert_eq!(ended.code, Some(78));
        assert!(ended.stderr.starts_with("loopkdc: error: the configuration says which KDC proxy serves which realm, and no.toml does not exist\n"), "{ended:?}");
        assert!(
            ended
                .stderr
                .contains("\nloopkdc: hint: to go without a file: loopkdc run --realm "),
            "{ended:?}"
        );
        assert!(
            ended
                .stderr
                .contains("\nloopkdc: hint: to make one, write into no.toml "),
            "{ended:?}"
        );
    }
}

#[test]
fn a_bad_command_line_ends_with_78() {
    let home = Home::new("");
    for args in [
        &["run", "--confg", "x"][..],
        &["run", "--realm", "A"],
        &["run", "--realm", "A=https://p", "--listen-kdc", "88"],
    ] {
        let ended = home.loopkdc(args);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(78), ""),
            "{args:?}"
        );
        assert!(ended.stderr.starts_with("loopkdc: error: "), "{ended:?}");
    }
}

#[test]
fn the_name_alone_tells_what_there_is() {
    let ended = Home::new("").loopkdc(&[]);
    assert_eq!(ended.code, Some(78));
    assert!(ended.stderr.contains("\n  doctor "), "{ended:?}");
}

#[test]
fn help_and_version_go_to_stdout() {
    let home = Home::new("");
    for args in [
        &["--help"][..],
        &["help", "status"],
        &["run", "--help"],
        &["check", "-h"],
        &["--version"],
    ] {
        let ended = home.loopkdc(args);
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{args:?}"
        );
        assert!(ended.stdout.contains("loopkdc"), "{ended:?}");
    }
}
