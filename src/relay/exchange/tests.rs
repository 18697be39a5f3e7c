mod attempts;
mod finding;
mod histories;
mod password_changes;
mod reachability;

use std::time::Duration;

use super::*;
use crate::relay::answer::{Answer, OnFailure, Verdict};
use crate::relay::routes::tests::route_to;
use crate::relay::routes::{RealmPattern, Route, Routes};
use crate::relay::upstream::Upstream;
use crate::wire::tests::handmade::{kdc_req, pa_data};
use crate::wire::{ByService, Service};

fn as_req_with_timestamp() -> KerberosMessage {
    let octets = kdc_req(10, &[pa_data(2, b"")], "EXAMPLE.COM");
    KerberosMessage::parse(Service::Kdc, octets.into()).unwrap()
}

fn arrival() -> Arrival {
    Arrival::now("tcp")
}

fn exchange(routes: Routes, max_in_flight: usize) -> Arc<Exchange> {
    let routing = Routing::new(routes, Vec::new(), OnFailure::Unreachable);
    Exchange::new(routing, max_in_flight)
}

async fn verdict(exchange: &Arc<Exchange>) -> Verdict {
    let answered = exchange.answer(as_req_with_timestamp(), arrival()).await;
    match answered.answer {
        Answer::Verdict(verdict) => verdict,
        Answer::Reply(reply) => panic!("{reply:?}"),
    }
}

#[tokio::test]
async fn a_task_that_panics_leaves_a_verdict_that_keeps_the_request_from_being_sent_again() {
    let exchange = exchange(Routes::default(), 1);
    let (message, (answered, receiver)) = (as_req_with_timestamp(), watch::channel(None));
    let retransmits = &exchange.retransmits;
    let asked = retransmits.lookup(&message, None, Instant::now(), || receiver);
    let Lookup::New(ticket) = asked else {
        unreachable!()
    };
    drop(ExchangeTask {
        exchange: Arc::clone(&exchange),
        message,
        arrival: arrival(),
        begun: Instant::now(),
        ticket,
        answered,
    });
    let verdict = verdict(&exchange).await;
    assert!(verdict.may_have_been_sent);
    assert_eq!(verdict.cause, Cause::Unanswered);
    assert_eq!(exchange.counters.panicked.get(), 1);
    assert_eq!(exchange.counters.replayed.get(), 1, "exchanged again");
}

#[tokio::test]
async fn a_request_that_finds_no_place_is_answered_at_its_deadline() {
    let mut routes = Routes::default();
    let route = Route {
        deadline: Duration::from_millis(20),
        on_failure: OnFailure::Explain,
        ..route_to(vec![UpstreamId(0)])
    };
    routes.add(&RealmPattern::Any, &[], route);
    let verdict = verdict(&exchange(routes, 0)).await;
    assert_eq!(verdict.cause, Cause::Overloaded);
    assert_eq!(verdict.on_failure, OnFailure::Explain);
    assert!(!verdict.may_have_been_sent);
}

#[test]
fn a_realm_is_called_as_it_was_configured_or_not_at_all() {
    let realm = |name: &str| Realm::parse(name.as_bytes()).unwrap();
    let route = route_to(Vec::new());
    let mut routes = Routes::default();
    let example = RealmPattern::Exact(realm("Example.COM"));
    routes.add(&example, &[realm("EXAMPLE")], route.clone());
    let suffix = RealmPattern::Suffix(realm(".EXAMPLE.COM"));
    routes.add(&suffix, &[], route);
    let exchange = exchange(routes, 0);
    let called = |name| Some(exchange.configured(&realm(name))?.to_string());
    for name in ["Example.COM", "EXAMPLE.com", "example"] {
        assert_eq!(called(name).as_deref(), Some("Example.COM"), "{name}");
    }
    // Of these there are as many as clients can think of.
    assert_eq!(called("A.EXAMPLE.COM"), None);
    assert_eq!(called("ELSEWHERE"), None);
}

#[tokio::test]
async fn a_realm_without_an_upstream_is_answered_at_once() {
    let exchange = exchange(Routes::default(), 0);
    let verdict = verdict(&exchange).await;
    assert_eq!(verdict.cause, Cause::NoUpstream);
    assert!(!verdict.may_have_been_sent);
    assert_eq!(exchange.counters.no_upstream.get(), 1);
}

#[test]
fn a_turn_is_not_had_while_somebody_holds_a_lock() {
    let exchange = exchange(Routes::default(), 0);
    let held = exchange.retransmits.shards.last().map(lock);
    let (had, turn) = std::sync::mpsc::channel();
    let waits = Arc::clone(&exchange);
    let thread = std::thread::spawn(move || {
        waits.probe_locks();
        had.send(()).unwrap();
    });
    assert!(turn.recv_timeout(Duration::from_millis(20)).is_err());
    drop(held);
    turn.recv().unwrap();
    thread.join().unwrap();
}
