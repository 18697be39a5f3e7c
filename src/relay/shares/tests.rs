use std::iter;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;

use super::*;

const ROOT: Holder = Holder::User(0);
const USER: Holder = Holder::User(1000);

fn address(text: &str) -> Holder {
    Holder::Address(text.parse().unwrap())
}

/// As many as `holder` gets, one by one.
fn all_of(shares: &Arc<Shares>, holder: Holder) -> Vec<Share> {
    iter::from_fn(|| shares.take(holder, 1)).collect()
}

fn idle(shares: &Arc<Shares>, holder: Holder, amount: usize) -> (Share, CancellationToken) {
    let (share, evicted) = (
        shares.take(holder, amount).unwrap(),
        CancellationToken::new(),
    );
    share.give_way(evicted.clone());
    (share, evicted)
}

#[test]
fn one_alone_gets_four_fifths_and_each_next_one_a_part_of_the_rest() {
    let shares = Shares::new(100);
    let [first, second, third] = [1, 2, 3].map(|uid| all_of(&shares, Holder::User(uid)));
    assert_eq!([first.len(), second.len(), third.len()], [80, 16, 4]);
}

#[test]
fn as_parts_are_given_back_others_get_more() {
    let shares = Shares::new(100);
    let first = all_of(&shares, ROOT);
    let second = all_of(&shares, USER);
    drop(first);
    assert_eq!(second.len() + all_of(&shares, USER).len(), 80);
}

#[test]
fn the_last_one_can_be_had() {
    assert_eq!(all_of(&Shares::new(1), ROOT).len(), 1);
}

#[test]
fn a_site_of_ipv6_is_one_holder_and_an_ipv4_address_is_one_in_any_form() {
    let shares = Shares::new(100);
    let site: Vec<_> = (0..100)
        .filter_map(|net| shares.take(address(&format!("2001:db8:1:{net:x}::1")), 1))
        .collect();
    assert_eq!(site.len(), 80);
    drop(site);
    let mapped = all_of(&shares, address("::ffff:192.0.2.1"));
    assert_eq!(mapped.len(), 80);
    assert_eq!(all_of(&shares, address("192.0.2.1")).len(), 0);
}

#[test]
fn the_longest_idle_of_the_largest_gives_way_first() {
    let shares = Shares::new(4);
    let (_small, of_small) = idle(&shares, ROOT, 1);
    let (_first, of_first) = idle(&shares, USER, 1);
    let (_second, of_second) = idle(&shares, USER, 1);
    let _third = shares.take(USER, 1).unwrap();
    let _new = shares.take(Holder::Unknown, 1).unwrap();
    let gone = [of_small, of_first, of_second].map(|evicted| evicted.is_cancelled());
    assert_eq!(gone, [false, true, false]);
}

#[test]
fn who_holds_least_takes_nothing_from_who_holds_less() {
    let shares = Shares::new(4);
    let _many = [0; 3].map(|_| shares.take(USER, 1).unwrap());
    let (_one, of_one) = idle(&shares, ROOT, 1);
    assert!(shares.take(USER, 1).is_none());
    assert!(!of_one.is_cancelled());
    // A newcomer would have as much.
    assert!(shares.take(Holder::Unknown, 1).is_some());
    assert!(of_one.is_cancelled());
}

#[test]
fn who_has_his_part_makes_room_for_himself() {
    let shares = Shares::new(10);
    let mut held: Vec<_> = (0..8).map(|_| idle(&shares, USER, 1)).collect();
    held.push(idle(&shares, USER, 1));
    let gone = held.iter().map(|(_, evicted)| evicted.is_cancelled());
    assert_eq!(gone.filter(|gone| *gone).count(), 1);
    assert!(held.first().unwrap().1.is_cancelled());
}

#[test]
fn what_is_held_again_gives_way_to_nobody() {
    let shares = Shares::new(1);
    let (share, evicted) = idle(&shares, USER, 1);
    share.hold();
    assert!(shares.take(ROOT, 1).is_none() && !shares.evict());
    share.give_way(evicted.clone());
    assert!(shares.evict() && evicted.is_cancelled());
    assert_eq!(shares.held(), 0);
}

#[test]
fn a_share_grows_as_far_as_its_holder_may_and_not_after_it_gave_way() {
    let shares = Shares::new(100);
    let share = shares.take(USER, 1).unwrap();
    assert!(share.grow(79) && !share.grow(1));
    drop(share);
    let (share, _) = idle(&shares, USER, 1);
    assert!(shares.evict() && !share.grow(1));
    drop(share);
    assert_eq!(all_of(&shares, USER).len(), 80);
}

#[test]
fn the_turn_is_of_who_holds_least_and_then_of_who_came_first() {
    let shares = Shares::new(3);
    let mut held = all_of(&shares, USER);
    let (mut more, mut first, mut second) = (
        pin!(shares.turn(USER)),
        pin!(shares.turn(ROOT)),
        pin!(shares.turn(Holder::Unknown)),
    );
    for turn in [more.as_mut(), first.as_mut(), second.as_mut()] {
        assert!(turn.now_or_never().is_none());
    }
    held.pop();
    assert!(more.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    let _first = first.now_or_never().unwrap();
    held.pop();
    assert!(second.now_or_never().is_some());
}

#[test]
fn who_waits_gets_what_begins_to_give_way() {
    let shares = Shares::new(2);
    let held = all_of(&shares, USER);
    let (mut own, mut other) = (pin!(shares.turn(USER)), pin!(shares.turn(ROOT)));
    assert!(own.as_mut().now_or_never().is_none());
    assert!(other.as_mut().now_or_never().is_none());
    held[1].give_way(CancellationToken::new());
    let _other = other.now_or_never().unwrap();
    assert!(own.as_mut().now_or_never().is_none());
    held[0].give_way(CancellationToken::new());
    assert!(own.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_longer_than_a_second_is_waited_for_without_a_share() {
    let shares = Shares::new(1);
    let (first, evicted) = (shares.take(USER, 1).unwrap(), CancellationToken::new());
    let sleep = |millis| tokio::time::sleep(Duration::from_millis(millis));
    let answer = async {
        let answer = pin!(sleep(2000));
        first.hold_for(answer, || evicted.clone()).await;
        assert!(evicted.is_cancelled());
    };
    let other = async {
        sleep(999).await;
        assert!(shares.take(ROOT, 1).is_none());
        sleep(2).await;
        let _other = shares.take(ROOT, 1).unwrap();
        sleep(5000).await;
    };
    tokio::join!(answer, other);
    assert_eq!(shares.held(), 0);
}

#[test]
fn a_turn_that_nobody_waits_for_any_more_is_the_next_ones() {
    let shares = Shares::new(1);
    let held = shares.take(USER, 1).unwrap();
    let mut left = Box::pin(shares.turn(ROOT));
    assert!(left.as_mut().now_or_never().is_none());
    let mut next = pin!(shares.turn(ROOT));
    assert!(next.as_mut().now_or_never().is_none());
    drop(left);
    drop(held);
    assert!(next.now_or_never().is_some());
}

fn stranger(shares: &Arc<Shares>, holder: Holder) -> (Share, CancellationToken) {
    let (share, evicted) = (shares.take(holder, 1).unwrap(), CancellationToken::new());
    share.give_way_first(evicted.clone());
    (share, evicted)
}

#[test]
fn a_flood_of_strangers_is_at_the_cost_of_strangers() {
    let shares = Shares::new(8);
    let office: Vec<_> = (0..3).map(|_| idle(&shares, USER, 1)).collect();
    let (_new, of_new) = stranger(&shares, USER);
    let mut flood: Vec<_> = (1..=100)
        .map(|host| stranger(&shares, address(&format!("192.0.2.{host}"))))
        .collect();
    assert!(office.iter().all(|(_, evicted)| !evicted.is_cancelled()));
    // Of several strangers who hold as much it is the first one's turn.
    assert!(of_new.is_cancelled());
    let gone = flood.iter().filter(|(_, evicted)| evicted.is_cancelled());
    assert_eq!(gone.count(), 95);
    // Who holds more than each of them, too, gets a place at their cost, if he has not too many himself.
    flood.push(idle(&shares, USER, 1));
    assert!(office.iter().all(|(_, evicted)| !evicted.is_cancelled()));
}

#[test]
fn a_few_strangers_stay_before_one_who_holds_much_in_silence() {
    let shares = Shares::new(8);
    let (_new, of_new) = stranger(&shares, ROOT);
    let much: Vec<_> = (0..5).map(|_| idle(&shares, USER, 1)).collect();
    let _others = [1, 2, 3].map(|host| stranger(&shares, address(&format!("192.0.2.{host}"))));
    assert!(!of_new.is_cancelled() && much[0].1.is_cancelled());
}

#[test]
fn of_one_holder_a_stranger_gives_way_before_who_is_known_for_longer() {
    let shares = Shares::new(4);
    let known: Vec<_> = (0..3).map(|_| idle(&shares, USER, 1)).collect();
    let (_new, of_new) = stranger(&shares, USER);
    let _newer = stranger(&shares, ROOT);
    assert!(of_new.is_cancelled());
    assert!(known.iter().all(|(_, evicted)| !evicted.is_cancelled()));
}

#[test]
fn a_share_that_is_passed_on_counts_for_whom_it_is_passed_to() {
    let shares = Shares::new(5);
    let proxied = Holder::Connection("192.0.2.1:1".parse().unwrap());
    let (passed, of_passed) = idle(&shares, proxied, 1);
    assert!(passed.pass_to(USER));
    let _more = all_of(&shares, USER);
    assert!(of_passed.is_cancelled() && !passed.pass_to(ROOT));
    let other = shares.take(proxied, 1).unwrap();
    assert!(!other.pass_to(USER));
    drop(other);
    assert!(shares.take(ROOT, 1).is_some());
}
