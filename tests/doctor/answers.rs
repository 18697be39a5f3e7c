//! What a KDC proxy answers, and what the KDC behind it does.

use h2::Reason;
use loopkdc::relay::finding::{Figure, Layer, Severity};

use crate::scene::{Scene, UNKNOWN, answering, error};
use crate::upstream::{Act, Http, Page, Plan};

/// Everything is well.
#[tokio::test(flavor = "multi_thread")]
async fn a_realm_that_is_well_has_no_fault() {
    let upstream = answering(UNKNOWN, 0).start();
    let found = Scene::by(&upstream).diagnose();
    found.finds_nothing();
    for (layer, words) in [
        ("configuration", "valid, 1 realm"),
        ("ports", "loopkdc's"),
        ("daemon", "it brings the KDC's answer"),
        ("names", "127.0.0.1 is 127.0.0.1"),
        ("tcp", "takes connections"),
        ("tls", "TLS 1.3, X25519MLKEM768, AES_256_GCM_SHA384, h2"),
        ("tls", "certificates: "),
        ("http", "HTTP/2.0"),
        ("envelope", "a KDC-PROXY-MESSAGE"),
        ("kdc", "nobody called loopkdc-doctor"),
        ("clock", "agrees"),
        ("kpasswd", "kadmin/changepw"),
        ("estimate", "kinit by https://127.0.0.1"),
    ] {
        found.is_well(layer, words);
    }
    assert!(
        found
            .findings
            .iter()
            .all(|finding| finding.severity != Severity::Skipped),
        "{found:#?}"
    );
}

/// What a password is asked with is never sent, and who is asked for is nobody.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_but_in_nobodys_name() {
    let upstream = answering(UNKNOWN, 0).start();
    Scene::by(&upstream).diagnose().finds_nothing();
    let posts = upstream.seen().posts;
    assert!(posts.len() >= 3, "{posts:?}");
    let (changes, asked): (Vec<_>, Vec<_>) =
        posts.iter().partition(|post| post.message()[0] != 0x6a);
    assert_eq!(changes.len(), 1, "of a password, which nobody can decrypt");
    for post in asked {
        let (message, nobody) = (post.message(), b"loopkdc-doctor");
        assert_eq!(message[0], 0x6a, "an AS-REQ");
        assert!(message.windows(nobody.len()).any(|octets| octets == nobody));
        let message = bytes::Bytes::copy_from_slice(message);
        let message = loopkdc::wire::KerberosMessage::parse(loopkdc::wire::Service::Kdc, message);
        assert_eq!(message.unwrap().resend(), loopkdc::wire::Resend::Harmless);
        assert_eq!(post.target_domain().as_deref(), Some("EXAMPLE.COM"));
    }
}

fn status(status: u16) -> Plan {
    Plan::always(Act::Respond(Page {
        status,
        headers: vec![("content-type", "text/plain".to_owned())],
        body: b"no".to_vec(),
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kdc_proxy_at_the_path() {
    let upstream = status(404).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(
        Layer::Http,
        "no KDC proxy at this path, or does not serve this realm",
        "proxies",
    );
    found.finding("kdc", "skipped", "a fault before it");
    assert_eq!(
        found.finding("http", "fault", "").figure,
        Some(Figure::Status(404))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_forbids() {
    let upstream = status(403).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(Layer::Http, "it forbids this (HTTP 403)", "target-domain");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fails() {
    let upstream = status(500).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(Layer::Http, "it failed (HTTP 500)", "proxies");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_had_too_many() {
    let upstream = status(429).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(
        Layer::Http,
        "too many requests or wrong passwords from this address (HTTP 429)",
        "proxies",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_wants_a_ticket() {
    let page = Page::html(401).with("www-authenticate", "Negotiate");
    let upstream = Plan::always(Act::Respond(page)).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(
        Layer::Http,
        "it wants a Kerberos ticket",
        "auth = \"negotiate\"",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_wants_a_token() {
    let page = Page::html(401).with("www-authenticate", "Bearer");
    let upstream = Plan::always(Act::Respond(page)).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(Layer::Http, "it wants a token", "bearer-token-file");
}

/// What is shown is shown to nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn it_wants_another_token() {
    let page = Page::html(401).with("www-authenticate", "Bearer");
    let upstream = Plan::always(Act::Respond(page)).start();
    let scene = Scene::by_with(&upstream, "headers = [\"Authorization: Bearer s3cret\"]");
    let found = scene.diagnose();
    found.is_at_fault(
        Layer::Http,
        "it does not take the token",
        "bearer-token-file",
    );
    assert!(!format!("{found:?}{}", scene.text()).contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_captive_portal() {
    for act in [
        Act::status(200),
        Act::Respond(Page::html(302).with("location", "http://portal.example/login?token=s3cret")),
    ] {
        let upstream = Plan::always(act).start();
        let found = Scene::by(&upstream).diagnose();
        found.is_at_fault(Layer::Http, "perhaps a captive portal", "browser");
        assert!(!format!("{found:?}").contains("s3cret"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_over_http() {
    let upstream = Plan::always(Act::Reset).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(
        Layer::Http,
        "the connection failed before the answer",
        "if it is Windows', and always does so: it may not know this realm",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_hands_everything_back() {
    for (act, words) in [
        (
            Act::GoAwayBefore(Reason::NO_ERROR),
            "it hands requests back unread (HTTP/2 GOAWAY)",
        ),
        (
            Act::ResetStream(Reason::REFUSED_STREAM),
            "it refuses requests over HTTP/2 (REFUSED_STREAM)",
        ),
    ] {
        let upstream = Plan::always(act).speaking(Http::Two).start();
        let found = Scene::by(&upstream).diagnose();
        found.is_at_fault(Layer::Http, words, "http-version");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_proxy() {
    let upstream = Plan::always(Act::Silence).start();
    let found = Scene::by(&upstream).diagnose();
    let words = "it took the request, and did not answer in time";
    found.is_at_fault(Layer::Kdc, words, "look after its KDCs");
    found.is_well("tls", "TLS 1.3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_is_no_kdc_proxy() {
    for (body, words) in [
        (b"hello".to_vec(), "no KDC-PROXY-MESSAGE"),
        (Vec::new(), "an empty answer"),
        (
            crate::messages::envelope(&crate::messages::framed(b"hello"), None),
            "no Kerberos reply inside",
        ),
    ] {
        let upstream = Plan::always(Act::Respond(Page::kerberos(body))).start();
        let found = Scene::by(&upstream).diagnose();
        found.is_at_fault(Layer::Envelope, words, "proxies");
        found.is_well("http", "HTTP/2.0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kdc_behind_it() {
    let upstream = status(503).start();
    let found = Scene::by(&upstream).diagnose();
    let words = "it reaches no KDC, or does not serve this realm (HTTP 503)";
    found.is_at_fault(
        Layer::Kdc,
        words,
        "ask who runs it whether it serves the realm",
    );
    found.is_well("http", "HTTP/2.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kdc_that_does_not_serve() {
    for (code, words, advice) in [
        (29, "not available: KDC_ERR_SVC_UNAVAILABLE (29)", "proxies"),
        (7, "does not know realm EXAMPLE.COM", "loopkdc check"),
        (68, "one of another realm than EXAMPLE.COM", "loopkdc check"),
        (85, "knows no KDC of the realm", "target-domain"),
        (
            86,
            "does not answer: KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE (86)",
            "proxies",
        ),
        (
            37,
            "the clock here is more than five minutes off",
            "timedatectl",
        ),
    ] {
        let upstream = answering(code, 0).start();
        let found = Scene::by(&upstream).diagnose();
        found.is_at_fault(Layer::Kdc, words, advice);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kdc_that_is_odd() {
    for (code, words, advice) in [
        (12, "forbids this", "target-domain"),
        (60, "an error", "kinit"),
    ] {
        let upstream = answering(code, 0).start();
        let found = Scene::by(&upstream).diagnose();
        found.finds_nothing();
        found.says(Layer::Kdc, "warning", words, advice);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ() {
    for (behind, severity, words) in [
        (400, "fault", "ahead of the KDC's: Kerberos takes less"),
        (-400, "fault", "behind the KDC's: Kerberos takes less"),
        (120, "warning", "ahead of the KDC's: Kerberos takes less"),
        (-120, "warning", "behind the KDC's: Kerberos takes less"),
    ] {
        let upstream = answering(UNKNOWN, behind).start();
        let found = Scene::by(&upstream).diagnose();
        found.says(Layer::Clock, severity, words, "timedatectl set-ntp true");
        assert_eq!(found.code, if severity == "fault" { 20 } else { 0 });
        let Some(Figure::Seconds(seconds)) = found.finding("clock", severity, "").figure else {
            panic!("{found:#?}");
        };
        assert!((seconds - behind).abs() <= 2, "{seconds}");
    }
}

/// The login's way is well, and that of a change of the password is not.
#[tokio::test(flavor = "multi_thread")]
async fn no_way_to_change_a_password() {
    let changepw = |message: &[u8]| message.windows(8).any(|octets| octets == b"changepw");
    let upstream = Plan::new(move |post| {
        if changepw(post.message()) {
            Act::Reply(error(7, 0))
        } else {
            Act::Reply(error(UNKNOWN, 0))
        }
    });
    let found = Scene::by(&upstream.start()).diagnose();
    found.is_at_fault(Layer::Kpasswd, "no kadmin/changepw", "ask who runs it");
    found.is_well("kdc", "nobody");
    let upstream = Plan::new(move |post| {
        if changepw(post.message()) {
            Act::status(500)
        } else {
            Act::Reply(error(UNKNOWN, 0))
        }
    });
    let found = Scene::by(&upstream.start()).diagnose();
    found.is_at_fault(Layer::Kpasswd, "a web page came", "browser");
}

/// One for password changes is looked at like any other and makes no login; one that leads to the primary KDC does.
#[tokio::test(flavor = "multi_thread")]
async fn proxies_that_do_not_serve_everything_are_looked_at() {
    let (down, well) = (Plan::granting().start_down(), answering(UNKNOWN, 0).start());
    let by = format!("kinit by https://{}", well.address());
    for (key, is_login) in [("kpasswd-proxies", false), ("primary-proxies", true)] {
        let lines = format!("{key} = [\"{}\"]", well.url());
        let found = Scene::with(&[down.url()], &lines).diagnose();
        found.is_well("kpasswd", "kadmin/changepw");
        if is_login {
            found.is_well("estimate", &by);
        } else {
            found.finding("estimate", "skipped", "nothing serves the realm");
        }
    }
}

/// Several proxies are looked at side by side, and the first that serves is the one that `kinit` waits for.
#[tokio::test(flavor = "multi_thread")]
async fn the_second_proxy_serves() {
    let (down, well) = (Plan::granting().start_down(), answering(UNKNOWN, 0).start());
    let scene = Scene::with(&[down.url(), well.url()], "").with_daemon();
    let found = scene.diagnose();
    assert_eq!(found.code, 15);
    found.is_well("kdc", "nobody");
    found.is_well("daemon", "it brings the KDC's answer");
    let by = format!("kinit by https://{}", well.address());
    found.is_well("estimate", &by);
    let down = format!("https://{}", down.address());
    let refused = found.finding("tcp", "fault", "refused");
    assert_eq!(refused.subject.upstream, Some(down));
}

/// As kdcproxy does under uWSGI, and as it does once it is told to say so.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_closes_its_connections_without_a_word_is_told() {
    let closing = |headers: &'static str| {
        let plan = Plan::new(move |_| {
            let Page { body, .. } = Page::reply(&error(UNKNOWN, 0));
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {length}\r\n\r\n");
            Act::Cut([head.as_bytes(), &body].concat())
        });
        plan.speaking(Http::One).start()
    };
    let found = Scene::by(&closing("")).diagnose();
    found.says(
        Layer::Http,
        "warning",
        "closes connections right after an answer",
        "under uWSGI with --add-header 'Connection: close'",
    );
    let told = closing("connection: close\r\n");
    Scene::by(&told).diagnose().finds_nothing();
}
