//! Addresses to listen on that are not the usual ones.

use std::path::Path;
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

/// A client that asks 127.0.0.2, where the kernel would have the answer come from 127.0.0.1: MIT's takes none from there.
fn asks_another_address(dir: &Path) -> Client {
    let krb5 = format!("[realms]\n{REALM} = {{\nkdc = 127.0.0.2:8888\n}}\n");
    Client::new(dir, &[krb5 + "[libdefaults]\ndns_lookup_kdc = false\n"])
}

#[test]
fn who_asks_one_of_many_addresses_is_answered_from_there() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, 88, Preauth::Timestamp);
        let proxy = KdcProxy::of(Maker::Ours, dir.path(), 8443, &[Route::to(&realm)]);
        let client = asks_another_address(dir.path());
        let realms = stanza(REALM, &proxy.url(), &proxy);
        let listen = "[listen]\nkdc = [\"0.0.0.0:8888\"]\nallow-remote-clients = true\n";
        {
            let _loopkdc = Loopkdc::with_config(dir.path(), &(listen.to_owned() + &realms));
            let kinit = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
            kinit.succeeds().within(SOON);
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
