//! KDCs that are asked themselves.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use loopkdc::relay::finding::{Layer, Severity};

use crate::scene::{Scene, UNKNOWN, answering, error};
use crate::upstream::Plan;

/// A KDC that says this to each request over TCP; nothing, and the connection's end.
fn kdc(code: Option<i32>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut length = [0; 4];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut request = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut request).unwrap();
            if let Some(code) = code {
                stream
                    .write_all(&crate::messages::framed(&error(code, 0)))
                    .unwrap();
            }
        }
    });
    address
}

fn direct(order: &str, kdc: SocketAddr) -> String {
    format!("direct = \"{order}\"\nkdcs = [\"{kdc}\"]")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kdc_that_is_well_is_what_kinit_waits_for() {
    let upstream = answering(UNKNOWN, 0).start();
    let kdc = kdc(Some(UNKNOWN));
    let found = Scene::by_with(&upstream, &direct("prefer", kdc)).diagnose();
    found.finds_nothing();
    found.is_well("estimate", &format!("kinit by {kdc}"));
    let found = Scene::by_with(&upstream, &direct("fallback", kdc)).diagnose();
    found.is_well("estimate", "kinit by https://");
    let mut by_kdc = found
        .findings
        .iter()
        .filter(|finding| finding.subject.upstream == Some(kdc.to_string()));
    assert!(
        by_kdc.all(|finding| finding.severity == Severity::Ok),
        "{found:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kdc_that_is_not_on_this_network_is_no_fault() {
    let upstream = answering(UNKNOWN, 0).start();
    let nobody = Plan::granting().start_down().address();
    let found = Scene::by_with(&upstream, &direct("prefer", nobody)).diagnose();
    found.finds_nothing();
    found.finding("tcp", "skipped", "not on this network");
    found.is_well("estimate", "kinit by https://");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kdc_that_says_nothing() {
    let upstream = answering(UNKNOWN, 0).start();
    let kdc = kdc(None);
    let mut scene = Scene::by_with(&upstream, &direct("fallback", kdc));
    scene
        .usual
        .push((kdc.to_string(), "dc1.example.com:88".to_owned()));
    scene.diagnose().is_at_fault(
        Layer::Kdc,
        "closed the connection without an answer",
        "kdcs",
    );
}
