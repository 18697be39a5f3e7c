//! How much of a KDC a burst may take, and that a burst is no sign of a dead one.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use loopkdc::relay::shares::Holder;
use loopkdc::relay::upstream::kdc::{Kdc, KdcOptions, Transport};
use loopkdc::relay::upstream::{ConnReuse, Fault, Outgoing, Unsent};
use tokio::time::sleep;

use crate::addresses::deaf;
use crate::messages::{Kind, REALM, as_rep};
use crate::scripted::{Act, Script, terms_of};
use crate::{BOTH, ask, ask_over, outgoing, parsed, within};

const BUSY: Fault = Fault::NotSent(Unsent::Busy);

/// As many are silent as there are places: who came before keeps them for a second.
#[tokio::test]
async fn what_is_silent_for_a_second_leaves_its_place_and_what_finds_none_is_turned_away_unsent() {
    for transport in BOTH {
        let script = Script::default().tcp(|asked| match asked.number {
            1..=4 => Act::Silence,
            _ => Act::Reply(as_rep()),
        });
        let script = script.udp(|asked| match asked.number {
            1..=4 => vec![],
            _ => vec![as_rep()],
        });
        let scripted = script.start().await;
        let kdc = Kdc::new(KdcOptions {
            max_in_flight: 2,
            ..terms_of(scripted.address.to_string(), transport)
        });
        let asked = |seen: &crate::scripted::Seen| seen.tcp.len() + seen.udp.len();
        let silent = join_all((0..2).map(|_| ask(&kdc, Kind::Preauth)));
        let others = async {
            scripted.until(|seen| asked(seen) == 2).await;
            // Both wait for a second: the places come free before these are turned away.
            sleep(Duration::from_millis(300)).await;
            let others = [(); 6].map(|()| {
                let message = parsed(&Kind::Preauth.request(REALM));
                outgoing(message, ConnReuse::Any)
            });
            let mut asking: FuturesUnordered<_> = others.iter().map(|one| kdc.send(one)).collect();
            for _ in 0..4 {
                let fault = within(asking.next()).await.unwrap();
                assert_eq!(fault.unwrap_err(), BUSY, "{transport:?}");
            }
            let unsent = others.iter().filter(|one| !one.sent.may_have_left());
            assert!(unsent.count() >= 4);
            // The places of these two come free, too.
            let last = async {
                scripted.until(|seen| asked(seen) == 4).await;
                ask(&kdc, Kind::Preauth).await.unwrap();
            };
            tokio::select! {
                end = asking.next() => panic!("{end:?}"),
                () = last => {}
            }
        };
        tokio::select! {
            end = silent => panic!("{end:?}"),
            () = others => {}
        }
    }
}

/// One client has all the places that one may have, and what it asks is dropped.
#[tokio::test]
async fn a_place_is_left_for_others_at_once() {
    let script = Script::refusing().udp(|asked| match asked.number {
        1..=7 => vec![],
        _ => vec![as_rep()],
    });
    let scripted = script.start().await;
    let kdc = Kdc::new(KdcOptions {
        max_in_flight: 8,
        ..terms_of(scripted.address.to_string(), Transport::UdpFirst)
    });
    let of = |uid| Outgoing {
        holder: Holder::User(uid),
        ..outgoing(parsed(&Kind::Preauth.request(REALM)), ConnReuse::Any)
    };
    let many = [(); 20].map(|()| of(1));
    let many = join_all(many.iter().map(|one| kdc.send(one)));
    let other = async {
        scripted.until(|seen| seen.udp.len() == 7).await;
        let (began, other) = (Instant::now(), of(2));
        kdc.send(&other).await.unwrap();
        assert!(began.elapsed() < Duration::from_millis(500));
        assert_eq!(scripted.seen().udp.len(), 8);
    };
    tokio::select! {
        end = many => panic!("{end:?}"),
        () = other => {}
    }
}

/// Those whose turn it was say that they heard nothing; the others have asked nobody.
#[tokio::test]
async fn five_connect_at_once_and_the_others_do_not_say_that_it_is_dead() {
    let (listener, _waiting) = deaf(([127, 0, 0, 1], 0).into());
    let name = listener.local_addr().unwrap().to_string();
    let kdc = Kdc::new(terms_of(name, Transport::TcpFirst));
    let faults = join_all((0..20).map(|_| ask_over(&kdc, Kind::Preauth, ConnReuse::Never))).await;
    let count = |why: Unsent| {
        let fault = Fault::NotSent(why);
        let same = faults
            .iter()
            .filter(|other| other.as_ref().err() == Some(&fault));
        same.count()
    };
    assert_eq!(
        (count(Unsent::ConnectTimeout), count(Unsent::Busy)),
        (5, 15)
    );
}

/// What a socket has no room for is lost without a word.
#[tokio::test]
async fn a_silent_kdc_is_not_sent_all_datagrams_at_once() {
    let scripted = Script::refusing().udp(|_| vec![]).start().await;
    let kdc = scripted.kdc(Transport::UdpFirst);
    let began = Instant::now();
    let all = join_all((0..33).map(|_| ask(&kdc, Kind::Preauth)));
    tokio::select! {
        end = all => panic!("{end:?}"),
        _ = scripted.until(|seen| seen.udp.len() == 33) => {}
    }
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(100), "{waited:?}");
}
