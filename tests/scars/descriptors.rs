//! A process that may open nothing more.

use tokio::net::TcpStream;

use crate::clients::{Http, One, post};
use crate::gateway::{Gateway, realm};
use crate::messages::{Kind, REALM};
use crate::{granting, posted};

/// CVE-2026-49232: routinator ended when accept failed, which a client could bring about by opening connections.
///
/// Here an accept that fails for a lack of descriptors makes room or rests (`daemon::accept`), and is told once.
#[tokio::test(flavor = "multi_thread")]
async fn a_lack_of_descriptors_ends_nothing() {
    let kdc = granting().start().await;
    let gateway = Gateway::start(&realm(REALM, &[kdc.address]));
    let mut kept = One::connect(&gateway).await;
    assert_eq!(kept.post("", &posted(Kind::Plain)).await.status, 200);
    gateway.limit_descriptors(3);
    let waiting = TcpStream::connect(gateway.plain).await.unwrap();
    gateway.process.wait_for("requests are kept waiting");
    // The one that was silent made room, to no avail.
    kept.ended().await;
    gateway.limit_descriptors(1000);
    let response = One::over(waiting).post("", &posted(Kind::Plain)).await;
    assert_eq!(response.status, 200);
    gateway.process.wait_for("requests are accepted again");
    assert_eq!(gateway.process.count("requests are kept waiting"), 1);
}

/// The same by a crowd, which may take as many descriptors as it likes: half of them stay for the way out.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_would_take_all_descriptors_leaves_some_for_others() {
    let kdc = granting().start().await;
    let gateway = Gateway::with_descriptors(128, &realm(REALM, &[kdc.address]));
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(TcpStream::connect(gateway.tls).await.unwrap());
    }
    for http in Http::ALL {
        // One that needs a connection of its own to the KDC.
        let response = post(&gateway, http, &posted(Kind::Preauth)).await;
        assert_eq!(response.status, 200, "{http:?}");
    }
}
