//! The units for systemd.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::{TempDir, tempdir};

use crate::{packaging, run, text};

const SERVICES: [&str; 2] = ["loopkdc.service", "loopkdc-gateway.service"];
/// What runs for a moment.
const ONESHOT: &str = "loopkdc-sssd.service";
const USER_SERVICE: &str = "user/loopkdc.service";

/// The files of `packaging/systemd` or a folder below it whose names end with one of these.
fn files(folder: &str, ends: &[&str]) -> Vec<String> {
    let found = fs::read_dir(packaging("systemd").join(folder)).unwrap();
    let names = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names
        .filter(|name| ends.iter().any(|end| name.ends_with(end)))
        .collect();
    names.sort();
    names
}

fn units(folder: &str) -> Vec<String> {
    files(folder, &[".service", ".socket", ".path", ".timer"])
}

fn unit(name: &str) -> String {
    text(&format!("systemd/{name}"))
}

/// The units of a folder, for a program that is here: where they expect it there need be none.
fn installed(folder: &str) -> TempDir {
    let dir = tempdir().unwrap();
    for name in units(folder) {
        let text = unit(&format!("{folder}/{name}"));
        let here = text.replace("/usr/bin/loopkdc", env!("CARGO_BIN_EXE_loopkdc"));
        fs::write(dir.path().join(name), here).unwrap();
    }
    dir
}

/// What systemd has to remark on the units in `dir`; the manual may not be installed here.
fn verify(dir: &Path, options: &[&str], names: &[String]) -> Output {
    let mut command = Command::new("systemd-analyze");
    command
        .args(["verify", "--man=no"])
        .args(options)
        .env("XDG_RUNTIME_DIR", dir)
        .args(names.iter().map(|name| dir.join(name)));
    let output = command.output();
    output.expect("systemd-analyze (package systemd) starts")
}

#[track_caller]
fn assert_no_remark(verify: &Output) {
    let said = String::from_utf8_lossy(&verify.stderr);
    assert!(verify.status.success() && said.is_empty(), "{said}");
}

/// systemd has nothing to remark on them.
#[test]
fn they_are_valid() {
    for (folder, options, count) in [("", &["--system"][..], 8), ("user", &["--user"], 5)] {
        let names = units(folder);
        assert_eq!(names.len(), count, "{names:?}");
        let dir = installed(folder);
        assert_no_remark(&verify(dir.path(), options, &names));
    }
}

/// What waits for the end of a reload is for systemd 253 and later, and its 252 ignores it.
#[test]
fn the_drop_in_for_later_versions_is_valid() {
    let dir = installed("");
    for service in SERVICES {
        let folder = dir.path().join(format!("{service}.d"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("reload.conf"), unit("notify-reload.conf")).unwrap();
    }
    let verify = verify(dir.path(), &["--system"], &units(""));
    let version = run(Command::new("systemd-analyze").arg("--version"));
    let version: u32 = version.split(' ').nth(1).unwrap().parse().unwrap();
    if version >= 253 {
        return assert_no_remark(&verify);
    }
    let said = String::from_utf8_lossy(&verify.stderr);
    let remarks: Vec<_> = said.lines().collect();
    assert_eq!(remarks.len(), SERVICES.len(), "{said}");
    for remark in remarks {
        assert!(
            remark.ends_with("ignoring: notify-reload"),
            "{remark}: it still reloads as before"
        );
    }
}

/// At most 1.5 of 10, and each remaining point has its reason in the unit.
#[test]
fn what_they_may_do_is_little_and_has_reasons() {
    for service in SERVICES.into_iter().chain([ONESHOT]) {
        let report = run(Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
            .arg(packaging("systemd").join(service)));
        let unit = unit(service);
        let comments: Vec<_> = unit.lines().filter(|line| line.starts_with('#')).collect();
        let comments = comments.join("\n");
        let remaining = report.lines().filter_map(|line| line.strip_prefix("✗ "));
        let remaining: Vec<_> = remaining
            .map(|line| line.split_whitespace().next().unwrap())
            .collect();
        assert!(remaining.contains(&"RootDirectory=/RootImage="), "{report}");
        for setting in remaining {
            let reason = named(setting);
            assert!(comments.contains(reason), "{service}: {setting}");
        }
    }
}

/// How a comment names what systemd calls `setting`.
fn named(setting: &str) -> &str {
    match setting {
        "RestrictAddressFamilies=~AF_(INET|INET6)" => "IPv4 and IPv6",
        "RestrictAddressFamilies=~AF_NETLINK" => "AF_NETLINK",
        "RestrictAddressFamilies=~AF_UNIX" => "AF_UNIX",
        "CapabilityBoundingSet=~CAP_NET_(BIND_SERVICE|BROADCAST|RAW)" => "CAP_NET_BIND_SERVICE",
        "CapabilityBoundingSet=~CAP_(DAC_*|FOWNER|IPC_OWNER)" => "CAP_DAC_OVERRIDE",
        "RootDirectory=/RootImage=" => "RootDirectory=",
        "User=/DynamicUser=" => "User=",
        other => other,
    }
}

/// The tunnel has no capability at all.
#[test]
fn the_tunnel_may_do_nothing_that_root_may() {
    let unit = unit("loopkdc.service");
    let lines: Vec<_> = unit.lines().collect();
    for line in [
        "CapabilityBoundingSet=",
        "DynamicUser=yes",
        // A user of its own for each start, and yet a folder that outlasts it.
        "StateDirectory=loopkdc",
        "StateDirectoryMode=0700",
    ] {
        assert!(lines.contains(&line), "{line}");
    }
    assert!(!unit.contains("AmbientCapabilities="));
}

/// A user's sockets have the same names as the system's, and ports that a user may have.
#[test]
fn a_user_needs_no_privileged_port() {
    for (socket, privileged, free) in [
        ("loopkdc.socket", ":88", ":8888"),
        ("loopkdc-kpasswd.socket", ":464", ":8464"),
    ] {
        let listens = |name: &str| {
            let text = unit(name);
            let lines = text.lines().map(str::to_owned);
            lines
                .filter(|line| line.starts_with("Listen") || line.starts_with("FileDescriptorName"))
                .collect::<Vec<_>>()
        };
        let system = listens(socket);
        assert_eq!(system.len(), 5);
        let moved: Vec<_> = system
            .iter()
            .map(|line| line.replace(privileged, free))
            .collect();
        assert_eq!(listens(&format!("user/{socket}")), moved);
    }
}

/// Each takes options that there are, and all are watched.
#[test]
fn they_start_what_there_is() {
    for service in SERVICES.iter().chain(&[USER_SERVICE]) {
        let unit = unit(service);
        let value = |key: &str| {
            let mut lines = unit.lines();
            let value = lines.find_map(|line| line.strip_prefix(key));
            value.unwrap_or_else(|| panic!("{key} in {service}"))
        };
        let mut words = value("ExecStart=/usr/bin/loopkdc ").split(' ');
        let help = run(Command::new(env!("CARGO_BIN_EXE_loopkdc"))
            .arg(words.next().unwrap())
            .arg("--help"));
        for option in words.filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "{service}: {option}");
        }
        assert!(value("WatchdogSec=") != "0");
    }
}

/// The groups that the units want are made as the file beside them says.
#[test]
fn the_groups_of_the_units_are_made() {
    let root = tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    run(Command::new("systemd-sysusers")
        .arg(format!("--root={}", root.path().display()))
        .arg(packaging("systemd/loopkdc.sysusers")));
    let groups = fs::read_to_string(root.path().join("etc/group")).unwrap();
    for group in ["\nloopkdc:", "\nloopkdc-client:"] {
        assert!(format!("\n{groups}").contains(group), "{groups}");
    }
    assert!(unit("loopkdc-gateway.service").contains("\nGroup=loopkdc\n"));
    assert!(unit("loopkdc.service").contains("\nSupplementaryGroups=loopkdc-client\n"));
}
