//! Each bound bites, and a counter tells that it did.

use std::time::Duration;

use loopkdc::wire::{MAX_REPLY, MAX_REQUEST, Service};

use crate::clients::{Heard, Stream};
use crate::daemon::Daemon;
use crate::messages::{Kind, REALM, as_rep_of, framed, tgs_req};
use crate::relay::{Reached, Setup, Transport};
use crate::upstream::{Act, Gate, Page, Plan, Upstream};
use crate::{eventually, within};

/// An upstream whose answers wait for the gate.
fn gated(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Plan::new(move |post| post.granted().after(&gate)).start()
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_beyond_those_that_may_wait_are_dropped_and_counted() {
    let gate = Gate::shut();
    let upstream = gated(&gate);
    let relay = Setup::by(&[&upstream]).listen("max-in-flight = 2").start();
    let client = relay.udp(Service::Kdc).await;
    for kind in [Kind::Plain, Kind::Tgs] {
        client.send(&kind.request(REALM).bytes).await;
    }
    upstream.until_posts(2).await;
    client.send(&Kind::Preauth.request(REALM).bytes).await;
    eventually(|| relay.counters().dropped.get() == 1).await;
    gate.open();
    let mut heard = [client.hear().await[0], client.hear().await[0]];
    heard.sort_unstable();
    assert_eq!(heard, [0x6b, 0x6d]);
    // Their places are free again.
    client.send(&Kind::Plain.request(REALM).bytes).await;
    assert_eq!(client.hear().await[0], 0x6b);
    assert_eq!((relay.counters().dropped.get(), upstream.posts()), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_beyond_those_that_may_be_under_way_end_at_their_deadline() {
    let upstream = Plan::always(Act::Silence).start();
    let relay = Setup::by(&[&upstream])
        .listen("max-in-flight = 1")
        .deadline(1)
        .start();
    let mut first = relay.tcp(Service::Kdc).await;
    first.send(&Kind::Tgs.request(REALM).bytes).await;
    upstream.until_posts(1).await;
    let mut second = relay.tcp(Service::Kdc).await;
    second.send(&Kind::Tgs.request(REALM).bytes).await;
    assert_eq!(first.hear().await, Heard::Reset);
    assert_eq!(second.hear().await, Heard::Reset);
    assert!(relay.counters().overloaded.get() <= 1);
    assert_eq!(
        relay.counters().failed.get() + relay.counters().overloaded.get(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_those_that_may_wait_are_turned_away() {
    let gate = Gate::shut();
    let upstream = gated(&gate);
    let relay = Setup::by(&[&upstream])
        .listen("max-connections = 1")
        .start();
    let mut waiting = relay.tcp(Service::Kdc).await;
    waiting.send(&Kind::Tgs.request(REALM).bytes).await;
    upstream.until_posts(1).await;
    let mut other = relay.tcp(Service::Kdc).await;
    assert_eq!(other.hear().await, Heard::End);
    assert_eq!(relay.counters().turned_away.get(), 1);
    gate.open();
    assert_eq!(waiting.hear().await.message()[0], 0x6d);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_end_for_silence_for_slowness_or_for_a_reply_not_taken_are_told_apart() {
    let upstream = Plan::new(|_| Act::Reply(as_rep_of(MAX_REPLY - 100))).start();
    let relay = Setup::by(&[&upstream])
        .listen("idle-timeout-seconds = 1")
        .start();
    let counters = relay.counters();

    let mut silent = relay.tcp(Service::Kdc).await;
    assert_eq!(silent.hear().await, Heard::End);
    assert_eq!((counters.idle.get(), counters.slow.get()), (1, 0));

    let mut slow = relay.tcp(Service::Kdc).await;
    let request = framed(&Kind::Plain.request(REALM).bytes);
    slow.send_octets(&request[..request.len() - 1]).await;
    assert_eq!(slow.hear().await, Heard::End);
    assert_eq!((counters.idle.get(), counters.slow.get()), (1, 1));

    // More than both sockets' buffers hold: a copy of it each time.
    let mut taking_nothing = relay.tcp(Service::Kdc).await;
    let request = framed(&Kind::Plain.request(REALM).bytes);
    taking_nothing.send_octets(&request.repeat(32)).await;
    eventually(|| counters.untaken.get() == 1).await;
    assert_eq!((counters.idle.get(), counters.slow.get()), (1, 1));
    assert_eq!(upstream.posts(), 1);
}

/// A stream that has sent all of its long request but the last octet.
async fn almost_whole(relay: &impl Reached) -> Stream {
    let mut request = tgs_req(REALM).bytes;
    request.resize(MAX_REQUEST, 0);
    let mut client = relay.tcp(Service::Kdc).await;
    let octets = framed(&request);
    client.send_octets(&octets[..octets.len() - 1]).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn long_requests_share_their_room_and_short_ones_need_none() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    let counters = relay.counters();
    let mut crowd = Vec::new();
    while counters.crowded_out.get() == 0 {
        assert!(crowd.len() < 14, "four fifths of 16 MiB hold 12 of 1 MiB");
        crowd.push(almost_whole(&relay).await);
    }
    assert!(crowd.len() >= 12, "{}", crowd.len());
    for transport in Transport::BOTH {
        let answer = relay.ask(transport, &Kind::Preauth.request(REALM)).await;
        assert_eq!(answer.message()[0], 0x6b);
    }
    // Who goes makes room.
    drop(crowd.drain(..3));
    let mut long = tgs_req(REALM);
    long.bytes.resize(MAX_REQUEST, 0);
    let heard = within(async {
        loop {
            // The others' ends may not have been seen at once.
            match relay.ask(Transport::Tcp, &long).await {
                Heard::Message(message) => return message,
                Heard::End | Heard::Reset => {}
            }
        }
    });
    assert_eq!(heard.await[0], 0x6d);
    let mut held = crowd.swap_remove(0);
    held.send_octets(&[0]).await;
    assert_eq!(held.hear().await.message()[0], 0x6d);
}

/// Clients that leave: each message is under way until its deadline.
#[tokio::test(flavor = "multi_thread")]
async fn long_requests_are_held_in_number_even_if_nobody_waits_for_them() {
    const ASKED: usize = 300;
    let upstream = Plan::always(Act::Silence).start();
    let relay = Daemon::start(Setup::by(&[&upstream]).deadline(60));
    let before = relay.memory();
    for _ in 0..ASKED {
        let mut long = tgs_req(REALM);
        long.bytes.resize(120 * 1024, 0);
        let mut client = relay.tcp(Service::Kdc).await;
        client.send(&long.bytes).await;
    }
    // Who comes last has been read after all others.
    for transport in Transport::BOTH {
        let unknown = Kind::Change.request("UNKNOWN.EXAMPLE");
        relay.ask(transport, &unknown).await;
    }
    let held = relay.memory() - before;

    assert!(held < 64 * 1024, "{held} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_replies_that_are_not_taken_share_their_room_and_short_ones_need_none() {
    let upstream = Plan::new(|post| match post.number {
        1 => Act::Reply(as_rep_of(MAX_REPLY - 100)),
        _ => post.granted(),
    });
    let upstream = upstream.start();
    let relay = Setup::by(&[&upstream]).start();
    let request = framed(&Kind::Plain.request(REALM).bytes);
    let mut crowd = Vec::new();
    for _ in 0..20 {
        let mut taking_nothing = relay.tcp(Service::Kdc).await;
        // More than both sockets' buffers hold: a copy of it each time.
        taking_nothing.send_octets(&request.repeat(32)).await;
        crowd.push(taking_nothing);
    }
    // Four fifths of 16 MiB hold 12 of them.
    eventually(|| relay.counters().crowded_out.get() == 8).await;
    for transport in Transport::BOTH {
        let answer = relay.ask(transport, &Kind::Preauth.request(REALM)).await;
        assert_eq!(answer.message()[0], 0x6b);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_too_long_is_not_read_and_counted() {
    let upstream = Plan::new(|post| match post.number {
        1 => Act::Endless,
        2 => Act::Respond(Page::kerberos(vec![0x30; MAX_REPLY + 2048])),
        _ => post.granted(),
    })
    .start();
    let relay = Setup::by(&[&upstream]).start();
    for number in 1..=2 {
        let answer = relay
            .ask(Transport::Tcp, &Kind::Preauth.request(REALM))
            .await;
        assert_eq!(answer, Heard::Reset);
        assert_eq!(relay.counters().reply_too_long.get(), number);
    }
    let answer = relay
        .ask(Transport::Tcp, &Kind::Preauth.request(REALM))
        .await;
    assert_eq!(answer.message()[0], 0x6b);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_too_big_for_a_datagram_is_counted() {
    let upstream = Plan::new(|_| Act::Reply(as_rep_of(4097))).start();
    let relay = Setup::by(&[&upstream]).start();
    let request = Kind::Plain.request(REALM);
    let told = relay.ask(Transport::Udp, &request).await.message();
    assert_eq!(crate::messages::said(&told).code, 52);
    assert_eq!(relay.counters().too_big_for_udp.get(), 1);
    let reply = relay.ask(Transport::Tcp, &request).await.message();
    assert!(reply.len() > 4096);
    assert_eq!(relay.counters().too_big_for_udp.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_the_cache_has_no_room_for_are_forgotten_and_counted() {
    let upstream = Plan::new(|_| Act::Reply(as_rep_of(MAX_REPLY - 1000))).start();
    let relay = Setup::by(&[&upstream]).start();
    let requests: Vec<_> = (0..6).map(|_| Kind::Plain.request(REALM)).collect();
    for request in &requests {
        relay.ask(Transport::Tcp, request).await.message();
    }
    // Each of four shards holds one of them and no second.
    let forgotten = relay.counters().forgotten.get();
    assert!((2..=5).contains(&forgotten), "{forgotten}");
    let posts = upstream.posts();
    relay.ask(Transport::Tcp, &requests[5]).await.message();
    assert_eq!(upstream.posts(), posts, "the youngest is there");
    for request in &requests {
        relay.ask(Transport::Tcp, request).await.message();
    }
    assert!(upstream.posts() > posts, "others are not");
}

/// Thirty upstreams that fail and serve in turn would make six hundred lines in a moment.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_takes_so_many_lines_and_no_more_however_many_upstreams_there_are() {
    let upstreams: Vec<_> = (0..30)
        .map(|_| {
            let flapping = Plan::new(|post| match post.number % 2 {
                1 => Act::status(503),
                _ => post.granted(),
            });
            flapping.start()
        })
        .collect();
    let setup = upstreams
        .iter()
        .enumerate()
        .fold(Setup::new(), |setup, (number, upstream)| {
            setup.realm(&format!("R{number}.EXAMPLE"), &[upstream], "")
        });
    let relay = Daemon::start(setup);
    let started = std::time::Instant::now();
    for _ in 0..10 {
        for number in 0..upstreams.len() {
            let request = Kind::Change.request(&format!("R{number}.EXAMPLE"));
            relay.ask(Transport::Udp, &request).await;
        }
    }
    let took = started.elapsed();
    let (_, log) = relay.terminate();
    let told = log
        .lines()
        .filter(|line| line.contains("INFO proxy "))
        .count();
    let most = 60 + took.as_secs() as usize + 1;
    assert!((60..=most).contains(&told), "{told} lines in {took:?}");
    let counted = log
        .lines()
        .find(|line| line.contains("log_lines_left_out="));
    let (_, left_out) = counted
        .expect(&log)
        .split_once("log_lines_left_out=")
        .unwrap();
    let left_out: usize = left_out
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(told + left_out, 300, "each change was told or counted");
    // What the program itself has to say is not among them.
    assert!(
        log.contains(" ready ") && log.contains("INFO stopped"),
        "{log}"
    );
    assert!(took < Duration::from_secs(30));
}
