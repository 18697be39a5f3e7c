//! The systemd units, as shipped.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::proxy::{KdcProxy, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};

const UNITS: [(&str, &str); 4] = [
    (
        "loopkdc-gateway.service",
        include_str!("../../packaging/systemd/loopkdc-gateway.service"),
    ),
    (
        "loopkdc.service",
        include_str!("../../packaging/systemd/loopkdc.service"),
    ),
    (
        "loopkdc.socket",
        include_str!("../../packaging/systemd/loopkdc.socket"),
    ),
    (
        "loopkdc-kpasswd.socket",
        include_str!("../../packaging/systemd/loopkdc-kpasswd.socket"),
    ),
];

/// systemd has nothing to remark on them.
#[test]
fn units_are_valid() {
    let dir = tempdir().unwrap();
    let paths = UNITS.map(|(name, text)| {
        let path = dir.path().join(name);
        // Where the units expect it there need be no program here.
        let text = text.replace("/usr/bin/loopkdc", env!("CARGO_BIN_EXE_loopkdc"));
        fs::write(&path, text).unwrap();
        path
    });
    let verify = Command::new("systemd-analyze")
        .arg("verify")
        .args(&paths)
        .output();
    let verify = verify.expect("systemd-analyze (package systemd) starts");
    let said = String::from_utf8_lossy(&verify.stderr);
    assert!(verify.status.success() && said.is_empty(), "{said}");
}

#[test]
fn all_units_are_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let units = names.filter(|name| !name.ends_with(".sysusers"));
    assert_eq!(units.count(), UNITS.len());
}

/// The group that the gateway's unit wants is made as the file beside it says.
#[test]
fn the_group_of_the_gateway_is_made() {
    let root = tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd/loopkdc.sysusers");
    let made = Command::new("systemd-sysusers")
        .arg(format!("--root={}", root.path().display()))
        .arg(file)
        .output();
    let made = made.expect("systemd-sysusers (package systemd) starts");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    let groups = fs::read_to_string(root.path().join("etc/group")).unwrap();
    assert!(groups.contains("loopkdc:"), "{groups}");
    let (_, unit) = UNITS[0];
    assert!(unit.contains("\nGroup=loopkdc\n"));
}

/// A user of its own for each start, and yet a folder that outlasts it.
#[test]
fn what_is_found_has_a_folder_of_its_own() {
    let (_, unit) = UNITS[1];
    let lines: Vec<_> = unit.lines().collect();
    for line in [
        "DynamicUser=yes",
        "StateDirectory=loopkdc",
        "StateDirectoryMode=0700",
    ] {
        assert!(lines.contains(&line), "{line}");
    }
}

/// The sockets that the units describe are taken over by their names, and serve.
#[test]
fn sockets_are_inherited() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), "EXAMPLE.COM", 88, Preauth::Spake);
        let proxy = KdcProxy::start(dir.path(), 8443, &[Route::to(&realm)]);
        let sockets: Vec<_> = UNITS.iter().flat_map(|(_, text)| streams(text)).collect();
        assert_eq!(sockets.len(), 4);
        let loopkdc = Loopkdc::activated(dir.path(), &[(realm.name, &proxy)], &sockets);
        let mut client = Client::by_drop_in(dir.path(), &[realm.name]);
        client.also("[libdefaults]\n udp_preference_limit = 1\n");

        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        let new = "a newer horse";
        let kpasswd = client.run("kpasswd user@EXAMPLE.COM", &[PASSWORD, new, new]);
        kpasswd.succeeds();
        let bound = "kdc=127.0.0.1:88,[::1]:88 kpasswd=127.0.0.1:464,[::1]:464";
        loopkdc.process.wait_for(bound);
    });
}

/// The streams that a socket unit listens on, each with the name that it gives its descriptors.
fn streams(unit: &str) -> Vec<(&str, &str)> {
    let values = |key: &'static str| unit.lines().filter_map(move |line| line.strip_prefix(key));
    let name = values("FileDescriptorName=").next();
    let addresses = values("ListenStream=");
    addresses.map(|address| (name.unwrap(), address)).collect()
}
