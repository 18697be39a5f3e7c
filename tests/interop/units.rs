//! The sockets of the systemd units, as shipped.

use tempfile::tempdir;

use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
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

/// What a socket unit listens on by `key`, each with the name that it gives its descriptors.
fn addresses<'a>(unit: &'a str, key: &'a str) -> Vec<(&'a str, &'a str)> {
    let values = |key: &'a str| unit.lines().filter_map(move |line| line.strip_prefix(key));
    let name = values("FileDescriptorName=").next();
    let addresses = values(key);
    addresses.map(|address| (name.unwrap(), address)).collect()
}
