//! How long silence lasts: the whole deadline only for an upstream that shows life, and less once it was silent.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::clients::Heard;
use crate::messages::{Kind, REALM, told};
use crate::relay::{Reached, Running, Setup, Transport};
use crate::upstream::{Act, Door, Gate, Http, Plan};

/// How much later than due an answer may come on a machine that has other things to do.
const LATE: Duration = Duration::from_millis(900);

/// Asks over TCP, and says how long the reset took.
async fn silent_for(relay: &Running, kind: Kind) -> Duration {
    let asked = Instant::now();
    let answer = relay.ask(Transport::Tcp, &kind.request(REALM)).await;
    assert!(matches!(answer, Heard::Reset), "{answer:?}");
    asked.elapsed()
}

#[track_caller]
fn took(elapsed: Duration, seconds: u64) {
    let due = Duration::from_secs(seconds);
    assert!(
        elapsed >= due && elapsed < due + LATE,
        "{elapsed:?}, not {due:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_met_with_less_patience_until_a_byte_is_heard() {
    let kinds = [Kind::Plain, Kind::Preauth, Kind::Tgs].map(|kind| async move {
        let gate = Gate::shut();
        let script = {
            let gate = gate.clone();
            move |post: &crate::upstream::Post| match post.number {
                2 => post.granted().after(&gate),
                _ => Act::Silence,
            }
        };
        let upstream = Plan::new(script).start();
        let relay = Setup::by(&[&upstream]).deadline(3).start();

        took(silent_for(&relay, kind).await, 3);

        let request = kind.request(REALM);
        let asked = Instant::now();
        assert_eq!(relay.ask(Transport::Tcp, &request).await, Heard::Reset);
        took(asked.elapsed(), 2);
        // The reply that comes after the verdict is kept for the copies, and shows life.
        gate.open();
        crate::eventually(|| relay.counters().replied.get() == 1).await;
        let copy = relay.ask(Transport::Udp, &request).await;
        assert_eq!(copy.message()[0], kind.reply()[0], "{kind:?}");

        took(silent_for(&relay, kind).await, 3);
        assert_eq!(
            upstream.posts(),
            3,
            "{kind:?}: the kept connection is alive"
        );
    });
    join_all(kinds).await;
}

/// HTTP/2 shows life by answering pings; a server that doesn't is given up earlier.
#[tokio::test(flavor = "multi_thread")]
async fn an_http2_connection_that_answers_no_ping_is_given_up() {
    let frozen = async {
        let upstream = Plan::always(Act::Freeze).speaking(Http::Two).start();
        let relay = Setup::by(&[&upstream]).start();
        took(silent_for(&relay, Kind::Preauth).await, 2);
    };
    let alive = async {
        let upstream = Plan::always(Act::Silence).speaking(Http::Two).start();
        let relay = Setup::by(&[&upstream]).deadline(5).start();
        took(silent_for(&relay, Kind::Preauth).await, 5);
    };
    tokio::join!(frozen, alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_and_tls_take_three_seconds_at_most() {
    let upstream = Plan::granting().behind(|_| Door::Silent).start();
    let relay = Setup::by(&[&upstream]).start();
    let change = async {
        let asked = Instant::now();
        let answer = relay
            .ask(Transport::Udp, &Kind::Change.request(REALM))
            .await;
        took(asked.elapsed(), 3);
        let told = told(&answer.message());
        assert!(
            told.words
                .contains("can be reached. Your password was not changed"),
            "{told:?}"
        );
    };
    let preauth = async { took(silent_for(&relay, Kind::Preauth).await, 3) };
    tokio::join!(change, preauth);
}

/// What the user was told not to have been done must not be done later, when the upstream comes to life.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_not_to_be_sent_is_never_sent() {
    // With a second the verdict comes at the deadline, with three it comes earlier the second time.
    let checks = [(1, 1), (3, 2)].map(|(deadline, patience)| async move {
        let gate = Gate::shut();
        let plan = {
            let gate = gate.clone();
            Plan::granting().behind(move |_| Door::Late(gate.clone()))
        };
        let upstream = plan.start();
        let relay = Setup::by(&[&upstream]).deadline(deadline).start();
        for due in [deadline.into(), patience] {
            let asked = Instant::now();
            let request = Kind::Change.request(REALM);
            let answer = relay.ask(Transport::Udp, &request).await;
            took(asked.elapsed(), due);
            let words = told(&answer.message()).words;
            assert!(words.contains("Your password was not changed"), "{words}");
        }
        gate.open();
        let last = Kind::Change.request(REALM);
        relay.ask(Transport::Udp, &last).await;
        let posts = upstream.seen().posts;
        let posts: Vec<_> = posts.iter().map(|post| post.message()).collect();
        assert_eq!(posts, [last.bytes], "and nothing of what came before");
    });
    join_all(checks).await;
}

/// What must not be sent twice and has not left is called back when patience ends, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_has_not_left_yet_goes_on_to_the_second_upstream() {
    let first = Plan::granting().behind(|_| Door::Silent).start();
    let second = Plan::granting().start();
    let relay = Setup::by(&[&first, &second]).deadline(9).start();
    let asks = [Kind::Preauth, Kind::Change].map(|kind| {
        let relay = &relay;
        async move {
            let answer = relay.ask(Transport::Tcp, &kind.request(REALM)).await;
            assert_eq!(answer.message()[0], kind.reply()[0], "{kind:?}");
        }
    });
    join_all(asks).await;
    assert_eq!((first.posts(), second.posts()), (0, 2));
}

/// A kept connection may be dead without a word. Over HTTP/2 that shows, and then what is harmless goes over a fresh one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_harmless_goes_again_once_a_kept_connection_has_shown_no_life() {
    let script = |post: &crate::upstream::Post| match post.number {
        2 => Act::Freeze,
        _ => post.granted(),
    };
    let upstream = Plan::new(script).speaking(Http::Two).start();
    let relay = Setup::by(&[&upstream]).start();
    for _ in 0..2 {
        let asked = Instant::now();
        let answer = relay.ask(Transport::Tcp, &Kind::Tgs.request(REALM)).await;
        assert_eq!(answer.message()[0], Kind::Tgs.reply()[0]);
        assert!(asked.elapsed() < Duration::from_secs(2) + LATE);
    }
    let seen = upstream.seen();
    assert_eq!((seen.posts.len(), seen.handshakes), (3, 2));
}

/// Many laptops would double the load of a proxy that has too much of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_slow_over_a_kept_connection_is_asked_once() {
    let proxies = Http::BOTH.map(|http| async move {
        let script = |post: &crate::upstream::Post| match post.number {
            1 => post.granted(),
            _ => Act::Silence,
        };
        let upstream = Plan::new(script).speaking(http).start();
        let relay = Setup::by(&[&upstream]).deadline(4).start();
        let request = Kind::Tgs.request(REALM);
        relay.ask(Transport::Tcp, &request).await.message();
        took(silent_for(&relay, Kind::Tgs).await, 4);
        assert_eq!(upstream.posts(), 2, "{http:?}");
    });
    join_all(proxies).await;
}

/// The second proxy is asked as well when the first is late, and is the one to stay with; what must not be sent twice stays
/// where it is.
#[tokio::test(flavor = "multi_thread")]
async fn proxies_race_for_what_may_be_sent_again() {
    let first = Plan::always(Act::Silence).start();
    let second = Plan::granting().start();
    let relay = Setup::by(&[&first, &second]).deadline(3).start();
    let asked = Instant::now();
    relay
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await
        .message();
    took(asked.elapsed(), 1);
    assert_eq!((first.posts(), second.posts()), (1, 1));
    let asked = Instant::now();
    for kind in Kind::ALL {
        relay
            .ask(Transport::Tcp, &kind.request(REALM))
            .await
            .message();
    }
    assert!(asked.elapsed() < LATE);
    assert_eq!((first.posts(), second.posts()), (1, 5));

    let relay = Setup::by(&[&first, &second]).deadline(3).start();
    took(silent_for(&relay, Kind::Preauth).await, 3);
    assert_eq!((first.posts(), second.posts()), (2, 5));
}
