//! What the doctor says of a krb5.conf is what MIT's kinit does by it.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use loopkdc::config::{Config, Sources};
use loopkdc::operate::doctor::krb5_conf::{ClientConfig, examine};
use loopkdc::relay::finding::{Finding, Hint, Severity};
use loopkdc::wire::Realm;

use crate::CONFIG;
use crate::etc::furnish;
use crate::support::client::Client;
use crate::support::nameserver::NameServer;
use crate::support::netns::isolated;

/// A stanza with these servers.
fn stanza(kdcs: &[&str]) -> String {
    let kdcs: String = kdcs.iter().map(|kdc| format!(" kdc = {kdc}\n")).collect();
    format!("[realms]\nEXAMPLE.COM = {{\n{kdcs}}}\n")
}

/// What is at fault with /etc/krb5.conf.
fn faults() -> Vec<Finding> {
    let config = Config::parse(Path::new("config.toml"), CONFIG, &Sources::default());
    let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
    let client = ClientConfig::of_this_machine();
    let findings = examine(&client, &config.unwrap(), &[realm]);
    let faults = findings
        .into_iter()
        .filter(|finding| finding.severity == Severity::Fault);
    faults.collect()
}

/// Types the first command of these.
fn typed(hints: &[Hint]) {
    let mut hints = hints.iter();
    let command = hints.find_map(|hint| match hint {
        Hint::Command(words) => Some(words),
        _ => None,
    });
    let words = command.expect("a command");
    let status = Command::new(&words[0]).args(&words[1..]).status();
    assert!(status.unwrap().success(), "{words:?}");
}

/// What the doctor warns of where another KDC's name is behind ours.
#[test]
fn kinit_looks_a_name_up_while_it_waits_for_us() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        furnish(dir.path(), None);
        let names = NameServer::start();
        let client = Client::by_etc(dir.path());
        let _silent = UdpSocket::bind("127.0.0.1:88").unwrap();
        fs::write("/etc/krb5.conf", stanza(&["127.0.0.1", "dc1.example.com"])).unwrap();
        client.run("timeout 3 kinit user@EXAMPLE.COM", &[]);
        assert!(names.count("dc1.example.com") > 0, "{:?}", names.queries());
    });
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
        fs::write("/etc/good.conf", &good).unwrap();
        for text in [
            good.clone(),
            stanza(&["127.0.0.1:88"]),
            stanza(&["localhost"]),
            stanza(&["127.0.0.2", "127.0.0.1"]),
            stanza(&["127.0.0.1 # here", "127.0.0.2"]),
            format!("{good}[x]\ny = {{\n"),
            format!("words\n{good}"),
            format!(" [libdefaults]\n{good}"),
        ] {
            assert!(comes(&text), "{text}");
            assert!(faults().is_empty(), "{text}: {:?}", faults());
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
            format!("module /nowhere:x\n{good}"),
            "include /etc/good.conf\nmodule /nowhere:x\n".to_owned(),
            "[realms]\nEXAMPLE.COM = { kdc = 127.0.0.1 }\n".to_owned(),
        ] {
            assert!(!comes(&text), "{text}");
            let faults = faults();
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
        }
        // The command that is told mends it.
        for text in [
            format!(" {good}"),
            format!("\u{feff}{good}"),
            format!("\t[x]\n  {good}"),
        ] {
            assert!(!comes(&text), "{text}");
            let faults = faults();
            let [fault] = faults.as_slice() else {
                panic!("{faults:?}");
            };
            typed(&fault.hints);
            let mended = fs::read_to_string("/etc/krb5.conf").unwrap();
            assert!(comes(&mended), "{mended}");
            assert!(self::faults().is_empty(), "{mended}");
        }
    });
}
