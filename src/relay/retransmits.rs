//! Join a retransmit to the exchange under way; replay what was answered a moment ago.
//!
//! libkrb5 sends the same octets over the other transport about a second later, and over UDP again after
//! that. The key is therefore the service, the realm and the message's octets, never the peer or the framing. No client
//! sends identical octets in two runs, so a replay harms nobody. Of a change of a password the octets are those of its AP-REQ:
//! where krb5.conf names 127.0.0.1 and `[::1]`, MIT krb5 asks the second after ten seconds, with another KRB-PRIV.
//!
//! Heimdal rebuilds its kpasswd request for each retransmit: other octets, same source port, same ticket. Over
//! UDP a kpasswd request from the peer and with the ticket of one under way is a copy of it; and a verdict on a
//! change that may have been carried out is kept a moment under its ticket, because Heimdal asks again as
//! version 1, from a new port, after any failure.
//!
//! The datagrams that are sent again *to* a KDC are those of `upstream/kdc/datagrams.rs`.
//!
//! No lock is one that all requests take: the cache lies in shards, each behind a lock of its own, and all that a request may be a
//! copy of is in one of them. The clock is an argument, and what a joiner waits on (`W`) is the caller's.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::relay::answer::{Answer, Cause, Verdict};
use crate::relay::recent::{ENTRY_BYTES, Recent};
use crate::relay::sync::lock;
use crate::wire::{KerberosMessage, MAX_REPLY, RealmKey, Resend, Service};

/// How long a reply is replayed: a client that waits for a slow one-time-password push may ask again after 35 s.
pub const REPLY_KEPT: Duration = Duration::from_secs(40);
/// How long a verdict is: MIT and Heimdal come back over TCP within 10 ms of the one they met over UDP.
const VERDICT_KEPT: Duration = Duration::from_secs(2);
const SHARDS: usize = 4;
/// Replies.
const REPLY_BYTES: usize = 5 * 1024 * 1024 / SHARDS;
/// Verdicts on requests that must not be sent twice and may have been, kept apart from those that anyone can cause.
const SPENT_BYTES: usize = 2 * 1024 * 1024 / SHARDS;
/// Other verdicts.
const VERDICT_BYTES: usize = 1024 * 1024 / SHARDS;

const _: () = assert!(
    REPLY_BYTES > MAX_REPLY + ENTRY_BYTES,
    "a shard has room for any reply"
);

/// What a request, or an answer to it, is found by.
#[derive(Hash)]
enum Key<'a> {
    /// The service, the realm that the message is routed by, and what its copies have in common.
    Message(Service, RealmKey, &'a [u8]),
    /// The ticket of a change of a password.
    Ticket(&'a [u8]),
    /// The same from one UDP peer.
    PeerAndTicket(SocketAddr, &'a [u8]),
}

/// Stands for a [`Key`], whose octets it saves. Two hashes under secrets of this process: nobody can make another message
/// that has both.
type Fingerprint = [u64; 2];

/// What the cache knows of a request.
#[derive(Debug)]
pub enum Lookup<W> {
    /// It was answered a moment ago.
    Replay(Answer),
    /// It is under way: wait on this.
    Join(W),
    /// It is new: to be exchanged, and then to be [settled](RetransmitCache::settle).
    New(ExchangeTicket),
}

/// The duty to settle an exchange; made by [`RetransmitCache::lookup`].
#[derive(Clone, Debug)]
pub struct ExchangeTicket {
    number: u64,
    keys: CopyKeys,
}

/// What the copies of a request are found by.
#[derive(Clone, Copy, Debug)]
struct CopyKeys {
    message: Fingerprint,
    ticket: Option<Fingerprint>,
    peer_and_ticket: Option<Fingerprint>,
    resend: Resend,
}

/// The exchanges under way and the recent answers; bounded in octets.
#[derive(Debug)]
pub struct RetransmitCache<W> {
    secrets: [RandomState; 2],
    pub(super) shards: [Mutex<Shard<W>>; SHARDS],
}

/// The part of the cache for some of the requests.
#[derive(Debug)]
pub(super) struct Shard<W> {
    /// By message, and those that came over UDP by peer and ticket too.
    under_way: HashMap<Fingerprint, UnderWay<W>>,
    replies: Recent<Fingerprint, Answer>,
    spent: Recent<Fingerprint, Answer>,
    verdicts: Recent<Fingerprint, Answer>,
    exchanges: u64,
}

/// What joiners of an exchange wait on, and which exchange it is.
#[derive(Clone, Debug)]
struct UnderWay<W> {
    number: u64,
    wait: W,
}

impl<W: Clone> Default for RetransmitCache<W> {
    fn default() -> Self {
        Self {
            secrets: Default::default(),
            shards: Default::default(),
        }
    }
}

impl<W> Default for Shard<W> {
    fn default() -> Self {
        Self {
            under_way: HashMap::new(),
            replies: Recent::new(REPLY_KEPT, REPLY_BYTES),
            spent: Recent::new(REPLY_KEPT, SPENT_BYTES),
            verdicts: Recent::new(VERDICT_KEPT, VERDICT_BYTES),
            exchanges: 0,
        }
    }
}

impl<W: Clone> RetransmitCache<W> {
    /// Says what is known of `request`; `udp_peer` is its sender if it came over UDP.
    ///
    /// `wait` makes what joiners will wait on, and is called only for a new request.
    pub fn lookup(
        &self,
        request: &KerberosMessage,
        udp_peer: Option<SocketAddr>,
        now: Instant,
        wait: impl FnOnce() -> W,
    ) -> Lookup<W> {
        let keys = self.keys(request, udp_peer);
        lock(self.shard(&keys)).lookup(keys, now, wait)
    }

    /// Ends an exchange with its answer. A reply that comes after the verdict may settle it once more.
    ///
    /// Says how many answers were forgotten before their time, to stay within the bounds.
    pub fn settle(&self, ticket: &ExchangeTicket, answer: &Answer, now: Instant) -> u64 {
        lock(self.shard(&ticket.keys)).settle(ticket, answer, now)
    }

    /// Takes each lock: does not return while somebody holds one for good.
    pub fn probe_locks(&self) {
        for shard in &self.shards {
            drop(lock(shard));
        }
    }

    fn keys(&self, request: &KerberosMessage, udp_peer: Option<SocketAddr>) -> CopyKeys {
        let (realm, octets) = (request.realm().key(), request.identity());
        let fingerprint = |key: Key<'_>| -> Fingerprint {
            self.secrets.each_ref().map(|secret| secret.hash_one(&key))
        };
        let peer_and_ticket = udp_peer.zip(request.ticket());
        CopyKeys {
            message: fingerprint(Key::Message(request.service(), realm, octets)),
            ticket: request
                .ticket()
                .map(|ticket| fingerprint(Key::Ticket(ticket))),
            peer_and_ticket: peer_and_ticket
                .map(|(peer, ticket)| fingerprint(Key::PeerAndTicket(peer, ticket))),
            resend: request.resend(),
        }
    }

    /// The shard of the ticket, where there is one: copies of a change of a password may have nothing else in common.
    #[expect(clippy::indexing_slicing, reason = "there is one for each remainder")]
    fn shard(&self, keys: &CopyKeys) -> &Mutex<Shard<W>> {
        let [number, _] = keys.ticket.unwrap_or(keys.message);
        &self.shards[number as usize % SHARDS]
    }
}

impl<W: Clone> Shard<W> {
    fn lookup(&mut self, keys: CopyKeys, now: Instant, wait: impl FnOnce() -> W) -> Lookup<W> {
        let CopyKeys {
            message,
            ticket,
            peer_and_ticket,
            ..
        } = keys;
        if let Some(reply) = self.replies.get(&message, now) {
            return Lookup::Replay(reply);
        }
        if let Some(under_way) = self.under_way.get(&message) {
            return Lookup::Join(under_way.wait.clone());
        }
        let of_message = self.spent.get(&message, now);
        let verdict = of_message
            .or_else(|| self.verdicts.get(&message, now))
            .or_else(|| self.verdicts.get(&ticket?, now));
        if let Some(verdict) = verdict {
            return Lookup::Replay(verdict);
        }
        if let Some(under_way) = peer_and_ticket.and_then(|key| self.under_way.get(&key)) {
            return Lookup::Join(under_way.wait.clone());
        }
        self.exchanges += 1;
        let (number, wait) = (self.exchanges, wait());
        for key in [Some(message), peer_and_ticket].into_iter().flatten() {
            let wait = wait.clone();
            self.under_way.insert(key, UnderWay { number, wait });
        }
        Lookup::New(ExchangeTicket { number, keys })
    }

    fn settle(&mut self, ticket: &ExchangeTicket, answer: &Answer, now: Instant) -> u64 {
        self.abandon(ticket);
        match answer {
            Answer::Reply(reply) => {
                let octets = reply.bytes().len();
                self.replies
                    .insert(ticket.keys.message, answer.clone(), octets, now)
            }
            Answer::Verdict(verdict) => self.keep_verdict(ticket, verdict, now),
        }
    }

    /// Takes an exchange off the list of those under way.
    ///
    /// One that is settled late may find its places taken by a later exchange, which keeps them: without its place a
    /// copy that Heimdal rebuilds would be a second change.
    fn abandon(&mut self, ticket: &ExchangeTicket) {
        for key in [Some(ticket.keys.message), ticket.keys.peer_and_ticket] {
            let own = |place: &UnderWay<W>| place.number == ticket.number;
            if let Some(key) = key.filter(|key| self.under_way.get(key).is_some_and(own)) {
                self.under_way.remove(&key);
            }
        }
    }

    fn keep_verdict(&mut self, ticket: &ExchangeTicket, verdict: &Verdict, now: Instant) -> u64 {
        let (message, answer) = (ticket.keys.message, Answer::Verdict(verdict.clone()));
        // Costs nothing to find again, and anyone may ask for any realm: kept, it would push out what others need.
        if matches!(verdict.cause, Cause::NoUpstream | Cause::NotOffered) {
            return 0;
        }
        if !verdict.may_have_been_sent || ticket.keys.resend == Resend::Harmless {
            return self.verdicts.insert(message, answer, 0, now);
        }
        // A request that must not be sent twice stays answered for as long as a reply would: no client repeats its
        // octets on purpose so late, and a relay that did would burn a one-time code or an attempt at a password.
        let forgotten = self.spent.insert(message, answer.clone(), 0, now);
        let Some(ticket) = ticket.keys.ticket else {
            return forgotten;
        };
        forgotten + self.verdicts.insert(ticket, answer, 0, now)
    }
}

#[cfg(test)]
mod tests;
