//! The forms of a verdict where they don't depend on the fault.

use crate::clients::Heard;
use crate::messages::{Kind, REALM, said, told};
use crate::relay::{Reached, Setup, Transport};
use crate::upstream::{Act, Gate, Plan};
use loopkdc::wire::Service;

const UNKNOWN: &str = "UNKNOWN.EXAMPLE";

#[tokio::test(flavor = "multi_thread")]
async fn replies_owed_are_received_before_the_reset() {
    let upstream = Plan::new(|post| match post.number {
        1 | 2 => post.granted(),
        _ => Act::status(403),
    })
    .start();
    let relay = Setup::by(&[&upstream]).start();
    let mut client = relay.tcp(Service::Kdc).await;
    for kind in [Kind::Plain, Kind::Tgs, Kind::Preauth] {
        client.send(&kind.request(REALM).bytes).await;
    }
    upstream.until_posts(3).await;
    crate::eventually(|| relay.counters().failed.get() == 1).await;
    // Read only now, when the connection is already reset.
    assert_eq!(client.hear().await.message()[0], 0x6b);
    assert_eq!(client.hear().await.message()[0], 0x6d);
    assert_eq!(client.hear().await, Heard::Reset);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kpasswd_stream_goes_on_after_a_verdict() {
    let upstream = Plan::new(|post| match post.number {
        1 => Act::status(403),
        _ => post.granted(),
    })
    .start();
    let relay = Setup::by(&[&upstream]).start();
    let mut client = relay.tcp(Service::Kpasswd).await;
    client.send(&Kind::Change.request(REALM).bytes).await;
    assert_eq!(told(&client.hear().await.message()).code, 12);
    client.send(&Kind::Change.request(REALM).bytes).await;
    assert_ne!(client.hear().await.message()[4..6], [0, 0], "an AP-REP");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realm_without_upstream_looks_unreachable() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    let request = Kind::Plain.request(UNKNOWN);
    let answer = relay.ask(Transport::Udp, &request).await.message();
    assert_eq!(said(&answer).code, 52);
    assert_eq!(relay.ask(Transport::Tcp, &request).await, Heard::Reset);
    for transport in Transport::BOTH {
        let answer = relay.ask(transport, &Kind::Change.request(UNKNOWN)).await;
        let told = told(&answer.message());
        assert_eq!((told.result, told.code), (2, 85));
        assert!(
            told.words
                .contains("no KDC proxy is configured for realm UNKNOWN.EXAMPLE"),
            "{told:?}"
        );
        assert!(
            told.words.contains("Your password was not changed"),
            "{told:?}"
        );
    }
    assert_eq!(upstream.seen().connections, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_realm_looks_unreachable_under_a_wildcard_too() {
    let upstream = Plan::granting().start();
    let relay = Setup::new().realm("*", &[&upstream], "").start();
    for realm in ["", "A\nB", "A\u{202e}B", &"A".repeat(256)] {
        for kind in [Kind::Plain, Kind::Tgs] {
            let request = kind.request(realm);
            let answer = relay.ask(Transport::Udp, &request).await.message();
            assert_eq!(said(&answer).code, 52, "{realm:?}");
            assert_eq!(relay.ask(Transport::Tcp, &request).await, Heard::Reset);
        }
    }
    assert_eq!(upstream.seen().connections, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realm_without_upstream_is_explained() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream])
        .defaults("on-failure = \"explain\"")
        .start();
    for transport in Transport::BOTH {
        let answer = relay.ask(transport, &Kind::Preauth.request(UNKNOWN)).await;
        let said = said(&answer.message());
        assert_eq!(said.code, 85);
        assert!(
            said.words
                .contains("no KDC proxy is configured for realm UNKNOWN.EXAMPLE"),
            "{said:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_place_takes_that_of_one_that_is_silent() {
    let gate = Gate::shut();
    let silent = {
        let gate = gate.clone();
        Plan::new(move |post| post.granted().after(&gate)).start()
    };
    let other = Plan::new(|post| post.granted()).start();
    let relay = Setup::by(&[&silent])
        .realm("OTHER.EXAMPLE", &[&other], "")
        .listen("max-in-flight = 1")
        .start();
    let mut first = relay.tcp(Service::Kdc).await;
    first.send(&Kind::Plain.request(REALM).bytes).await;
    silent.until_posts(1).await;
    let answer = relay
        .ask(Transport::Tcp, &Kind::Plain.request("OTHER.EXAMPLE"))
        .await;
    assert_eq!(answer.message()[0], 0x6b);
    assert_eq!(relay.counters().overloaded.get(), 1);
    gate.open();
}
