//! What a KDC proxy is shown and what it may show: client certificates, headers, tokens, pins, versions of TLS; and what
//! a user is told when it wants something else.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::{TLS12, TLS13};
use rustls::{NamedGroup, ProtocolVersion};

use crate::certificates::{self, Clients, Leaf};
use crate::clients::Heard;
use crate::daemon::Daemon;
use crate::messages::{Kind, REALM, said, told};
use crate::relay::{Reached, Running, Setup, Transport};
use crate::upstream::{Act, Http, Page, Plan, Upstream};

/// A setup whose user has this certificate of a laptop.
fn with_certificate(upstream: &Upstream, trusted: bool) -> Setup {
    let setup = Setup::by(&[upstream])
        .defaults("client-certificate = \"own.pem\"\nclient-key = \"own-key.pem\"");
    let (certificate, key) = certificates::client(trusted);
    fs::write(setup.dir().join("own.pem"), certificate).unwrap();
    fs::write(setup.dir().join("own-key.pem"), key).unwrap();
    setup
}

async fn grants_all(relay: &impl Reached) {
    for kind in Kind::ALL {
        let answer = relay.ask(Transport::Tcp, &kind.request(REALM)).await;
        assert_ne!(answer.message()[0], 0x7e, "{kind:?}");
    }
}

/// What a TGS-REQ and a kpasswd request are told; nothing was sent.
async fn is_told(relay: &Running, code: i64, words: &str) {
    let answer = relay.ask(Transport::Udp, &Kind::Plain.request(REALM)).await;
    let said = said(&answer.message());
    assert_eq!(said.code, code, "{said:?}");
    assert!(said.words.contains(words), "{said:?}");
    let answer = relay
        .ask(Transport::Tcp, &Kind::Change.request(REALM))
        .await;
    let told = told(&answer.message());
    assert!(told.words.contains(words), "{told:?}");
    assert!(
        told.words.contains("Your password was not changed"),
        "{told:?}"
    );
}

const EXPLAIN: &str = "on-failure = \"explain\"";

#[tokio::test(flavor = "multi_thread")]
async fn who_must_have_a_certificate_shows_it() {
    for tls in [&TLS12, &TLS13] {
        for http in Http::BOTH {
            for clients in [Clients::Asked, Clients::MustHave] {
                let upstream = Plan::granting()
                    .asking(clients)
                    .over(tls)
                    .speaking(http)
                    .start();
                grants_all(&with_certificate(&upstream, true).start()).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_passphrase_is_a_key() {
    let upstream = Plan::granting().asking(Clients::MustHave).start();
    let setup =
        with_certificate(&upstream, true).defaults("client-key-passphrase-file = \"passphrase\"");
    fs::write(setup.dir().join("passphrase"), "secret\n").unwrap();
    let locked = setup.dir().join("locked.pem");
    let mut openssl = Command::new("openssl");
    openssl.args(["pkcs8", "-topk8", "-passout", "pass:secret", "-in"]);
    openssl
        .arg(setup.dir().join("own-key.pem"))
        .arg("-out")
        .arg(&locked);
    assert!(openssl.status().unwrap().success());
    fs::rename(locked, setup.dir().join("own-key.pem")).unwrap();
    grants_all(&setup.start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_missing_or_not_believed_is_told_with_the_setting_to_use() {
    for tls in [&TLS12, &TLS13] {
        for http in Http::BOTH {
            let plan = Plan::granting().asking(Clients::MustHave);
            let upstream = plan.over(tls).speaking(http).start();
            let relay = Setup::by(&[&upstream]).defaults(EXPLAIN).start();
            let words = "asks for a TLS client certificate; set client-certificate; set client-key";
            is_told(&relay, 86, words).await;
            let relay = with_certificate(&upstream, false).defaults(EXPLAIN).start();
            is_told(
                &relay,
                12,
                "it does not take the client certificate that it is shown",
            )
            .await;
            assert_eq!(upstream.posts(), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_missing_is_told_by_pages_too() {
    for status in [400, 403] {
        let plan = || Plan::always(Act::status(status)).asking(Clients::Asked);
        let upstream = plan().start();
        let relay = Setup::by(&[&upstream]).defaults(EXPLAIN).start();
        is_told(&relay, 86, "asks for a TLS client certificate").await;
        let upstream = plan().start();
        let relay = with_certificate(&upstream, true).defaults(EXPLAIN).start();
        is_told(&relay, 12, "does not take the client certificate").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_serves_without_a_certificate_refuses_for_another_reason() {
    let upstream = Plan::new(|post| match post.number {
        1 => post.granted(),
        _ => Act::status(403),
    });
    let upstream = upstream.asking(Clients::Asked).start();
    let relay = Setup::by(&[&upstream]).defaults(EXPLAIN).start();
    relay
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await
        .message();
    is_told(&relay, 12, "(HTTP 403)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_after_asking_for_a_certificate_may_have_heard_the_request() {
    for http in Http::BOTH {
        let plan = Plan::always(Act::Close)
            .asking(Clients::Asked)
            .speaking(http);
        let upstream = plan.start();
        let relay = Setup::by(&[&upstream]).start();
        let answer = relay
            .ask(Transport::Tcp, &Kind::Change.request(REALM))
            .await;
        let told = told(&answer.message());
        assert!(told.words.contains("set client-certificate"), "{told:?}");
        assert!(told.words.contains("It is not known"), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_a_token_are_sent_as_they_are_now() {
    for http in Http::BOTH {
        let upstream = Plan::granting().speaking(http).start();
        let setup = Setup::by(&[&upstream]).defaults(
            "headers = [\"X-Site: north\"]\nheaders-file = \"headers\"\nbearer-token-file = \"token\"",
        );
        let (headers, token) = (setup.dir().join("headers"), setup.dir().join("token"));
        fs::write(&headers, "# of this laptop\nX-Device: s3cret-7\n").unwrap();
        fs::write(&token, "s3cret-one\n").unwrap();
        let relay = Daemon::start(setup);
        let shown = async || {
            relay
                .ask(Transport::Tcp, &Kind::Tgs.request(REALM))
                .await
                .message();
            let post = upstream.seen().posts.pop().unwrap();
            ["x-site", "x-device", "authorization"].map(|name| post.header(name).to_owned())
        };
        assert_eq!(shown().await, ["north", "s3cret-7", "Bearer s3cret-one"]);
        replace(&token, "s3cret-two\n");
        assert_eq!(shown().await, ["north", "s3cret-7", "Bearer s3cret-two"]);
        // Cut off while it is written, and then gone: what it held counts.
        replace(&headers, "X-Dev");
        assert_eq!(shown().await, ["north", "s3cret-7", "Bearer s3cret-two"]);
        fs::remove_file(&token).unwrap();
        assert_eq!(shown().await, ["north", "s3cret-7", "Bearer s3cret-two"]);
        assert_eq!(upstream.seen().handshakes, 1);
        let (_, log) = relay.terminate();
        assert!(!log.contains("s3cret"), "{log}");
        assert!(log.contains("INFO read again"), "{log}");
        assert!(log.contains("WARN what it held before is used"), "{log}");
    }
}

fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_is_told_with_the_setting_to_use() {
    for (challenge, words) in [
        (
            "Negotiate",
            "wants a Kerberos ticket (HTTP 401); set auth = \"negotiate\"",
        ),
        (
            "Basic realm=\"a, Bearer\", Negotiate",
            "wants a Kerberos ticket",
        ),
        (
            "Bearer realm=\"example\"",
            "wants a token or a password (HTTP 401); set bearer-token-file",
        ),
        ("basic realm=\"example\"", "wants a token or a password"),
        ("Digest realm=\"example\"", "HTTP 401"),
    ] {
        for page in [Page::html(401), Page::kerberos(Vec::new())] {
            let page = Page {
                status: 401,
                ..page
            }
            .with("www-authenticate", challenge);
            let upstream = Plan::always(Act::Respond(page)).start();
            is_told(
                &Setup::by(&[&upstream]).defaults(EXPLAIN).start(),
                86,
                words,
            )
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_taken_is_told() {
    let page = Page::html(401).with("www-authenticate", "Bearer error=\"invalid_token\"");
    let upstream = Plan::always(Act::Respond(page)).start();
    let setup = Setup::by(&[&upstream])
        .defaults(EXPLAIN)
        .defaults("bearer-token-file = \"token\"");
    fs::write(setup.dir().join("token"), "old\n").unwrap();
    is_told(
        &setup.start(),
        86,
        "it does not take the token or password that it is shown (HTTP 401); put a new one into the file of bearer-token-file",
    )
    .await;
}

/// The pin of a certificate, as openssl says it.
fn pin(certificate: &CertificateDer<'_>) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("certificate");
    fs::write(&file, certificate).unwrap();
    let command = format!(
        "openssl x509 -inform der -in {} -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64",
        file.display()
    );
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    format!(
        "sha256/{}",
        String::from_utf8(output.stdout).unwrap().trim()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_authority_will_do_and_another_will_not() {
    let authority = CertificateDer::from_pem_slice(certificates::trusted().as_bytes()).unwrap();
    let (own, other) = (
        pin(&authority),
        "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    );
    let upstream = Plan::granting().start();
    let pinned = |pins: &[&str]| {
        Setup::by(&[&upstream])
            .defaults(&format!("pins = {pins:?}"))
            .defaults(EXPLAIN)
    };
    grants_all(&pinned(&[other, &own]).start()).await;
    let before = upstream.posts();
    is_told(&pinned(&[other]).start(), 86, "not trusted").await;
    assert_eq!(upstream.posts(), before);
    // A pin makes no certificate good.
    let upstream = Plan::granting().showing(Leaf::Expired).start();
    let expired = Setup::by(&[&upstream])
        .defaults(&format!("pins = [\"{own}\"]"))
        .defaults(EXPLAIN);
    is_told(&expired.start(), 86, "not trusted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_tls_than_wanted_will_not_do() {
    let upstream = Plan::granting().over(&TLS12).start();
    let relay = Setup::by(&[&upstream])
        .defaults(EXPLAIN)
        .defaults("min-tls = \"1.3\"")
        .start();
    is_told(&relay, 86, "can be reached").await;
    assert_eq!(upstream.posts(), 0);
    grants_all(&Setup::by(&[&upstream]).start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_exchange_is_post_quantum_whatever_else_is_wanted() {
    for lines in ["", "min-tls = \"1.3\"\nheaders = [\"X-Site: a\"]"] {
        let upstream = Plan::granting().start();
        grants_all(&Setup::by(&[&upstream]).defaults(lines).start()).await;
        let agreed = (ProtocolVersion::TLSv1_3, NamedGroup::X25519MLKEM768);
        assert_eq!(upstream.seen().agreed, [agreed]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realm_whose_files_have_changed_is_asked_anew_after_a_reload() {
    let upstream = Plan::granting().asking(Clients::MustHave).start();
    let setup = with_certificate(&upstream, false);
    let relay = Daemon::start(setup);
    let request = Kind::Preauth.request(REALM);
    assert_eq!(relay.ask(Transport::Tcp, &request).await, Heard::Reset);
    let (certificate, key) = certificates::client(true);
    let dir = relay.config().parent().unwrap();
    fs::write(dir.join("own.pem"), certificate).unwrap();
    fs::write(dir.join("own-key.pem"), key).unwrap();
    relay.reload("configuration read again");
    grants_all(&relay).await;
}
