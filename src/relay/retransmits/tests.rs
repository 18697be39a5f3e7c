mod histories;

use std::collections::HashSet;
use std::sync::MutexGuard;
use std::time::SystemTime;

use super::*;
use crate::relay::answer::OnFailure;
use crate::wire::tests::handmade::{ap_req, kdc_req, kpasswd_frame, message, pa_data};
use crate::wire::{Realm, Reply, krb_error};

/// What joiners wait on here: the number of the lead.
type Wait = usize;

const SECOND: Duration = Duration::from_secs(1);

fn as_req(realm: &str) -> KerberosMessage {
    KerberosMessage::parse(Service::Kdc, kdc_req(10, &[], realm).into()).unwrap()
}

fn as_req_with_timestamp(realm: &str) -> KerberosMessage {
    let padata = [pa_data(2, b"timestamp")];
    KerberosMessage::parse(Service::Kdc, kdc_req(10, &padata, realm).into()).unwrap()
}

/// A change of a password with the ticket for `name`; `built` tells its copies apart.
fn change(name: &str, built: u8) -> KerberosMessage {
    change_from(b"127.0.0.1", name, built)
}

/// The same over a connection from this address.
fn change_from(address: &[u8], name: &str, built: u8) -> KerberosMessage {
    let ap_req = [ap_req("EXAMPLE.COM", &["kadmin", name]), vec![built]].concat();
    let frame = kpasswd_frame(0xff80, &ap_req, &message(21, &[address]));
    KerberosMessage::parse(Service::Kpasswd, frame.into()).unwrap()
}

fn peer(port: u16) -> Option<SocketAddr> {
    Some(([127, 0, 0, 1], port).into())
}

/// A reply that `number` tells from others.
fn reply(number: i32) -> Answer {
    let error = krb_error::encode(number, None, Service::Kdc, None, SystemTime::UNIX_EPOCH);
    Answer::Reply(Reply::parse(Service::Kdc, error.into()).unwrap())
}

/// A verdict that `name` tells from others.
fn verdict(name: &str, may_have_been_sent: bool) -> Answer {
    Answer::Verdict(Verdict {
        cause: Cause::Unanswered,
        may_have_been_sent,
        on_failure: OnFailure::Unreachable,
        realm: Realm::parse(name.as_bytes()).unwrap(),
    })
}

/// An answer in short, to compare.
fn short(answer: &Answer) -> String {
    match answer {
        Answer::Reply(reply) => format!("reply {:?}", reply.error_code()),
        Answer::Verdict(verdict) => format!("verdict {}", verdict.realm),
    }
}

/// A cache with a clock, whose waits are numbered.
struct Desk {
    cache: RetransmitCache<Wait>,
    now: Instant,
    waits: Wait,
}

impl Desk {
    fn new() -> Self {
        Self {
            cache: RetransmitCache::default(),
            now: Instant::now(),
            waits: 0,
        }
    }

    fn after(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    fn lookup(&mut self, message: &KerberosMessage, peer: Option<SocketAddr>) -> Lookup<Wait> {
        let waits = &mut self.waits;
        self.cache.lookup(message, peer, self.now, || {
            *waits += 1;
            *waits
        })
    }

    fn lead(&mut self, message: &KerberosMessage, peer: Option<SocketAddr>) -> ExchangeTicket {
        match self.lookup(message, peer) {
            Lookup::New(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    /// The request joins one that is under way.
    fn join(&mut self, message: &KerberosMessage, peer: Option<SocketAddr>) -> Wait {
        match self.lookup(message, peer) {
            Lookup::Join(wait) => wait,
            other => panic!("{other:?}"),
        }
    }

    fn replay(&mut self, message: &KerberosMessage, peer: Option<SocketAddr>) -> String {
        match self.lookup(message, peer) {
            Lookup::Replay(answer) => short(&answer),
            other => panic!("{other:?}"),
        }
    }

    fn settle(&mut self, ticket: &ExchangeTicket, answer: &Answer) {
        self.cache.settle(ticket, answer, self.now);
    }

    fn abandon(&mut self, ticket: &ExchangeTicket) {
        lock(self.cache.shard(&ticket.keys)).abandon(ticket);
    }

    /// How many exchanges are under way.
    fn under_way(&self) -> usize {
        let of_shard = |shard| {
            let shard: MutexGuard<'_, Shard<Wait>> = lock(shard);
            let numbers = shard.under_way.values().map(|each| each.number);
            numbers.collect::<HashSet<_>>().len()
        };
        self.cache.shards.iter().map(of_shard).sum()
    }

    /// Asks, and settles at once.
    fn answer(&mut self, message: &KerberosMessage, answer: &Answer) {
        let lead = self.lead(message, None);
        self.settle(&lead, answer);
    }
}

#[test]
fn the_same_octets_join_from_any_peer_over_any_transport() {
    let mut desk = Desk::new();
    for message in [
        as_req("A"),
        as_req_with_timestamp("A"),
        change("changepw", 1),
    ] {
        desk.lead(&message, peer(1));
        let leader = desk.waits;
        assert_eq!(desk.join(&message, peer(1)), leader);
        assert_eq!(desk.join(&message, peer(2)), leader);
        assert_eq!(desk.join(&message, None), leader);
    }
    assert_eq!(desk.waits, 3, "a wait was made for a joiner");
}

#[test]
fn other_octets_do_not_join() {
    let mut desk = Desk::new();
    desk.lead(&as_req("A"), peer(1));
    desk.lead(&as_req("B"), peer(1));
    desk.lead(&as_req("a"), peer(1));
}

#[test]
fn a_reply_is_replayed_for_40_s() {
    let mut desk = Desk::new();
    let message = as_req_with_timestamp("A");
    desk.answer(&message, &reply(7));
    assert_eq!(desk.replay(&message, peer(1)), "reply Some(7)");
    desk.after(40 * SECOND - Duration::from_nanos(1));
    assert_eq!(desk.replay(&message, None), "reply Some(7)");
    desk.after(Duration::from_nanos(1));
    desk.lead(&message, None);
}

#[test]
fn a_verdict_is_replayed_for_2_s() {
    for (message, sent) in [
        (as_req("A"), false),
        (as_req("A"), true),
        (as_req_with_timestamp("A"), false),
        (change("changepw", 1), false),
    ] {
        let mut desk = Desk::new();
        desk.answer(&message, &verdict("V", sent));
        desk.after(2 * SECOND - Duration::from_nanos(1));
        assert_eq!(desk.replay(&message, peer(1)), "verdict V");
        desk.after(Duration::from_nanos(1));
        desk.lead(&message, None);
    }
}

#[test]
fn what_must_not_be_sent_twice_and_may_have_been_is_not_sent_again_for_40_s() {
    for message in [as_req_with_timestamp("A"), change("changepw", 1)] {
        let mut desk = Desk::new();
        desk.answer(&message, &verdict("V", true));
        desk.after(40 * SECOND - Duration::from_nanos(1));
        assert_eq!(desk.replay(&message, peer(1)), "verdict V");
        desk.after(Duration::from_nanos(1));
        desk.lead(&message, None);
    }
}

#[test]
fn that_a_realm_has_no_upstream_is_not_kept() {
    let mut desk = Desk::new();
    let Answer::Verdict(mut none) = verdict("V", false) else {
        unreachable!()
    };
    none.cause = Cause::NoUpstream;
    desk.answer(&as_req("A"), &Answer::Verdict(none));
    let held = |shard: &Mutex<Shard<Wait>>| lock(shard).verdicts.held();
    assert_eq!(desk.cache.shards.each_ref().map(held), [(0, 0); SHARDS]);
    desk.lead(&as_req("A"), None);
}

#[test]
fn over_udp_a_change_from_the_same_peer_with_the_same_ticket_is_a_copy() {
    let mut desk = Desk::new();
    let first = desk.lead(&change("changepw", 1), peer(1));
    assert_eq!(desk.join(&change("changepw", 2), peer(1)), 1);
    desk.lead(&change("changepw", 3), peer(2));
    desk.lead(&change("changepw", 4), None);
    desk.lead(&change("other", 5), peer(1));
    // After a real reply a request is new: kinit asks again with the same ticket.
    desk.settle(&first, &reply(1));
    desk.lead(&change("changepw", 2), peer(1));
}

#[test]
fn a_change_from_two_addresses_of_its_client_is_one() {
    let mut desk = Desk::new();
    let first = desk.lead(&change_from(b"127.0.0.1", "changepw", 1), None);
    assert_eq!(desk.join(&change_from(b"::1", "changepw", 1), None), 1);
    desk.settle(&first, &reply(1));
    let again = change_from(b"::1", "changepw", 1);
    assert_eq!(desk.replay(&again, peer(1)), "reply Some(1)");
}

#[test]
fn a_change_that_is_built_anew_over_a_stream_is_no_copy() {
    let mut desk = Desk::new();
    desk.lead(&change("changepw", 1), None);
    desk.lead(&change("changepw", 2), None);
    desk.lead(&change("changepw", 3), peer(1));
}

#[test]
fn a_verdict_on_a_change_that_may_be_done_stands_under_its_ticket_for_2_s() {
    let mut desk = Desk::new();
    let lead = desk.lead(&change("changepw", 1), peer(1));
    desk.after(SECOND).settle(&lead, &verdict("V", true));
    desk.after(2 * SECOND - Duration::from_nanos(1));
    // Heimdal asks again as version 1, from a new port.
    assert_eq!(desk.replay(&change("changepw", 2), peer(2)), "verdict V");
    assert_eq!(desk.replay(&change("changepw", 3), None), "verdict V");
    desk.lead(&change("other", 4), peer(2));
    desk.after(Duration::from_nanos(1));
    desk.lead(&change("changepw", 2), peer(2));
}

#[test]
fn a_verdict_on_a_change_that_was_not_sent_stands_for_its_octets_alone() {
    let mut desk = Desk::new();
    desk.answer(&change("changepw", 1), &verdict("V", false));
    desk.lead(&change("changepw", 2), peer(1));
}

#[test]
fn an_abandoned_exchange_leaves_nothing_behind() {
    let mut desk = Desk::new();
    let lead = desk.lead(&change("changepw", 1), peer(1));
    desk.abandon(&lead);
    assert_eq!(desk.under_way(), 0);
    desk.lead(&change("changepw", 1), peer(1));
    assert_eq!(desk.join(&change("changepw", 2), peer(1)), 2);
}

#[test]
fn a_reply_after_the_verdict_takes_its_place() {
    for message in [
        as_req("A"),
        as_req_with_timestamp("A"),
        change("changepw", 1),
    ] {
        let mut desk = Desk::new();
        let lead = desk.lead(&message, peer(1));
        desk.settle(&lead, &verdict("V", true));
        assert_eq!(desk.replay(&message, peer(1)), "verdict V");
        desk.after(SECOND).settle(&lead, &reply(7));
        assert_eq!(desk.replay(&message, peer(1)), "reply Some(7)");
        desk.after(39 * SECOND);
        assert_eq!(desk.replay(&message, peer(1)), "reply Some(7)");
    }
}

#[test]
fn a_late_reply_leaves_a_later_exchange_its_places() {
    let mut desk = Desk::new();
    let first = desk.lead(&change("changepw", 1), peer(1));
    desk.settle(&first, &verdict("V", true));
    desk.after(2 * SECOND);
    desk.lead(&change("changepw", 2), peer(1));
    desk.settle(&first, &reply(7));
    assert_eq!(desk.join(&change("changepw", 3), peer(1)), 2);
    assert_eq!(desk.join(&change("changepw", 2), None), 2);

    let harmless = as_req("A");
    let third = desk.lead(&harmless, None);
    desk.settle(&third, &verdict("V", true));
    desk.after(2 * SECOND);
    desk.lead(&harmless, None);
    desk.abandon(&third);
    assert_eq!(desk.join(&harmless, None), 4);
}

/// The octets that a cache really holds, and how many entries hold them.
fn held(cache: &RetransmitCache<Wait>) -> (usize, usize) {
    let of_shard = |shard: &Mutex<Shard<Wait>>| {
        let shard = lock(shard);
        let kinds = [&shard.replies, &shard.spent, &shard.verdicts];
        kinds.map(|kind| kind.held())
    };
    let all = cache.shards.iter().flat_map(of_shard);
    all.fold((0, 0), |sum, held| (sum.0 + held.0, sum.1 + held.1))
}

/// One of many requests of the largest size.
fn largest(padata: &[Vec<u8>], number: u32) -> KerberosMessage {
    let mut octets = kdc_req(10, padata, "A");
    octets.resize(crate::wire::MAX_REQUEST - 4, 0);
    octets.extend(number.to_be_bytes());
    KerberosMessage::parse(Service::Kdc, octets.into()).unwrap()
}

#[test]
fn a_flood_of_the_largest_requests_stays_within_8_mib() {
    let mut desk = Desk::new();
    let spent = as_req_with_timestamp("VICTIM");
    desk.answer(&spent, &verdict("V", true));
    for number in 0..50 {
        desk.answer(&largest(&[], number), &reply(1));
        desk.answer(&largest(&[], 50 + number), &verdict("A", true));
        assert!(held(&desk.cache).0 <= 8 * 1024 * 1024);
    }
    // What anyone can cause doesn't push out the verdict on what must not be sent twice.
    assert_eq!(desk.replay(&spent, None), "verdict V");
    for number in 0..20 {
        desk.answer(&largest(&[pa_data(2, b"")], number), &verdict("A", true));
        assert!(held(&desk.cache).0 <= 8 * 1024 * 1024);
    }
    // Nor do the largest of the same kind.
    assert_eq!(desk.replay(&spent, None), "verdict V");
    assert_eq!(desk.under_way(), 0);
}

#[test]
fn requests_lie_in_all_shards_and_copies_of_a_change_in_one() {
    let cache = RetransmitCache::<Wait>::default();
    let shards = |messages: Vec<(KerberosMessage, Option<SocketAddr>)>| {
        let keys = messages
            .iter()
            .map(|(message, peer)| cache.keys(message, *peer));
        let shards = keys.map(|keys| std::ptr::from_ref(cache.shard(&keys)));
        shards.collect::<HashSet<_>>().len()
    };
    let many = (0..200).map(|realm| (as_req(&format!("R{realm}")), None));
    assert_eq!(shards(many.collect()), SHARDS);
    let rebuilt = (0..50).map(|built| (change("changepw", built), peer(built.into())));
    assert_eq!(shards(rebuilt.collect()), 1);
}
