use std::pin::pin;

use futures_util::FutureExt as _;

use super::*;
use crate::wire::Realm;

const QUOTAS: Quotas = Quotas {
    requests_per_second: 10,
    burst: 3,
    in_flight: 2,
    failures_per_minute: 6,
    failure_burst: 2,
    failures_per_principal: 2,
    patience: Duration::ZERO,
};

/// A throttle, and some time after its start, as in a process that runs.
fn throttle(quotas: Quotas) -> (Throttle, Instant) {
    let start = Instant::now();
    let throttle = Throttle::new(&quotas, start);
    (throttle, start + Duration::from_secs(1000))
}

fn at(address: &str) -> Client {
    Client {
        address: Some(address.parse().unwrap()),
        name: None,
    }
}

fn realm(name: &str) -> RealmKey {
    Realm::parse(name.as_bytes()).unwrap().key()
}

/// How many of the next hundred requests are admitted.
fn admitted(throttle: &Throttle, client: &Client, now: Instant) -> usize {
    (0..100)
        .filter(|_| throttle.admit(client, false, now).is_ok())
        .count()
}

#[test]
fn a_burst_is_admitted_and_then_the_rate() {
    let (throttle, mut now) = throttle(QUOTAS);
    let client = at("192.0.2.1");
    assert_eq!(admitted(&throttle, &client, now), 3);
    now += Duration::from_millis(99);
    assert_eq!(admitted(&throttle, &client, now), 0);
    now += Duration::from_millis(1);
    assert_eq!(admitted(&throttle, &client, now), 1);
    now += Duration::from_secs(3600);
    assert_eq!(admitted(&throttle, &client, now), 3);
}

#[test]
fn each_client_has_its_own_and_shares_it_with_its_network() {
    let (throttle, now) = throttle(QUOTAS);
    let local = Client {
        address: None,
        name: None,
    };
    // Any two share a slot once in 65,536 times: one such pair among these is allowed for.
    let spent = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"].map(at);
    let served: usize = spent
        .iter()
        .chain([&local])
        .map(|client| admitted(&throttle, client, now))
        .sum();
    assert!(served >= 12, "{served}");
    for (namesake, of) in [
        ("::ffff:192.0.2.1", &spent[0]),
        ("2001:db8::ffff:0:0:9", &spent[2]),
    ] {
        assert_eq!(admitted(&throttle, &at(namesake), now), 0, "{of:?}");
    }
}

/// Somebody at an address who has proved a name.
fn named(throttle: &Throttle, name: &str, address: &str) -> Client {
    Client {
        name: Some(throttle.name(name)),
        ..at(address)
    }
}

#[test]
fn a_name_counts_from_wherever_it_asks_and_instead_of_the_address() {
    let (throttle, now) = throttle(QUOTAS);
    let from = |host| named(&throttle, "laptop", &format!("198.51.100.{host}"));
    let served: usize = (0..50)
        .map(|host| admitted(&throttle, &from(host), now))
        .sum();
    assert_eq!(served, 3);
    // Any two share a slot once in 65,536 times: one such pair among these is allowed for.
    let others = ["a", "b", "c"].map(|name| named(&throttle, name, "198.51.100.1"));
    let served = others
        .iter()
        .map(|other| admitted(&throttle, other, now))
        .sum::<usize>();
    assert!(served >= 6, "{served}");
    let (logins, here) = ("192.0.2.7", realm("EXAMPLE.COM"));
    let failing = tried(&throttle, &named(&throttle, "a", logins), &here, now);
    let behind_it = tried(&throttle, &named(&throttle, "b", logins), &here, now);
    assert!(failing + behind_it >= 3, "{failing} and {behind_it}");
}

#[test]
fn a_connection_is_paid_for_by_its_address_and_its_request_by_a_name() {
    let (throttle, now) = throttle(QUOTAS);
    let client = named(&throttle, "laptop", "192.0.2.1");
    let prepaid = |client: &Client| {
        let admit = |_: &usize| throttle.admit(client, true, now).is_ok();
        (0..100).filter(admit).count()
    };
    assert_eq!(prepaid(&client), 3);
    assert_eq!(prepaid(&at("192.0.2.1")), 100);
}

#[test]
fn a_handshake_that_is_never_done_costs_ten_requests_but_seconds_at_the_most() {
    let (throttle, now) = throttle(QUOTAS);
    let client = at("192.0.2.1");
    let after = |millis| now + Duration::from_millis(millis);
    throttle.charge_for_no_handshake(&client, now);
    assert_eq!(admitted(&throttle, &client, after(799)), 0);
    assert_eq!(admitted(&throttle, &client, after(800)), 1);
    for _ in 0..1000 {
        throttle.charge_for_no_handshake(&client, after(800));
    }
    assert_eq!(admitted(&throttle, &client, after(10_899)), 0);
    assert_eq!(admitted(&throttle, &client, after(10_900)), 1);
}

/// A stake of a login that waits for no others.
fn stake(
    throttle: &Throttle,
    client: &Client,
    realm: &RealmKey,
    now: Instant,
) -> Result<Stake, Wait> {
    let slot = throttle.slot((client.holder(), realm));
    let taken = throttle.failures.try_take(slot, now);
    taken.map_err(|(wait, _)| wait)
}

/// How many of the next hundred logins at once are admitted; all of these fail.
fn tried(throttle: &Throttle, client: &Client, realm: &RealmKey, now: Instant) -> usize {
    let stakes: Vec<_> = (0..100)
        .filter_map(|_| stake(throttle, client, realm, now).ok())
        .collect();
    let count = stakes.len();
    stakes.into_iter().for_each(|stake| stake.lose(now));
    count
}

#[test]
fn failed_logins_hold_up_logins_there_until_the_next_may_be_tried() {
    let (throttle, mut now) = throttle(QUOTAS);
    let (client, here) = (at("192.0.2.1"), realm("EXAMPLE.COM"));
    // However many are under way at once, before one of them is known to have failed.
    assert_eq!(tried(&throttle, &client, &here, now), 2);
    let wait = stake(&throttle, &client, &here, now).err().unwrap();
    assert_eq!(wait.seconds(), 10);
    // What is turned away holds up nobody for longer.
    assert_eq!(tried(&throttle, &client, &here, now), 0);
    now += Duration::from_millis(9_001);
    let wait = stake(&throttle, &client, &realm("example.com"), now);
    assert_eq!(wait.err().unwrap().seconds(), 1);
    let elsewhere = tried(&throttle, &at("192.0.2.2"), &here, now)
        + tried(&throttle, &client, &realm("OTHER.EXAMPLE"), now);
    assert!(elsewhere >= 2, "{elsewhere}");
    now += Duration::from_millis(999);
    assert_eq!(tried(&throttle, &client, &here, now), 1);
}

#[test]
fn what_has_not_failed_costs_nothing() {
    let (throttle, mut now) = throttle(QUOTAS);
    let (client, here) = (at("192.0.2.1"), realm("EXAMPLE.COM"));
    for _ in 0..100 {
        let stakes = [(); 2].map(|()| stake(&throttle, &client, &here, now).unwrap());
        assert!(stake(&throttle, &client, &here, now).is_err());
        now += Duration::from_millis(50);
        drop(stakes);
    }
    assert_eq!(tried(&throttle, &client, &here, now), 2);
}

#[test]
fn no_more_are_under_way_than_may_fail() {
    let (throttle, mut now) = throttle(QUOTAS);
    let (client, here) = (at("192.0.2.1"), realm("EXAMPLE.COM"));
    let [one, other] = [(); 2].map(|()| stake(&throttle, &client, &here, now).unwrap());
    one.lose(now);
    assert!(stake(&throttle, &client, &here, now).is_err());
    // The clock brings one in ten seconds.
    now += Duration::from_secs(10);
    let third = stake(&throttle, &client, &here, now).unwrap();
    assert!(stake(&throttle, &client, &here, now).is_err());
    drop((other, third));
    assert_eq!(tried(&throttle, &client, &here, now), 2);
}

/// A throttle of which so many may be at stake, and one request under way; and who waits so long for its turn.
fn patient(failure_burst: u32) -> (Throttle, Client, RealmKey) {
    let quotas = Quotas {
        in_flight: 1,
        failure_burst,
        patience: Duration::from_secs(2),
        ..QUOTAS
    };
    let throttle = Throttle::new(&quotas, Instant::now());
    (throttle, at("192.0.2.1"), realm("EXAMPLE.COM"))
}

#[tokio::test]
async fn a_login_waits_for_one_that_turns_out_right() {
    let (throttle, client, realm) = patient(1);
    let first = throttle.stake(&client, &realm, Instant::now()).await;
    let mut second = pin!(throttle.stake(&client, &realm, Instant::now()));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first.unwrap());
    let second = second.await.unwrap();
    let mut third = pin!(throttle.stake(&client, &realm, Instant::now()));
    assert!(futures_util::poll!(&mut third).is_pending());
    second.lose(Instant::now());
    // Nobody is left to wait for, and the clock takes longer.
    assert_eq!(third.await.err().unwrap().seconds(), 10);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_longer_than_is_said() {
    let (throttle, client, realm) = patient(1);
    let at = tokio::time::Instant::now().into_std();
    let _stake = throttle.stake(&client, &realm, at).await.unwrap();
    assert!(throttle.stake(&client, &realm, at).await.is_err());
    let _turn = throttle.begin(&client, at).await.unwrap();
    assert_eq!(throttle.begin(&client, at).await.err(), Some(SOON));
    assert_eq!(
        tokio::time::Instant::now().into_std() - at,
        Duration::from_secs(2)
    );
}

#[test]
fn requests_wait_for_the_clock_in_their_order_and_not_for_long() {
    let quotas = Quotas {
        patience: Duration::from_secs(2),
        ..QUOTAS
    };
    let (throttle, now) = throttle(quotas);
    let client = at("192.0.2.1");
    let waits = (0..100).map_while(|_| throttle.admit(&client, false, now).ok());
    let millis: Vec<_> = waits.map(|wait| wait.as_millis()).collect();
    // Three at once, and twenty that come in two seconds.
    let expected = [0; 3].into_iter().chain((1..=20).map(|turn| 100 * turn));
    assert_eq!(millis, expected.collect::<Vec<_>>());
    assert_eq!(throttle.wait(&client, now), Duration::from_secs(2));
    // Whose connection has paid waits for nobody.
    assert_eq!(throttle.admit(&client, true, now), Ok(Duration::ZERO));
    let wait = throttle.admit(&client, false, now).unwrap_err();
    assert_eq!(wait, Wait(Duration::from_millis(100)));
}

#[test]
fn nought_is_no_bound() {
    for quotas in [
        Quotas::default(),
        Quotas {
            burst: 0,
            in_flight: 0,
            failure_burst: 0,
            failures_per_principal: 0,
            ..QUOTAS
        },
        Quotas {
            requests_per_second: 0,
            in_flight: 0,
            failures_per_minute: 0,
            ..QUOTAS
        },
    ] {
        let (throttle, now) = throttle(quotas);
        let (client, realm) = (at("192.0.2.1"), realm("R"));
        assert_eq!(admitted(&throttle, &client, now), 100);
        // Another thread may have looked at the clock before.
        let before = now - Duration::from_millis(1);
        assert_eq!(admitted(&throttle, &client, before), 100);
        assert_eq!(under_way(&throttle, &client).len(), 100);
        assert_eq!(tried(&throttle, &client, &realm, now), 100);
    }
}

/// Those of the next hundred requests that may be under way at once.
fn under_way(throttle: &Throttle, client: &Client) -> Vec<Turn> {
    let slot = throttle.client_slot(client);
    (0..100)
        .filter_map(|_| throttle.in_flight.try_take(slot))
        .collect()
}

#[tokio::test]
async fn so_many_are_under_way_until_they_are_answered() {
    let (throttle, _) = throttle(QUOTAS);
    let client = at("192.0.2.1");
    let begun = under_way(&throttle, &client);
    assert_eq!(begun.len(), 2);
    assert_eq!(
        throttle.begin(&client, Instant::now()).await.err(),
        Some(SOON)
    );
    drop(begun);
    assert_eq!(under_way(&throttle, &client).len(), 2);
    let begun = under_way(&throttle, &named(&throttle, "a", "192.0.2.2"));
    assert_eq!(begun.len(), 2);
    let elsewhere = named(&throttle, "a", "192.0.2.3");
    assert_eq!(under_way(&throttle, &elsewhere).len(), 0);
    assert_eq!(under_way(&throttle, &at("192.0.2.3")).len(), 2);
}

#[tokio::test]
async fn who_came_first_has_the_first_turn() {
    let (throttle, client, _) = patient(1);
    let turn = throttle.begin(&client, Instant::now()).await.unwrap();
    let mut first = pin!(throttle.begin(&client, Instant::now()));
    let mut second = pin!(throttle.begin(&client, Instant::now()));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(turn);
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first.await.unwrap());
    assert!(second.await.is_ok());
}

#[test]
fn so_many_wait_for_each_that_may_be_under_way() {
    let (throttle, _, _) = patient(1);
    let client = at("192.0.2.1");
    let places: Vec<_> = (0..100)
        .map_while(|_| throttle.queue(&client).ok())
        .collect();
    assert_eq!(places.len(), QUEUED);
    drop(places);
    assert!(throttle.queue(&client).is_ok());
}

#[test]
fn whole_seconds_are_told_and_at_least_one() {
    for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (6000, 6)] {
        assert_eq!(Wait(Duration::from_millis(millis)).seconds(), seconds);
    }
}

/// True if a password of this name may be tried from there.
async fn may_try(
    throttle: &Throttle,
    address: &str,
    realm: &RealmKey,
    name: &str,
) -> Option<Stake> {
    let client = at(address);
    let stake = throttle.stake_of_principal(&client, realm, name, Instant::now());
    stake.await.ok()
}

#[tokio::test]
async fn a_principal_is_tried_so_often_from_one_network_however_it_is_written() {
    let (throttle, _) = throttle(QUOTAS);
    let here = realm("EXAMPLE.COM");
    for name in ["alice", "ALICE@example.com"] {
        let stake = may_try(&throttle, "2001:db8::1", &here, name).await;
        stake.unwrap().lose(Instant::now());
    }
    // Anywhere in the same /48.
    let again = may_try(&throttle, "2001:db8:0:ffff::9", &here, "Alice").await;
    assert!(again.is_none());
    for (address, realm, name) in [
        ("2001:db8:1::1", &here, "alice"),
        ("192.0.2.1", &here, "alice"),
        ("2001:db8::1", &here, "alan"),
        ("2001:db8::1", &realm("OTHER.EXAMPLE"), "alice"),
    ] {
        assert!(may_try(&throttle, address, realm, name).await.is_some());
    }
}

#[tokio::test]
async fn a_right_password_ends_what_wrong_ones_began() {
    let (throttle, _) = throttle(QUOTAS);
    let here = realm("EXAMPLE.COM");
    for _ in 0..3 {
        let stakes = [
            may_try(&throttle, "192.0.2.1", &here, "alice").await,
            may_try(&throttle, "192.0.2.1", &here, "alice").await,
        ];
        assert!(
            may_try(&throttle, "192.0.2.1", &here, "alice")
                .await
                .is_none()
        );
        let [wrong, right] = stakes.map(Option::unwrap);
        wrong.lose(Instant::now());
        right.win();
    }
}

#[tokio::test]
async fn what_is_due_waits_for_no_tick() {
    assert_eq!(wait_until(Instant::now()).now_or_never(), Some(()));
}
