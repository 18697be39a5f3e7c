//! What the doctor says of a krb5.conf is what MIT's kinit does by it.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use loopkdc::config::{Config, Sources};
use loopkdc::doctor::Verdict;
use loopkdc::doctor::krb5_conf::{Scene, examine};
use loopkdc::wire::Realm;

use crate::CONFIG;
use crate::etc::{Ended, configure, furnish, run, with_program};
use crate::support::client::Client;
use crate::support::nameserver::NameServer;
use crate::support::netns::isolated;

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

/// Runs the doctor, which ends in spite of it.
fn doctor(words: &[&str]) -> Ended {
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "60", env!("CARGO_BIN_EXE_loopkdc")]);
    run(with_program(command).arg("doctor").args(words))
}

#[test]
fn a_disk_that_does_not_answer() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        furnish(dir.path(), None);
        configure(&CONFIG.replace("kdcproxy.example.com", "127.0.0.1:1"));
        let away = dir.path().join("away");
        hang(&away);
        symlink(away.join("krb5.conf"), "/etc/krb5.conf").unwrap();
        let began = Instant::now();
        let ended = doctor(&[]);
        assert_eq!(ended.code, Some(11), "{ended:?}");
        let words = ended
            .stdout
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let told = "/etc/krb5.conf, or what is included there, is not read within 1.2 s: libkrb5 waits for it, too";
        assert!(words.contains(told), "{words}");
        assert!(words.contains("findmnt"), "{words}");
        // The rest is looked at all the same.
        assert!(words.contains("127.0.0.1:1"), "{words}");
        assert!(began.elapsed() < Duration::from_secs(14), "{words}");

        let file = away.join("config.toml");
        let ended = doctor(&["--json", "--config", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(10), "{ended:?}");
        let told = "config.toml, or a file that it names, is not read within 1.2 s";
        assert!(ended.stdout.contains(told), "{ended:?}");
    });
}

/// A stanza with these servers.
fn stanza(kdcs: &[&str]) -> String {
    let kdcs: String = kdcs.iter().map(|kdc| format!(" kdc = {kdc}\n")).collect();
    format!("[realms]\nEXAMPLE.COM = {{\n{kdcs}}}\n")
}

/// What is at fault with /etc/krb5.conf.
fn faults() -> Vec<String> {
    let config = Config::parse(Path::new("config.toml"), CONFIG, &Sources::default());
    let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
    let lines = examine(&Scene::of_this_machine(), &config.unwrap(), &[realm], &[]);
    let faults = lines
        .into_iter()
        .filter(|line| line.verdict == Verdict::Fault);
    faults.map(|line| line.what).collect()
}

#[test]
fn kinit_comes_here_where_nothing_is_at_fault() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        furnish(dir.path(), None);
        let _names = NameServer::start();
        let client = Client::by_etc(dir.path());
        let comes = |text: &str| {
            fs::write("/etc/krb5.conf", text).unwrap();
            // Nobody listens there, which is heard at once.
            let trace = client.run("kinit user@EXAMPLE.COM", &[]).trace;
            trace.contains("127.0.0.1:88\n")
        };
        let good = stanza(&["127.0.0.1"]);
        for text in [
            good.clone(),
            stanza(&["127.0.0.1:88"]),
            stanza(&["localhost"]),
            stanza(&["127.0.0.2", "127.0.0.1"]),
            stanza(&["127.0.0.1 # here", "127.0.0.2"]),
            format!("{good}[x]\ny = {{\n"),
            format!("words\n{good}"),
        ] {
            assert!(comes(&text), "{text}");
            assert_eq!(faults(), [""; 0], "{text}");
        }
        for text in [
            String::new(),
            stanza(&[]),
            stanza(&["127.0.0.2"]),
            stanza(&["127.0.0.1:8888"]),
            stanza(&["udp/127.0.0.1"]),
            stanza(&["tcp/127.0.0.1"]),
            stanza(&["/run/loopkdc/kdc.sock"]),
            stanza(&["https://127.0.0.1/KdcProxy"]),
            good.replace("EXAMPLE", "example"),
            good.replace("realms", "Realms"),
            format!("{good}words\n"),
            format!("includedir /nowhere\n{good}"),
            format!("include /nowhere\n{good}"),
            format!("{good}}}\n"),
        ] {
            assert!(!comes(&text), "{text}");
            let faults = faults();
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
        }
    });
}
