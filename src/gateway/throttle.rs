//! How much one client may ask for ([MS-KKDCP] 5.1): requests, requests at once, and logins with a wrong password or the name
//! of nobody.
//!
//! A connection over TLS pays for its first request before the handshake, which costs more than most requests. MIT's client
//! makes one for each message, and pays no more than a client that keeps one; a connection that brings no request has paid for
//! nothing. There is nobody to give a reason to before the handshake, so one that can't pay is ended without a word. It is
//! the other end that pays, unless it is a trusted proxy: those make connections for many.
//!
//! Clients are hashed into a fixed number of slots, so that memory is bounded whatever comes and nothing needs sweeping.
//! Two of them share a slot now and then; which ones can't be aimed at, since the hash is keyed anew in each process.

mod token_buckets;

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::token_buckets::Token;
use self::token_buckets::TokenBuckets;
use crate::config::gateway::Quotas;
use crate::relay::shares::Holder;
use crate::wire::RealmKey;

/// Slots, of eight octets, for each kind of bound.
const SLOTS: usize = 1 << 16;
/// Seconds for which a client that asks for the same nobody again learns nothing new, and pays nothing: a machine whose
/// principal was deleted goes on to ask, and must not keep all behind its address from logging in.
const NAME_KNOWN: u64 = 3600;

/// A client, as far as it can be told from others.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its address; nothing for all who come over Unix sockets.
    pub address: Option<IpAddr>,
    /// A [number](Throttle::name) for the name that it has proved, which is what counts then, from wherever it asks.
    pub name: Option<u64>,
}

impl Client {
    /// What stands for its address. For IPv6, one host has a whole /64, and changes its address in it as it likes.
    #[must_use]
    pub fn network(&self) -> Option<IpAddr> {
        self.address.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address => address,
        })
    }

    /// Who it counts as, and who holds what it takes of what all clients share.
    #[must_use]
    pub fn holder(&self) -> Holder {
        match (self.name, self.network()) {
            (Some(name), _) => Holder::Named(name),
            (None, Some(network)) => Holder::Address(network),
            (None, None) => Holder::Unknown,
        }
    }
}

/// A number for a client, which a few others share.
#[derive(Clone, Copy, Debug)]
struct Slot(u16);

/// How long a client has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(Duration);

impl Wait {
    /// In whole seconds, and at least one, as Retry-After takes it (RFC 9110 10.2.3).
    #[must_use]
    pub fn seconds(self) -> u64 {
        let begun = u64::from(self.0.subsec_nanos() > 0);
        (self.0.as_secs() + begun).max(1)
    }
}

/// A request that is under way for one client, until this is dropped.
#[must_use = "dropped, the request is over"]
pub struct InFlightRequest(Token);

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        self.0.give_back(self.0.buckets.start);
    }
}

/// The bounds of a gateway's clients.
pub struct Throttle {
    requests: Arc<TokenBuckets>,
    /// Always asked as of the start: no time brings one of these tokens back, but the end of a request.
    in_flight: Arc<TokenBuckets>,
    failures: Arc<TokenBuckets>,
    /// One for each name that a client was told to be nobody's.
    names: Arc<TokenBuckets>,
    start: Instant,
    random: RandomState,
}

impl Throttle {
    /// Bounds from `start` on.
    #[must_use]
    pub fn new(quotas: &Quotas, start: Instant) -> Self {
        let buckets = |tokens, seconds, burst| {
            let per = Duration::from_secs(seconds);
            Arc::new(TokenBuckets::new(tokens, per, burst, start))
        };
        Self {
            requests: buckets(quotas.requests_per_second, 1, quotas.burst),
            in_flight: buckets(1, 1, quotas.in_flight),
            failures: buckets(quotas.failures_per_minute, 60, quotas.failure_burst),
            names: buckets(1, NAME_KNOWN, 1),
            start,
            random: RandomState::new(),
        }
    }

    fn slot(&self, key: impl Hash) -> Slot {
        Slot(self.random.hash_one(key) as u16)
    }

    /// A number for a name, by which its client is counted.
    #[must_use]
    pub fn name(&self, name: &str) -> u64 {
        self.random.hash_one(name)
    }

    /// Takes what a request costs. A connection costs its address as much, before there is a name; its first request is then
    /// prepaid, but not for who has one.
    ///
    /// # Errors
    /// The client has nothing left.
    pub fn admit(&self, client: &Client, is_prepaid: bool, now: Instant) -> Result<(), Wait> {
        if !is_prepaid || client.name.is_some() {
            let _spent = self.requests.take(self.slot(client.holder()), now)?;
        }
        Ok(())
    }

    /// Counts a request as under way: what a KDC drops in silence holds a place of it until its deadline, and nobody may have
    /// all of them.
    ///
    /// # Errors
    /// The client has too many under way. Nobody knows when one of them will be answered.
    pub fn begin(&self, client: &Client) -> Result<InFlightRequest, Wait> {
        let slot = self.slot(client.holder());
        self.in_flight.take(slot, self.start).map(InFlightRequest)
    }

    /// Takes what a failed login costs `client` in `realm` before it is known to fail, or as many could be tried as can be
    /// under way at once. It is to be given back if it did not fail.
    ///
    /// # Errors
    /// Too many have failed, or may yet.
    pub fn admit_login(
        &self,
        client: &Client,
        realm: &RealmKey,
        now: Instant,
    ) -> Result<Token, Wait> {
        let slot = self.slot((client.holder(), realm));
        self.failures.take(slot, now)
    }

    /// True if `client` was not told lately that nobody in `realm` has this `name`; it has been now.
    pub fn is_new_name(
        &self,
        client: &Client,
        realm: &RealmKey,
        name: Option<&str>,
        now: Instant,
    ) -> bool {
        let slot = self.slot((client.holder(), realm, name));
        self.names.take(slot, now).is_ok()
    }
}

#[cfg(test)]
mod tests;
