use super::*;
use crate::wire::Service;
use crate::wire::tests::handmade::{field, integer, kdc_req, message, string};

const SECOND: Duration = Duration::from_secs(1);

fn realm(name: &str) -> Realm {
    Realm::parse(name.as_bytes()).unwrap()
}

fn key(name: &str) -> RealmKey {
    realm(name).key()
}

fn of(names: &[&str]) -> Reachability {
    let mut reachability = Reachability::default();
    reachability.configure(names.iter().map(|name| realm(name)), Instant::now());
    reachability
}

fn open(reachability: &Reachability, now: Instant) -> Vec<&str> {
    reachability.open(now).map(Realm::as_str).collect()
}

/// Why SSSD begins again after this error with this client's realm to a request to EXAMPLE.COM.
fn reason(request: u8, code: i32, client: Option<&str>) -> Option<RetryReason> {
    let client = client.map(|realm| field(7, &string(realm)));
    let error = [field(6, &integer(code)), client.unwrap_or_default()];
    let reply = Reply::parse(Service::Kdc, message(30, &[&error.concat()]).into());
    let request = kdc_req(request, &[], "EXAMPLE.COM");
    let request = KerberosMessage::parse(Service::Kdc, request.into());
    RetryReason::of(&request.unwrap(), &reply.unwrap(), SLOW)
}

#[test]
fn a_reply_makes_it_reachable_and_a_failure_ends_that() {
    let (mut known, one, now) = (of(&["One", "TWO"]), key("ONE"), Instant::now());
    assert_eq!(known.of(&one), None);
    assert!(known.replied(&one, now) && !known.replied(&one, now));
    assert_eq!(open(&known, now), ["One"]);
    assert!(known.failed(&one, now) && !known.failed(&one, now));
    assert_eq!((known.of(&one), known.of(&key("TWO"))), (Some(false), None));
    assert!(known.replied(&one, now + SECOND));
    assert_eq!(open(&known, now), ["One"]);
}

#[test]
fn a_clock_that_differs_has_sssd_begin_again() {
    for code in [32, 33, 37] {
        let clock = reason(10, code, Some("EXAMPLE.COM"));
        assert!(matches!(clock, Some(RetryReason::Clock)), "{code}");
    }
    for code in [6, 12, 18, 23, 24, 25, 31, 34, 60, 68] {
        for client in [None, Some("EXAMPLE.COM")] {
            assert!(reason(10, code, client).is_none(), "{code}");
        }
    }
    // SSSD asks for a ticket of the host, too. One that can't be renewed any more says nothing of a login.
    assert!(reason(12, 33, None).is_some() && reason(12, 37, None).is_some());
    assert!(reason(12, 32, None).is_none());
}

#[test]
fn what_is_slow_has_sssd_begin_again_whatever_it_says() {
    let reply = Reply::parse(Service::Kdc, message(30, &[&field(6, &integer(25))]).into());
    let reply = reply.unwrap();
    for request in [10, 12] {
        let request = kdc_req(request, &[], "EXAMPLE.COM");
        let request = KerberosMessage::parse(Service::Kdc, request.into()).unwrap();
        let reason = |waited| RetryReason::of(&request, &reply, waited);
        assert!(reason(SLOW).is_none());
        assert!(matches!(reason(SLOW + SECOND), Some(RetryReason::Slow)));
    }
}

#[test]
fn one_that_comes_and_goes_without_end_is_shut() {
    let (mut known, one, mut now) = (of(&["ONE"]), key("ONE"), Instant::now());
    for _ in 0..10 {
        known.replied(&one, now);
        now += SECOND;
        known.failed(&one, now);
        assert_eq!(known.opens(now), None);
    }
    known.replied(&one, now);
    now += SECOND;
    assert!(known.doubted(&one, now));
    known.replied(&one, now);
    assert_eq!((open(&known, now).len(), known.losses()), (0, 11));
    assert_eq!(known.opens(now), Some(now + SHUT));
    assert_eq!(open(&known, now + SHUT), ["ONE"]);
}

#[test]
fn a_client_that_found_no_place_shuts_all() {
    let (mut known, now) = (of(&["ONE", "TWO"]), Instant::now());
    known.replied(&key("ONE"), now);
    assert!(known.refused(now) && !known.refused(now));
    assert_eq!(open(&known, now).len(), 0);
    assert_eq!(open(&known, now + SHUT), ["ONE"]);
}

#[test]
fn a_referral_is_one_to_another_realm_by_its_letters() {
    let to = |request, code, realm| match reason(request, code, Some(realm))? {
        RetryReason::Referral(realm) => Some(realm.to_string()),
        RetryReason::Clock | RetryReason::Slow => None,
    };
    for code in [68, 6] {
        for realm in ["CHILD.EXAMPLE.COM", "example.com"] {
            assert_eq!(to(10, code, realm).as_deref(), Some(realm), "{code}");
        }
    }
    assert_eq!(to(10, 24, "CHILD.EXAMPLE.COM"), None);
    assert_eq!(to(12, 68, "CHILD.EXAMPLE.COM"), None);
}

#[test]
fn one_that_turns_logins_away_is_shut_for_a_minute_and_can_be_reached() {
    let (mut known, one, now) = (of(&["ONE", "TWO"]), key("ONE"), Instant::now());
    known.replied(&one, now);
    known.replied(&key("TWO"), now);
    assert_eq!((known.opens(now), known.losses()), (None, 0));
    assert!(known.turned_away(&one, None, now));
    assert_eq!(
        (known.of(&one), open(&known, now)),
        (Some(true), vec!["TWO"])
    );
    assert_eq!((known.opens(now), known.losses()), (Some(now + SHUT), 1));
    // Neither a reply nor another one of this kind changes that.
    let late = now + SHUT - SECOND;
    known.replied(&one, late);
    assert!(!known.turned_away(&one, None, late));
    assert_eq!((open(&known, late), known.losses()), (vec!["TWO"], 1));
    let end = now + SHUT;
    assert_eq!(
        (open(&known, end), known.opens(end)),
        (vec!["ONE", "TWO"], None)
    );
    assert!(known.turned_away(&one, None, end), "and again");
}

#[test]
fn one_that_refers_to_a_realm_is_shut_if_that_cannot_be_tried() {
    let (mut known, now) = (of(&["ONE", "TWO", "THREE"]), Instant::now());
    let [one, two, three] = ["ONE", "TWO", "THREE"].map(key);
    known.replied(&one, now);
    known.replied(&two, now);
    assert!(!known.turned_away(&one, Some(&two), now));
    // The other one turns it away itself, next time.
    assert!(known.turned_away(&two, None, now));
    assert!(known.turned_away(&one, Some(&two), now));
    let later = now + SHUT;
    assert!(!known.turned_away(&one, Some(&two), later));
    assert!(
        known.turned_away(&one, Some(&three), later),
        "nobody has reached it yet"
    );
    let later = later + SHUT;
    known.failed(&two, later);
    assert!(known.turned_away(&one, Some(&two), later));
}

#[test]
fn more_as_reqs_than_logins_have_shut_all() {
    let (mut known, mut now) = (of(&["ONE", "TWO"]), Instant::now());
    for name in ["ONE", "TWO"] {
        known.replied(&key(name), now);
    }
    for _ in 0..3 * AS_REQS {
        now += AS_REQ;
        assert!(!known.asked(now));
    }
    // As one is forgiven in the time of each.
    for _ in 1..AS_REQS {
        assert!(!known.asked(now));
    }
    assert!(known.asked(now) && !known.asked(now));
    assert_eq!((open(&known, now).len(), known.losses()), (0, 2));
    assert_eq!(open(&known, now + SHUT), ["ONE", "TWO"]);
    let again = (0..AS_REQS).position(|_| known.asked(now + SHUT));
    assert_eq!(again, Some(30));
}

#[test]
fn what_began_before_a_reply_or_another_network_says_nothing() {
    let (mut known, one, began) = (of(&["ONE"]), key("ONE"), Instant::now());
    known.replied(&one, began + SECOND);
    assert!(!known.failed(&one, began) && !known.doubted(&one, began));
    known.network_changed(began + 3 * SECOND);
    assert!(!known.failed(&one, began + 2 * SECOND));
    assert_eq!(known.of(&one), Some(true), "the network alone says nothing");
    assert!(known.failed(&one, began + 3 * SECOND));
}

#[test]
fn a_doubt_ends_what_is_known_to_be_up_and_mends_nothing() {
    let (mut known, one, now) = (of(&["ONE"]), key("ONE"), Instant::now());
    assert!(!known.doubted(&one, now));
    known.replied(&one, now);
    assert!(known.doubted(&one, now) && !known.doubted(&one, now));
    assert_eq!(known.of(&one), None);
    known.failed(&one, now);
    assert!(!known.doubted(&one, now));
    assert_eq!(known.of(&one), Some(false));
}

#[test]
fn of_another_configuration_nothing_is_known() {
    let (mut known, now) = (of(&["ONE", "TWO"]), Instant::now());
    for name in ["ONE", "TWO"] {
        known.replied(&key(name), now);
    }
    assert_eq!(known.configurations(), 1);
    known.configure([realm("two"), realm("THREE")], now + SECOND);
    let realms: Vec<_> = known.realms().map(Realm::as_str).collect();
    assert_eq!(realms, ["THREE", "two"]);
    assert_eq!((known.of(&key("TWO")), known.configurations()), (None, 2));
    assert!(!known.failed(&key("TWO"), now), "by the old upstreams");
    assert!(!known.replied(&key("ONE"), now), "it is gone");
    assert!(known.failed(&key("TWO"), now + SECOND));
}
