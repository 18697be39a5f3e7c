//! What SIGHUP and SIGTERM do, and files that change.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Home, configuration, served};
use crate::office::{HOST, REALM};
use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::https;
use crate::support::loopkdc::Loopkdc;
use crate::support::netns;
use crate::support::process::PATIENCE;
use crate::support::realm::{PASSWORD, Preauth, Realm};

/// New realms and new KDCs; and nothing at all from a file that cannot work.
#[test]
fn a_configuration_is_read_again() {
    isolated(|| {
        let home = Home::new();
        let dir = home.dir.path();
        let first = Realm::start(dir, "FIRST.EXAMPLE", 88, Preauth::Spake);
        let second = Realm::start(dir, "SECOND.EXAMPLE", 89, Preauth::Spake);
        // Nobody is there.
        let nowhere = "[realms.\"FIRST.EXAMPLE\"]\nkdcs = [\"127.0.0.90:88\"]\n";
        let gateway = home.start(&configuration("", nowhere));
        let names = [first.name, second.name];
        let _loopkdc = Loopkdc::start(dir, &names.map(|name| (name, &gateway)));
        let client = Client::by_drop_in(dir, &names);
        let kinit = |name| client.run(&format!("kinit user@{name}"), &[PASSWORD]);
        for name in names {
            kinit(name).fails_with("Cannot contact any KDC");
        }

        home.configure(&configuration("", &(served(&first) + &served(&second))));
        gateway.process.signal("HUP");
        gateway.process.wait_for("configuration read again");
        for name in names {
            kinit(name).succeeds();
        }

        home.configure("[gateway\n");
        gateway.process.signal("HUP");
        gateway.process.wait_for("the old configuration stays");
        for name in names {
            kinit(name).succeeds();
        }
    });
}

/// By the entry that is shipped, but for where the log is and how the service is told.
#[test]
fn the_access_log_is_rotated() {
    isolated(|| {
        let home = Home::new();
        let realm = Realm::start(home.dir.path(), REALM, HOST, Preauth::Spake);
        let log = "access-log = \"access.log\"\n";
        let gateway = home.start(&configuration(log, &served(&realm)));
        let client = Client::by_native_kkdcp(home.dir.path(), &[REALM], &gateway);
        let (log, rotated) = (home.path("access.log"), home.path("access.log.1"));
        // SPAKE takes three requests.
        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        has_lines(&log, 3);
        let reload = format!("kill -HUP {}", gateway.process.id());
        let here = [
            (
                "/var/log/loopkdc-gateway",
                home.dir.path().to_str().unwrap(),
            ),
            (
                "systemctl --quiet is-active loopkdc-gateway.service",
                "true",
            ),
            ("systemctl reload loopkdc-gateway.service", &reload),
        ];
        let mut entry = include_str!("../../../packaging/logrotate/loopkdc-gateway").to_owned();
        for (shipped, replaced) in here {
            assert!(entry.contains(shipped), "{shipped}");
            entry = entry.replace(shipped, replaced);
        }
        let (file, state) = (home.path("logrotate.conf"), home.path("logrotate.state"));
        fs::write(&file, entry).unwrap();
        let mut logrotate = Command::new("logrotate");
        logrotate.arg("--force").arg("--state").arg(&state);
        let rotation = logrotate.arg(&file).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&rotation.stderr), "");
        gateway.process.wait_for("configuration read again");
        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        has_lines(&log, 3);
        has_lines(&rotated, 3);
        let mode = fs::metadata(&log).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    });
}

/// Waits for so many lines, and fails the test if there are more: each is written when its answer has left.
fn has_lines(file: &Path, count: usize) {
    let until = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        let lines = text.lines().count();
        if lines >= count {
            assert_eq!(lines, count, "{text}");
            return;
        }
        assert!(Instant::now() < until, "{text}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The files are renamed one after the other, while clients of both kinds log in without a pause.
#[test]
fn a_certificate_is_replaced_under_load() {
    // One of the clients reaches the gateway without the program.
    netns::isolated(|| {
        let home = Home::new();
        let dir = home.dir.path();
        let realm = Realm::start(dir, REALM, HOST, Preauth::Timestamp);
        let bounds = "client-requests-per-second = 0\nclient-max-in-flight = 0\n";
        let gateway = home.start(&configuration(bounds, &served(&realm)));
        let _loopkdc = Loopkdc::start(dir, &[(REALM, &gateway)]);
        let own = |name: &str| {
            let own = home.path(name);
            fs::create_dir(&own).unwrap();
            own
        };
        let clients = [
            Client::by_drop_in(&own("first"), &[REALM]),
            Client::by_native_kkdcp(&own("second"), &[REALM], &gateway),
        ];
        let site = home.site(&gateway.ca_file);
        let old = site.certificate().unwrap();
        let (done, count) = (AtomicBool::new(false), [const { AtomicUsize::new(0) }; 2]);
        let goes_on = |more: usize| {
            let reached = count
                .each_ref()
                .map(|count| count.load(Ordering::SeqCst) + more);
            let until = Instant::now() + PATIENCE;
            while (0..2).any(|client| count[client].load(Ordering::SeqCst) < reached[client]) {
                assert!(Instant::now() < until && !done.load(Ordering::SeqCst));
                thread::sleep(Duration::from_millis(5));
            }
        };
        thread::scope(|scope| {
            for (client, count) in clients.iter().zip(&count) {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        let kinit = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
                        if !kinit.success {
                            done.store(true, Ordering::SeqCst);
                        }
                        kinit.succeeds();
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            goes_on(5);
            let mut met = vec![old];
            // The first time it is told to look between the two, the second time it looks by itself.
            for (times, told) in [(1, true), (2, false)] {
                let (leaf, key) = home.authority.leaf(&["localhost"], |_| {});
                for (name, text) in [("leaf.pem", leaf), ("leaf.key", key)] {
                    fs::write(home.path("new"), text).unwrap();
                    fs::rename(home.path("new"), home.path(name)).unwrap();
                    if told {
                        gateway.process.signal("HUP");
                        goes_on(2);
                    }
                }
                gateway
                    .process
                    .wait_for_count("certificate replaced", times);
                let new = site.certificate().unwrap();
                assert!(!met.contains(&new));
                met.push(new);
                goes_on(5);
            }
            done.store(true, Ordering::SeqCst);
        });
        assert!(gateway.process.count("the certificate stays as it was") > 0);
    });
}

/// A connection on which nothing is under way ends at once, a request that the KDC sits on within the time to drain.
#[test]
fn it_ends_though_a_kdc_is_silent() {
    isolated(|| {
        let home = Home::new();
        let realm = Realm::start(home.dir.path(), REALM, HOST, Preauth::Timestamp);
        let mut gateway = home.start(&configuration("", &served(&realm)));
        let client = Client::by_native_kkdcp(home.dir.path(), &[REALM], &gateway);
        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        let mut idle = https::plain(&gateway.address.to_string()).unwrap();
        realm.kdc.signal("STOP");
        thread::scope(|scope| {
            let kinit = scope.spawn(|| client.run("kinit user@EXAMPLE.COM", &[PASSWORD]));
            // The request is on its way once a connection to the KDC stands.
            waits_for_a_connection(realm.kdc_address().port());
            let began = Instant::now();
            gateway.process.signal("TERM");
            assert_eq!(idle.read(&mut [0]).unwrap(), 0);
            // It had a second to ask for something.
            assert!(began.elapsed() < Duration::from_secs(3));
            let ended = gateway.process.wait();
            assert!(ended.success(), "{ended}");
            assert!(began.elapsed() < Duration::from_secs(7));
            kinit.join().unwrap().fails_with("Cannot contact any KDC");
        });
        gateway
            .process
            .wait_for("stopped before everything under way had ended");
        realm.kdc.signal("CONT");
    });
}

/// Waits until somebody is connected to `port`, or in the backlog there.
fn waits_for_a_connection(port: u16) {
    const ESTABLISHED: &str = "01";
    let until = Instant::now() + PATIENCE;
    let remote = format!(":{port:04X}");
    let is_there = || {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        table.lines().any(|line| {
            let mut words = line.split_whitespace().skip(2);
            words.next().is_some_and(|word| word.ends_with(&remote))
                && words.next() == Some(ESTABLISHED)
        })
    };
    while !is_there() {
        assert!(Instant::now() < until, "nobody connects to port {port}");
        thread::sleep(Duration::from_millis(5));
    }
}
