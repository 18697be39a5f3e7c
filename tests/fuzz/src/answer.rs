//! An answer of a KDC proxy, all the way from octets to a reply or a fault.
//!
//! The octets are read as a whole HTTP/1.1 answer, then as the body of a right one, then as the kerb-message in the body of
//! a right one: so a recorded message is a start.

use std::sync::LazyLock;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use loopkdc::relay::upstream::kdc::Permitted;
use loopkdc::relay::upstream::kkdcp::{Authorization, KdcProxy};
use loopkdc::relay::upstream::proxy_options::ProxyOptions;
use loopkdc::relay::upstream::tls::SystemRoots;
use loopkdc::relay::upstream::{Credential, Fault};
use loopkdc::wire::{Framed, MAX_REPLY, Reply, Service, kkdcp};
use reqwest::{Body, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().unwrap()
});

static PROXY: LazyLock<KdcProxy> = LazyLock::new(|| {
    let (url, out) = ("https://kdcproxy.example/KdcProxy", ProxyOptions::default());
    let tls = SystemRoots::load().client(&[], &out).unwrap();
    KdcProxy::new(url.parse().unwrap(), tls, &out, Permitted::Any)
});

/// Checks what becomes of any octets.
pub fn check(data: &[u8]) {
    let enveloped = kkdcp::encode_request(&Framed::wrap(data), "Example.Com", None);
    for service in [Service::Kdc, Service::Kpasswd] {
        for authorization in [
            Authorization::None,
            Authorization::Token,
            Authorization::Ticket,
        ] {
            check_any(service, data, authorization);
        }
        for body in [data, &enveloped] {
            check_body(service, body);
        }
    }
}

/// Whatever comes: what is said of it is ours, and nobody is told that a KDC did not see what it may have seen.
fn check_any(service: Service, octets: &[u8], authorization: Authorization) {
    let Some((status, judged)) = judged(service, octets, authorization) else {
        return;
    };
    match judged {
        Ok(reply) => {
            assert!(matches!(status, 200..=299 | 400..=599));
            check_reply(service, &reply);
        }
        Err(fault) => {
            let said = fault.to_string();
            assert!(!said.chars().any(char::is_control), "{said:?}");
            assert!(said.chars().count() < 320, "{said}");
            match fault {
                Fault::NotKerberos(_) | Fault::Unanswered => assert!(!fault.surely_not_served()),
                Fault::Status(same, _) | Fault::Page(same) => {
                    assert_eq!(same, status);
                    assert_eq!(fault.surely_not_served(), (400..500).contains(&status));
                }
                Fault::AuthenticationRequired(Credential::OtherToken, _) => {
                    assert_eq!((authorization, status), (Authorization::Token, 401))
                }
                Fault::AuthenticationRequired(Credential::OtherTicket, _) => {
                    assert_eq!((authorization, status), (Authorization::Ticket, 401))
                }
                Fault::AuthenticationRequired(Credential::Token | Credential::Ticket, _) => {
                    assert_eq!((authorization, status), (Authorization::None, 401));
                }
                other => panic!("{other:?} of an answer with {status}"),
            }
        }
    }
}

/// Behind a head that nothing is wrong with, the body alone decides, by the rules of the wire room.
fn check_body(service: Service, body: &[u8]) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/kerberos\r\ncontent-length: {length}\r\n\r\n"
    );
    let octets = [head.as_bytes(), body].concat();
    let (status, judged) = judged(service, &octets, Authorization::None).unwrap();
    assert_eq!(status, 200);
    let message = kkdcp::message_in_answer(body).map(Bytes::copy_from_slice);
    let reply = message.and_then(|message| Reply::parse(service, message).ok());
    match (judged, reply) {
        (Ok(judged), Some(reply)) => assert_eq!(judged.bytes(), reply.bytes()),
        (Err(Fault::NotKerberos(_)), None) => {}
        (judged, _) => panic!("{judged:?}"),
    }
}

fn check_reply(service: Service, reply: &Reply) {
    assert!((1..=MAX_REPLY).contains(&reply.bytes().len()));
    let again = Reply::parse(service, reply.bytes().clone()).unwrap();
    assert_eq!(again.bytes(), reply.bytes());
}

/// The status and what the answer amounts to, if it has a head that HTTP allows.
fn judged(
    service: Service,
    octets: &[u8],
    authorization: Authorization,
) -> Option<(u16, Result<Reply, Fault>)> {
    RUNTIME.block_on(async {
        let response = answer(octets).await?;
        let status = response.status().as_u16();
        Some((
            status,
            PROXY.read_reply(response, service, authorization).await,
        ))
    })
}

/// The answer that these octets are, as the client's own library reads them.
async fn answer(octets: &[u8]) -> Option<Response> {
    let (ours, mut theirs) = tokio::io::duplex(octets.len() + 1024);
    let octets = octets.to_vec();
    tokio::spawn(async move {
        // Before there is a request, an answer is none.
        let _ = theirs.read(&mut [0; 1024]).await;
        let _ = theirs.write_all(&octets).await;
        let _ = theirs.shutdown().await;
        let _ = tokio::io::copy(&mut theirs, &mut tokio::io::sink()).await;
    });
    let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await.ok()?;
    tokio::spawn(connection);
    let request = Request::post("/KdcProxy")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.ok()?;
    Some(response.map(Body::wrap).into())
}
