//! More than one realm, and none.

use std::time::Duration;

use tempfile::tempdir;

use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::netns::isolated;
use crate::support::proxy::{KdcProxy, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};

#[test]
fn two_realms_behind_two_proxies() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let first = Realm::start(dir.path(), "FIRST.EXAMPLE", 88, Preauth::Spake);
        let second = Realm::start(dir.path(), "SECOND.EXAMPLE", 89, Preauth::Timestamp);
        let to_first = KdcProxy::start(dir.path(), 8443, &[Route::to(&first)]);
        let to_second = KdcProxy::start(dir.path(), 8444, &[Route::to(&second)]);
        let realms = [(first.name, &to_first), (second.name, &to_second)];
        let _loopkdc = Loopkdc::start(dir.path(), &realms);
        let client = Client::by_drop_in(dir.path(), &[first.name, second.name]);

        client
            .run("kinit user@FIRST.EXAMPLE", &[PASSWORD])
            .succeeds();
        to_first.was_asked(3);
        to_second.was_asked(0);
        client
            .run("kinit user@SECOND.EXAMPLE", &[PASSWORD])
            .succeeds();
        client
            .run("klist", &[])
            .says("krbtgt/SECOND.EXAMPLE@SECOND.EXAMPLE");
        to_first.was_asked(3);
        to_second.was_asked(2);
        let new = "a newer horse";
        client
            .run("kpasswd user@SECOND.EXAMPLE", &[PASSWORD, new, new])
            .succeeds();
        assert_eq!(
            (first.key_version("user"), second.key_version("user")),
            (1, 2)
        );
    });
}

/// Neither a realm that the program doesn't know nor one that its proxy doesn't know takes time,
/// and neither disturbs the others.
#[test]
fn unknown_realm() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), "EXAMPLE.COM", 88, Preauth::Spake);
        let proxy = KdcProxy::start(dir.path(), 8443, &[Route::to(&realm)]);
        let realms = [(realm.name, &proxy), ("STRANGE.TO.PROXY", &proxy)];
        let _loopkdc = Loopkdc::start(dir.path(), &realms);
        let names = [realm.name, "STRANGE.TO.PROXY", "STRANGE.TO.ALL"];
        let client = Client::by_drop_in(dir.path(), &names);

        let soon = Duration::from_millis(500);
        let kinit = client.run("kinit user@STRANGE.TO.ALL", &[PASSWORD]);
        kinit
            .fails_with("Cannot contact any KDC for realm 'STRANGE.TO.ALL'")
            .within(soon);
        proxy.was_asked(0);
        let kinit = client.run("kinit user@STRANGE.TO.PROXY", &[PASSWORD]);
        kinit
            .fails_with("Cannot contact any KDC for realm 'STRANGE.TO.PROXY'")
            .within(soon);
        // Not twice: the copy that libkrb5 sends over TCP gets the same verdict.
        proxy.was_asked(1);
        client
            .run("kinit user@EXAMPLE.COM", &[PASSWORD])
            .succeeds()
            .within(soon);
    });
}
