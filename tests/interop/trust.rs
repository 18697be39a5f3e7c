//! What goes beyond one realm, and beyond one datagram.

use std::fs;

use tempfile::tempdir;

use crate::office::{PORT, REALM};
use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::proxy::{self, KdcProxy, Maker, Route};
use crate::support::realm::{More, PASSWORD, Preauth, Realm, SERVICE};
use crate::table::{About, Software, comes_through};

/// The way from the first realm to the third, which clients and KDCs alike have to be told.
const WAY: &str = "[capaths]\n FIRST.EXAMPLE = {\n SECOND.EXAMPLE = .\n THIRD.EXAMPLE = SECOND.EXAMPLE\n }\n\
    SECOND.EXAMPLE = {\n THIRD.EXAMPLE = .\n }\n";

fn shown(what: &str) {
    comes_through(About::Exchanges, what, &[Software::mit()]);
}

/// A user of the first realm gets a ticket of a service in the third: by referral tickets of the first and the second.
#[test]
fn a_ticket_over_two_hops_with_each_realm_behind_a_gateway() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let names = ["FIRST.EXAMPLE", "SECOND.EXAMPLE", "THIRD.EXAMPLE"];
        let more = More {
            krb5: WAY,
            ..More::default()
        };
        let realm = |number: u8| {
            let name = names[usize::from(number)];
            Realm::with(dir.path(), name, 88 + number, Preauth::Spake, more)
        };
        let realms = [0, 1, 2].map(realm);
        realms[0].is_trusted_by(&realms[1]);
        realms[1].is_trusted_by(&realms[2]);
        let gateway = |number: u8| {
            let route = Route::to(&realms[usize::from(number)]);
            let port = 8443 + u16::from(number);
            KdcProxy::of(Maker::Ours, dir.path(), port, &[route])
        };
        let gateways = [0, 1, 2].map(gateway);
        let ways = [0, 1, 2].map(|number| (names[number], &gateways[number]));
        let _loopkdc = Loopkdc::start(dir.path(), &ways);
        let mut client = Client::by_drop_in(dir.path(), &names);
        client.also(WAY);

        let kinit = client.run("kinit user@FIRST.EXAMPLE", &[PASSWORD]);
        kinit.succeeds();
        gateways[1].was_asked(0);
        let kvno = client.run("kvno host/a.example.com@THIRD.EXAMPLE", &[]);
        kvno.succeeds();
        let klist = client.run("klist", &[]);
        klist.says("krbtgt/THIRD.EXAMPLE@SECOND.EXAMPLE");
        gateways[1].was_asked(1);
        gateways[2].was_asked(1);
        shown("TGS: a ticket over two hops, each realm behind a gateway of its own");
    });
}

/// The indicators of a login (RFC 8129) are copied into each ticket that follows from it: so many that no datagram holds one.
fn tickets_larger_than_64_kib(transport: &str) {
    let dir = tempdir().unwrap();
    let indicator = |number| format!("spake_preauth_indicator = {number:01500}\n");
    let indicators: String = (0..45).map(indicator).collect();
    let more = More {
        stanza: &indicators,
        admin: "addprinc -pw other +requires_preauth -allow_svr other\n",
        ..More::default()
    };
    let realm = Realm::with(dir.path(), REALM, 88, Preauth::Spake, more);
    let own = dir.path().join("gateway");
    fs::create_dir(&own).unwrap();
    proxy::certify(&own);
    let configuration = proxy::gateway(PORT, &[Route::to(&realm)]);
    let configuration = format!("{configuration}transport = \"{transport}\"\n");
    let gateway = KdcProxy::gateway(&own, PORT, &configuration);
    let _loopkdc = Loopkdc::start(dir.path(), &[(REALM, &gateway)]);
    let client = Client::by_drop_in(dir.path(), &[REALM]);

    let kinit = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
    let kinit = kinit.succeeds();
    let (udp, tcp) = kinit.trace.split_once("too big for UDP").unwrap();
    assert!(udp.contains("Sending initial UDP request to dgram 127.0.0.1:88"));
    assert!(tcp.contains("Sending TCP request to stream 127.0.0.1:88"));
    assert!(kinit.largest_reply() > 65_536, "{}", kinit.trace);
    // Here the request is as large.
    let kvno = client.run(&format!("kvno {SERVICE}"), &[]);
    assert!(kvno.succeeds().largest_reply() > 65_536);
    // And with two of them in it (RFC 4120 3.7) twice as large.
    let cache = dir.path().join("of-other").display().to_string();
    let kinit = client.run(&format!("kinit -c {cache} other@{REALM}"), &["other"]);
    kinit.succeeds();
    let kvno = client.run(&format!("kvno --u2u {cache} other@{REALM}"), &[]);
    kvno.succeeds();
    let asked = transport.to_uppercase();
    shown(&format!(
        "AS and TGS: tickets of more than 64 KiB, over UDP and then TCP, of a KDC asked over {asked}"
    ));
}

#[test]
fn tickets_larger_than_64_kib_of_a_kdc_asked_over_tcp() {
    isolated(|| tickets_larger_than_64_kib("tcp"));
}

/// krb5kdc says by itself that they are too big, and the gateway comes back over TCP.
#[test]
fn tickets_larger_than_64_kib_of_a_kdc_asked_over_udp() {
    isolated(|| tickets_larger_than_64_kib("udp"));
}
