//! The .deb, from its making to its purge.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use tempfile::tempdir;

use super::Workshop;
use super::root::{Root, configured};
use crate::support::netns::isolated;
use crate::{run, text};

/// The sockets of the tunnel are what starts by itself.
const ENABLED: [&str; 2] = [
    "/etc/systemd/system/sockets.target.wants/loopkdc.socket",
    "/etc/systemd/system/sockets.target.wants/loopkdc-kpasswd.socket",
];
const GATEWAY_ENABLED: &str = "/etc/systemd/system/multi-user.target.wants/loopkdc-gateway.service";
const DROP_IN: &str = "/etc/krb5.conf.d/00-loopkdc.conf";
const CONFIGURATION: &str = "/etc/loopkdc/config.toml";

/// Neither errors nor warnings.
#[test]
fn lintian_has_nothing_to_say() {
    let workshop = Workshop::open();
    let said = run(Command::new("lintian")
        .args(["--allow-root", "--fail-on", "error,warning"])
        .arg(workshop.deb("1")));
    assert_eq!(said, "");
}

#[test]
fn it_has_the_version_of_the_program() {
    let changelog = text("debian/changelog");
    let version = format!("loopkdc ({}-", env!("CARGO_PKG_VERSION"));
    assert!(changelog.starts_with(&version), "{changelog}");
}

#[test]
fn what_was_changed_is_kept_and_a_purge_leaves_nothing() {
    isolated(|| {
        let workshop = Workshop::open();
        let dir = tempdir().unwrap();
        let root = Root::new(dir.path());
        let before = root.files();
        for revision in ["1", "2"] {
            let name = format!("/loopkdc-{revision}.deb");
            root.put(&workshop.deb(revision), &name);
        }
        root.run("dpkg -i /loopkdc-1.deb");
        for name in ["/usr/bin/loopkdc", CONFIGURATION, ENABLED[0], ENABLED[1]] {
            assert!(root.has(name), "{name}");
        }
        assert!(!root.has(GATEWAY_ENABLED));
        assert!(root.read("/etc/group").contains("\nloopkdc:"));
        assert!(root.run("loopkdc check").contains("any other realm"));

        changed_and_upgraded(&root);
        removed(&root);
        purged(&root, before.into_keys().collect());
    });
}

/// As configuration management does it, which may come before the package and can't be asked.
#[test]
fn a_configuration_that_was_there_first_is_kept() {
    isolated(|| {
        let workshop = Workshop::open();
        let dir = tempdir().unwrap();
        let root = Root::new(dir.path());
        root.put(&workshop.deb("1"), "/loopkdc.deb");
        let first =
            "[realms.\"EXAMPLE.COM\"]\nproxies = [\"https://kdcproxy.example.com/KdcProxy\"]\n";
        root.run("mkdir /etc/loopkdc");
        fs::write(root.path(CONFIGURATION), first).unwrap();
        root.run(
            "export DEBIAN_FRONTEND=noninteractive
             apt-get install -y -o Dpkg::Options::=--force-confold /loopkdc.deb",
        );
        assert_eq!(root.read(CONFIGURATION), first);
        assert!(root.run("loopkdc check").contains("realm EXAMPLE.COM"));
        assert!(root.has(&format!("{CONFIGURATION}.dpkg-dist")));
    });
}

/// An upgrade keeps the configuration as it was edited, and what was disabled or enabled.
fn changed_and_upgraded(root: &Root) {
    let edited = configured(&root.read(CONFIGURATION));
    fs::write(root.path(CONFIGURATION), &edited).unwrap();
    root.run("loopkdc krb5-conf --install --drop-in");
    assert!(root.has(DROP_IN));
    root.run(
        "systemctl disable loopkdc-kpasswd.socket
         systemctl enable loopkdc-gateway.service",
    );
    root.run("dpkg -i /loopkdc-2.deb");
    assert!(root.run("dpkg-query -W loopkdc").ends_with("-2\n"));
    assert_eq!(root.read(CONFIGURATION), edited);
    assert!(root.has(DROP_IN));
    assert!(root.has(ENABLED[0]) && !root.has(ENABLED[1]));
    assert!(root.has(GATEWAY_ENABLED));
}

/// A removal leaves the configuration, units that nobody can start by mistake, and no krb5.conf that leads nowhere.
fn removed(root: &Root) {
    root.run("dpkg -r loopkdc");
    assert!(root.has(CONFIGURATION) && !root.has("/usr/bin/loopkdc"));
    assert!(!root.has("/usr/lib/systemd/system/loopkdc.service"));
    assert!(!root.has(DROP_IN) && !root.has("/etc/krb5.conf"));
    let masked = fs::read_link(root.path("/etc/systemd/system/loopkdc.service")).unwrap();
    assert_eq!(masked.to_str(), Some("/dev/null"));
}

/// A purge takes the rest, what the daemons have kept among it, but for the group: files may still belong to it.
fn purged(root: &Root, before: BTreeSet<String>) {
    root.run(
        "mkdir -p /var/lib/private/loopkdc /var/log/private/loopkdc-gateway
         echo >/var/lib/private/loopkdc/proxies.toml
         ln -s private/loopkdc /var/lib/loopkdc
         ln -s private/loopkdc-gateway /var/log/loopkdc-gateway
         rm /loopkdc-*.deb
         dpkg -P loopkdc",
    );
    let after: BTreeSet<_> = root.files().into_keys().collect();
    let left: Vec<_> = after.difference(&before).collect();
    let ours: Vec<_> = left
        .iter()
        .filter(|name| name.contains("loopkdc"))
        .collect();
    assert!(ours.is_empty(), "{ours:?}");
    // What is not ours: the records of dpkg and of others, and folders that are anybody's.
    let of_others = [
        "var/lib/dpkg",
        "var/lib/systemd",
        "var/lib/private",
        "var/log",
        "etc/group",
        "etc/gshadow",
        "etc/systemd",
        "etc/.pwd.lock",
    ];
    for name in left {
        let known = of_others.iter().any(|other| name.starts_with(other));
        assert!(known, "{name} is left");
    }
    let lost: Vec<_> = before.difference(&after).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(root.read("/etc/group").contains("\nloopkdc:"));
}
