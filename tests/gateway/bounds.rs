//! How much of a KDC a burst may take, and that a burst is no sign of a dead one.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use loopkdc::relay::upstream::kdc::{Kdc, KdcOptions, Transport};
use loopkdc::relay::upstream::{ConnReuse, Fault, Unsent};

use crate::addresses::deaf;
use crate::messages::{Kind, REALM, as_rep};
use crate::scripted::{Act, Script, terms_of};
use crate::{BOTH, ask, ask_over, outgoing, parsed, within};

const BUSY: Fault = Fault::NotSent(Unsent::Busy);

#[tokio::test]
async fn a_request_without_a_place_is_turned_away_unsent_and_places_come_free() {
    for transport in BOTH {
        let script = Script::default().tcp(|asked| match asked.number {
            1 | 2 => Act::Silence,
            _ => Act::Reply(as_rep()),
        });
        let script = script.udp(|asked| match asked.number {
            1 | 2 => vec![],
            _ => vec![as_rep()],
        });
        let scripted = script.start().await;
        let name = scripted.address.to_string();
        let kdc = Kdc::new(KdcOptions {
            max_in_flight: 2,
            ..terms_of(name, transport)
        });
        let both = join_all((0..2).map(|_| ask(&kdc, Kind::Preauth)));
        let third = async {
            let asked = |seen: &crate::scripted::Seen| seen.tcp.len() + seen.udp.len();
            scripted.until(|seen| asked(seen) == 2).await;
            let message = parsed(&Kind::Preauth.request(REALM));
            let third = outgoing(message, ConnReuse::Any);
            let fault = within(kdc.send(&third)).await;
            assert_eq!(fault.unwrap_err(), BUSY, "{transport:?}");
            assert!(!third.sent.may_have_left());
            assert_eq!(asked(&scripted.seen()), 2, "{transport:?}");
        };
        tokio::select! {
            end = both => panic!("{end:?}"),
            () = third => {}
        }
        ask(&kdc, Kind::Preauth).await.unwrap();
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
