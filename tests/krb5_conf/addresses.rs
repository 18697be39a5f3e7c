//! Both addresses of a service: one of them is there on every kind of network, and two are no second request.

use std::process::Command;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::etc::{DEBIANS, configure, furnish, krb5_conf};
use crate::patience::eventually;
use crate::support::client::Client;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::nameserver::NameServer;
use crate::support::netns::isolated;
use crate::support::proxy::{self, KdcProxy, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};
use crate::tickets::realm;

/// More than a login takes here, and less than libkrb5 waits for the first answer.
const AT_ONCE: Duration = Duration::from_millis(900);
const NEW: &str = "a newer horse";
/// A line of the gateway's access log.
const CHANGE: &str = "client=127.0.0.1 kind=kpasswd";
/// A line of a configuration.
const PATIENT: &str = "deadline-seconds = 20\n";

/// What a network gives to a machine besides loopback, as words for ip(8).
const NETWORKS: [(&str, &[&str]); 6] = [
    ("none", &[]),
    (
        "link-local addresses alone",
        &["link set v0 addrgenmode eui64"],
    ),
    ("IPv4 alone", &["addr add 192.0.2.1/24 dev v0"]),
    ("IPv6 alone", &["addr add 2001:db8::1/64 dev v0 nodad"]),
    (
        "both",
        &[
            "addr add 192.0.2.1/24 dev v0",
            "addr add 2001:db8::1/64 dev v0 nodad",
        ],
    ),
    // Where the kernel has no IPv6 there is no ::1 either.
    (
        "IPv4, and no IPv6 on any interface",
        &["addr add 192.0.2.1/24 dev v0", "addr del ::1/128 dev lo"],
    ),
];

fn ip(line: &str) {
    let status = Command::new("ip").args(line.split(' ')).status();
    assert!(status.unwrap().success(), "ip {line}");
}

#[test]
fn kinit_comes_here_on_every_kind_of_network() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        furnish(dir.path(), Some(DEBIANS));
        let _names = NameServer::start();
        let (_realm, _proxy, text) = realm(dir.path());
        configure(&text);
        krb5_conf(&["--install"]).well();
        let client = Client::by_etc(dir.path());
        let _loopkdc = Loopkdc::with_config(dir.path(), &text);
        let mut refused = Vec::new();
        for (name, network) in NETWORKS {
            ip("link add v0 type veth peer name v1");
            // No address that nobody asked for.
            for link in ["v0", "v1"] {
                ip(&format!("link set {link} addrgenmode none"));
            }
            network.iter().for_each(|line| ip(line));
            ip("link set v1 up");
            ip("link set v0 up");
            let kinit = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
            let kinit = kinit.succeeds().within(AT_ONCE);
            let asks = |address| kinit.trace.contains(&format!("dgram {address}"));
            if !asks("127.0.0.1:88") {
                assert!(asks("::1:88"), "{name}: {}", kinit.trace);
                refused.push(name);
            }
            ip("link del v0");
        }
        // Where one address alone would leave nobody to ask.
        assert_eq!(refused, ["link-local addresses alone", "IPv6 alone"]);
    });
}

/// MIT's kpasswd asks the second address, with other octets, if ten seconds have brought no answer: longer than a request usually
/// may take.
#[test]
fn a_slow_change_of_a_password_is_made_once() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        furnish(dir.path(), Some(DEBIANS));
        let realm = Realm::start(dir.path(), "EXAMPLE.COM", 88, Preauth::Spake);
        proxy::certify(dir.path());
        let gateway = proxy::gateway(8443, &[Route::to(&realm)]) + "[defaults]\n" + PATIENT;
        let proxy = KdcProxy::gateway(dir.path(), 8443, &gateway);
        let text = stanza("EXAMPLE.COM", &proxy.url(), &proxy) + PATIENT;
        configure(&text);
        krb5_conf(&["--install"]).well();
        let client = Client::by_etc(dir.path());
        let loopkdc = Loopkdc::with_config(dir.path(), &text);
        realm.kadmind.signal("STOP");
        let mut kpasswd = client.begin("kpasswd user@EXAMPLE.COM");
        kpasswd.is_told(&[PASSWORD, NEW, NEW]);
        let runtime = Builder::new_current_thread().enable_time().build();
        let joined = || {
            let status = loopkdc.status();
            let mut counters = status["counters"].as_array().unwrap().iter();
            counters.any(|of| of["name"] == "joined" && of["value"].as_u64() > Some(0))
        };
        runtime.unwrap().block_on(eventually(joined));
        realm.kadmind.signal("CONT");
        let kpasswd = kpasswd.ends().succeeds();
        for address in ["127.0.0.1:464", "::1:464"] {
            let sent = format!("Sending TCP request to stream {address}\n");
            assert!(kpasswd.trace.contains(&sent), "{}", kpasswd.trace);
        }
        assert_eq!(realm.key_version("user"), 2);
        proxy.process.wait_for(CHANGE);
        assert_eq!(proxy.process.count(CHANGE), 1);
    });
}
