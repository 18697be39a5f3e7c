//! Tickets: `kinit`, `kvno`, `kinit -R`.

use crate::office::{Office, REALM, Way};
use crate::recorded::isolated;
use crate::support::proxy::Maker;
use crate::support::realm::{PASSWORD, Preauth, SERVICE};
use crate::table::{About, Software, comes_through};

every_way! {
    /// The first ticket, and that it came the way it should.
    fn right_password(office) {
        let kinit = office.client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        assert!(kinit.trace.contains(office.way.traced()), "{}", kinit.trace);
        assert!(kinit.trace.contains("SPAKE"), "{}", kinit.trace);
        office.client.run("klist", &[]).succeeds().says("krbtgt/EXAMPLE.COM@EXAMPLE.COM");
        comes_through(About::Clients, "MIT: `kinit` with SPAKE", &[Software::mit()]);
    }

    /// A wrong password is said to be one, and counts once.
    fn wrong_password(office) {
        let kinit = office.client.run("kinit user@EXAMPLE.COM", &["battery staple"]);
        kinit.fails_with("Password incorrect");
        let user = office.realm.admin("getprinc user");
        assert!(user.contains("Failed password attempts: 1"), "{user}");
        comes_through(About::Clients, "MIT: a wrong password, counted once", &[Software::mit()]);
    }

    fn expired_password_with_change(office) {
        let new = "a newer horse";
        let typed = [PASSWORD, new, new];
        office.client.run("kinit expired@EXAMPLE.COM", &typed).says("Password expired").succeeds();
        assert_eq!(office.realm.key_version("expired"), 2);
        office.client.run("kinit expired@EXAMPLE.COM", &[new]).succeeds();
        comes_through(About::Clients, "MIT: `kinit` with an expired password, which it has changed", &[Software::mit()]);
    }

    fn service_ticket(office) {
        office.client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        let kvno = office.client.run(&format!("kvno {SERVICE}"), &[]).succeeds();
        kvno.says(&format!("{SERVICE}: kvno = 1"));
        comes_through(About::Clients, "MIT: `kvno`", &[Software::mit()]);
    }

    /// A service that isn't there is the KDC's answer, not a failure on the way.
    fn unknown_service(office) {
        office.client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        office.client.run("kvno host/nowhere@EXAMPLE.COM", &[]).fails_with("not found in Kerberos database");
        comes_through(About::Clients, "MIT: `kvno` of a service that does not exist", &[Software::mit()]);
    }

    fn renewal(office) {
        office.client.run("kinit -r 2d user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        office.proxy.was_asked(3);
        office.client.run("kinit -R", &[]).succeeds();
        office.proxy.was_asked(4);
        office.client.run("klist", &[]).says("renew until");
        comes_through(About::Exchanges, "TGS: a ticket is renewed", &[Software::mit()]);
    }
}

fn timestamp_only(way: Way, maker: Maker) {
    let office = Office::with(way, maker, Preauth::Timestamp);
    let kinit = office
        .client
        .run(&format!("kinit user@{REALM}"), &[PASSWORD])
        .succeeds();
    assert!(
        kinit.trace.contains("Encrypted timestamp"),
        "{}",
        kinit.trace
    );
    assert!(!kinit.trace.contains("SPAKE"), "{}", kinit.trace);
    if maker == Maker::Ours {
        let what = "AS: encrypted timestamp";
        comes_through(About::Exchanges, what, &[Software::mit()]);
    }
}

#[test]
fn encrypted_timestamp_over_udp() {
    isolated(|| timestamp_only(Way::Udp, Maker::Kdcproxy));
}

#[test]
fn encrypted_timestamp_over_tcp() {
    isolated(|| timestamp_only(Way::Tcp, Maker::Ours));
}
