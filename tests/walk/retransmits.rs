//! A request repeated makes one POST, and every copy is answered; so does a change of a password that Heimdal rebuilt.

use std::time::{Duration, Instant};

use loopkdc::wire::Service;
use tokio::time::interval;

use crate::eventually;
use crate::messages::{Kind, REALM, change, new_ticket, told};
use crate::relay::{Reached, Running, Setup, Transport};
use crate::upstream::{Act, Gate, Plan, Upstream};

/// How long a verdict is kept.
const VERDICT_KEPT: Duration = Duration::from_secs(2);

/// An upstream that answers with `reply` once the gate is open.
fn slow(reply: &[u8], gate: &Gate) -> Upstream {
    Plan::always(Act::Reply(reply.to_vec()).after(gate)).start()
}

async fn joined(relay: &Running, copies: u64) {
    eventually(|| relay.counters().joined.get() == copies).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_over_udp_and_tcp_make_one_post_and_all_are_answered() {
    for kind in Kind::ALL {
        let (gate, reply) = (Gate::shut(), kind.reply());
        let upstream = slow(&reply, &gate);
        let relay = Setup::by(&[&upstream]).start();
        let request = kind.request(REALM);

        let first = relay.udp(request.service).await;
        first.send(&request.bytes).await;
        upstream.until_posts(1).await;
        let second = relay.udp(request.service).await;
        second.send(&request.bytes).await;
        first.send(&request.bytes).await;
        let mut third = relay.tcp(request.service).await;
        third.send(&request.bytes).await;
        joined(&relay, 3).await;
        gate.open();

        assert_eq!(first.hear().await, reply, "{kind:?}");
        assert_eq!(
            first.hear().await,
            reply,
            "{kind:?}, the same client's copy"
        );
        assert_eq!(
            second.hear().await,
            reply,
            "{kind:?}, another client's copy"
        );
        assert_eq!(third.hear().await.message(), reply, "{kind:?} over TCP");
        assert_eq!(upstream.posts(), 1, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_at_the_other_kdc_socket_joins() {
    let (gate, reply) = (Gate::shut(), Kind::Plain.reply());
    let upstream = slow(&reply, &gate);
    let relay = Setup::by(&[&upstream])
        .listen("kdc = [\"127.0.0.1:0\", \"127.0.0.1:0\"]")
        .start();
    let request = Kind::Plain.request(REALM);
    let [one, other] = relay.addresses(Service::Kdc)[..] else {
        panic!("two addresses");
    };

    let first = crate::clients::Udp::connect(one).await;
    first.send(&request.bytes).await;
    let second = crate::clients::Udp::connect(other).await;
    second.send(&request.bytes).await;
    joined(&relay, 1).await;
    gate.open();

    assert_eq!(first.hear().await, reply);
    assert_eq!(second.hear().await, reply);
    assert_eq!(upstream.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_strands_nobody_who_joined_it() {
    let (gate, reply) = (Gate::shut(), Kind::Preauth.reply());
    let upstream = slow(&reply, &gate);
    let relay = Setup::by(&[&upstream]).start();
    let request = Kind::Preauth.request(REALM);

    let mut first = relay.tcp(Service::Kdc).await;
    first.send(&request.bytes).await;
    upstream.until_posts(1).await;
    let second = relay.udp(Service::Kdc).await;
    second.send(&request.bytes).await;
    joined(&relay, 1).await;
    drop(first);
    gate.open();

    assert_eq!(second.hear().await, reply);
    assert_eq!(upstream.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_after_the_reply_gets_it_again_without_a_post() {
    for kind in Kind::ALL {
        let upstream = Plan::granting().start();
        let relay = Setup::by(&[&upstream]).start();
        let request = kind.request(REALM);

        let reply = relay.ask(Transport::Udp, &request).await;
        assert_eq!(relay.ask(Transport::Tcp, &request).await, reply, "{kind:?}");
        assert_eq!(relay.ask(Transport::Udp, &request).await, reply, "{kind:?}");
        assert_eq!(upstream.posts(), 1, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_octets_to_another_service_are_no_copy() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    let request = Kind::Change.request(REALM);
    let misled = relay.udp(Service::Kdc).await;
    misled.send(&request.bytes).await;
    relay.ask(Transport::Udp, &request).await;
    assert!(misled.is_quiet());
    assert_eq!(upstream.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_change_from_the_same_peer_with_the_same_ticket_joins() {
    let (gate, reply) = (Gate::shut(), Kind::Change.reply());
    let upstream = slow(&reply, &gate);
    let relay = Setup::by(&[&upstream]).start();
    let ticket = new_ticket();

    let client = relay.udp(Service::Kpasswd).await;
    for copies in 0..3 {
        client.send(&change(REALM, &ticket).bytes).await;
        joined(&relay, copies).await;
    }
    upstream.until_posts(1).await;
    gate.open();

    for _ in 0..3 {
        assert_eq!(client.hear().await, reply);
    }
    assert_eq!(upstream.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_with_another_ticket_or_from_another_peer_are_not_joined() {
    let gate = Gate::shut();
    let upstream = Plan::new(move |post| post.granted().after(&gate)).start();
    let relay = Setup::by(&[&upstream]).start();
    let ticket = new_ticket();

    let client = relay.udp(Service::Kpasswd).await;
    client.send(&change(REALM, &ticket).bytes).await;
    client.send(&change(REALM, &new_ticket()).bytes).await;
    let other = relay.udp(Service::Kpasswd).await;
    other.send(&change(REALM, &ticket).bytes).await;
    upstream.until_posts(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_after_a_real_reply_is_new_even_with_the_same_ticket() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    let (ticket, client) = (new_ticket(), relay.udp(Service::Kpasswd).await);

    client.send(&change(REALM, &ticket).bytes).await;
    let first = client.hear().await;
    client.send(&change(REALM, &ticket).bytes).await;
    assert_ne!(client.hear().await, first);
    assert_eq!(upstream.posts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_kept_for_the_same_octets_and_for_nothing_else() {
    let upstream = Plan::new(|post| match post.number {
        1 => Act::status(500),
        _ => post.granted(),
    })
    .start();
    let relay = Setup::by(&[&upstream])
        .defaults("on-failure = \"explain\"")
        .start();
    let request = Kind::Plain.request(REALM);

    let verdict = relay.ask(Transport::Udp, &request).await.message();
    let again = relay.ask(Transport::Tcp, &request).await.message();
    assert_eq!(
        crate::messages::said(&again),
        crate::messages::said(&verdict)
    );
    assert_eq!(upstream.posts(), 1);
    let other = relay
        .ask(Transport::Udp, &Kind::Plain.request(REALM))
        .await
        .message();
    assert_eq!(other[0], 0x6b, "an AS-REP");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_forgotten_after_two_seconds() {
    let upstream = Plan::new(|post| match post.number {
        1 => Act::status(500),
        _ => post.granted(),
    })
    .start();
    let relay = Setup::by(&[&upstream]).start();
    let request = Kind::Plain.request(REALM);
    let asked = Instant::now();
    relay.ask(Transport::Udp, &request).await;
    // Only time ends it, so the same question is put until the answer is another one.
    let mut again = interval(Duration::from_millis(50));
    while relay.ask(Transport::Udp, &request).await.message()[0] != 0x6b {
        again.tick().await;
    }
    assert!(asked.elapsed() >= VERDICT_KEPT, "{:?}", asked.elapsed());
    assert_eq!(upstream.posts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_on_a_change_that_may_be_done_is_kept_two_seconds_under_its_ticket() {
    let upstream = Plan::new(|post| match post.number {
        1 => Act::Reset,
        _ => post.granted(),
    })
    .start();
    let relay = Setup::by(&[&upstream]).start();
    let ticket = new_ticket();
    let asked = Instant::now();
    let verdict = relay
        .ask(Transport::Udp, &change(REALM, &ticket))
        .await
        .message();
    let verdict = told(&verdict);

    // Heimdal's next: version 1, from a new port. MIT's: over the other transport.
    for transport in Transport::BOTH {
        let again = relay
            .ask(transport, &change(REALM, &ticket))
            .await
            .message();
        assert_eq!(told(&again), verdict);
    }
    assert_eq!(upstream.posts(), 1);
    let mut again = interval(Duration::from_millis(50));
    while upstream.posts() == 1 {
        relay.ask(Transport::Udp, &change(REALM, &ticket)).await;
        again.tick().await;
    }
    assert!(asked.elapsed() >= VERDICT_KEPT, "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_not_sent_may_be_asked_for_again_at_once() {
    let mut upstream = Plan::granting().start_down();
    let relay = Setup::by(&[&upstream]).start();
    let ticket = new_ticket();
    let verdict = relay
        .ask(Transport::Udp, &change(REALM, &ticket))
        .await
        .message();
    assert_eq!(told(&verdict).result, 2);
    upstream.open();
    let reply = relay
        .ask(Transport::Udp, &change(REALM, &ticket))
        .await
        .message();
    assert_eq!(upstream.posts(), 1);
    assert_ne!(reply[4..6], [0, 0], "an AP-REP");
}
