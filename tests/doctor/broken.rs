//! A machine that was well, and is broken in the ways in which people break theirs: the doctor names what is wrong, and what it says
//! to type or to write mends it, as it stands there.

use std::process::{Command, Stdio};

use loopkdc::relay::finding::{Finding, Layer, Severity};

use crate::newcomer::{Newcomer, as_installed, logs_in};
use crate::scene::{REALM, alone};
use crate::support::netns::isolated;
use crate::support::process::Process;
use crate::support::proxy::{KdcProxy, Maker, Route};
use crate::support::realm::{Preauth, Realm};

/// What somebody has done, and what is said of it.
struct Broken {
    /// In a shell.
    how: &'static str,
    layer: Layer,
    words: &'static str,
    /// A part of the hint that is followed first.
    hint: &'static str,
}

const fn krb5_conf(how: &'static str, words: &'static str, hint: &'static str) -> Broken {
    Broken {
        how,
        layer: Layer::Krb5Conf,
        words,
        hint,
    }
}

const fn configuration(how: &'static str, words: &'static str, hint: &'static str) -> Broken {
    Broken {
        layer: Layer::Configuration,
        ..krb5_conf(how, words, hint)
    }
}

/// /etc/krb5.conf is one with this stanza.
macro_rules! stanza {
    ($lines:literal) => {
        concat!(
            "printf '[libdefaults]\\n default_realm = EXAMPLE.COM\\n[realms]\\n EXAMPLE.COM = {\\n",
            $lines,
            " }\\n' >/etc/krb5.conf"
        )
    };
}

const INSTALL: &str = "loopkdc krb5-conf --install";
const BROKEN: &[Broken] = &[
    krb5_conf(
        "rm /etc/krb5.conf",
        "/etc/krb5.conf does not exist",
        INSTALL,
    ),
    krb5_conf(
        "printf '[libdefaults]\\n default_realm = EXAMPLE.COM\\n' >/etc/krb5.conf",
        "names no kdc of EXAMPLE.COM",
        INSTALL,
    ),
    krb5_conf(
        stanza!("  kdc = 127.0.0.1:8888\\n"),
        "kdc = 127.0.0.1:8888 of EXAMPLE.COM is not loopkdc",
        INSTALL,
    ),
    krb5_conf(
        stanza!("  kdc = kdc.example.com\\n"),
        "kdc = kdc.example.com of EXAMPLE.COM is not loopkdc",
        INSTALL,
    ),
    krb5_conf(
        stanza!("  kdc = 127.0.0.1\\n  kdc = kdc.example.com\\n"),
        "kdc.example.com",
        INSTALL,
    ),
    krb5_conf(
        stanza!("  kdc = tcp/127.0.0.1\\n"),
        "tcp/127.0.0.1 of EXAMPLE.COM",
        INSTALL,
    ),
    krb5_conf(
        "sed -i 's/^/ /' /etc/krb5.conf",
        "has blanks before the [",
        "sed -i",
    ),
    krb5_conf(
        concat!(
            stanza!("  kdc = 127.0.0.1\\n"),
            "; sed -i '1s/^/\\xef\\xbb\\xbf/' /etc/krb5.conf"
        ),
        "begins with a byte order mark",
        "sed -i",
    ),
    configuration(
        "sed -i 's/default_realm = EXAMPLE.COM/default_realm = EXAMPEL.COM/' /etc/krb5.conf",
        "default_realm = EXAMPEL.COM is none of the realms",
        "if that is meant",
    ),
    configuration(
        "sed -i s/EXAMPLE.COM/EXAMPEL.COM/ /etc/loopkdc/config.toml",
        "default_realm = EXAMPLE.COM is none of the realms",
        "else write into",
    ),
];

/// On a machine that is well.
fn with_a_newcomer(body: impl FnOnce(&mut Newcomer<'_>)) {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, 88, Preauth::Spake);
        let proxy = KdcProxy::of(Maker::Ours, dir.path(), 8443, &[Route::to(&realm)]);
        as_installed(dir.path());
        let mut newcomer = Newcomer::new(&proxy);
        newcomer.does_as_told();
        body(&mut newcomer);
    });
}

/// The doctor says it, and what it says to do leads back to a ticket.
fn is_mended(newcomer: &mut Newcomer<'_>, broken: &Broken) {
    let found = newcomer.scene.doctor(&[]);
    let is_it = |finding: &&Finding| {
        finding.subject.layer == Some(broken.layer)
            && finding.severity >= Severity::Warning
            && finding.what.contains(broken.words)
    };
    let finding = found.findings.iter().find(is_it);
    let finding = finding.unwrap_or_else(|| panic!("{} {found:#?}", broken.how));
    let hints = finding.hints.iter();
    let first = hints
        .clone()
        .position(|hint| hint.to_string().contains(broken.hint));
    let first = first.unwrap_or_else(|| panic!("{} {finding:#?}", broken.how));
    newcomer.follows(&finding.hints[first..], finding);
    newcomer.does_as_told();
    logs_in(&newcomer.scene);
}

#[test]
fn what_is_broken_is_mended_by_what_is_said() {
    isolated(|| {
        with_a_newcomer(|newcomer| {
            for broken in BROKEN {
                newcomer.shell(broken.how);
                is_mended(newcomer, broken);
            }
        });
    });
}

#[test]
fn a_daemon_that_does_not_run_is_started() {
    isolated(|| {
        with_a_newcomer(|newcomer| {
            newcomer.stops();
            let broken = Broken {
                layer: Layer::Daemon,
                ..krb5_conf("", "loopkdc does not run", "loopkdc run")
            };
            is_mended(newcomer, &broken);
        });
    });
}

/// Python, as it is there; who has the port is told with its number.
const TAKER: &str = "import socket, time
taken = socket.socket()
taken.bind((\"127.0.0.1\", 88))
taken.listen()
print(\"taken\", flush=True)
time.sleep(600)";

#[test]
fn a_port_that_is_taken_is_freed() {
    isolated(|| {
        with_a_newcomer(|newcomer| {
            newcomer.stops();
            let mut python = Command::new("python3");
            python.args(["-c", TAKER]).stdin(Stdio::null());
            let mut taker = Process::start("python3", &mut python, "taken");
            let python = ("python3".to_owned(), "krb5kdc".to_owned());
            newcomer.scene.usual.push(python);
            let found = newcomer.scene.doctor(&[]);
            let words = format!(
                "127.0.0.1:88 (TCP): taken by python3 (process {})",
                taker.id()
            );
            found.is_at_fault(Layer::Ports, &words, "stop that program");
            let mut command = newcomer.scene.command();
            let refused = command.arg("run").output().unwrap();
            let said = String::from_utf8_lossy(&refused.stderr);
            assert!(said.contains("127.0.0.1:88"), "{said}");
            taker.terminate();
            newcomer.does_as_told();
            logs_in(&newcomer.scene);
        });
    });
}
