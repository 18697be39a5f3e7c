//! Proxies on the way to a KDC proxy.

use loopkdc::relay::finding::Layer;

use crate::forward::{Forward, Gate};
use crate::scene::{Diagnosis, Scene, UNKNOWN, answering};
use crate::upstream::Upstream;

fn by_way_of(upstream: &Upstream, forward: &str) -> Diagnosis {
    let mut scene = Scene::by_with(upstream, &format!("http-proxy = \"{forward}\""));
    let (_, address) = forward
        .rsplit_once('@')
        .or(forward.rsplit_once('/'))
        .unwrap();
    scene
        .usual
        .push((address.to_owned(), "proxy.example.com:3128".to_owned()));
    scene.diagnose()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lets_it_through_is_seen_and_what_is_behind_it_as_well() {
    let upstream = answering(UNKNOWN, 0).start();
    for scheme in ["http", "socks5h"] {
        let forward = Forward::guarded(scheme, "user:s3cret").await;
        let found = by_way_of(&upstream, &forward.url_with("user:s3cret"));
        found.finds_nothing();
        found.is_well("tcp", &format!("{} lets it through", forward.url()));
        found.is_well("tls", "certificates: ");
        found.is_well("kdc", "nobody");
        assert!(!format!("{found:?}").contains("s3cret"));
        assert!(!forward.passed().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_wants_a_password() {
    let upstream = answering(UNKNOWN, 0).start();
    for scheme in ["http", "socks5h"] {
        let forward = Forward::guarded(scheme, "user:s3cret").await;
        let found = by_way_of(&upstream, &forward.url());
        found.is_at_fault(Layer::Tcp, "wants user and password", "http-proxy");
        let found = by_way_of(&upstream, &forward.url_with("user:wr0ng"));
        found.is_at_fault(
            Layer::Tcp,
            "does not take the user and password",
            "http-proxy",
        );
        assert!(!format!("{found:?}").contains("wr0ng"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_connect_to_the_kdc_proxy() {
    let upstream = answering(UNKNOWN, 0).start();
    let forward = Forward::http(|_| Gate::Refused(403)).await;
    let found = by_way_of(&upstream, &forward.url());
    found.is_at_fault(
        Layer::Tcp,
        "does not connect to the KDC proxy",
        "http-proxy",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_there() {
    let upstream = answering(UNKNOWN, 0).start();
    let nobody = crate::upstream::Plan::granting().start_down();
    let found = by_way_of(&upstream, &format!("http://{}", nobody.address()));
    found.is_at_fault(Layer::Tcp, "cannot be connected to", "http-proxy");
}
