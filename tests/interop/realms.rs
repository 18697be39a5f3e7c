//! More than one realm, and none.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use tempfile::tempdir;

use crate::messages::{PA_REQ_ENC_PA_REP, REALM, as_req, framed, said};
use crate::office::Way;
use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::proxy::{KdcProxy, Maker, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};
use crate::table::{About, Software, comes_through};

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

/// kdcproxy reads no realm that is not ASCII.
#[test]
fn a_realm_in_utf_8_through_the_gateway() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), "M\u{dc}NCHEN.LAB", 88, Preauth::Spake);
        let proxy = KdcProxy::of(Maker::Ours, dir.path(), 8443, &[Route::to(&realm)]);
        let _loopkdc = Loopkdc::start(dir.path(), &[(realm.name, &proxy)]);
        let client = Client::by_drop_in(dir.path(), &[realm.name]);

        let kinit = format!("kinit user@{}", realm.name);
        client.run(&kinit, &[PASSWORD]).succeeds();
        let (kpasswd, new) = (format!("kpasswd user@{}", realm.name), "a newer horse");
        client.run(&kpasswd, &[PASSWORD, new, new]).succeeds();
    });
}

/// As long as krb5kdc takes it: it says that it knows no such user.
#[test]
fn a_request_of_a_megabyte() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, 88, Preauth::Spake);
        let proxy = KdcProxy::of(Maker::Ours, dir.path(), 8443, &[Route::to(&realm)]);
        let _loopkdc = Loopkdc::start(dir.path(), &[(realm.name, &proxy)]);
        let request = as_req(REALM, &[PA_REQ_ENC_PA_REP; 20_000]).bytes;
        assert!(request.len() > 1_000_000, "{}", request.len());
        let mut stream = TcpStream::connect(("127.0.0.1", 88)).unwrap();
        stream.write_all(&framed(&request)).unwrap();
        let mut reply = Vec::new();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_end(&mut reply).unwrap();
        assert_eq!(said(&reply[4..]).code, 6);
    });
}

#[test]
fn a_strange_realm_that_is_not_ascii_takes_no_time() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), "EXAMPLE.COM", 88, Preauth::Spake);
        let proxy = KdcProxy::start(dir.path(), 8443, &[Route::to(&realm)]);
        let _loopkdc = Loopkdc::start(dir.path(), &[(realm.name, &proxy)]);
        let strange = "M\u{dc}NCHEN.LAB";
        let client = Client::by_drop_in(dir.path(), &[strange]);

        let kinit = client.run(&format!("kinit user@{strange}"), &[PASSWORD]);
        kinit
            .fails_with("Cannot contact any KDC for realm")
            .within(Duration::from_millis(500));
    });
}

/// A user of one realm gets a ticket of the other's service: by a referral ticket of its own KDC, then from the other KDC.
fn cross_realm(way: Way, maker: Maker) {
    let dir = tempdir().unwrap();
    let first = Realm::start(dir.path(), "FIRST.EXAMPLE", 88, Preauth::Spake);
    let second = Realm::start(dir.path(), "SECOND.EXAMPLE", 89, Preauth::Spake);
    first.is_trusted_by(&second);
    let routes = [Route::to(&first), Route::to(&second)];
    let proxy = KdcProxy::of(maker, dir.path(), 8443, &routes);
    let names = [first.name, second.name];
    let (_loopkdc, mut client) = match way {
        Way::Native => (None, Client::by_native_kkdcp(dir.path(), &names, &proxy)),
        _ => {
            let realms = names.map(|name| (name, &proxy));
            let loopkdc = Loopkdc::start(dir.path(), &realms);
            (Some(loopkdc), Client::by_drop_in(dir.path(), &names))
        }
    };
    client.also("[capaths]\n FIRST.EXAMPLE = {\n SECOND.EXAMPLE = .\n }\n");

    client
        .run("kinit user@FIRST.EXAMPLE", &[PASSWORD])
        .succeeds();
    client
        .run("kvno host/a.example.com@SECOND.EXAMPLE", &[])
        .succeeds();
    client
        .run("klist", &[])
        .says("krbtgt/SECOND.EXAMPLE@FIRST.EXAMPLE");
    second.kdc.wait_for("host/a.example.com@SECOND.EXAMPLE");
    if (way, maker) == (Way::Udp, Maker::Ours) {
        let what = "TGS: a ticket of another realm";
        comes_through(About::Exchanges, what, &[Software::mit()]);
    }
}

#[test]
fn a_ticket_of_another_realm_through_the_gateway() {
    isolated(|| cross_realm(Way::Udp, Maker::Ours));
}

#[test]
fn a_ticket_of_another_realm_by_the_native_client() {
    isolated(|| cross_realm(Way::Native, Maker::Ours));
}

#[test]
fn a_ticket_of_another_realm_through_another_makers_proxy() {
    isolated(|| cross_realm(Way::Udp, Maker::Kdcproxy));
}
