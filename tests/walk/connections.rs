//! The connections kept to an upstream: reused while they live, and none that died costs a request.

use futures_util::future::join_all;
use h2::Reason;
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

async fn granted(relay: &Running, kind: Kind) {
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
    let plan = Plan::new(|post| match post.granted() {
        Act::Reply(reply) => {
            Act::Respond(Page::reply(&reply).with("keep-alive", "timeout=60, max=100"))
        }
        other => other,
    });
    let (upstream, clock) = (plan.speaking(Http::One).start(), clock());
    let relay = Setup::by(&[&upstream])
        .realm(CLOCK, &[&clock], "deadline-seconds = 1")
        .start();
    granted(&relay, Kind::Plain).await;
    a_second(&relay).await;
    granted(&relay, Kind::Preauth).await;
    assert_eq!(upstream.seen().handshakes, 1);
}

/// On a fresh connection and on a kept one.
#[tokio::test(flavor = "multi_thread")]
async fn what_http2_hands_back_is_not_sent_twice_if_that_could_harm() {
    for act in [
        Act::GoAway(Reason::NO_ERROR),
        Act::GoAway(Reason::ENHANCE_YOUR_CALM),
        // HAProxy says that as well of what it has passed on.
        Act::ResetStream(Reason::REFUSED_STREAM),
        Act::ResetStream(Reason::CANCEL),
        Act::ResetStream(Reason::INTERNAL_ERROR),
    ] {
        for (kind, kept) in [
            (Kind::Preauth, 0),
            (Kind::Preauth, 1),
            (Kind::Change, 0),
            (Kind::Change, 1),
        ] {
            let script = {
                let act = act.clone();
                move |post: &Post| {
                    if post.number <= kept {
                        post.granted()
                    } else {
                        act.clone()
                    }
                }
            };
            let first = Plan::new(script).speaking(Http::Two).start();
            let second = Plan::granting().start();
            let relay = Setup::by(&[&first, &second]).start();
            for _ in 0..kept {
                granted(&relay, Kind::Plain).await;
            }
            let answer = relay.ask(Transport::Tcp, &kind.request(REALM)).await;
            match kind {
                Kind::Change => assert_eq!(crate::messages::told(&answer.message()).result, 2),
                _ => assert_eq!(answer, Heard::Reset, "{act:?}"),
            }
            assert_eq!(
                (first.posts(), second.posts()),
                (kept + 1, 0),
                "{act:?} {kind:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_http2_hands_back_goes_elsewhere_if_it_is_harmless() {
    for act in [
        Act::GoAway(Reason::NO_ERROR),
        Act::GoAway(Reason::ENHANCE_YOUR_CALM),
        Act::ResetStream(Reason::CANCEL),
        Act::ResetStream(Reason::INTERNAL_ERROR),
    ] {
        for kind in [Kind::Plain, Kind::Tgs] {
            let first = Plan::always(act.clone()).speaking(Http::Two).start();
            let second = Plan::granting().start();
            let relay = Setup::by(&[&first, &second]).start();
            granted(&relay, kind).await;
            assert_eq!((first.posts(), second.posts()), (1, 1), "{act:?} {kind:?}");
        }
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

/// Nobody has looked at it then (RFC 9113 8.7), if that is so.
#[tokio::test(flavor = "multi_thread")]
async fn what_http2_refuses_goes_again_once_over_another_connection_if_it_is_harmless() {
    for (kind, kept) in [
        (Kind::Plain, 0),
        (Kind::Plain, 1),
        (Kind::Tgs, 0),
        (Kind::Tgs, 1),
    ] {
        let plan = Plan::new(move |post| match post.number - kept {
            1 => Act::ResetStream(Reason::REFUSED_STREAM),
            _ => post.granted(),
        });
        let first = plan.speaking(Http::Two).start();
        let relay = Setup::by(&[&first]).start();
        for _ in 0..kept {
            granted(&relay, Kind::Plain).await;
        }
        granted(&relay, kind).await;
        let seen = first.seen();
        let counted = (seen.posts.len(), seen.connections);
        assert_eq!(counted, (kept + 2, 2), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_http2_refuses_twice_goes_elsewhere_if_it_is_harmless() {
    let act = Act::ResetStream(Reason::REFUSED_STREAM);
    for kind in [Kind::Plain, Kind::Tgs] {
        let first = Plan::always(act.clone()).speaking(Http::Two).start();
        let second = Plan::granting().start();
        let relay = Setup::by(&[&first, &second]).start();
        granted(&relay, kind).await;
        assert_eq!((first.posts(), second.posts()), (2, 1), "{kind:?}");
    }
}

/// What is above the last stream was not processed (RFC 9113 6.8): a password goes again as well.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_above_the_last_stream_goes_again_once_over_another_connection() {
    for (kind, kept) in Kind::ALL
        .into_iter()
        .flat_map(|kind| [(kind, 0), (kind, 1)])
    {
        let reason = [Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM][kept];
        let plan = Plan::new(move |post| match post.number - kept {
            1 => Act::GoAwayBefore(reason),
            _ => post.granted(),
        });
        let upstream = plan.speaking(Http::Two).start();
        let relay = Setup::by(&[&upstream]).start();
        for _ in 0..kept {
            granted(&relay, Kind::Plain).await;
        }
        granted(&relay, kind).await;
        let seen = upstream.seen();
        let counted = (seen.posts.len(), seen.connections);
        assert_eq!(counted, (kept + 2, 2), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_a_password_is_told_that_it_was_handed_back() {
    for (act, words) in [
        (
            Act::GoAwayBefore(Reason::NO_ERROR),
            "it hands requests back unread (HTTP/2 GOAWAY). Your password was not changed",
        ),
        (
            Act::ResetStream(Reason::REFUSED_STREAM),
            "it refuses requests over HTTP/2 (REFUSED_STREAM). It is not known",
        ),
    ] {
        let upstream = Plan::always(act).speaking(Http::Two).start();
        let relay = Setup::by(&[&upstream]).start();
        let change = Kind::Change.request(REALM);
        let answer = relay.ask(Transport::Tcp, &change).await;
        let told = crate::messages::told(&answer.message());
        assert!(told.words.contains(words), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_above_the_last_stream_twice_goes_elsewhere() {
    for kind in Kind::ALL {
        let first = Plan::always(Act::GoAwayBefore(Reason::NO_ERROR))
            .speaking(Http::Two)
            .start();
        let second = Plan::granting().start();
        let relay = Setup::by(&[&first, &second]).start();
        granted(&relay, kind).await;
        assert_eq!((first.posts(), second.posts()), (2, 1), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_wants_http_1_1_is_spoken_to_in_it_from_then_on() {
    for kind in Kind::ALL {
        let plan = Plan::new(|post| match post.connection {
            1 => Act::ResetStream(Reason::HTTP_1_1_REQUIRED),
            _ => Act::LastReply(match post.granted() {
                Act::Reply(reply) => reply,
                other => panic!("{other:?}"),
            }),
        });
        let upstream = plan.start();
        let relay = Setup::by(&[&upstream]).start();
        granted(&relay, kind).await;
        granted(&relay, kind).await;
        let seen = upstream.seen();
        assert_eq!((seen.posts.len(), seen.connections), (3, 3), "{kind:?}");
        let hosts = seen.posts.iter().map(|post| post.header("host").is_empty());
        // HTTP/2 has another field for it (RFC 9113 8.3.1).
        assert_eq!(hosts.collect::<Vec<_>>(), [true, false, false]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_1_is_spoken_alone_where_the_configuration_says_so() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream])
        .defaults("http-version = \"1.1\"")
        .start();
    granted(&relay, Kind::Plain).await;
    assert!(!upstream.seen().posts[0].header("host").is_empty());
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
