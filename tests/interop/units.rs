//! The sockets of the systemd units, as shipped.

use std::fs;
use std::time::Duration;

use tempfile::tempdir;

use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::netns;
use crate::support::proxy::{KdcProxy, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};

const SOCKETS: [&str; 2] = [
    include_str!("../../packaging/systemd/loopkdc.socket"),
    include_str!("../../packaging/systemd/loopkdc-kpasswd.socket"),
];

/// systemd's tool can hold sockets of one kind at once.
fn serve(listens: &str, options: &[&str], udp_preference_limit: u32) {
    let dir = tempdir().unwrap();
    let realm = Realm::start(dir.path(), "EXAMPLE.COM", 88, Preauth::Spake);
    let proxy = KdcProxy::start(dir.path(), 8443, &[Route::to(&realm)]);
    let sockets = SOCKETS.iter().flat_map(|unit| addresses(unit, listens));
    let sockets: Vec<_> = sockets.collect();
    assert_eq!(sockets.len(), 4);
    let realms = [(realm.name, &proxy)];
    let loopkdc = Loopkdc::activated(dir.path(), &realms, options, &sockets);
    let mut client = Client::by_drop_in(dir.path(), &[realm.name]);
    client.also(&format!(
        "[libdefaults]\n udp_preference_limit = {udp_preference_limit}\n"
    ));

    client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
    let new = "a newer horse";
    let kpasswd = client.run("kpasswd user@EXAMPLE.COM", &[PASSWORD, new, new]);
    kpasswd.succeeds();
    let bound = "kdc=127.0.0.1:88,[::1]:88 kpasswd=127.0.0.1:464,[::1]:464";
    loopkdc.process.wait_for(bound);
}

/// The streams that the units describe are taken over by their names, and serve.
#[test]
fn sockets_are_inherited() {
    isolated(|| serve("ListenStream=", &[], 1));
}

/// And the datagrams.
#[test]
fn datagram_sockets_are_inherited() {
    isolated(|| serve("ListenDatagram=", &["--datagram"], 65_536));
}

const MENDED: &str = "the configuration is mended, and in effect";

/// Without a configuration that was ever good, clients hear at once that there is no KDC; then the last good one is served. Each time
/// the mended one is taken without a command.
#[test]
fn a_mistake_in_the_configuration_costs_nobody_a_ticket() {
    netns::isolated(|| {
        let dir = tempdir().unwrap();
        let realm = |name, host| Realm::start(dir.path(), name, host, Preauth::Spake);
        let (realm, other) = (realm("EXAMPLE.COM", 88), realm("EXAMPLE.ORG", 89));
        let routes = [Route::to(&realm), Route::to(&other)];
        let proxy = KdcProxy::start(dir.path(), 8443, &routes);
        let sockets = SOCKETS
            .iter()
            .flat_map(|unit| addresses(unit, "ListenStream="));
        let sockets: Vec<_> = sockets.collect();
        let start = |text: &str| Loopkdc::activated_with(dir.path(), text, &[], &sockets);
        let mut client = Client::by_drop_in(dir.path(), &[realm.name, other.name]);
        client.also("[libdefaults]\n udp_preference_limit = 1\n");
        let good = stanza(realm.name, &proxy.url(), &proxy);
        let wrong = good.replace("proxies", "proxiez");

        let mut first = start(&wrong);
        let kinit = || client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        let at_once = Duration::from_secs(2);
        kinit().fails_with("Cannot contact any KDC").within(at_once);
        assert!(first.status()["configuration"]["read_at"].is_null());
        fs::write(first.config(), &good).unwrap();
        first.process.wait_for(MENDED);
        kinit().succeeds();
        first.process.wait_for("is kept for the next start");
        first.process.terminate();

        let second = start(&wrong);
        kinit().succeeds();
        second
            .process
            .wait_for("the last good configuration is served");
        let what = second.status()["problems"][0]["what"].to_string();
        assert!(what.contains("proxiez"), "{what}");
        let more = stanza(other.name, &proxy.url(), &proxy);
        fs::write(second.config(), good + &more).unwrap();
        second.process.wait_for(MENDED);
        client.run("kinit user@EXAMPLE.ORG", &[PASSWORD]).succeeds();
    });
}

/// What a socket unit listens on by `key`, each with the name that it gives its descriptors.
fn addresses<'a>(unit: &'a str, key: &'a str) -> Vec<(&'a str, &'a str)> {
    let values = |key: &'a str| unit.lines().filter_map(move |line| line.strip_prefix(key));
    let name = values("FileDescriptorName=").next();
    let addresses = values(key);
    addresses.map(|address| (name.unwrap(), address)).collect()
}
