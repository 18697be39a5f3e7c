//! Addresses to listen on that are not the usual ones.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::tempdir;

use crate::office::REALM;
use crate::support::client::Client;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::netns::isolated;
use crate::support::proxy::{KdcProxy, Maker, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};

/// Sooner than MIT's client turns to TCP, twice.
const SOON: Duration = Duration::from_secs(1);

/// A client that asks at this address.
fn asks_at(dir: &Path, address: &str) -> Client {
    let krb5 = format!("[realms]\n{REALM} = {{\nkdc = {address}:8888\n}}\n");
    Client::new(dir, &[krb5 + "[libdefaults]\ndns_lookup_kdc = false\n"])
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.unwrap().success(), "{arguments}");
}

/// The kernel would have the answer come from 127.0.0.1, and MIT's client takes none from there.
#[test]
fn who_asks_one_of_many_addresses_is_answered_from_there() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, 88, Preauth::Timestamp);
        let proxy = KdcProxy::of(Maker::Ours, dir.path(), 8443, &[Route::to(&realm)]);
        let client = asks_at(dir.path(), "127.0.0.2");
        let realms = stanza(REALM, &proxy.url(), &proxy);
        let listen = "[listen]\nallow-remote-clients = true\n\
             kdc = [\"0.0.0.0:8888\", \"[::]:8888\"]\n";
        let six = dir.path().join("six");
        fs::create_dir(&six).unwrap();
        {
            let _loopkdc = Loopkdc::with_config(dir.path(), &(listen.to_owned() + &realms));
            for client in [&client, &asks_at(&six, "[::1]")] {
                let kinit = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
                kinit.succeeds().within(SOON);
            }
        }
        // For IPv6 and IPv4 at once.
        let sockets = [("kdc", "[::]:8888")];
        let loopkdc = Loopkdc::activated_with(dir.path(), &realms, &["--datagram"], &sockets);
        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        loopkdc.process.wait_for("ready");
        let kinit = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        kinit.succeeds().within(SOON);
    });
}

/// Such as that of a bridge for containers, or a VPN's.
#[test]
fn an_address_that_comes_later_keeps_nobody_from_the_others() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, 88, Preauth::Timestamp);
        let proxy = KdcProxy::of(Maker::Ours, dir.path(), 8443, &[Route::to(&realm)]);
        let listen = "[listen]\nallow-remote-clients = true\n\
             kdc = [\"172.17.0.1:8888\", \"[fd17::1]:8888\", \"127.0.0.1:8888\"]\n";
        let text = listen.to_owned() + &stanza(REALM, &proxy.url(), &proxy);
        let loopkdc = Loopkdc::with_config(dir.path(), &text);
        let told = "no interface of this machine has this address: it is served once one has addr=";
        for address in ["172.17.0.1:8888", "[fd17::1]:8888"] {
            assert_eq!(loopkdc.process.count(&format!("{told}{address}")), 1);
        }
        let here = dir.path().join("here");
        fs::create_dir(&here).unwrap();
        let kinit = asks_at(&here, "127.0.0.1").run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        kinit.succeeds().within(SOON);

        let awaited = || {
            let status = loopkdc.status();
            let listeners = status["listeners"].as_array().unwrap().iter();
            let awaited = listeners.filter(|listener| listener["awaits_address"] == true);
            let awaited: Vec<_> = awaited
                .map(|listener| listener["address"].clone())
                .collect();
            assert_eq!(
                status["problems"].as_array().unwrap().len(),
                awaited.len() / 2
            );
            awaited
        };
        let [v4, v6] = ["172.17.0.1:8888", "[fd17::1]:8888"];
        assert_eq!(awaited(), [v4, v4, v6, v6]);
        let mut status = Command::new(env!("CARGO_BIN_EXE_loopkdc"));
        status
            .args(["status", "--socket"])
            .arg(dir.path().join("status.sock"));
        let text = String::from_utf8(status.output().unwrap().stdout).unwrap();
        assert!(text.contains("[fd17::1]:8888 (not there yet)"), "{text}");
        ip("addr add 172.17.0.1/32 dev lo");
        assert_eq!(awaited(), [v6, v6]);
        let kinit = asks_at(dir.path(), "172.17.0.1").run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        kinit.succeeds().within(SOON);
        ip("addr add fd17::1/128 dev lo");
        assert_eq!(awaited(), [""; 0]);
        TcpStream::connect(v6).unwrap();
    });
}
