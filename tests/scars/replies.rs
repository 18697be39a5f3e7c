//! KDCs whose replies have no end.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::clients::{Http, assert_refused, post};
use crate::gateway::{Gateway, realm};
use crate::messages::{Kind, envelope, framed};
use crate::scripted::{Act, Script};
use crate::within;

/// Requests at once of each kind of KDC.
const AT_ONCE: usize = 8;
const MIB: u32 = 1024 * 1024;

/// CVE-2025-59089: kdcproxy kept what a KDC sent for as long as it sent, and looked for its end anew with each piece.
///
/// Here a reply has 1 MiB, which its length must say before an octet of it is kept (`wire`'s `MAX_REPLY`, read in
/// `upstream::kdc::stream`), it has the request's time, and its connection ends with whatever is wrong with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_without_end_is_not_kept() {
    let length = |octets: u32| octets.to_be_bytes().to_vec();
    let kdcs = [
        ("FOUR.GIB", Act::Endless(length(u32::MAX)), 502),
        ("TWO.GIB", Act::Endless(length(u32::MAX >> 1)), 502),
        ("TOO.LONG", Act::Endless(length(MIB + 1)), 502),
        ("LONGEST", Act::Endless(length(MIB)), 502),
        ("EMPTY", Act::Endless(length(0)), 502),
        ("NO.LENGTH", Act::Raw(vec![0, 0]), 504),
        (
            "NO.END",
            Act::Raw([length(MIB), vec![0x7e; 1000]].concat()),
            504,
        ),
        (
            "CUT",
            Act::Last([length(MIB), vec![0x7e; 1000]].concat()),
            504,
        ),
    ];
    let mut running = Vec::new();
    let mut realms = String::new();
    for (name, act, status) in kdcs {
        let kdc = Script::default().tcp(move |_| act.clone()).start().await;
        realms += &realm(name, &[kdc.address]);
        running.push((name, kdc, status));
    }
    let gateway = Gateway::start(&realms);
    let before = gateway.peak();
    let began = Instant::now();
    let asked = running.iter().flat_map(|kdc| [kdc; AT_ONCE]);
    let asked = asked.map(|(name, _, status)| async {
        // One that no other KDC, transport or connection may be asked with.
        let body = envelope(&framed(&Kind::Preauth.request(name).bytes), Some(name));
        let response = post(&gateway, Http::One, &body).await;
        assert_refused(&response, (*status).try_into().unwrap());
    });
    within(join_all(asked)).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "a deadline of 2 s: {took:?}");
    for (_, kdc, _) in &running {
        let seen = kdc.until(|seen| seen.closed == AT_ONCE).await;
        assert_eq!((seen.connections, seen.tcp.len()), (AT_ONCE, AT_ONCE));
    }
    // Those of LONGEST may be kept whole, twice while their memory grows.
    gateway.grew_at_most(2 * AT_ONCE + 12, before);
}
