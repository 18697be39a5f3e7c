//! Warm exchanges need no new connection.

use std::time::Duration;

use tempfile::tempdir;

use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::proxy::{self, KdcProxy, Maker, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};
use crate::support::relay::Relay;
use crate::table::{About, Software, comes_through};

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

/// A KDC that takes four seconds is alive, and so are the connections to it.
#[test]
fn a_kdc_that_is_slow_is_asked_once() {
    for maker in [Maker::Ours, Maker::Kdcproxy] {
        isolated(|| {
            let dir = tempdir().unwrap();
            let realm = Realm::start(dir.path(), "EXAMPLE.COM", 88, Preauth::Timestamp);
            let path = Relay::start(realm.kdc_address(), Duration::ZERO);
            let kdc = path.address;
            let route = Route {
                kdc,
                ..Route::to(&realm)
            };
            let proxy = KdcProxy::of(maker, dir.path(), 8443, &[route]);
            let _loopkdc = Loopkdc::start(dir.path(), &[(realm.name, &proxy)]);
            let client = Client::by_drop_in(dir.path(), &[realm.name]);

            client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
            proxy.was_asked(2);
            let slow = Duration::from_secs(4);
            path.delays(slow);
            let service = "kvno host/a.example.com@EXAMPLE.COM";
            let kvno = client.run(service, &[]);
            assert!(kvno.took >= slow, "{:?}", kvno.took);
            kvno.succeeds();
            proxy.was_asked(3);
            assert_eq!(path.connections(), 3, "copies to the KDC");
            let gunicorn = [
                Software::debian("kdcproxy", "python3-kdcproxy"),
                Software::debian("gunicorn", "gunicorn"),
            ];
            let what = "kdcproxy under gunicorn, and a KDC that takes four seconds";
            comes_through(About::Proxies, what, &gunicorn);
        });
    }
}

/// kdcproxy under uWSGI closes each connection some milliseconds after its answer, and no header says so: a password that is on its way
/// then is lost, and must not be sent twice. That happens once at most.
#[test]
fn a_proxy_that_closes_without_a_word_costs_one_login_at_most() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), "EXAMPLE.COM", 88, Preauth::Timestamp);
        let proxy = KdcProxy::under_uwsgi(dir.path(), 8443, &[Route::to(&realm)], &[]);
        let _loopkdc = Loopkdc::start(dir.path(), &[(realm.name, &proxy)]);
        let client = Client::by_drop_in(dir.path(), &[realm.name]);

        let failed = (0..20).filter(|_| {
            let login = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
            !login.success
        });
        let failed = failed.count();
        assert!(failed <= 1, "{failed} logins of 20 failed");
        let software = [
            Software::debian("kdcproxy", "python3-kdcproxy"),
            Software::debian("uWSGI", "uwsgi-core"),
        ];
        let what = "kdcproxy under uWSGI, which closes each connection without a word";
        comes_through(About::Proxies, what, &software);
    });
}
