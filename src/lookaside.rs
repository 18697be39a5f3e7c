//! Join a retransmit to the exchange under way; replay what was answered a moment ago.
//!
//! libkrb5 sends the same octets over the other transport about a second later, and over UDP again after
//! that. The key is therefore the service and the message's octets, never the peer or the framing. No client
//! sends identical octets in two runs, so a replay harms nobody.
//!
//! Heimdal rebuilds its kpasswd request for each retransmit: other octets, same source port, same ticket. Over
//! UDP a kpasswd request from the peer and with the ticket of one under way is a copy of it; and a verdict on a
//! change that may have been carried out is kept a moment under its ticket, because Heimdal asks again as
//! version 1, from a new port, after any failure.
//!
//! Pure: the clock is an argument, and what a joiner waits on (`W`) is the caller's.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::answer::{Answer, Verdict};
use crate::wire::{KerberosMessage, Reply, Resend, Service};

/// How long a reply is replayed: a client that waits for a slow one-time-password push may ask again after 35 s.
const REPLY_KEPT: Duration = Duration::from_secs(40);
/// How long a verdict is: MIT and Heimdal come back over TCP within 10 ms of the one they met over UDP.
const VERDICT_KEPT: Duration = Duration::from_secs(2);
/// Replies and the requests that they answer.
const REPLY_BYTES: usize = 7 * 1024 * 1024;
/// Verdicts and the requests or tickets that they stand under.
const VERDICT_BYTES: usize = 1024 * 1024;
/// What an entry costs beside its octets.
const ENTRY_BYTES: usize = 256;

type MessageKey = (Service, Bytes);
type CopyKey = (SocketAddr, Bytes);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum VerdictKey {
    Message(MessageKey),
    Ticket(Bytes),
}

/// What the lookaside knows of a request.
#[derive(Debug)]
pub enum Asked<W> {
    /// It was answered a moment ago.
    Replay(Answer),
    /// It is under way: wait on this.
    Join(W),
    /// It is new: lead its exchange, and [`Lookaside::settle`] it.
    Lead(Lead),
}

/// The duty to settle an exchange; made by [`Lookaside::ask`].
#[derive(Clone, Debug)]
pub struct Lead {
    number: u64,
    message: MessageKey,
    ticket: Option<Bytes>,
    copy: Option<CopyKey>,
    resend: Resend,
}

/// The exchanges under way and the recent answers; bounded in octets.
#[derive(Debug)]
pub struct Lookaside<W> {
    under_way: HashMap<MessageKey, UnderWay<W>>,
    copies: HashMap<CopyKey, UnderWay<W>>,
    replies: Recent<MessageKey, Reply>,
    verdicts: Recent<VerdictKey, Verdict>,
    leads: u64,
}

/// What joiners of an exchange wait on, and whose exchange it is.
#[derive(Clone, Debug)]
struct UnderWay<W> {
    lead: u64,
    wait: W,
}

impl<W: Clone> Default for Lookaside<W> {
    fn default() -> Self {
        Self {
            under_way: HashMap::new(),
            copies: HashMap::new(),
            replies: Recent::new(REPLY_BYTES),
            verdicts: Recent::new(VERDICT_BYTES),
            leads: 0,
        }
    }
}

impl<W: Clone> Lookaside<W> {
    /// Says what is known of `message`; `udp_peer` is its sender if it came over UDP.
    ///
    /// `wait` makes what joiners will wait on, and is called only for a new request.
    pub fn ask(
        &mut self,
        message: &KerberosMessage,
        udp_peer: Option<SocketAddr>,
        now: Instant,
        wait: impl FnOnce() -> W,
    ) -> Asked<W> {
        let key = (message.service(), message.bytes().clone());
        let ticket = message.ticket().map(Bytes::copy_from_slice);
        if let Some(reply) = self.replies.get(&key, now) {
            return Asked::Replay(Answer::Reply(reply));
        }
        if let Some(under_way) = self.under_way.get(&key) {
            return Asked::Join(under_way.wait.clone());
        }
        if let Some(verdict) = self.verdict_on(&key, ticket.as_ref(), now) {
            return Asked::Replay(Answer::Verdict(verdict));
        }
        let copy = udp_peer.zip(ticket.clone());
        if let Some(under_way) = copy.as_ref().and_then(|copy| self.copies.get(copy)) {
            return Asked::Join(under_way.wait.clone());
        }
        self.leads += 1;
        let (lead, wait) = (self.leads, wait());
        let under_way = UnderWay { lead, wait };
        self.under_way.insert(key.clone(), under_way.clone());
        if let Some(copy) = &copy {
            self.copies.insert(copy.clone(), under_way);
        }
        Asked::Lead(Lead {
            number: lead,
            message: key,
            ticket,
            copy,
            resend: message.resend(),
        })
    }

    fn verdict_on(
        &mut self,
        key: &MessageKey,
        ticket: Option<&Bytes>,
        now: Instant,
    ) -> Option<Verdict> {
        let by_message = self.verdicts.get(&VerdictKey::Message(key.clone()), now);
        by_message.or_else(|| self.verdicts.get(&VerdictKey::Ticket(ticket?.clone()), now))
    }

    /// Ends an exchange with its answer. A reply that comes after the verdict may settle it once more.
    pub fn settle(&mut self, lead: &Lead, answer: &Answer, now: Instant) {
        self.abandon(lead);
        match answer {
            Answer::Reply(reply) => self.keep_reply(lead, reply, now),
            Answer::Verdict(verdict) => self.keep_verdict(lead, verdict, now),
        }
    }

    /// Forgets an exchange that will never be settled.
    ///
    /// One that is settled late may find its places taken by a later exchange, which keeps them: without its place a
    /// copy that Heimdal rebuilds would be a second change.
    pub fn abandon(&mut self, lead: &Lead) {
        remove_own(&mut self.under_way, &lead.message, lead.number);
        if let Some(copy) = &lead.copy {
            remove_own(&mut self.copies, copy, lead.number);
        }
    }

    fn keep_reply(&mut self, lead: &Lead, reply: &Reply, now: Instant) {
        let cost = lead.message.1.len() + reply.bytes().len();
        self.replies
            .insert(lead.message.clone(), reply.clone(), cost, REPLY_KEPT, now);
    }

    fn keep_verdict(&mut self, lead: &Lead, verdict: &Verdict, now: Instant) {
        let spent = verdict.may_have_been_sent && lead.resend == Resend::Once;
        // A request that must not be sent twice stays answered for as long as a reply would: no client repeats its
        // octets on purpose so late, and a relay that did would burn a one-time code or an attempt at a password.
        let kept = if spent { REPLY_KEPT } else { VERDICT_KEPT };
        let key = VerdictKey::Message(lead.message.clone());
        self.verdicts
            .insert(key, verdict.clone(), lead.message.1.len(), kept, now);
        if let Some(ticket) = lead.ticket.as_ref().filter(|_| spent) {
            let key = VerdictKey::Ticket(ticket.clone());
            self.verdicts
                .insert(key, verdict.clone(), ticket.len(), VERDICT_KEPT, now);
        }
    }
}

fn remove_own<K: Eq + Hash, W>(places: &mut HashMap<K, UnderWay<W>>, key: &K, lead: u64) {
    if places.get(key).is_some_and(|place| place.lead == lead) {
        places.remove(key);
    }
}

/// Values that are kept for a while, bounded in octets, oldest out first.
#[derive(Debug)]
struct Recent<K, V> {
    kept: HashMap<K, Kept<V>>,
    oldest_first: VecDeque<(K, u64)>,
    bytes: usize,
    most_bytes: usize,
    serial: u64,
}

#[derive(Debug)]
struct Kept<V> {
    value: V,
    until: Instant,
    cost: usize,
    serial: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Recent<K, V> {
    fn new(most_bytes: usize) -> Self {
        Self {
            kept: HashMap::new(),
            oldest_first: VecDeque::new(),
            bytes: 0,
            most_bytes,
            serial: 0,
        }
    }

    fn get(&self, key: &K, now: Instant) -> Option<V> {
        self.kept
            .get(key)
            .filter(|kept| now < kept.until)
            .map(|kept| kept.value.clone())
    }

    fn insert(&mut self, key: K, value: V, cost: usize, keep: Duration, now: Instant) {
        self.remove(&key);
        let cost = cost + ENTRY_BYTES;
        if cost > self.most_bytes {
            return;
        }
        self.serial += 1;
        self.bytes += cost;
        self.oldest_first.push_back((key.clone(), self.serial));
        self.kept.insert(
            key,
            Kept {
                value,
                until: now + keep,
                cost,
                serial: self.serial,
            },
        );
        self.prune(now);
    }

    /// Drops from the old end what has expired, what was replaced, and what exceeds the bound.
    fn prune(&mut self, now: Instant) {
        while let Some((key, serial)) = self.oldest_first.front() {
            let stands = self
                .kept
                .get(key)
                .is_some_and(|kept| kept.serial == *serial && now < kept.until);
            if stands && self.bytes <= self.most_bytes {
                break;
            }
            let (key, serial) = (key.clone(), *serial);
            self.oldest_first.pop_front();
            if self
                .kept
                .get(&key)
                .is_some_and(|kept| kept.serial == serial)
            {
                self.remove(&key);
            }
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some(kept) = self.kept.remove(key) {
            self.bytes -= kept.cost;
        }
    }
}
