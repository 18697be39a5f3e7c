//! A KDC over UDP.

use loopkdc::relay::upstream::Fault;
use loopkdc::relay::upstream::kdc::{Kdc, Transport};
use tokio::net::UdpSocket;

use crate::messages::{Kind, as_rep, krb_error, tgs_rep};
use crate::scripted::{Act, Script, terms_of};
use crate::{BOTH, ask};

const REPEAT: i32 = 34;
const TOO_BIG: i32 = 52;

#[tokio::test]
async fn what_is_no_reply_is_not_heard() {
    let script = Script::refusing().udp(|_| {
        let noise = [
            vec![],
            b"noise".to_vec(),
            Kind::Change.reply(),
            vec![0x6b; 60_000],
        ];
        noise.into_iter().chain([as_rep()]).collect()
    });
    let scripted = script.start().await;
    for transport in BOTH {
        ask(&scripted.kdc(transport), Kind::Plain).await.unwrap();
    }
    assert_eq!(scripted.seen().asked(), (0, 2));
}

#[tokio::test]
async fn what_is_too_big_comes_over_tcp() {
    for kind in Kind::ALL {
        let script = Script::default().tcp(move |_| Act::Reply(kind.reply()));
        let script = script.udp(|_| vec![krb_error(TOO_BIG, None)]);
        let scripted = script.start().await;
        let reply = ask(&scripted.kdc(Transport::UdpFirst), kind).await.unwrap();
        assert_eq!(reply.error_code(), None);
        let seen = scripted.seen();
        assert_eq!(seen.asked(), (1, 1), "{kind:?}");
        assert_eq!(seen.tcp, seen.udp);
    }
}

/// It was seen: nothing may say that it was not, and no second datagram goes out.
#[tokio::test]
async fn what_is_too_big_and_has_no_tcp_says_nothing_about_the_kdc() {
    let [tcp_first, udp_first] = BOTH;
    let guesses = [(Kind::Plain, tcp_first), (Kind::Tgs, tcp_first)];
    let all = Kind::ALL.map(|kind| (kind, udp_first));
    for (kind, transport) in all.into_iter().chain(guesses) {
        let script = Script::refusing().udp(|_| vec![krb_error(TOO_BIG, None)]);
        let scripted = script.start().await;
        let fault = ask(&scripted.kdc(transport), kind).await.unwrap_err();
        assert_eq!(fault, Fault::ClosedWithoutReply, "{kind:?} {transport:?}");
        assert_eq!(scripted.seen().asked(), (0, 1), "{kind:?} {transport:?}");
    }
}

#[tokio::test]
async fn where_udp_is_refused_tcp_is_asked() {
    for kind in Kind::ALL {
        let script = Script::default().tcp(move |_| Act::Reply(kind.reply()));
        let scripted = script.start().await;
        ask(&scripted.kdc(Transport::UdpFirst), kind).await.unwrap();
        assert_eq!(scripted.seen().asked(), (1, 0), "{kind:?}");
    }
}

/// The harmless one is the clock: when it has gone out three times, the other would have gone out twice.
#[tokio::test]
async fn only_what_is_harmless_is_sent_again() {
    let checks = [(Kind::Plain, Kind::Preauth), (Kind::Tgs, Kind::Change)];
    let checks = checks.map(|(harmless, once)| async move {
        let script = Script::refusing().udp(|_| vec![]);
        let (clock, scripted) = (script.clone().start().await, script.start().await);
        let (to_clock, kdc) = (
            clock.kdc(Transport::UdpFirst),
            scripted.kdc(Transport::UdpFirst),
        );
        tokio::select! {
            end = ask(&to_clock, harmless) => panic!("{end:?}"),
            end = ask(&kdc, once) => panic!("{end:?}"),
            seen = clock.until(|seen| seen.udp.len() == 3) => {
                assert!(seen.udp.iter().all(|copy| *copy == seen.udp[0]));
            }
        }
        assert_eq!(scripted.seen().udp.len(), 1, "{once:?}");
    });
    futures_util::future::join_all(checks).await;
}

/// A KDC that has seen the authenticator says so to the copy; the reply to the first may have been lost.
#[tokio::test]
async fn a_repeat_is_no_answer_to_what_was_sent_twice() {
    let repeat = || vec![krb_error(REPEAT, None)];
    let script = Script::refusing().udp(move |asked| match asked.number {
        1 => vec![],
        _ => repeat(),
    });
    let (second, first) = (
        script.start().await,
        Script::refusing().udp(move |_| repeat()).start().await,
    );
    let (to_second, to_first) = (
        second.kdc(Transport::UdpFirst),
        first.kdc(Transport::UdpFirst),
    );
    let (twice, once) = tokio::join!(ask(&to_second, Kind::Tgs), ask(&to_first, Kind::Tgs));
    assert_eq!(twice.unwrap_err(), Fault::Repeat);
    assert_eq!(once.unwrap().error_code(), Some(REPEAT));
}

/// Or it is just slower.
#[tokio::test]
async fn a_reply_behind_a_repeat_is_heard() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let kdc = Kdc::new(terms_of(
        socket.local_addr().unwrap().to_string(),
        Transport::UdpFirst,
    ));
    let answer = async {
        let mut buffer = [0; 2048];
        let (_, first) = socket.recv_from(&mut buffer).await.unwrap();
        let (_, copy) = socket.recv_from(&mut buffer).await.unwrap();
        let repeat = krb_error(REPEAT, None);
        socket.send_to(&repeat, copy).await.unwrap();
        socket.send_to(&tgs_rep(), first).await.unwrap();
    };
    let (reply, ()) = tokio::join!(ask(&kdc, Kind::Tgs), answer);
    assert_eq!(reply.unwrap().error_code(), None);
}
