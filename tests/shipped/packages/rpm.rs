//! The .rpm, on a root of another kind: rpm keeps its own books there, and the scripts find a shell.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use super::root::{Root, succeeded};
use super::{STAND_IN, Workshop};
use crate::run;
use crate::support::netns::isolated;

const CONFIGURATION: &str = "/etc/loopkdc/config.toml";

#[track_caller]
fn rpm(root: &Root, arguments: &[&str], package: &Path) -> String {
    let mut command = Command::new("rpm");
    // What is installed there, dpkg knows and rpm does not.
    command.args(["--root", root.path("").to_str().unwrap(), "--nodeps"]);
    let output = command.args(arguments).arg(package).output().unwrap();
    succeeded("rpm", &output)
}

#[test]
fn it_says_what_it_is_and_needs() {
    let workshop = Workshop::with(Path::new(STAND_IN));
    let package = workshop.rpm("1");
    let ask = |query: &str| run(Command::new("rpm").args(["-qp", query]).arg(&package));
    let about = ask("-i");
    for line in [
        format!("Version     : {}\n", env!("CARGO_PKG_VERSION")),
        "License     : MIT OR Apache-2.0\n".to_owned(),
    ] {
        assert!(about.contains(&line), "{line} in {about}");
    }
    let rotated = "/etc/logrotate.d/loopkdc-gateway";
    assert_eq!(ask("-c"), format!("{rotated}\n{CONFIGURATION}\n"));
    let requires = ask("-R");
    assert!(requires.lines().any(|line| line == "systemd"), "{requires}");
    assert!(requires.contains("libc.so.6("), "{requires}");
}

#[test]
fn what_was_changed_is_kept() {
    isolated(|| {
        let workshop = Workshop::with(Path::new(STAND_IN));
        let dir = tempdir().unwrap();
        let root = Root::new(dir.path());
        rpm(&root, &["-i"], &workshop.rpm("1"));
        assert!(root.has("/usr/bin/loopkdc"));
        assert!(root.read("/etc/group").contains("\nloopkdc:"));

        let edited = "# edited\n".to_owned() + &root.read(CONFIGURATION);
        fs::write(root.path(CONFIGURATION), &edited).unwrap();
        rpm(&root, &["-U"], &workshop.rpm("2"));
        assert_eq!(root.read(CONFIGURATION), edited);
        assert!(root.has("/usr/lib/systemd/system/loopkdc.socket"));

        rpm(&root, &["-e"], Path::new("loopkdc"));
        assert!(!root.has("/usr/bin/loopkdc") && !root.has(CONFIGURATION));
        assert!(!root.has("/usr/lib/systemd/system/loopkdc.socket"));
        // As rpm keeps what it would otherwise throw away.
        assert_eq!(root.read(&format!("{CONFIGURATION}.rpmsave")), edited);
    });
}

/// By the scripts of the new package and not of the old one, whose last one runs after all others of both.
#[test]
fn an_upgrade_restarts_nothing_with_a_mistake_in_the_configuration() {
    const TOLD: &str = "/told";
    isolated(|| {
        let (fits, refuses) = (Path::new(STAND_IN), Path::new("/usr/bin/false"));
        let dir = tempdir().unwrap();
        let root = Root::new(dir.path());
        // Without systemd at work it would do nothing.
        root.run("printf '#!/bin/sh\\necho \"$@\" >>/told\\n' >/usr/bin/systemctl");
        let told = |program: &Path, how: &str, release: &str| {
            fs::write(root.path(TOLD), "").unwrap();
            rpm(&root, &[how], &Workshop::with(program).rpm(release));
            root.read(TOLD)
        };
        assert!(!told(fits, "-i", "1").contains("try-restart"));
        let upgraded = told(fits, "-U", "2");
        let restarts = "daemon-reload\ntry-restart loopkdc.service\ntry-restart loopkdc-gateway.service\ntry-restart loopkdc-sssd.path\n";
        assert!(upgraded.ends_with(restarts), "{upgraded}");
        let refused = told(refuses, "-U", "3");
        assert!(
            !refused.contains("try-restart loopkdc.service"),
            "{refused}"
        );
    });
}

#[test]
fn a_configuration_that_was_there_first_is_kept() {
    isolated(|| {
        let workshop = Workshop::with(Path::new(STAND_IN));
        let dir = tempdir().unwrap();
        let root = Root::new(dir.path());
        fs::create_dir(root.path("/etc/loopkdc")).unwrap();
        fs::write(root.path(CONFIGURATION), "# first\n").unwrap();
        rpm(&root, &["-i"], &workshop.rpm("1"));
        assert_eq!(root.read(CONFIGURATION), "# first\n");
        assert!(root.has(&format!("{CONFIGURATION}.rpmnew")));
    });
}
