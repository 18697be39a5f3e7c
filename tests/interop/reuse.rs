//! Warm exchanges need no new connection.

use std::time::Duration;

use tempfile::tempdir;

use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::proxy::{self, KdcProxy, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};
use crate::support::relay::Relay;

/// Ten service tickets, each by a client process of its own.
#[test]
fn ten_kvno_cost_at_most_one_handshake() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), "EXAMPLE.COM", 88, Preauth::Spake);
        let proxy = KdcProxy::start(dir.path(), 8443, &[Route::to(&realm)]);
        // Every connection that the program opens has its own handshake: counting the one counts
        // the other.
        let relay = Relay::start(proxy.address, Duration::ZERO);
        let config = stanza(realm.name, &proxy::url(relay.address), &proxy);
        let _loopkdc = Loopkdc::with_config(dir.path(), &config);
        let client = Client::by_drop_in(dir.path(), &[realm.name]);

        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        proxy.was_asked(3);
        let connections = relay.connections();
        assert!(connections > 0);
        for host in 'a'..='j' {
            client
                .run(&format!("kvno host/{host}.example.com@EXAMPLE.COM"), &[])
                .succeeds();
        }
        proxy.was_asked(13);
        let new = relay.connections() - connections;
        assert!(new <= 1, "{new} new connections for ten tickets");
    });
}
