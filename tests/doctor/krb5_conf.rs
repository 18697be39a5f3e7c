//! Where krb5.conf sends the realm, and what SSSD, Java and Heimdal make of it. All that there is to say of it, word by word, is
//! in the tests beside the code.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use loopkdc::relay::finding::Layer;

use crate::newcomer::{as_installed, overlay};
use crate::scene::{REALM, Scene, alone};
use crate::support::netns::isolated;

/// A stanza of the realm with these lines.
fn stanza(lines: &str) -> String {
    format!("[realms]\n {REALM} = {{\n{lines}\n }}\n")
}

fn scene(krb5_conf: &str) -> Scene {
    let config = format!("[realms.\"{REALM}\"]\nproxies = [\"https://127.0.0.1:9\"]\n");
    Scene::configured(&config).with_krb5_conf(krb5_conf)
}

#[test]
fn ways_that_lead_elsewhere() {
    let install = "loopkdc krb5-conf --install";
    for (text, words, advice) in [
        (
            String::new(),
            "names no kdc of EXAMPLE.COM that libkrb5 reads",
            install,
        ),
        (
            stanza("kdc = dc1.example.com"),
            "is not loopkdc, which listens at 127.0.0.1:88",
            install,
        ),
        (
            stanza("kdc = 127.0.0.1").replace(REALM, "example.com"),
            "letter case counts",
            install,
        ),
        (
            "include /nowhere.conf\n".to_owned(),
            "libkrb5 gives the whole configuration up",
            "make what it is to include",
        ),
        (
            stanza("kdc 127.0.0.1"),
            "libkrb5 gives the whole configuration up",
            "krb5.conf(5)",
        ),
    ] {
        scene(&text)
            .doctor_here(&[])
            .is_at_fault(Layer::Krb5Conf, words, advice);
    }
}

#[test]
fn ways_that_are_passed_by() {
    let ours = stanza("kdc = 127.0.0.1");
    for (text, words, advice) in [
        (format!(" {ours}"), "has blanks before the [", "sed -i"),
        (
            format!("\u{feff}{ours}"),
            "begins with a byte order mark",
            "sed -i",
        ),
        (
            ours.replace('\n', " ").replace("[realms]", "[realms]\n"),
            "has a { and what it is about in one line",
            "into lines of its own",
        ),
        (
            format!("module /m.so:x\n{ours}"),
            "has a module say what libkrb5 is to know",
            "take that line out",
        ),
    ] {
        let found = scene(&text).doctor_here(&[]);
        found.says(Layer::Krb5Conf, "warning", words, advice);
        let words = "names no kdc of EXAMPLE.COM that libkrb5 reads";
        found.is_at_fault(Layer::Krb5Conf, words, advice);
    }
}

/// Two names that a slip of the pen lies between: which of them is right, nobody but the user knows.
#[test]
fn a_realm_that_is_misspelt() {
    let ours = stanza("kdc = 127.0.0.1");
    let default = format!("[libdefaults]\ndefault_realm = EXAMPEL.COM\n{ours}");
    for (text, realms, words, advice) in [
        (
            &ours,
            &["EXAMPEL.COM"][..],
            "realm EXAMPEL.COM is not in ",
            "if that is meant: loopkdc doctor EXAMPLE.COM --config /",
        ),
        (
            &default,
            &[],
            "default_realm = EXAMPEL.COM is none of the realms in ",
            "default_realm = EXAMPLE.COM; else write into ",
        ),
        (
            &ours.replace(REALM, "EXAMPEL.COM"),
            &[],
            "the stanza is of EXAMPEL.COM, and the configuration names EXAMPLE.COM",
            "correct whichever is misspelt",
        ),
    ] {
        let found = scene(text).doctor_here(realms);
        found.is_at_fault(Layer::Configuration, words, advice);
    }
}

#[test]
fn a_file_that_is_not_there() {
    let scene = scene("");
    fs::remove_file(scene.path("krb5.conf")).unwrap();
    let found = scene.doctor_here(&[]);
    found.is_at_fault(
        Layer::Krb5Conf,
        "libkrb5 has no configuration",
        "loopkdc krb5-conf --install",
    );
}

#[test]
fn ways_that_cost_time() {
    let ours = "kdc = 127.0.0.1\n";
    for (lines, words, advice) in [
        (
            format!("kdc = 127.0.0.2\n{ours}"),
            "is asked before loopkdc",
            "above it",
        ),
        (
            format!("{ours}kdc = tcp/127.0.0.1\n"),
            "stands behind loopkdc: when a proxy takes longer than a second",
            "loopkdc krb5-conf --install --only",
        ),
        (
            ours.to_owned(),
            "no kdc of EXAMPLE.COM is loopkdc's IPv6 address",
            "krb5-conf",
        ),
        (
            format!("{ours}kdc = https://127.0.0.1/KdcProxy\n"),
            "stands beside loopkdc: libkrb5 may show that proxy",
            "loopkdc krb5-conf --install --only",
        ),
        (
            ours.to_owned(),
            "has no primary_kdc: MIT krb5 asks DNS",
            "krb5-conf",
        ),
        (
            format!("{ours}primary_kdc = dc1.example.com\n"),
            "primary_kdc = dc1.example.com of EXAMPLE.COM is not loopkdc",
            "krb5-conf",
        ),
        (
            ours.to_owned(),
            "has no kpasswd_server: password changes go to its admin_server",
            "krb5-conf",
        ),
        (
            format!("{ours}kpasswd_server = dc1.example.com\n"),
            "kpasswd_server = dc1.example.com of EXAMPLE.COM is not loopkdc",
            "krb5-conf",
        ),
    ] {
        let found = scene(&stanza(&lines)).doctor_here(&[]);
        found.says(Layer::Krb5Conf, "warning", words, advice);
    }
}

#[test]
fn defaults() {
    for (text, words, advice) in [
        ("", "has no default_realm", "default_realm = EXAMPLE.COM"),
        (
            "default_realm = EXAMPLE.ORG",
            "is none of loopkdc's realms",
            "default_realm = EXAMPLE.COM",
        ),
        (
            "",
            "dns_canonicalize_hostname is on",
            "dns_canonicalize_hostname = false",
        ),
        (
            "dns_lookup_realm = true",
            "dns_lookup_realm is on",
            "dns_lookup_realm = false",
        ),
        (
            "noaddresses = false",
            "ties tickets to the addresses",
            "kdestroy",
        ),
        (
            "request_timeout = 3s",
            "has libkrb5 give up while loopkdc",
            "request_timeout = 11s",
        ),
    ] {
        let text = format!("[libdefaults]\n{text}\n{}", stanza("kdc = 127.0.0.1"));
        let found = scene(&text).doctor_here(&[]);
        found.says(Layer::Krb5Conf, "warning", words, advice);
        found.says(
            Layer::Krb5Conf,
            "warning",
            "KRB5_CONFIG is ",
            "unset KRB5_CONFIG",
        );
    }
}

#[test]
fn realms_between() {
    let text = format!(
        "[capaths]\n EXAMPLE.COM = {{\n EXAMPLE.ORG = EXAMPLE.NET\n }}\n{}",
        stanza("kdc = 127.0.0.1")
    );
    let found = scene(&text).doctor_here(&[]);
    found.says(
        Layer::Krb5Conf,
        "warning",
        "EXAMPLE.NET is on the way",
        "krb5-conf",
    );
}

/// Of several realms, the one that names without a realm belong to is the one that matters.
#[test]
fn the_default_realm_is_looked_at_alone() {
    let config = |name| format!("[realms.\"{name}\"]\nproxies = [\"https://127.0.0.1:9\"]\n");
    let text = config(REALM) + &config("EXAMPLE.ORG");
    let realms = |scene: Scene| {
        let found = scene.doctor_here(&[]);
        let realms = found.findings.into_iter();
        let realms = realms.filter_map(|finding| finding.subject.realm);
        let realms: std::collections::BTreeSet<_> = realms.collect();
        realms.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(realms(Scene::configured(&text)), "EXAMPLE.COM EXAMPLE.ORG");
    let default = "[libdefaults]\n default_realm = EXAMPLE.ORG\n";
    let scene = Scene::configured(&text).with_krb5_conf(default);
    let left_out = scene.doctor_here(&[]);
    let finding = left_out.finding("configuration", "skipped", "default_realm is another");
    assert_eq!(
        finding.what,
        "EXAMPLE.COM: not looked at, as default_realm is another"
    );
    let advice = format!(
        "loopkdc doctor EXAMPLE.COM --config {}",
        scene.config().display()
    );
    assert_eq!(finding.advice(), advice);
    let asked = scene.doctor_here(&[REALM]);
    assert_eq!(asked.all("configuration", "skipped").count(), 0);
    assert_eq!(realms(scene), "EXAMPLE.ORG");
}

const DROP_IN: &str = "/etc/krb5.conf.d/00-loopkdc.conf";
const LOCATOR: &str = "/usr/lib/krb5/plugins/libkrb5/sssd_krb5_locator_plugin.so";

/// Runs `body` on a machine of its own as far as its files go.
fn on_a_machine(body: impl FnOnce(Scene)) {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        as_installed(dir.path());
        for folder in ["/usr/lib", "/var/lib"] {
            overlay(dir.path(), folder);
        }
        let mut scene = scene("");
        scene.reads_etc = true;
        body(scene);
    });
}

fn write(file: &str, text: &str) {
    fs::create_dir_all(Path::new(file).parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

/// krb5.conf with this text, and a line that it earns.
fn earns(scene: &Scene, text: &str, words: &str, advice: &str) {
    write("/etc/krb5.conf", text);
    let found = scene.doctor_here(&[]);
    found.says(Layer::Krb5Conf, "warning", words, advice);
}

#[test]
fn what_other_libraries_make_of_it() {
    isolated(|| {
        on_a_machine(|scene| {
            let ours = stanza("kdc = 127.0.0.1");
            let unclosed = ours.trim_end().trim_end_matches('}');
            earns(
                &scene,
                unclosed,
                "Java and Heimdal give the file up",
                "the missing }",
            );

            write(DROP_IN, &ours);
            let behind = "[libdefaults]\nincludedir /etc/krb5.conf.d\n";
            let advice = "move the line to the top of the file";
            earns(&scene, behind, "stands behind the first section", advice);

            write("/usr/lib/libkrb5.so.26", "");
            let first = "includedir /etc/krb5.conf.d\n";
            let advice = "loopkdc krb5-conf --install --inline";
            earns(&scene, first, "takes an include for a mistake", advice);
        })
    });
}

#[test]
fn what_has_libkrb5_ask_elsewhere() {
    isolated(|| {
        on_a_machine(|scene| {
            let ours = stanza("kdc = 127.0.0.1");
            write(DROP_IN, &ours);
            write("/etc/krb5.conf", "[libdefaults]\n");
            let found = scene.doctor_here(&[]);
            let words = "names no kdc of EXAMPLE.COM that libkrb5 reads";
            found.is_at_fault(Layer::Krb5Conf, words, "loopkdc krb5-conf --install");

            write("/etc/krb5.conf", &ours);
            write(LOCATOR, "");
            write("/var/lib/sss/pubconf/kdcinfo.EXAMPLE.COM", "192.0.2.1\n");
            let found = scene.doctor_here(&[]);
            let words = "SSSD has libkrb5 ask 192.0.2.1";
            found.is_at_fault(Layer::Krb5Conf, words, "krb5_use_kdcinfo = false");
            fs::remove_file(LOCATOR).unwrap();
        })
    });
}

/// Has a directory answer to nobody who looks for a file in it, as one of a server that is away.
fn hang(directory: &Path) {
    fs::create_dir(directory).unwrap();
    // The kernel asks through a pipe, and there is nobody to read it.
    let script = "pipe=$(mktemp -u) && mkfifo $pipe && exec 3<>$pipe && rm $pipe && \
        mount -t autofs -o fd=3,pgrp=$$,minproto=5,maxproto=5,indirect none \"$1\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(directory);
    // Whose requests the kernel lets pass.
    command.process_group(0);
    assert!(command.status().unwrap().success());
}

#[test]
fn a_disk_that_does_not_answer() {
    isolated(|| {
        alone(|| {
            let scene = scene("");
            let away = scene.path("away");
            hang(&away);
            fs::remove_file(scene.path("krb5.conf")).unwrap();
            symlink(away.join("krb5.conf"), scene.path("krb5.conf")).unwrap();
            let found = scene.doctor_here(&[]);
            let words = "krb5.conf, or a file that it names, is not read within 1.2 s";
            found.is_at_fault(Layer::Krb5Conf, words, "findmnt");
            // The rest is looked at all the same.
            found.finding("tcp", "fault", "127.0.0.1:9");
            assert!(found.took < Duration::from_secs(14), "{found:?}");

            fs::remove_file(scene.config()).unwrap();
            symlink(away.join("config.toml"), scene.config()).unwrap();
            let found = scene.doctor_here(&[]);
            let words = "or a file that it names, is not read within 3 s";
            found.is_at_fault(Layer::Configuration, words, "findmnt");
        });
    });
}

#[test]
fn more_than_is_read() {
    let scene = scene("");
    let part = scene.path("part.conf");
    fs::write(&part, "").unwrap();
    let include = format!("include {}\n", part.display());
    let text = include.repeat(300) + &stanza("kdc = 127.0.0.1");
    let found = scene.with_krb5_conf(&text).doctor_here(&[]);
    let words = "more than 256 files are included";
    found.says(Layer::Krb5Conf, "warning", words, "take out of krb5.conf");
}
