//! The program as a process at work: signals, reload, drain, and its log.

use std::fs;
use std::time::{Duration, Instant};

use loopkdc::wire::Service;
use tokio::net::TcpStream;

use crate::clients::Heard;
use crate::daemon::Daemon;
use crate::messages::{Kind, REALM, USER, krb_error_of};
use crate::relay::{Reached, Setup, Transport};
use crate::upstream::{Act, Gate, Plan, Upstream};

/// How long a drain may take.
const DRAIN: Duration = Duration::from_secs(5);

fn slow(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Plan::new(move |post| post.granted().after(&gate)).start()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_stops_it_once_what_is_under_way_was_answered() {
    for signal in ["TERM", "INT"] {
        let gate = Gate::shut();
        let upstream = slow(&gate);
        let mut relay = Daemon::start(Setup::by(&[&upstream]));
        let request = Kind::Preauth.request(REALM);
        let datagrams = relay.udp(Service::Kdc).await;
        datagrams.send(&request.bytes).await;
        let mut stream = relay.tcp(Service::Kdc).await;
        stream.send(&Kind::Tgs.request(REALM).bytes).await;
        upstream.until_posts(2).await;
        let mut silent = relay.tcp(Service::Kdc).await;

        relay.process.signal(signal);
        // A reset, if the signal was faster than the accept.
        let end = silent.hear().await;
        assert!(
            matches!(end, Heard::End | Heard::Reset),
            "nobody waits for the silent: {end:?}"
        );
        refused(&relay).await;
        gate.open();

        assert_eq!(datagrams.hear().await[0], 0x6b);
        assert_eq!(stream.hear().await.message()[0], 0x6d);
        assert_eq!(stream.hear().await, Heard::End);
        let (status, log) = relay.ended();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(log.contains("INFO stopped"), "{log}");
    }
}

/// Waits until the KDC service's TCP port is closed.
async fn refused(relay: &Daemon) {
    let address = relay.address(Service::Kdc);
    crate::within(async { while TcpStream::connect(address).await.is_ok() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_after_five_seconds() {
    let upstream = Plan::always(Act::Silence).start();
    let mut relay = Daemon::start(Setup::by(&[&upstream]).deadline(20));
    let client = relay.udp(Service::Kdc).await;
    client.send(&Kind::Preauth.request(REALM).bytes).await;
    upstream.until_posts(1).await;
    let told = Instant::now();
    relay.process.signal("TERM");
    let (status, log) = tokio::task::spawn_blocking(move || relay.ended())
        .await
        .unwrap();
    assert!(told.elapsed() >= DRAIN && told.elapsed() < DRAIN * 2);
    assert_eq!(status.code(), Some(0));
    assert!(
        log.contains("stopped before everything under way had ended"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_moves_a_realm_and_ends_what_is_under_way_where_it_began() {
    let gate = Gate::shut();
    let (old, new) = (slow(&gate), Plan::granting().start());
    let relay = Daemon::start(Setup::by(&[&old]));
    let client = relay.udp(Service::Kdc).await;
    client.send(&Kind::Preauth.request(REALM).bytes).await;
    old.until_posts(1).await;

    let text = fs::read_to_string(relay.config()).unwrap();
    fs::write(relay.config(), text.replace(&old.url(), &new.url())).unwrap();
    relay.reload("configuration read again");
    for transport in Transport::BOTH {
        relay
            .ask(transport, &Kind::Tgs.request(REALM))
            .await
            .message();
    }
    assert_eq!((old.posts(), new.posts()), (1, 2));
    gate.open();
    assert_eq!(client.hear().await[0], 0x6b);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_the_connections_to_a_proxy_that_stays() {
    let upstream = Plan::granting().start();
    let relay = Daemon::start(Setup::by(&[&upstream]));
    for _ in 0..2 {
        let request = Kind::Tgs.request(REALM);
        relay.ask(Transport::Udp, &request).await.message();
        relay.reload("configuration read again");
    }
    assert_eq!((upstream.posts(), upstream.seen().handshakes), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_told_and_the_old_one_stays() {
    let upstream = Plan::granting().start();
    let relay = Daemon::start(Setup::by(&[&upstream]));
    let good = fs::read_to_string(relay.config()).unwrap();
    for bad in [
        format!("{good}\nnonsense = 1\n"),
        good.replace("https://", "ftp://"),
        good.replace("ca.pem", "no.pem"),
    ] {
        fs::write(relay.config(), bad).unwrap();
        relay.reload("the old configuration stays");
        relay
            .ask(Transport::Udp, &Kind::Plain.request(REALM))
            .await
            .message();
    }
    assert!(
        relay.process.log().contains("config.toml"),
        "which file, and where in it"
    );
    fs::write(
        relay.config(),
        good.replace("[listen]", "[listen]\nmax-connections = 7"),
    )
    .unwrap();
    relay.reload("holds after a restart");
    relay
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await
        .message();
    assert_eq!(upstream.posts(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_exchanges_and_changes_but_no_principal() {
    let upstream = Plan::new(|post| match post.number {
        2..=4 => Act::status(503),
        5..=6 => Act::status(200),
        9 => Act::Reply(krb_error_of("OTHER.EXAMPLE", 25)),
        _ => post.granted(),
    })
    .start();
    let relay = Daemon::start(Setup::by(&[&upstream]).realm("OTHER.EXAMPLE", &[&upstream], ""));
    for _ in 1..=8 {
        relay
            .ask(Transport::Udp, &Kind::Change.request(REALM))
            .await;
    }
    relay
        .ask(Transport::Tcp, &Kind::Plain.request("OTHER.EXAMPLE"))
        .await;
    let (status, log) = relay.terminate();
    assert_eq!(status.code(), Some(0));
    let count = |words: &[&str]| {
        log.lines()
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .count()
    };
    assert_eq!(
        count(&[
            "DEBUG exchange",
            "kind=kpasswd",
            "realm=EXAMPLE.COM",
            "transport=\"udp\"",
            "ms="
        ]),
        8,
        "{log}"
    );
    assert_eq!(
        count(&[
            "DEBUG exchange",
            "kind=AS-REQ",
            "realm=OTHER.EXAMPLE",
            "outcome=\"KDC_ERR_PREAUTH_REQUIRED (25)\""
        ]),
        1,
        "{log}"
    );
    assert_eq!(count(&["INFO proxy down", "HTTP 503"]), 1, "{log}");
    assert_eq!(
        count(&["INFO proxy down", "captive portal: a web page"]),
        1,
        "{log}"
    );
    assert_eq!(count(&["INFO proxy up again"]), 1, "{log}");
    assert!(!log.contains(USER) && !log.contains("changepw"), "{log}");
}
