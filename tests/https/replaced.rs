//! Certificates that are replaced under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use loopkdc::gateway::tls::follow;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::clients::{One, tls};
use crate::gateway::{Gateway, Setup, files};
use crate::messages::{Kind, REALM, envelope, framed};
use crate::{eventually, within};

fn body() -> Vec<u8> {
    envelope(&framed(&Kind::Plain.request(REALM).bytes), Some(REALM))
}

fn leaf(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// Asks over new connections until `done`; counts those that met another certificate than `old`.
async fn new_connections(gateway: &Gateway, old: &[u8], met: &AtomicUsize, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let stream = tls(gateway.tls, &[b"http/1.1"]).await;
        let is_new = leaf(&stream) != old;
        assert_eq!(One::over(stream).post("", &body()).await.status, 200);
        met.fetch_add(is_new.into(), Ordering::Relaxed);
    }
}

/// Asks over one connection until `done`.
async fn one_connection(gateway: &Gateway, done: &AtomicBool) {
    let mut one = One::connect(gateway).await;
    while !done.load(Ordering::Relaxed) {
        assert_eq!(one.post("", &body()).await.status, 200);
    }
}

#[tokio::test]
async fn no_request_fails_while_the_certificate_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let write_anew = || files(dir.path());
    let files = write_anew();
    let (stop, reload) = (CancellationToken::new(), Arc::new(Notify::new()));
    let certificates = follow(files, &stop, Arc::clone(&reload)).unwrap();
    let setup = Setup {
        certificates: Some(certificates),
        ..Setup::default()
    };
    let gateway = setup.start().await;
    let old = leaf(&tls(gateway.tls, &[]).await);
    let (met, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let replace = async {
        eventually(|| gateway.kdc.asked() > 20).await;
        write_anew();
        reload.notify_one();
        eventually(|| met.load(Ordering::Relaxed) > 5).await;
        done.store(true, Ordering::Relaxed);
    };
    let load = async {
        tokio::join!(
            new_connections(&gateway, &old, &met, &done),
            new_connections(&gateway, &old, &met, &done),
            one_connection(&gateway, &done),
            one_connection(&gateway, &done),
        )
    };
    within(async { tokio::join!(load, replace) }).await;
    stop.cancel();
}
