//! The connections kept to an upstream: reused while they live, and none that died costs a request.

use futures_util::future::join_all;
use loopkdc::wire::Service;

use crate::clients::Heard;
use crate::messages::{Kind, REALM};
use crate::relay::{Reached, Running, Setup, Transport};
use crate::upstream::{Act, Gate, Http, Page, Plan, Post, Upstream};

/// A realm whose upstream never answers, and whose deadline is a second.
const CLOCK: &str = "CLOCK.EXAMPLE";

/// Lets a second go by: what is alive for sure is what was heard from within the last one, by the rule itself, so a
/// second there must be. It ends when a request ends whose deadline is a second.
async fn a_second(relay: &Running) {
    relay.ask(Transport::Tcp, &Kind::Plain.request(CLOCK)).await;
}

fn clock() -> Upstream {
    Plan::always(Act::Silence).start()
}

pub(crate) async fn granted(relay: &Running, kind: Kind) {
    let answer = relay.ask(Transport::Tcp, &kind.request(REALM)).await;
    assert_eq!(answer.message()[0], kind.reply()[0], "{kind:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_one_after_the_other_make_one_handshake() {
    for http in Http::BOTH {
        let upstream = Plan::granting().speaking(http).start();
        let relay = Setup::by(&[&upstream])
            .realm("OTHER.EXAMPLE", &[&upstream], "")
            .start();
        for _ in 0..5 {
            for (kind, realm) in Kind::ALL
                .into_iter()
                .zip([REALM, "OTHER.EXAMPLE"].repeat(2))
            {
                relay.ask(Transport::Udp, &kind.request(realm)).await;
            }
        }
        let seen = upstream.seen();
        assert_eq!(seen.posts.len(), 20, "{http:?}");
        assert_eq!((seen.connections, seen.handshakes), (1, 1), "{http:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_leave_an_http2_connection_in_use() {
    let plan = Plan::new(|post| match post.number {
        1 => Act::status(403),
        2 => Act::status(503),
        _ => post.granted(),
    });
    let upstream = plan.speaking(Http::Two).start();
    let relay = Setup::by(&[&upstream]).start();
    for _ in 0..2 {
        relay
            .ask(Transport::Udp, &Kind::Change.request(REALM))
            .await;
    }
    granted(&relay, Kind::Change).await;
    assert_eq!(upstream.seen().handshakes, 1);
}

/// It may end at a captive portal, and still does when the portal lets new ones through.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_kerberos_costs_the_connection() {
    for status in [200, 204, 302, 511] {
        for http in Http::BOTH {
            let plan = Plan::new(move |post| match post.number {
                2 => Act::status(status),
                _ => post.granted(),
            });
            let upstream = plan.speaking(http).start();
            let relay = Setup::by(&[&upstream]).start();
            granted(&relay, Kind::Plain).await;
            relay.ask(Transport::Udp, &Kind::Tgs.request(REALM)).await;
            granted(&relay, Kind::Plain).await;
            let handshakes = upstream.seen().handshakes;
            assert_eq!(handshakes, 2, "{status} {http:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_do_not_wait_for_each_other() {
    for http in Http::BOTH {
        let gate = Gate::shut();
        let upstream = {
            let gate = gate.clone();
            Plan::new(move |post| match post.number {
                1 => post.granted(),
                _ => post.granted().after(&gate),
            })
        };
        let upstream = upstream.speaking(http).start();
        let relay = Setup::by(&[&upstream]).start();
        granted(&relay, Kind::Plain).await;
        let asked = join_all((0..8).map(|_| granted(&relay, Kind::Tgs)));
        let all_there = async {
            let seen = upstream.until_posts(9).await;
            gate.open();
            seen.connections
        };
        let (_, connections) = tokio::join!(asked, all_there);
        assert_eq!(
            connections,
            if http == Http::One { 8 } else { 1 },
            "{http:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_that_was_closed_costs_nothing() {
    for (http, kind) in Http::BOTH
        .iter()
        .flat_map(|http| Kind::ALL.map(|kind| (*http, kind)))
    {
        let upstream = Plan::granting().speaking(http).start();
        let relay = Setup::by(&[&upstream]).start();
        granted(&relay, Kind::Plain).await;
        upstream.hang_up().await;
        granted(&relay, kind).await;
        let seen = upstream.seen();
        assert_eq!(
            (seen.posts.len(), seen.handshakes),
            (2, 2),
            "{http:?} {kind:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_announced_as_the_last_is_used_no_more() {
    for (http, kind) in Http::BOTH
        .iter()
        .flat_map(|http| Kind::ALL.map(|kind| (*http, kind)))
    {
        let plan = Plan::new(|post| match post.granted() {
            Act::Reply(reply) => Act::LastReply(reply),
            other => other,
        });
        let upstream = plan.speaking(http).start();
        let relay = Setup::by(&[&upstream]).start();
        for _ in 0..3 {
            granted(&relay, kind).await;
        }
        let seen = upstream.seen();
        assert_eq!(
            (seen.posts.len(), seen.handshakes),
            (3, 3),
            "{http:?} {kind:?}"
        );
    }
}

/// What a server looks like whose patience ends at the moment when a request is on its way: it grants the first request
/// of a connection, and the second finds it closed.
fn closes_under_the_second(post: &Post) -> Act {
    match post.on_connection {
        1 => post.granted(),
        _ => Act::Close,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_crosses_a_harmless_request_costs_nothing() {
    for http in Http::BOTH {
        let upstream = Plan::new(closes_under_the_second).speaking(http).start();
        let relay = Setup::by(&[&upstream]).start();
        for kind in [Kind::Plain, Kind::Tgs, Kind::Plain] {
            granted(&relay, kind).await;
        }
        assert_eq!(upstream.seen().handshakes, 3, "{http:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_typed_slowly_goes_over_a_fresh_connection() {
    let checks = Http::BOTH.iter().flat_map(|http| {
        [Kind::Preauth, Kind::Change].map(|kind| async move {
            let (upstream, clock) = (
                Plan::new(closes_under_the_second).speaking(*http).start(),
                clock(),
            );
            let relay = Setup::by(&[&upstream])
                .realm(CLOCK, &[&clock], "deadline-seconds = 1")
                .start();
            granted(&relay, Kind::Plain).await;
            a_second(&relay).await;
            granted(&relay, kind).await;
            assert_eq!(upstream.seen().handshakes, 2, "{http:?} {kind:?}");
        })
    });
    join_all(checks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_promised_to_keep_is_alive_after_a_second() {
    // HTTP/2 has no Keep-Alive: there a gateway of ours says it in a header of its own.
    for (http, header) in [(Http::One, "keep-alive"), (Http::Two, "loopkdc-keep-alive")] {
        let plan = Plan::new(move |post| match post.granted() {
            Act::Reply(reply) => {
                Act::Respond(Page::reply(&reply).with(header, "timeout=60, max=100"))
            }
            other => other,
        });
        let (upstream, clock) = (plan.speaking(http).start(), clock());
        let relay = Setup::by(&[&upstream])
            .realm(CLOCK, &[&clock], "deadline-seconds = 1")
            .start();
        granted(&relay, Kind::Plain).await;
        a_second(&relay).await;
        granted(&relay, Kind::Preauth).await;
        assert_eq!(upstream.seen().handshakes, 1, "{http:?}");
    }
}

/// What is sent over a connection that the server is closing just then is lost. Once that has happened, a password goes over none that
/// was heard a moment ago.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_at_once_costs_one_password() {
    for http in Http::BOTH {
        let plan = Plan::new(|post| match post.on_connection {
            1 => post.granted(),
            _ => Act::Close,
        });
        let upstream = plan.speaking(http).start();
        let relay = Setup::by(&[&upstream]).start();
        granted(&relay, Kind::Plain).await;
        let lost = relay
            .ask(Transport::Tcp, &Kind::Preauth.request(REALM))
            .await;
        assert_eq!(lost, Heard::Reset, "{http:?}");
        for _ in 0..3 {
            granted(&relay, Kind::Plain).await;
            granted(&relay, Kind::Preauth).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_comes_back_serves_the_next_request() {
    let mut upstream = Plan::granting().start_down();
    let relay = Setup::by(&[&upstream]).start();
    let request = Kind::Plain.request(REALM);
    assert_eq!(relay.ask(Transport::Tcp, &request).await, Heard::Reset);
    upstream.open();
    for kind in Kind::ALL {
        granted(&relay, kind).await;
    }
    let copy = relay.udp(Service::Kdc).await;
    copy.send(&request.bytes).await;
    assert_eq!(
        crate::messages::said(&copy.hear().await).code,
        52,
        "the verdict on the old octets stands"
    );
}
