//! What TCP and TLS show.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use loopkdc::relay::finding::{Figure, Layer};

use crate::certificates::{Clients, Leaf};
use crate::messages::{envelope, framed};
use crate::scene::{Scene, UNKNOWN, answering, error};
use crate::upstream::{Door, Http, Plan};

fn well() -> Plan {
    answering(UNKNOWN, 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens() {
    let upstream = Plan::granting().start_down();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(
        Layer::Tcp,
        "Connection refused",
        "proxies names the right port",
    );
    found.finding("tls", "skipped", "a fault before it");
    found.finding("daemon", "skipped", "why is below");
    found.finding("estimate", "skipped", "kinit fails");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate() {
    let upstream = well().showing(Leaf::Expired).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(
        Layer::Tls,
        "expired, or the clock here is wrong",
        "timedatectl",
    );
    let figure = found.finding("tls", "fault", "").figure;
    assert!(matches!(figure, Some(Figure::Days(..-8000))), "{figure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_valid_yet() {
    let upstream = well().showing(Leaf::NotYet).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(
        Layer::Tls,
        "not valid yet, or the clock here is wrong",
        "timedatectl",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_purpose() {
    let upstream = well().showing(Leaf::Purpose).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(
        Layer::Tls,
        "not made for servers (extendedKeyUsage)",
        "who runs it has to renew",
    );
}

/// TLS 1.2, chosen by a server that was not offered it.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_not_offered() {
    // RFC 5246 7.4.1.3: a ServerHello without extensions.
    let hello = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
    let length = u8::try_from(hello.len()).unwrap();
    let head = [0x16, 3, 3, 0, length + 4, 2, 0, 0, length];
    let answer = [&head[..], &hello].concat();
    let address = answering_each(move |_| answer.clone());
    let found = Scene::with(&[format!("https://{address}")], "min-tls = \"1.3\"")
        .with_daemon()
        .diagnose();
    found.is_at_fault(
        Layer::Tls,
        "no version or cipher of TLS in common",
        "if min-tls is 1.3, lower it",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_about_to_expire() {
    let upstream = well().showing(Leaf::Soon).start();
    let found = Scene::by(&upstream).diagnose();
    found.finds_nothing();
    found.says(
        Layer::Tls,
        "warning",
        "is about to expire",
        "who runs it has to renew",
    );
    let figure = found.finding("tls", "warning", "").figure;
    assert!(matches!(figure, Some(Figure::Days(3..=5))), "{figure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name() {
    let upstream = well().showing(Leaf::WrongName).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(
        Layer::Tls,
        "certificate for *.proxy.test, not for 127.0.0.1",
        "proxies",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_nobody_here_trusts() {
    let upstream = well().showing(Leaf::Untrusted).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(
        Layer::Tls,
        "signed by \"rcgen self signed cert\", which is not trusted here",
        "ca-file = ",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pinned_key() {
    let upstream = well().start();
    let pins = "pins = [\"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]";
    let mut scene = Scene::by_with(&upstream, pins);
    // What the hint says to write makes it well.
    let found = scene.diagnose();
    let hint = found.finding("tls", "fault", "among the pins").advice();
    let (_, pin) = hint.split_once("pins = ").unwrap();
    scene
        .usual
        .push((pin.to_owned(), "[\"sha256/...\"]".to_owned()));
    let found = scene.diagnose();
    found.is_at_fault(
        Layer::Tls,
        "no key of its chain is among the pins",
        "pins = ",
    );
    let found = Scene::by_with(&upstream, &format!("pins = {pin}")).diagnose();
    found.finds_nothing();
    found.is_well("tls", "among the pins");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_that_is_missing() {
    let upstream = well().asking(Clients::MustHave).start();
    let found = Scene::by(&upstream).diagnose();
    found.is_at_fault(
        Layer::Tls,
        "asks for a TLS client certificate",
        "set client-certificate; set client-key",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_that_can_do_without() {
    let upstream = well().asking(Clients::Asked).start();
    let found = Scene::by(&upstream).diagnose();
    found.finds_nothing();
    found.is_well("tls", "asks for a client certificate, and is content");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_tls() {
    let upstream = well()
        .over(&rustls::version::TLS12)
        .speaking(Http::One)
        .start();
    let found = Scene::by_with(&upstream, "min-tls = \"1.3\"").diagnose();
    found.is_at_fault(Layer::Tls, "", "min-tls");
    let found = Scene::by(&upstream).diagnose();
    found.finds_nothing();
    found.is_well("tls", "TLS 1.2");
    found.is_well("http", "HTTP/1.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_ends() {
    let upstream = well().behind(|_| Door::ResetInHandshake).start();
    let found = Scene::by(&upstream).diagnose();
    let advice = "where curl gets further, who runs it has to switch on TLS 1.3, or ECDHE ciphers";
    found.is_at_fault(Layer::Tls, "cannot connect: ", advice);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_nobody_answers() {
    let upstream = well().behind(|_| Door::Silent).start();
    let found = Scene::by(&upstream).diagnose();
    found.says(
        Layer::Tls,
        "fault",
        "cannot connect: timed out",
        "http-proxy",
    );
}

/// A server that answers the first octets of each connection, and no more.
fn answering_each(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut asked = [0; 4096];
            let length = stream.read(&mut asked).unwrap_or(0);
            let _ = stream.write_all(&answer(&asked[..length]));
        }
    });
    address
}

/// An HTTP server on the port of HTTPS.
#[tokio::test(flavor = "multi_thread")]
async fn no_tls_at_all() {
    let address =
        answering_each(|_| b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec());
    let found = Scene::with(&[format!("https://{address}")], "")
        .with_daemon()
        .diagnose();
    found.is_at_fault(Layer::Tls, "speaks no TLS", "proxies names the right port");
}

/// A KDC proxy without TLS, for those who allow that.
#[tokio::test(flavor = "multi_thread")]
async fn plain_http() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let reply = envelope(&framed(&error(UNKNOWN, 0)), None);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", reply.len());
                let answer = [head.as_bytes(), &reply].concat();
                // Each request is short enough to come at once, and its body is what follows.
                let mut request = Vec::new();
                let mut chunk = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut chunk) {
                    request.extend_from_slice(&chunk[..length]);
                    let text = String::from_utf8_lossy(&request).to_lowercase();
                    let said = text.split("content-length: ").nth(1);
                    let length: Option<usize> =
                        said.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
                    let head = request.windows(4).position(|octets| octets == b"\r\n\r\n");
                    if let (Some(head), Some(length)) = (head, length)
                        && request.len() >= head + 4 + length
                    {
                        request.clear();
                        stream.write_all(&answer).unwrap();
                    }
                }
            });
        }
    });
    let url = format!("http://{address}/KdcProxy");
    let found = Scene::with(&[url], "allow-plaintext = true")
        .with_daemon()
        .diagnose();
    found.finds_nothing();
    found.says(
        Layer::Tls,
        "warning",
        "everybody on the way reads",
        "allow-plaintext",
    );
    found.is_well("kdc", "nobody");
}
