//! Join a retransmit to the exchange under way; replay what was answered a moment ago.
//!
//! libkrb5 sends the same octets over the other transport about a second later, and over UDP again after
//! that. The key is therefore the service, the realm and the message's octets, never the peer or the framing. No client
//! sends identical octets in two runs, so a replay harms nobody.
//!
//! Heimdal rebuilds its kpasswd request for each retransmit: other octets, same source port, same ticket. Over
//! UDP a kpasswd request from the peer and with the ticket of one under way is a copy of it; and a verdict on a
//! change that may have been carried out is kept a moment under its ticket, because Heimdal asks again as
//! version 1, from a new port, after any failure.
//!
//! The datagrams that are sent again *to* a KDC are those of `upstream/kdc/datagrams.rs`.
//!
//! Pure: the clock is an argument, and what a joiner waits on (`W`) is the caller's.

mod recent;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::recent::Recent;
use crate::relay::answer::{Answer, Cause, Verdict};
use crate::wire::{KerberosMessage, RealmKey, Reply, Resend, Service};

/// How long a reply is replayed: a client that waits for a slow one-time-password push may ask again after 35 s.
pub const REPLY_KEPT: Duration = Duration::from_secs(40);
/// How long a verdict is: MIT and Heimdal come back over TCP within 10 ms of the one they met over UDP.
const VERDICT_KEPT: Duration = Duration::from_secs(2);
/// Replies and the requests that they answer.
const REPLY_BYTES: usize = 5 * 1024 * 1024;
/// Verdicts on requests that must not be sent twice and may have been, kept apart from those that anyone can cause.
const SPENT_BYTES: usize = 2 * 1024 * 1024;
/// Other verdicts, and the requests or tickets that they stand under.
const VERDICT_BYTES: usize = 1024 * 1024;

/// The service, the realm that the message is routed by, and its octets.
type MessageKey = (Service, RealmKey, Bytes);
type CopyKey = (SocketAddr, Bytes);
/// Stands for a [`MessageKey`] that would cost its octets. Two hashes under secrets of this process: nobody can make
/// another message that has both.
type Fingerprint = [u64; 2];

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
    spent: Recent<Fingerprint, Verdict>,
    verdicts: Recent<VerdictKey, Verdict>,
    secrets: [RandomState; 2],
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
            replies: Recent::new(REPLY_KEPT, REPLY_BYTES),
            spent: Recent::new(REPLY_KEPT, SPENT_BYTES),
            verdicts: Recent::new(VERDICT_KEPT, VERDICT_BYTES),
            secrets: Default::default(),
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
        let key = (
            message.service(),
            message.realm().key(),
            message.bytes().clone(),
        );
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
        &self,
        key: &MessageKey,
        ticket: Option<&Bytes>,
        now: Instant,
    ) -> Option<Verdict> {
        let recent = |key| self.verdicts.get(&key, now);
        let spent = self.spent.get(&self.fingerprint(key), now);
        spent
            .or_else(|| recent(VerdictKey::Message(key.clone())))
            .or_else(|| recent(VerdictKey::Ticket(ticket?.clone())))
    }

    fn fingerprint(&self, key: &MessageKey) -> Fingerprint {
        self.secrets.each_ref().map(|secret| secret.hash_one(key))
    }

    /// Ends an exchange with its answer. A reply that comes after the verdict may settle it once more.
    ///
    /// Says how many answers were forgotten before their time, to stay within the bounds.
    pub fn settle(&mut self, lead: &Lead, answer: &Answer, now: Instant) -> u64 {
        self.abandon(lead);
        match answer {
            Answer::Reply(reply) => self.keep_reply(lead, reply, now),
            Answer::Verdict(verdict) => self.keep_verdict(lead, verdict, now),
        }
    }

    /// Takes an exchange off the list of those under way.
    ///
    /// One that is settled late may find its places taken by a later exchange, which keeps them: without its place a
    /// copy that Heimdal rebuilds would be a second change.
    fn abandon(&mut self, lead: &Lead) {
        remove_own(&mut self.under_way, &lead.message, lead.number);
        if let Some(copy) = &lead.copy {
            remove_own(&mut self.copies, copy, lead.number);
        }
    }

    fn keep_reply(&mut self, lead: &Lead, reply: &Reply, now: Instant) -> u64 {
        let octets = lead.message.2.len() + reply.bytes().len();
        self.replies
            .insert(lead.message.clone(), reply.clone(), octets, now)
    }

    fn keep_verdict(&mut self, lead: &Lead, verdict: &Verdict, now: Instant) -> u64 {
        let (message, octets) = (lead.message.clone(), lead.message.2.len());
        // Costs nothing to find again, and anyone may ask for any realm: kept, it would push out what others need.
        if matches!(verdict.cause, Cause::NoUpstream | Cause::NotOffered) {
            return 0;
        }
        if !verdict.may_have_been_sent || lead.resend == Resend::Harmless {
            let key = VerdictKey::Message(message);
            return self.verdicts.insert(key, verdict.clone(), octets, now);
        }
        // A request that must not be sent twice stays answered for as long as a reply would: no client repeats its
        // octets on purpose so late, and a relay that did would burn a one-time code or an attempt at a password.
        // Under a fingerprint: else a few long messages, as anyone can send them, would push out what others need.
        let fingerprint = self.fingerprint(&message);
        let forgotten = self.spent.insert(fingerprint, verdict.clone(), 0, now);
        let Some(ticket) = &lead.ticket else {
            return forgotten;
        };
        let key = VerdictKey::Ticket(ticket.clone());
        let (verdict, octets) = (verdict.clone(), ticket.len());
        forgotten + self.verdicts.insert(key, verdict, octets, now)
    }
}

fn remove_own<K: Eq + Hash, W>(places: &mut HashMap<K, UnderWay<W>>, key: &K, lead: u64) {
    if places.get(key).is_some_and(|place| place.lead == lead) {
        places.remove(key);
    }
}

#[cfg(test)]
mod tests;
