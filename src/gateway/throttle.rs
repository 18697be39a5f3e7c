//! How much one client may ask for ([MS-KKDCP] 5.1): requests, requests at once, and logins with a wrong password or the name
//! of nobody.
//!
//! A connection over TLS pays for its first request before the handshake, which costs more than most requests. MIT's client
//! makes one for each message, and pays no more than a client that keeps one; a connection that brings no request has paid for
//! nothing, and one that ends before its handshake pays as much again as ten: thousands a second that say nothing would leave no time
//! to accept others'. There is nobody to give a reason to before the handshake, so one that can't pay is ended without a word. It is
//! the other end that pays, unless it is a trusted proxy: those make connections for many.
//!
//! Clients are hashed into a fixed number of slots, so that memory is bounded whatever comes and nothing needs sweeping.
//! Two of them share a slot now and then; which ones can't be aimed at, since the hash is keyed anew in each process.

mod stakes;
mod token_buckets;
mod turns;

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout_at};

pub use self::stakes::Stake;
use self::stakes::Stakes;
use self::token_buckets::TokenBuckets;
pub use self::turns::Turn;
use self::turns::Turns;
use crate::config::gateway::Quotas;
use crate::relay::shares::Holder;
use crate::wire::RealmKey;

/// Slots for each kind of bound, of four or eight octets.
const SLOTS: usize = 1 << 16;
/// Requests of one client that wait for each that may be under way.
const QUEUED: usize = 16;
/// Seconds for which a wrong password counts against its principal: KDCs that lock accounts mostly count for no longer.
const LOCKOUT: u64 = 600;
/// The octets of an IPv6 address that stand for a site (RFC 6177): whoever has one has 65,536 times a /64.
const SITE: u32 = 128 - 48;
/// Seconds for which a client that asks for the same nobody again learns nothing new, and pays nothing: a machine whose
/// principal was deleted goes on to ask, and must not keep all behind its address from logging in.
const NAME_KNOWN: u64 = 3600;

/// Requests that a connection costs besides, if its handshake is never done.
const NO_HANDSHAKE: u32 = 10;

/// Waits until it is `due`. The runtime's timers count milliseconds: what is due at once would wait for one.
pub(super) async fn wait_until(due: Instant) {
    if due > Instant::now() {
        sleep_until(due.into()).await;
    }
}

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

/// What ends with other requests, and not by the clock.
const SOON: Wait = Wait(Duration::from_secs(1));

impl Wait {
    /// In whole seconds, and at least one, as Retry-After takes it (RFC 9110 10.2.3).
    #[must_use]
    pub fn seconds(self) -> u64 {
        let begun = u64::from(self.0.subsec_nanos() > 0);
        (self.0.as_secs() + begun).max(1)
    }
}

/// The bounds of a gateway's clients.
pub struct Throttle {
    requests: TokenBuckets,
    /// Places of those that wait for their body or their turn.
    queue: Turns,
    in_flight: Turns,
    failures: Arc<Stakes>,
    /// Of each principal by itself.
    of_principals: Arc<Stakes>,
    /// One for each name that a client was told to be nobody's.
    names: TokenBuckets,
    patience: Duration,
    random: RandomState,
}

impl Throttle {
    /// Bounds from `start` on.
    #[must_use]
    pub fn new(quotas: &Quotas, start: Instant) -> Self {
        let buckets = |tokens, seconds, burst| {
            let per = Duration::from_secs(seconds);
            TokenBuckets::new(tokens, per, burst, start)
        };
        let in_flight = quotas.in_flight as usize;
        let failures = buckets(quotas.failures_per_minute, 60, quotas.failure_burst);
        Self {
            requests: buckets(quotas.requests_per_second, 1, quotas.burst),
            queue: Turns::new(in_flight * QUEUED),
            in_flight: Turns::new(in_flight),
            failures: Stakes::new(failures),
            of_principals: Stakes::new(buckets(1, LOCKOUT, quotas.failures_per_principal)),
            names: buckets(1, NAME_KNOWN, 1),
            patience: quotas.patience,
            random: RandomState::new(),
        }
    }

    fn slot(&self, key: impl Hash) -> Slot {
        Slot(self.random.hash_one(key) as u16)
    }

    fn client_slot(&self, client: &Client) -> Slot {
        self.slot(client.holder())
    }

    /// A number for a name, by which its client is counted.
    #[must_use]
    pub fn name(&self, name: &str) -> u64 {
        self.random.hash_one(name)
    }

    /// Takes what a request costs. Returns how long it is to wait for its turn. A connection costs its address as much, before
    /// there is a name; its first request is then prepaid, but not for who has one.
    ///
    /// # Errors
    /// The client has nothing left, and would have to wait for too long.
    pub fn admit(&self, client: &Client, is_prepaid: bool, now: Instant) -> Result<Duration, Wait> {
        if is_prepaid && client.name.is_none() {
            return Ok(Duration::ZERO);
        }
        let slot = self.client_slot(client);
        self.requests.take(slot, self.patience, now)?;
        Ok(self.requests.wait_for(slot, 0, now))
    }

    /// Takes what it costs `client` that a connection has ended before its handshake was done.
    pub fn charge_for_no_handshake(&self, client: &Client, now: Instant) {
        let slot = self.client_slot(client);
        self.requests.charge(slot, NO_HANDSHAKE, now);
    }

    /// How long what `client` was admitted for just now is to wait.
    #[must_use]
    pub fn wait(&self, client: &Client, now: Instant) -> Duration {
        self.requests.wait_for(self.client_slot(client), 0, now)
    }

    /// A place among the requests of `client` that wait, until this is dropped.
    ///
    /// # Errors
    /// All are taken.
    pub fn queue(&self, client: &Client) -> Result<Turn, Wait> {
        let place = self.queue.try_take(self.client_slot(client));
        place.ok_or(SOON)
    }

    /// Counts a request that came whole `at` then as under way, when it is its turn: what a KDC drops in silence holds a place
    /// of it until its deadline, and nobody may have all of them.
    ///
    /// # Errors
    /// Too many of the client's stay under way for too long. Nobody knows when one of them will be answered.
    pub async fn begin(&self, client: &Client, at: Instant) -> Result<Turn, Wait> {
        let turn = self.in_flight.take(self.client_slot(client));
        let until = at + self.patience;
        timeout_at(until.into(), turn).await.map_err(|_| SOON)
    }

    /// Puts at stake what a failed login costs `client` in `realm`, for a request that came whole `at` then. It waits for others
    /// that may turn out not to have failed.
    ///
    /// # Errors
    /// Too many have failed, or may yet.
    pub async fn stake(
        &self,
        client: &Client,
        realm: &RealmKey,
        at: Instant,
    ) -> Result<Stake, Wait> {
        let slot = self.slot((client.holder(), realm));
        let until = at + self.patience;
        self.failures.take(slot, until.into()).await
    }

    /// The same of the principal of this `name`, whatever the letter case and as what kind of name it is written: from there it is
    /// tried no oftener than the KDC bears.
    ///
    /// # Errors
    /// Too many have failed for it, or may yet.
    pub async fn stake_of_principal(
        &self,
        client: &Client,
        realm: &RealmKey,
        name: &str,
        at: Instant,
    ) -> Result<Stake, Wait> {
        let from = match client.holder() {
            Holder::Address(IpAddr::V6(address)) => {
                let site = address.to_bits() >> SITE << SITE;
                Holder::Address(Ipv6Addr::from_bits(site).into())
            }
            other => other,
        };
        let user = name.rsplit_once('@').map_or(name, |(user, _)| user);
        let slot = self.slot((from, realm, user.trim().to_lowercase()));
        let until = at + self.patience;
        self.of_principals.take(slot, until.into()).await
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
        self.names.take(slot, Duration::ZERO, now).is_ok()
    }
}

#[cfg(test)]
mod tests;
