//! Why each attempt was made, what came of it, and what is told of it.

use tokio::time::sleep;

use super::histories::{exchange_of, routing, upstreams};
use super::*;
use crate::relay::status::AttemptReason::{self, Failover, First, Hedge, Resume};
use crate::relay::status::{ExchangeRecord, Text};
use crate::relay::upstream::tests::scripted::{Act, End, Journal};
use crate::relay::upstream::{ConnectError, Fault, Unsent};
use crate::wire::Resend;

/// An error that says that the KDC wants to see a password.
const REPLY: End = End::Error(25);
const REFUSED: End = End::Unsent(Unsent::Connect(ConnectError::Refused));

/// After so many milliseconds, over a connection that was `kept` or is new.
fn act(kept: bool, millis: u64, end: End) -> Act {
    Act {
        kept,
        connect: Duration::ZERO,
        then: Duration::from_millis(millis),
        end,
    }
}

fn new(millis: u64, end: End) -> Vec<Act> {
    vec![act(false, millis, end)]
}

fn as_req() -> KerberosMessage {
    let octets = kdc_req(10, &[], "EXAMPLE.COM");
    KerberosMessage::parse(Service::Kdc, octets.into()).unwrap()
}

fn last(exchange: &Exchange) -> ExchangeRecord {
    exchange.recent_exchanges().swap_remove(0)
}

/// What is told of a harmless request to upstreams that do this.
async fn told(acts: Vec<Vec<Act>>) -> ExchangeRecord {
    let exchange = exchange_of(acts, &Journal::default());
    exchange.answer(as_req(), arrival()).await;
    last(&exchange)
}

fn reasons(record: &ExchangeRecord) -> Vec<AttemptReason> {
    record.attempts.iter().map(|attempt| attempt.why).collect()
}

fn faults(record: &ExchangeRecord) -> Vec<Option<&str>> {
    let attempts = record.attempts.iter();
    let faults = attempts.map(|attempt| attempt.fault.as_ref());
    faults.map(|fault| fault.map(Text::as_str)).collect()
}

#[tokio::test(start_paused = true)]
async fn one_attempt_is_the_exchange_itself() {
    let record = told(vec![new(20, REPLY)]).await;
    assert_eq!((record.attempts, record.krb_error), (Vec::new(), Some(25)));
}

#[tokio::test(start_paused = true)]
async fn after_a_fault_the_next_is_a_failover() {
    let record = told(vec![new(0, REFUSED), new(20, REPLY)]).await;
    assert_eq!(reasons(&record), [First, Failover]);
    let refused = Some("cannot connect: Connection refused");
    assert_eq!(faults(&record), [refused, None]);
}

#[tokio::test(start_paused = true)]
async fn beside_one_that_is_late_the_next_is_a_hedge() {
    let record = told(vec![new(0, End::Silence), new(20, REPLY)]).await;
    assert_eq!(reasons(&record), [First, Hedge]);
    assert_eq!(
        faults(&record),
        [None, None],
        "nothing is known of the first"
    );
    let took = record.attempts.iter().map(|attempt| attempt.took_ms);
    let [first, second] = took.collect::<Vec<_>>()[..] else {
        panic!("{record:?}")
    };
    assert!((1015..1030).contains(&first) && (15..30).contains(&second));
}

/// What may have been sent to it must not be sent again.
#[tokio::test(start_paused = true)]
async fn the_newest_request_gets_the_place_of_the_one_that_waits_longest_for_silence() {
    let (journal, act) = (Journal::default(), |end| act(false, 0, end));
    let acts = vec![act(End::Silence), act(REPLY), act(REPLY)];
    let routing = routing(
        route_to(vec![UpstreamId(0)]),
        upstreams(vec![acts], &journal),
    );
    let exchange = Exchange::new(routing, 1);
    let old = async {
        let answered = exchange.answer(as_req_with_timestamp(), arrival()).await;
        let Answer::Verdict(verdict) = answered.answer else {
            panic!("{answered:?}")
        };
        assert_eq!(verdict.cause, Cause::Overloaded);
        assert!(verdict.may_have_been_sent);
    };
    let new = async {
        sleep(Duration::from_millis(1500)).await;
        let asked = now();
        let answered = exchange.answer(as_req(), arrival()).await;
        assert!(matches!(answered.answer, Answer::Reply(_)));
        assert!(now() - asked < Duration::from_millis(10));
    };
    tokio::join!(old, new);
    let copy = exchange.answer(as_req_with_timestamp(), arrival()).await;
    assert!(matches!(copy.answer, Answer::Verdict(_)), "{copy:?}");
    assert_eq!(journal.lock().unwrap().len(), 2);
    assert_eq!(exchange.counters.overloaded.get(), 1);
    assert_eq!(exchange.counters.failed.get(), 0);
    let known = exchange.upstreams();
    assert_eq!(known.get("scripted"), Some(&true), "it is not to blame");
}

/// Who is slow must not be asked twice; that a connection is dead is its own fault, in the time of a sign of life.
#[tokio::test(start_paused = true)]
async fn only_a_dead_connection_has_its_request_sent_again_to_the_same_upstream() {
    for kept in [true, false] {
        let slow = told(vec![vec![act(kept, 4000, REPLY), act(kept, 20, REPLY)]]).await;
        assert_eq!((reasons(&slow), slow.krb_error), (Vec::new(), Some(25)));
    }
    let dead = act(true, 2000, End::Fault(Fault::ReusedConnectionClosed));
    let record = told(vec![vec![dead, act(true, 20, REPLY)]]).await;
    assert_eq!(reasons(&record), [First, Failover]);
}

#[tokio::test(start_paused = true)]
async fn beside_one_that_is_late_over_a_kept_connection_another_is_asked() {
    let late = vec![act(true, 4000, REPLY), act(true, 20, REPLY)];
    let record = told(vec![late, new(20, REPLY)]).await;
    assert_eq!(reasons(&record), [First, Hedge]);
}

#[tokio::test(start_paused = true)]
async fn after_a_change_of_the_network_the_next_is_a_resume() {
    let acts = vec![act(false, 0, End::Silence), act(false, 20, REPLY)];
    let exchange = exchange_of(vec![acts], &Journal::default());
    let answered = exchange.answer(as_req(), arrival());
    let change = async {
        sleep(Duration::from_millis(300)).await;
        exchange.network_changed();
    };
    tokio::join!(answered, change);
    assert_eq!(reasons(&last(&exchange)), [First, Resume]);
}

/// It waits for a connection.
#[tokio::test(start_paused = true)]
async fn what_has_not_left_when_the_network_changes_is_called_back() {
    let stuck = Act {
        connect: Duration::from_millis(2900),
        ..act(false, 0, End::Unsent(Unsent::Busy))
    };
    let exchange = exchange_of(
        vec![vec![stuck, act(false, 20, REPLY)]],
        &Journal::default(),
    );
    let answered = exchange.answer(as_req_with_timestamp(), arrival());
    let change = async {
        sleep(Duration::from_millis(300)).await;
        exchange.network_changed();
    };
    tokio::join!(answered, change);
    let record = last(&exchange);
    assert_eq!(reasons(&record), [First, Resume]);
    let called_back = Some("called back before it was sent");
    assert_eq!(faults(&record)[0], called_back);
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_ends_in_silence_says_so_of_each_attempt() {
    let silence = || new(0, End::Silence);
    let record = told(vec![silence(), silence()]).await;
    assert_eq!(
        faults(&record),
        [Some("it took the request, and did not answer in time"); 2]
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_fifty_exchanges_are_told_the_newest_first() {
    let exchange = exchange(Routes::default(), 1);
    for number in 0..60 {
        let realm = format!("R{number}");
        let message = kdc_req(10, &[], &realm);
        let message = KerberosMessage::parse(Service::Kdc, message.into()).unwrap();
        exchange.answer(message, arrival()).await;
    }
    let recent = exchange.recent_exchanges();
    let realms: Vec<_> = recent.iter().map(|each| each.realm.to_string()).collect();
    let expected: Vec<_> = (10..60).rev().map(|number| format!("R{number}")).collect();
    assert_eq!(realms, expected);
}

/// A 502 may be asked again for want of another proxy, and the hedge is one.
#[tokio::test(start_paused = true)]
async fn an_upstream_is_not_asked_again_while_a_hedge_is_under_way() {
    let bad_gateway = End::Fault(Fault::status(502));
    let first = vec![act(false, 1500, bad_gateway), act(false, 20, REPLY)];
    let record = told(vec![first, new(900, REPLY)]).await;
    assert_eq!(reasons(&record), [First, Hedge]);
}

/// A connection that is still being made when time is up, and one that took too long in the same moment, leave one verdict.
#[tokio::test(start_paused = true)]
async fn of_what_never_left_the_verdict_is_that_nobody_can_be_reached() {
    let connecting = |millis| Act {
        connect: Duration::from_millis(millis),
        ..act(false, 0, REPLY)
    };
    for [first, second] in messages_by_resend() {
        for millis in [1900, 1999, 2000, 2001, 2100, 2999] {
            let too_long = || Act {
                then: Duration::ZERO,
                end: End::Unsent(Unsent::ConnectTimeout),
                ..connecting(millis)
            };
            // It was silent before, and so gets 2 s.
            let acts = vec![vec![connecting(3000), too_long()]];
            let exchange = exchange_of(acts, &Journal::default());
            for message in [first.clone(), second.clone()] {
                let answered = exchange.answer(message, arrival()).await;
                let Answer::Verdict(verdict) = answered.answer else {
                    panic!("{millis}")
                };
                assert_eq!(verdict.cause, Cause::Unreachable, "{millis}");
                assert!(!verdict.may_have_been_sent, "{millis}");
            }
        }
    }
}

/// Two of each kind: harmless, and not to be sent twice.
fn messages_by_resend() -> [[KerberosMessage; 2]; 2] {
    let pair = |padata: i32| {
        ["A", "B"].map(|realm| {
            let octets = kdc_req(10, &[pa_data(padata, b"")], realm);
            KerberosMessage::parse(Service::Kdc, octets.into()).unwrap()
        })
    };
    let pairs = [149, 2].map(pair);
    let resend = pairs.each_ref().map(|[first, _]| first.resend());
    assert_eq!(resend, [Resend::Harmless, Resend::Once]);
    pairs
}
