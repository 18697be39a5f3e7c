//! What exchanges say of their realm: whether it can be reached.

use tokio::time::{Instant as Clock, sleep};

use super::histories::{messages, upstreams};
use super::*;
use crate::relay::asking::OWN;
use crate::relay::clock::ClockReading;
use crate::relay::reachability::{LATE, Reachability};
use crate::relay::upstream::tests::scripted::{Act, End, Journal};
use crate::relay::upstream::{ConnectError, Fault, Unsent};

const REPLY: End = End::Error(25);
const REFUSED: End = End::Unsent(Unsent::Connect(ConnectError::Refused));
/// Of a login's second request: with a password's proof.
const ONCE: usize = 1;

fn new(millis: u64, end: End) -> Act {
    Act {
        kept: false,
        connect: Duration::ZERO,
        then: Duration::from_millis(millis),
        end,
    }
}

fn realm() -> Realm {
    Realm::parse(b"Example.COM").unwrap()
}

fn routing(acts: Vec<Vec<Act>>) -> Routing {
    let upstreams = upstreams(acts, &Journal::default());
    let route = route_to((0..upstreams.len()).map(UpstreamId).collect());
    let mut routes = Routes::default();
    routes.add(&RealmPattern::Exact(realm()), &[], route);
    Routing::new(routes, upstreams, OnFailure::Unreachable)
}

/// A relay by upstreams that do this.
fn relay(acts: Vec<Vec<Act>>) -> Arc<Exchange> {
    Exchange::new(routing(acts), 64)
}

fn known(exchange: &Exchange) -> Option<bool> {
    exchange.reachability().borrow().of(&realm().key())
}

/// Asks one of [`messages`], each time another one of its kind: no copy.
async fn ask(exchange: &Arc<Exchange>, message: usize) {
    for shard in &exchange.retransmits.shards {
        *lock(shard) = Default::default();
    }
    exchange
        .answer(messages()[message].clone(), arrival())
        .await;
}

/// When it changes from what it is now, and to what.
async fn change(exchange: &Exchange) -> (Duration, Option<bool>) {
    let (mut known, began) = (exchange.reachability(), Clock::now());
    let of = |known: &Reachability| known.of(&realm().key());
    let before = of(&known.borrow_and_update());
    let now = known.wait_for(|known| of(known) != before).await.unwrap();
    (began.elapsed(), of(&now))
}

#[tokio::test(start_paused = true)]
async fn a_reply_says_that_it_can_be_reached_and_a_failure_that_it_cannot() {
    let exchange = relay(vec![vec![new(20, REPLY), new(0, REFUSED), new(20, REPLY)]]);
    assert_eq!(known(&exchange), None);
    for expected in [true, false, true] {
        ask(&exchange, 0).await;
        assert_eq!(known(&exchange), Some(expected));
    }
    let (realms, _) = exchange.realms_and_upstreams(ClockReading::now());
    assert_eq!(
        (realms[0].name.as_str(), realms[0].reachable),
        ("Example.COM", Some(true))
    );
}

#[tokio::test(start_paused = true)]
async fn what_another_upstream_answers_is_no_failure() {
    let refuses = vec![new(20, REPLY), new(0, REFUSED)];
    let exchange = relay(vec![refuses, vec![new(20, REPLY)]]);
    ask(&exchange, 0).await;
    ask(&exchange, 0).await;
    assert_eq!(known(&exchange), Some(true));
}

/// SSSD does not wait for the deadline.
#[tokio::test(start_paused = true)]
async fn one_that_is_silent_is_told_before_the_verdict_and_a_late_reply_mends_it() {
    for (late, expected) in [
        (new(0, End::Silence), None),
        (new(4000, REPLY), Some(Duration::from_secs(4))),
    ] {
        let exchange = relay(vec![vec![new(20, REPLY), late]]);
        ask(&exchange, 0).await;
        let began = Clock::now();
        let seen = async {
            let (after, is_reachable) = change(&exchange).await;
            assert_eq!(is_reachable, Some(false));
            assert!(
                (LATE..LATE + Duration::from_millis(5)).contains(&after),
                "{after:?}"
            );
            match expected {
                Some(after) => {
                    assert_eq!(change(&exchange).await.1, Some(true));
                    assert!(began.elapsed() < after + Duration::from_millis(25));
                }
                None => assert_eq!(known(&exchange), Some(false)),
            }
        };
        tokio::join!(ask(&exchange, ONCE), seen);
        assert_eq!(known(&exchange), Some(expected.is_some()));
    }
}

/// An upstream that was silent before gets two seconds.
#[tokio::test(start_paused = true)]
async fn a_verdict_that_comes_sooner_is_told_then() {
    let silence = || new(0, End::Silence);
    let other = vec![new(20, REPLY), new(0, REFUSED)];
    let exchange = relay(vec![vec![silence(), silence()], other]);
    ask(&exchange, ONCE).await;
    ask(&exchange, 0).await;
    assert_eq!(known(&exchange), Some(true));
    let ((after, is_reachable), ()) = tokio::join!(change(&exchange), ask(&exchange, ONCE));
    assert_eq!(is_reachable, Some(false));
    assert!((2000..2010).contains(&after.as_millis()), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_client_can_bring_about_leaves_it_unknown() {
    let closed = new(0, End::Fault(Fault::ClosedWithoutReply));
    let exchange = relay(vec![vec![new(20, REPLY), closed]]);
    ask(&exchange, 0).await;
    ask(&exchange, ONCE).await;
    assert_eq!(known(&exchange), None);
}

#[tokio::test(start_paused = true)]
async fn what_left_on_another_network_says_nothing_of_this_one() {
    let exchange = relay(vec![vec![new(20, REPLY), new(0, End::Silence)]]);
    ask(&exchange, 0).await;
    let network = async {
        sleep(Duration::from_millis(300)).await;
        exchange.network_changed();
    };
    tokio::join!(ask(&exchange, ONCE), network);
    assert_eq!(known(&exchange), Some(true));
}

/// FAST with an armor ticket by another clock: SSSD begins again without end. `kinit -R` of an old ticket says nothing of that.
#[tokio::test(start_paused = true)]
async fn a_login_that_is_turned_away_shuts_the_realm_to_sssd_alone() {
    let open = |exchange: &Exchange| exchange.reachability().borrow().open(now()).count();
    for code in [32, 33, 37] {
        let acts = vec![new(20, REPLY), new(20, End::Error(code)), new(20, REPLY)];
        let exchange = relay(vec![acts.clone()]);
        for expected in [1, 0, 0] {
            ask(&exchange, ONCE).await;
            let known = known(&exchange);
            assert_eq!((open(&exchange), known), (expected, Some(true)), "{code}");
        }
        let tgs = relay(vec![acts]);
        for expected in [1, usize::from(code == 32)] {
            ask(&tgs, 2).await;
            assert_eq!(open(&tgs), expected, "{code}");
        }
    }
}

/// It may take longer than SSSD waits, who would try the password again.
#[tokio::test(start_paused = true)]
async fn a_login_that_is_slow_shuts_the_realm_to_sssd_before_its_client_goes_on() {
    for (millis, expected) in [(900, 1), (1100, 0), (2000, 0), (4000, 0)] {
        let exchange = relay(vec![vec![new(20, REPLY), new(millis, REPLY)]]);
        ask(&exchange, ONCE).await;
        exchange.set_acted_on(0);
        let began = Clock::now();
        ask(&exchange, ONCE).await;
        let open = exchange.reachability().borrow().open(now()).count();
        assert_eq!((open, known(&exchange)), (expected, Some(true)), "{millis}");
        let was_held = began.elapsed() > Duration::from_millis(millis + 100);
        assert_eq!(was_held, expected == 0, "{millis}");
    }
}

/// It makes the connection, which takes its time.
#[tokio::test(start_paused = true)]
async fn a_question_of_our_own_that_is_slow_shuts_nothing() {
    let exchange = relay(vec![vec![new(2000, REPLY)]]);
    let own = Arrival {
        transport: OWN,
        ..arrival()
    };
    exchange.answer(messages()[0].clone(), own).await;
    assert_eq!(exchange.reachability().borrow().open(now()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_finds_no_place_shuts_the_realm_to_sssd_alone() {
    let exchange = relay(vec![vec![new(20, REPLY)]]);
    ask(&exchange, ONCE).await;
    exchange.refused();
    assert_eq!(exchange.reachability().borrow().open(now()).count(), 0);
    assert_eq!(known(&exchange), Some(true));
}

/// Whatever the reason: a reply's encrypted part may have it.
#[tokio::test(start_paused = true)]
async fn logins_without_end_shut_the_realm_to_sssd_and_other_requests_do_not() {
    let exchange = relay(vec![vec![new(1, REPLY); 162]]);
    let shut_after = async |message: usize| {
        for asked in 1..=100 {
            ask(&exchange, message).await;
            if exchange.reachability().borrow().open(now()).count() == 0 {
                return Some(asked);
            }
        }
        None
    };
    assert_eq!(shut_after(2).await, None);
    assert_eq!(shut_after(ONCE).await, Some(61));
    assert_eq!(known(&exchange), Some(true));
}

#[tokio::test(start_paused = true)]
async fn password_changes_say_nothing() {
    let exchange = relay(vec![vec![new(20, REPLY), new(0, REFUSED)]]);
    for _ in 0..2 {
        ask(&exchange, 3).await;
        assert_eq!(known(&exchange), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_dns_says_changes_nothing_and_another_configuration_everything() {
    let exchange = relay(vec![vec![new(20, REPLY)]]);
    ask(&exchange, 0).await;
    exchange.reroute(routing(vec![Vec::new()]));
    assert_eq!(known(&exchange), Some(true));
    exchange.reconfigure(routing(vec![Vec::new()]));
    assert_eq!(known(&exchange), None);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_watches_no_realm() {
    let upstreams = upstreams(vec![vec![new(20, REPLY)]], &Journal::default());
    let route = Route {
        shared: true,
        ..route_to(vec![UpstreamId(0)])
    };
    let mut routes = Routes::default();
    routes.add(&RealmPattern::Exact(realm()), &[], route);
    let gateway = Exchange::new(Routing::new(routes, upstreams, OnFailure::Unreachable), 1);
    ask(&gateway, 0).await;
    assert_eq!(gateway.counters().attempts.get(), 1);
    assert!(gateway.reachability().borrow().is_empty());
}

/// DNS names none.
#[tokio::test(start_paused = true)]
async fn that_no_upstream_is_known_is_a_failure() {
    let exchange = relay(Vec::new());
    ask(&exchange, 0).await;
    assert_eq!(known(&exchange), Some(false));
}
