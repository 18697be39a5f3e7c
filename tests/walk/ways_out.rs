//! Ways out through an HTTP or a SOCKS proxy: what gets through, and what stands in the way told in words.

use loopkdc::wire::Service;

use crate::daemon::Daemon;
use crate::forward::{Forward, Gate};
use crate::messages::{Kind, REALM, Request, as_rep, said, told};
use crate::relay::{Reached, Running, Setup, Transport};
use crate::upstream::{Http, Plan, Upstream};

const USER_AND_PASSWORD: &str = "jane:pass%2Fw0rd";

fn through(url: &str, upstreams: &[&Upstream]) -> Setup {
    Setup::by(upstreams).defaults(&format!("http-proxy = \"{url}\"\non-failure = \"explain\""))
}

async fn is_granted(relay: &impl Reached, request: &Request) {
    let answer = relay.ask(Transport::Tcp, request).await.message();
    assert_ne!(answer[0], 0x7e, "{:?}", said(&answer));
}

async fn both() -> [Forward; 2] {
    [
        Forward::http(|_| Gate::Open).await,
        Forward::socks(|_| Gate::Open).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_lets_all_through_and_sees_nothing_of_it() {
    for forward in both().await {
        for http in Http::BOTH {
            let upstream = Plan::granting().speaking(http).start();
            let relay = through(&forward.url(), &[&upstream]).start();
            for kind in Kind::ALL {
                let request = kind.request(REALM);
                is_granted(&relay, &request).await;
                assert_eq!(
                    upstream.seen().posts.last().unwrap().message(),
                    request.bytes
                );
                assert!(!forward.has_seen(&request.bytes), "{kind:?}");
                assert!(!forward.has_seen(REALM.as_bytes()), "{kind:?}");
            }
            let target = upstream.address().to_string();
            let passed = forward.passed();
            let there = passed.iter().filter(|passed| passed.target == target);
            assert_eq!(there.count(), 1, "one connection, kept: {passed:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_is_given_a_name_as_it_is() {
    let forward = Forward::socks(|_| Gate::Refused(4)).await;
    let text = "[realms.\"EXAMPLE.COM\"]\nproxies = [\"https://kdcproxy.invalid\"]\n";
    let relay = through(&forward.url(), &[]).raw(text).start();
    relay.ask(Transport::Tcp, &Kind::Plain.request(REALM)).await;
    assert_eq!(forward.passed()[0].target, "kdcproxy.invalid:443");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_wants_a_password_gets_it() {
    for scheme in ["http", "socks5h"] {
        let forward = Forward::guarded(scheme, "jane:pass/w0rd").await;
        let upstream = Plan::granting().start();
        let url = forward.url_with(USER_AND_PASSWORD);
        let relay = through(&url, &[&upstream]).start();
        is_granted(&relay, &Kind::Preauth.request(REALM)).await;
        assert_eq!(
            forward.passed()[0].credentials.as_deref(),
            Some("jane:pass/w0rd")
        );
    }
}

/// What `kpasswd` is told; that a password was not changed is said only if nothing has left.
async fn kpasswd_is_told(relay: &impl Reached) -> String {
    let request = Kind::Change.request(REALM);
    let told = told(&relay.ask(Transport::Tcp, &request).await.message());
    assert!(
        told.words.contains("Your password was not changed"),
        "{told:?}"
    );
    told.words
}

/// What a user is told in either way, who is told the same.
async fn is_told(relay: &Running, words: &str) {
    let answer = relay.ask(Transport::Tcp, &Kind::Plain.request(REALM)).await;
    let said = said(&answer.message());
    assert_eq!(said.code, 86, "{said:?}");
    assert!(said.words.contains(words), "{said:?}");
    let told = kpasswd_is_told(relay).await;
    assert!(told.contains(words), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_missing_or_wrong_is_told_with_the_setting_to_use() {
    for scheme in ["http", "socks5h"] {
        let forward = Forward::guarded(scheme, "jane:secret").await;
        let upstream = Plan::granting().start();
        for (url, words) in [
            (
                forward.url(),
                "wants user and password; write both into http-proxy",
            ),
            (
                forward.url_with("jane:s3cret"),
                "does not take the user and password that it was given; correct them in http-proxy",
            ),
        ] {
            let relay = through(&url, &[&upstream]).start();
            is_told(&relay, words).await;
        }
        assert_eq!(upstream.seen().connections, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_refuses_was_surely_not_sent() {
    for gate in [Gate::Refused(403), Gate::Refused(502), Gate::Closed] {
        let forward = Forward::http(move |_| gate).await;
        let upstream = Plan::granting().start();
        let relay = through(&forward.url(), &[&upstream]).start();
        is_told(
            &relay,
            "KDC proxy for realm EXAMPLE.COM: the forward proxy does not connect to the KDC proxy",
        )
        .await;
    }
    for gate in [Gate::Refused(1), Gate::Refused(5), Gate::Closed] {
        let forward = Forward::socks(move |_| gate).await;
        let upstream = Plan::granting().start();
        let relay = through(&forward.url(), &[&upstream]).start();
        is_told(&relay, "does not connect to the KDC proxy").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_not_there_is_told() {
    let upstream = Plan::granting().start();
    // A port on which nobody listens.
    let down = Plan::granting().start_down();
    for scheme in ["http", "socks5h"] {
        let url = format!("{scheme}://{}", down.address());
        let relay = through(&url, &[&upstream]).start();
        is_told(
            &relay,
            "the forward proxy cannot be connected to; correct http-proxy",
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_silent_proxy_nothing_was_sent() {
    for forward in [
        Forward::http(|_| Gate::Silent).await,
        Forward::socks(|_| Gate::Silent).await,
    ] {
        let upstream = Plan::granting().start();
        let relay = through(&forward.url(), &[&upstream]).deadline(1).start();
        kpasswd_is_told(&relay).await;
        assert_eq!(upstream.seen().connections, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_sent_once_goes_to_the_next_upstream_if_the_proxy_refuses_the_first() {
    let [first, second] = [(); 2].map(|()| Plan::granting().start());
    let refused = first.address().to_string();
    let refuses = move |target: &str| {
        if target == refused {
            Gate::Refused(403)
        } else {
            Gate::Open
        }
    };
    let forward = Forward::http(refuses).await;
    let relay = through(&forward.url(), &[&first, &second]).start();
    for kind in [Kind::Preauth, Kind::Change] {
        is_granted(&relay, &kind.request(REALM)).await;
    }
    assert_eq!((first.seen().connections, second.posts()), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_counts_only_where_it_is_asked_for() {
    let (forward, none) = (
        Forward::http(|_| Gate::Open).await,
        Forward::http(|_| Gate::Open).await,
    );
    let upstream = Plan::granting().start();
    for (key, variables, by_proxy) in [
        (
            "",
            [("HTTPS_PROXY", none.url()), ("NO_PROXY", String::new())],
            false,
        ),
        (
            "http-proxy = \"environment\"",
            [("HTTPS_PROXY", forward.url()), ("NO_PROXY", String::new())],
            true,
        ),
        (
            "http-proxy = \"environment\"",
            [
                ("ALL_PROXY", forward.url()),
                ("NO_PROXY", "elsewhere.example".to_owned()),
            ],
            true,
        ),
        (
            "http-proxy = \"environment\"",
            [
                ("HTTPS_PROXY", none.url()),
                ("NO_PROXY", "127.0.0.1".to_owned()),
            ],
            false,
        ),
    ] {
        let before = forward.passed().len();
        let mut command = std::process::Command::new(crate::daemon::PROGRAM);
        for name in [
            "HTTPS_PROXY",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
            "NO_PROXY",
            "no_proxy",
        ] {
            command.env_remove(name);
        }
        command.envs(variables);
        let relay = Daemon::start_by(command, Setup::by(&[&upstream]).defaults(key));
        is_granted(&relay, &Kind::Plain.request(REALM)).await;
        assert_eq!(
            forward.passed().len() - before,
            usize::from(by_proxy),
            "{key}"
        );
    }
    assert!(none.passed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_the_proxy_and_no_password() {
    let forward = Forward::guarded("http", "jane:secret").await;
    let upstream = Plan::granting().start();
    let setup = through(&forward.url_with("jane:s3cret"), &[&upstream]);
    let relay = Daemon::start(setup);
    kpasswd_is_told(&relay).await;
    let (_, log) = relay.terminate();
    let told = format!(
        "the HTTP proxy {} does not take the user and password that it was given: 407",
        forward.url()
    );
    assert!(
        log.lines()
            .any(|line| line.contains("INFO proxy down") && line.contains(&told)),
        "{log}"
    );
    assert!(!log.contains("s3cret"), "{log}");
    // Because anybody may read the file.
    assert!(log.contains("which holds a secret"), "{log}");
    let _ = (Service::Kdc, as_rep());
}
