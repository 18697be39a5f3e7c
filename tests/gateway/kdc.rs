//! A KDC over TCP, each fault once.

use loopkdc::relay::upstream::kdc::Transport;
use loopkdc::relay::upstream::{ConnReuse, Fault, NotReply, Outgoing, Unsent};

use crate::messages::{Kind, REALM, as_rep, as_rep_of, framed};
use crate::scripted::{Act, Script};
use crate::{BOTH, ask, ask_over, outgoing, parsed, within};

#[tokio::test]
async fn each_kind_is_asked_once_and_its_reply_is_brought_as_it_came() {
    for kind in Kind::ALL {
        let reply = kind.reply();
        let (over_tcp, over_udp) = (reply.clone(), reply.clone());
        let script = Script::default()
            .tcp(move |_| Act::Reply(over_tcp.clone()))
            .udp(move |_| vec![over_udp.clone()]);
        let scripted = script.start().await;
        for (transport, asked) in BOTH.into_iter().zip([(1, 0), (1, 1)]) {
            let outgoing = outgoing(parsed(&kind.request(REALM)), ConnReuse::Any);
            let kdc = scripted.kdc(transport);
            let brought = within(kdc.send(&outgoing)).await;
            assert_eq!(brought.unwrap().bytes(), &reply, "{kind:?}");
            assert!(outgoing.sent.may_have_left());
            let seen = scripted.seen();
            assert_eq!(seen.asked(), asked, "{kind:?} {transport:?}");
            let last = [&seen.tcp, &seen.udp][usize::from(transport == Transport::UdpFirst)].last();
            assert_eq!(last.unwrap(), outgoing.message.bytes());
        }
    }
}

/// One that must not be sent twice could not go on after a datagram that nobody answers, so it is no guess.
#[tokio::test]
async fn where_tcp_is_refused_udp_is_asked_and_with_every_kind_once_it_has_answered() {
    let script = Script::refusing().udp(|asked| vec![Kind::ALL[asked.number - 1].reply()]);
    let scripted = script.start().await;
    let kdc = scripted.kdc(Transport::TcpFirst);
    for kind in [Kind::Preauth, Kind::Change] {
        let fault = ask(&kdc, kind).await.unwrap_err();
        let refused = matches!(fault, Fault::NotSent(Unsent::Connect(_)));
        assert!(refused, "{kind:?}: {fault:?}");
    }
    assert_eq!(scripted.seen().asked(), (0, 0));
    for (count, kind) in Kind::ALL.into_iter().enumerate() {
        ask(&kdc, kind).await.unwrap();
        assert_eq!(scripted.seen().asked(), (0, count + 1), "{kind:?}");
    }
}

/// Heimdal's kpasswdd listens on UDP alone, and mostly there is one for a realm. A login can go on to another gateway.
#[tokio::test]
async fn where_the_last_refuses_tcp_passwords_go_over_udp_and_logins_do_not() {
    for (kind, asked) in [(Kind::Change, 1), (Kind::Preauth, 0), (Kind::Plain, 1)] {
        let script = Script::refusing().udp(move |_| vec![kind.reply()]);
        let scripted = script.start().await;
        let kdc = scripted.kdc(Transport::TcpFirst);
        let message = parsed(&kind.request(REALM));
        let reply = within(kdc.send(&Outgoing::new(message, ConnReuse::Any))).await;
        assert_eq!(reply.is_ok(), asked == 1, "{kind:?}: {reply:?}");
        assert_eq!(scripted.seen().asked(), (0, asked), "{kind:?}");
    }
}

#[tokio::test]
async fn where_tcp_is_refused_and_udp_is_silent_the_guess_ends() {
    let scripted = Script::refusing().udp(|_| vec![]).start().await;
    let fault = ask(&scripted.kdc(Transport::TcpFirst), Kind::Plain).await;
    assert_eq!(fault.unwrap_err(), Fault::Silent);
}

#[tokio::test]
async fn where_both_are_refused_nothing_was_sent() {
    for (kind, transport) in Kind::ALL
        .into_iter()
        .flat_map(|kind| BOTH.map(|t| (kind, t)))
    {
        let scripted = Script::refusing().start().await;
        let fault = ask(&scripted.kdc(transport), kind).await.unwrap_err();
        let refused = matches!(fault, Fault::NotSent(Unsent::Connect(_)));
        assert!(refused, "{kind:?} {transport:?}: {fault:?}");
    }
}

/// An answer that is none, and what is said of it.
fn faults() -> Vec<(&'static str, Act, Fault)> {
    let reply = framed(&as_rep());
    let half = reply[..reply.len() / 2].to_vec();
    let not = Fault::NotKerberos;
    let length = |length: u32| length.to_be_bytes().to_vec();
    let gone = Fault::Unanswered;
    let dropped = Fault::ClosedWithoutReply;
    let after = not(NotReply::TrailingOctets);
    vec![
        ("closes", Act::Last(vec![]), dropped.clone()),
        ("resets", Act::Reset, dropped),
        ("closes in the length", Act::Last(vec![0, 0]), gone.clone()),
        ("closes after it", Act::Last(length(100)), gone.clone()),
        ("closes in the reply", Act::Last(half), gone),
        (
            "4 GiB",
            Act::Endless(length(u32::MAX)),
            not(NotReply::Oversized),
        ),
        (
            "reserved bit",
            Act::Raw(length(1 << 31)),
            not(NotReply::Oversized),
        ),
        (
            "1 MiB and 1",
            Act::Raw(length((1 << 20) + 1)),
            not(NotReply::Oversized),
        ),
        ("endless", Act::Endless(reply.clone()), after.clone()),
        ("two messages", Act::Raw(reply.repeat(2)), after.clone()),
        (
            "an octet after",
            Act::Raw([&reply[..], b"\0"].concat()),
            after,
        ),
        ("nothing", Act::Raw(length(0)), not(NotReply::NoReply)),
        (
            "garbage",
            Act::Reply(b"HTTP/1.1 200".to_vec()),
            not(NotReply::NoReply),
        ),
        (
            "a request",
            Act::Reply(Kind::Plain.request(REALM).bytes),
            not(NotReply::NoReply),
        ),
    ]
}

#[tokio::test]
async fn each_fault_is_told_for_what_it_is_and_costs_one_copy_and_the_connection() {
    for (name, act, expected) in faults() {
        for kind in [Kind::Plain, Kind::Preauth] {
            let act = act.clone();
            let scripted = Script::default().tcp(move |_| act.clone()).start().await;
            let kdc = scripted.kdc(Transport::TcpFirst);
            let fault = ask(&kdc, kind).await.unwrap_err();
            assert_eq!(fault, expected, "{name} {kind:?}");
            scripted.until(|seen| seen.closed == 1).await;
            assert_eq!(scripted.seen().asked(), (1, 0), "{name} {kind:?}");
        }
    }
}

#[tokio::test]
async fn a_request_given_up_on_ends_its_connection() {
    let script = Script::default().tcp(|asked| match asked.number {
        1 => Act::Silence,
        _ => Act::Reply(as_rep()),
    });
    let scripted = script.start().await;
    let kdc = scripted.kdc(Transport::TcpFirst);
    let outgoing = outgoing(parsed(&Kind::Preauth.request(REALM)), ConnReuse::Any);
    tokio::select! {
        end = kdc.send(&outgoing) => panic!("{end:?}"),
        _ = scripted.until(|seen| seen.tcp.len() == 1) => {}
    }
    assert!(!outgoing.sent.withdraw(), "it has left");
    scripted.until(|seen| seen.closed == 1).await;
    ask(&kdc, Kind::Plain).await.unwrap();
    assert_eq!(scripted.seen().connections, 2);
}

#[tokio::test]
async fn a_request_that_was_called_back_never_leaves() {
    for transport in BOTH {
        let script = Script::default().tcp(|_| Act::Reply(as_rep()));
        let scripted = script.udp(|_| vec![as_rep()]).start().await;
        let kdc = scripted.kdc(transport);
        let outgoing = outgoing(parsed(&Kind::Preauth.request(REALM)), ConnReuse::Any);
        assert!(outgoing.sent.withdraw());
        let fault = within(kdc.send(&outgoing)).await;
        assert_eq!(fault.unwrap_err(), Fault::NotSent(Unsent::HandedBack));
        assert!(!outgoing.sent.may_have_left());
        // What would have left before is there before this one.
        ask(&kdc, Kind::Plain).await.unwrap();
        let seen = scripted.seen();
        assert_eq!(seen.tcp.len() + seen.udp.len(), 1, "{transport:?}");
    }
}

#[tokio::test]
async fn a_large_reply_and_a_large_request_go_over_tcp() {
    let large = as_rep_of((1 << 20) - 64);
    let reply = large.clone();
    let script = Script::default().tcp(move |_| Act::Reply(reply.clone()));
    let scripted = script.udp(|_| vec![as_rep()]).start().await;
    let kdc = scripted.kdc(Transport::UdpFirst);
    let padata = vec![crate::messages::PA_REQ_ENC_PA_REP; 1_300];
    let message = parsed(&crate::messages::as_req(REALM, &padata));
    assert!(message.bytes().len() > 65_000);
    let reply = within(kdc.send(&outgoing(message.clone(), ConnReuse::Any))).await;
    assert_eq!(reply.unwrap().bytes(), &large);
    assert_eq!(scripted.seen().asked(), (1, 0));
    assert_eq!(&scripted.seen().tcp[0], message.bytes());
}

/// Those that wait for it to think hold no place among the connects.
#[tokio::test]
async fn a_kdc_that_thinks_about_many_is_still_asked_by_others() {
    let script = Script::default().tcp(|asked| match asked.number {
        1..=12 => Act::Silence,
        _ => Act::Reply(as_rep()),
    });
    let scripted = script.start().await;
    let kdc = scripted.kdc(Transport::TcpFirst);
    let thinking = futures_util::future::join_all((0..12).map(|_| async {
        let message = parsed(&Kind::Preauth.request(REALM));
        kdc.send(&outgoing(message, ConnReuse::Never)).await
    }));
    let others = async {
        scripted.until(|seen| seen.tcp.len() == 12).await;
        ask_over(&kdc, Kind::Plain, ConnReuse::Never).await
    };
    tokio::select! {
        end = thinking => panic!("{end:?}"),
        reply = others => drop(reply.unwrap()),
    }
}
