//! What root is told of the service: which files it may not read, and why it has failed.

use super::booted::{Booted, Installed, LOGIN};
use super::tickets;
use crate::support::netns::isolated;

/// A token that is root's alone, and a certificate in root's home.
const UNREADABLE: &str = r#"
cp /etc/ssl/certs/ca-certificates.crt /root/office.pem
(umask 077; echo abc >/etc/loopkdc/token)
sed -i '/^proxies/a bearer-token-file = "token"\nca-file = "/root/office.pem"' /etc/loopkdc/config.toml
"#;

/// The command at the end of each hint, in the order in which they are printed.
fn hinted(said: &str) -> Vec<&str> {
    let hints = said
        .lines()
        .filter_map(|line| line.strip_prefix("loopkdc: hint: "));
    let commands = hints.filter_map(|hint| hint.rsplit(": ").next());
    let is_tool = |command: &&str| {
        let tool = command.split(' ').next();
        tool.is_some_and(|tool| ["chgrp", "chmod", "install"].contains(&tool))
    };
    commands.filter(is_tool).collect()
}

#[test]
fn what_the_service_may_not_read_is_told_and_mended() {
    isolated(|| {
        let Installed { booted, .. } = &Installed::new();
        booted.run("loopkdc krb5-conf --install");
        booted.run(UNREADABLE);
        let warned = || booted.run("loopkdc check 2>&1 >/dev/null");
        let said = warned();
        for words in [
            "may not read /etc/loopkdc/token",
            "/root/office.pem can't be seen by the service: ProtectHome= of loopkdc.service",
            "and name /etc/loopkdc/office.pem in /etc/loopkdc/config.toml",
        ] {
            assert!(said.contains(words), "{words} in {said}");
        }
        let doctor = booted.output("loopkdc doctor");
        assert_eq!(doctor.status.code(), Some(10));
        for command in hinted(&said) {
            booted.run(command);
        }
        booted.run("sed -i 's:/root/office:/etc/loopkdc/office:' /etc/loopkdc/config.toml");
        assert_eq!(warned(), "");
        booted.run("systemctl try-restart loopkdc");
        booted.run(&format!(
            "echo '{}' | kinit user@EXAMPLE.COM",
            tickets::TYPED
        ));
        let said = booted.run("loopkdc doctor");
        assert!(said.contains("may read it all"), "{said}");
    });
}

/// A drop-in by which the service ends at once.
const WRONG: &str = r"
mkdir -p /etc/systemd/system/loopkdc.service.d
printf '[Service]\nExecStart=\nExecStart=/usr/bin/loopkdc run --log loud\n' >/etc/systemd/system/loopkdc.service.d/wrong.conf
systemctl daemon-reload
systemctl start loopkdc && exit 1
true
";

fn doctor(booted: &Booted) -> (Option<i32>, String) {
    let output = booted.output("COLUMNS=160 loopkdc doctor");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_service_that_has_failed_is_told_with_its_last_error() {
    isolated(|| {
        let Installed { booted, .. } = &Installed::new();
        booted.run("loopkdc krb5-conf --install");
        booted.run(WRONG);
        let (code, said) = doctor(booted);
        assert_eq!(code, Some(13), "{said}");
        for words in [
            "loopkdc.service has failed: ",
            "loud",
            "systemctl restart loopkdc.service",
        ] {
            assert!(said.contains(words), "{words} in {said}");
        }
        booted.run("rm /etc/systemd/system/loopkdc.service.d/wrong.conf; systemctl daemon-reload");
        booted.run("systemctl restart loopkdc.service");
        let (code, said) = doctor(booted);
        assert_eq!(code, Some(0), "{said}");
    });
}

/// Before the first client comes there is nothing wrong, for whoever asks.
#[test]
fn who_waits_for_the_first_client_is_well() {
    isolated(|| {
        let installed = &Installed::new();
        let booted = &installed.booted;
        booted.run("loopkdc krb5-conf --install");
        booted.run(LOGIN);
        let waiting = "waiting: systemd starts it when the first client comes\n";
        assert_eq!(booted.run("loopkdc status"), waiting);
        assert_eq!(installed.as_somebody("loopkdc status"), waiting);
        // Nobody has asked yet: the doctor does.
        let said = installed.as_somebody("loopkdc doctor");
        for accusation in ["FAULT", "warn"] {
            assert!(!said.contains(accusation), "{said}");
        }
        assert!(
            said.contains("systemd, which starts loopkdc when a client comes"),
            "{said}"
        );
        let said = installed.as_somebody("loopkdc doctor");
        assert!(said.contains("loopkdc's\n"), "{said}");
        let said = installed.as_somebody("loopkdc status");
        assert!(said.contains("EXAMPLE.COM"), "{said}");
    });
}
