//! What a server of HTTP/2 says that it has not looked at: what goes again, over what, and what is said of it.

use h2::Reason;

use crate::clients::Heard;
use crate::connections::granted;
use crate::messages::{Kind, REALM};
use crate::relay::{Reached, Setup, Transport};
use crate::upstream::{Act, Http, Plan, Post};

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
