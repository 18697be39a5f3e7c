//! Many clients, silent ones and ill-meaning ones: nobody keeps others from being served.

use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use loopkdc::wire::Service;
use tokio::time::interval;

use crate::clients::{Heard, Stream};
use crate::daemon::{Daemon, with_descriptors};
use crate::messages::{Kind, REALM, framed, told};
use crate::relay::{Reached, Setup, Transport};
use crate::upstream::{Act, Gate, Http, Plan};

/// All kinds of requests are served over both transports.
async fn all_served(relay: &impl Reached) {
    for (kind, transport) in Kind::ALL
        .iter()
        .flat_map(|kind| Transport::BOTH.map(|way| (kind, way)))
    {
        let answer = relay.ask(transport, &kind.request(REALM)).await;
        assert_eq!(
            answer.message()[0],
            kind.reply()[0],
            "{kind:?} {transport:?}"
        );
    }
}

/// Silent clients of the KDC service.
async fn silent(relay: &impl Reached, count: usize) -> Vec<Stream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(relay.tcp(Service::Kdc).await);
    }
    clients
}

/// Lets this process, which holds the clients' ends, have as many descriptors as it may.
fn raise_own_limit() {
    let id = std::process::id().to_string();
    let raised = Command::new("sh")
        .args([
            "-c",
            "prlimit --pid \"$0\" --nofile=\"$(ulimit -Hn)\":",
            &id,
        ])
        .status();
    assert!(raised.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_silent_clients_keep_nobody_out() {
    raise_own_limit();
    let upstream = Plan::granting().start();
    // As a shell starts it.
    let relay = Daemon::start_by(with_descriptors("1024:"), Setup::by(&[&upstream]));
    let crowd = silent(&relay, 1000).await;
    all_served(&relay).await;
    // One user has no more than four fifths of a thousand and some.
    let open = crowd.iter().filter(|client| client.is_open()).count();
    assert!((800..850).contains(&open), "{open}");
}

/// A crowd that could take every descriptor of the program, which needs some of them for the way out.
#[tokio::test(flavor = "multi_thread")]
async fn more_silent_clients_than_descriptors_keep_nobody_out() {
    let upstream = Plan::granting().speaking(Http::One).start();
    let relay = Daemon::start_by(with_descriptors("128:128"), Setup::by(&[&upstream]));
    let _crowd = silent(&relay, 300).await;
    // The last in the queue, and so all before it, is let in, and stays.
    let mut last = relay.tcp(Service::Kpasswd).await;
    last.send(&Kind::Change.request("UNKNOWN.EXAMPLE").bytes)
        .await;
    assert_eq!(told(&last.hear().await.message()).code, 85);
    assert_eq!(upstream.seen().connections, 0);
    let asked = (0..10).map(|_| async {
        let answer = relay.ask(Transport::Udp, &Kind::Tgs.request(REALM)).await;
        assert_eq!(answer.message()[0], 0x6d, "a connection of its own");
    });
    join_all(asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_silent_client_makes_room() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream])
        .listen("max-connections = 4")
        .start();
    let mut crowd = silent(&relay, 4).await;
    let asks = async |client: &mut Stream| {
        client.send(&Kind::Plain.request(REALM).bytes).await;
        assert_eq!(client.hear().await.message()[0], 0x6b);
    };
    // That the last is answered shows that all are seated; and who asked is silent only since then.
    asks(&mut crowd[3]).await;
    asks(&mut crowd[0]).await;
    for longest in [1, 2] {
        let mut new = relay.tcp(Service::Kdc).await;
        assert_eq!(crowd[longest].hear().await, Heard::End, "{longest}");
        asks(&mut new).await;
        crowd.push(new);
    }
    assert!([0, 3, 4, 5].iter().all(|kept| crowd[*kept].is_open()));
    assert_eq!(relay.counters().evicted.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_its_answer_does_not_make_room() {
    let gate = Gate::shut();
    let upstream = {
        let gate = gate.clone();
        Plan::new(move |post| post.granted().after(&gate)).start()
    };
    let relay = Setup::by(&[&upstream])
        .listen("max-connections = 2")
        .start();
    let mut waiting = relay.tcp(Service::Kdc).await;
    waiting.send(&Kind::Preauth.request(REALM).bytes).await;
    upstream.until_posts(1).await;
    let mut silent = relay.tcp(Service::Kdc).await;
    let mut third = relay.tcp(Service::Kdc).await;
    assert_eq!(silent.hear().await, Heard::End);
    third.send(&Kind::Tgs.request(REALM).bytes).await;
    upstream.until_posts(2).await;
    let mut turned_away = relay.tcp(Service::Kdc).await;
    assert_eq!(
        turned_away.hear().await,
        Heard::End,
        "all others wait for answers"
    );
    gate.open();
    assert_eq!(waiting.hear().await.message()[0], 0x6b);
    assert_eq!(third.hear().await.message()[0], 0x6d);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_trickling_end_with_the_idle_timeout_and_waiting_does_not() {
    let gate = Gate::shut();
    let upstream = {
        let gate = gate.clone();
        Plan::new(move |post| post.granted().after(&gate)).start()
    };
    let relay = Setup::by(&[&upstream])
        .listen("idle-timeout-seconds = 1")
        .start();
    let mut waiting = relay.tcp(Service::Kdc).await;
    waiting.send(&Kind::Preauth.request(REALM).bytes).await;
    upstream.until_posts(1).await;

    let started = Instant::now();
    let silent = async {
        let mut client = relay.tcp(Service::Kdc).await;
        assert_eq!(client.hear().await, Heard::End);
        assert!(started.elapsed() >= Duration::from_secs(1));
    };
    let trickling = async {
        let mut client = relay.tcp(Service::Kdc).await;
        let mut tick = interval(Duration::from_millis(50));
        // At this pace the whole request would take ten seconds.
        for octet in framed(&Kind::Plain.request(REALM).bytes) {
            if !client.is_open() {
                break;
            }
            client.send_octets(&[octet]).await;
            tick.tick().await;
        }
        // Octets under way when the end came make it a reset.
        assert!(matches!(client.hear().await, Heard::End | Heard::Reset));
        assert!(started.elapsed() < Duration::from_secs(5));
    };
    tokio::join!(silent, trickling);
    gate.open();
    assert_eq!(
        waiting.hear().await.message()[0],
        0x6b,
        "no idle client, but one that waits"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_at_once_are_all_answered() {
    // Over UDP, as many as the socket's buffer holds before one of them is read.
    for (transport, count) in [(Transport::Udp, 50), (Transport::Tcp, 200)] {
        let upstream = Plan::granting().start();
        let relay = Setup::by(&[&upstream]).start();
        let clients = (0..count).map(|_| async {
            let answer = relay.ask(transport, &Kind::Tgs.request(REALM)).await;
            assert_eq!(answer.message()[0], 0x6d);
        });
        join_all(clients).await;
        assert_eq!(upstream.posts(), count);
    }
}

/// A proxy that serves eight at once, and refuses what is more.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_has_too_much_of_comes_again_when_it_has_less() {
    let gate = Gate::shut();
    let served = gate.clone();
    let plan = Plan::new(move |post| match post.number {
        1..=8 => post.granted().after(&served),
        9..=40 => Act::status(429),
        _ => post.granted(),
    });
    let upstream = plan.start();
    let relay = Setup::by(&[&upstream]).start();
    let login = Kind::Preauth;
    let clients = (0..40).map(|_| async {
        let answer = relay.ask(Transport::Tcp, &login.request(REALM)).await;
        assert_eq!(answer.message()[0], login.reply()[0]);
    });
    let all_came = async {
        upstream.until_posts(40).await;
        gate.open();
    };
    tokio::join!(join_all(clients), all_came);
    assert_eq!(upstream.posts(), 40 + 32);
}

/// For ten seconds after a refusal one request is under way at a time, and is given a second.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_in_vain_for_a_turn_at_a_proxy_is_told_that_and_not_that_it_refused() {
    let gate = Gate::shut();
    let plan = Plan::new(move |post| match post.number {
        1 => Act::status(429),
        2 => post.granted(),
        _ => post.granted().after(&gate),
    });
    let upstream = plan.start();
    let setup = Setup::new().realm(REALM, &[&upstream], "deadline-seconds = 3");
    let relay = setup.start();
    let login = Kind::Plain.request(REALM);
    relay.ask(Transport::Tcp, &login).await.message();
    let changes = (0..6).map(|_| async {
        let change = Kind::Change.request(REALM);
        told(&relay.ask(Transport::Tcp, &change).await.message()).words
    });
    let words = join_all(changes).await;
    let waited = "its places were all taken, and this request waited for its turn in vain. \
                  Your password was not changed";
    let waiting = words.iter().filter(|words| words.contains(waited)).count();
    assert_eq!(waiting + upstream.posts() - 2, 6, "{words:?}");
    assert!(waiting >= 2, "{words:?}");
    let has_refused = |words: &String| words.contains("too many");
    assert!(!words.iter().any(has_refused), "{words:?}");
}
