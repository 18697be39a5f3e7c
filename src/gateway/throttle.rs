//! How much one client may ask for ([MS-KKDCP] 5.1): requests, requests at once, and logins with a wrong password.
//!
//! A connection over TLS pays for its first request before the handshake, which costs more than most requests. MIT's client
//! makes one for each message, and pays no more than a client that keeps one; a connection that brings no request has paid for
//! nothing. There is nobody to give a reason to before the handshake, so one that can't pay is ended without a word. It is
//! the other end that pays, unless it is a trusted proxy: those make connections for many.
//!
//! Clients are hashed into a fixed number of slots, so that memory is bounded whatever comes and nothing needs sweeping.
//! Two of them share a slot now and then; which ones can't be aimed at, since the hash is keyed anew in each process.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use crate::config::gateway::Quotas;
use crate::wire::RealmKey;

/// Slots, of eight octets, for each kind of bound.
const SLOTS: usize = 1 << 16;

/// A client, as far as it can be told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address; nothing for all who come over Unix sockets.
    pub address: Option<IpAddr>,
    /// The certificate that it showed.
    pub certificate: Option<CertificateSlot>,
}

/// The place of a client certificate, found once for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateSlot(u16);

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

/// What a login pays if its password is wrong; lost unless it is [given back](Throttle::give_back).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "dropped, it counts as a wrong password"]
pub struct Stake(Option<Token>);

/// A request that is under way, until this is dropped.
#[must_use = "dropped, the request is over"]
pub struct InFlightRequest {
    _address: Option<InFlightCount>,
    _certificate: Option<InFlightCount>,
}

/// The bounds of a gateway's clients.
pub struct Throttle<C: Clock = MonotonicClock> {
    requests: Option<TokenBuckets<C>>,
    in_flight: Option<InFlightCounts>,
    failures: Option<TokenBuckets<C>>,
    random: RandomState,
}

/// What is hashed: by its kind first, so that no client is another kind's namesake.
#[derive(Hash)]
enum ClientKey<'a> {
    V4(u32),
    /// The network: one host has a whole /64, and changes its address in it as it likes.
    V6(u64),
    Local,
    Certificate(&'a [u8]),
}

impl From<Option<IpAddr>> for ClientKey<'_> {
    fn from(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Local,
            Some(IpAddr::V4(address)) => Self::V4(address.to_bits()),
            Some(IpAddr::V6(address)) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl Throttle {
    /// Bounds by the clock of the machine.
    #[must_use]
    pub fn new(quotas: &Quotas) -> Self {
        Self::by(quotas, &MonotonicClock)
    }
}

impl<C: Clock + Clone> Throttle<C> {
    /// Bounds by `clock`.
    pub fn by(quotas: &Quotas, clock: &C) -> Self {
        let per_second = (quotas.requests_per_second, Quota::per_second as fn(_) -> _);
        let per_minute = (quotas.failures_per_minute, Quota::per_minute as fn(_) -> _);
        Self {
            requests: TokenBuckets::new(per_second, quotas.burst, clock),
            in_flight: InFlightCounts::new(quotas.in_flight),
            failures: TokenBuckets::new(per_minute, quotas.failure_burst, clock),
            random: RandomState::new(),
        }
    }

    fn slot(&self, key: impl Hash) -> u16 {
        self.random.hash_one(key) as u16
    }

    /// The place of a certificate in DER.
    pub fn certificate(&self, der: &[u8]) -> CertificateSlot {
        CertificateSlot(self.slot(ClientKey::Certificate(der)))
    }

    /// Takes what a connection from `peer` costs.
    ///
    /// # Errors
    /// It has nothing left.
    pub fn admit_connection(&self, peer: IpAddr) -> Result<(), Wait> {
        self.charge(self.slot(ClientKey::from(Some(peer))))
    }

    /// Takes what the first request costs over a connection that was [paid for](Self::admit_connection).
    ///
    /// # Errors
    /// Its certificate has nothing left.
    pub fn admit_first(&self, client: &Client) -> Result<(), Wait> {
        let certificate = client.certificate;
        certificate.map_or(Ok(()), |CertificateSlot(slot)| self.charge(slot))
    }

    /// Takes what any other request costs, from its address first and then from its certificate.
    ///
    /// # Errors
    /// One of the two has nothing left; the other may have paid.
    pub fn admit(&self, client: &Client) -> Result<(), Wait> {
        self.charge(self.slot(ClientKey::from(client.address)))?;
        self.admit_first(client)
    }

    fn charge(&self, slot: u16) -> Result<(), Wait> {
        let requests = self.requests.as_ref();
        requests.map_or(Ok(()), |requests| requests.charge(slot).map(drop))
    }

    /// Counts a request as under way, for its address and for its certificate: what a KDC drops in silence holds a place of
    /// it until its deadline, and nobody may have all of them.
    ///
    /// # Errors
    /// One of the two has too many under way.
    pub fn begin(&self, client: &Client) -> Result<InFlightRequest, Wait> {
        let begin = |slot| self.in_flight.as_ref().map(|counts| counts.begin(slot));
        let certificate = client.certificate.map(|CertificateSlot(slot)| slot);
        Ok(InFlightRequest {
            _address: begin(self.slot(ClientKey::from(client.address))).transpose()?,
            _certificate: certificate.and_then(begin).transpose()?,
        })
    }

    /// Takes what a wrong password costs `client` in `realm` before it is known to be wrong, or as many could be tried as
    /// can be under way at once.
    ///
    /// # Errors
    /// Too many have failed, or may yet.
    pub fn admit_login(&self, client: &Client, realm: &RealmKey) -> Result<Stake, Wait> {
        let failures = self.failures.as_ref();
        let token = failures.map(|bound| bound.charge(self.login(client, realm)));
        token.transpose().map(Stake)
    }

    /// Gives back what a login had at stake: no password was wrong.
    pub fn give_back(&self, stake: Stake) {
        if let (Some(failures), Some(token)) = (&self.failures, stake.0) {
            failures.give_back(&token);
        }
    }

    fn login(&self, client: &Client, realm: &RealmKey) -> u16 {
        self.slot((ClientKey::from(client.address), realm))
    }
}

impl<C: Clock> fmt::Debug for Throttle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("requests", &self.requests.is_some())
            .field("in_flight", &self.in_flight.is_some())
            .field("failures", &self.failures.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InFlightRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlightRequest").finish_non_exhaustive()
    }
}

type Limiter<C> = RateLimiter<Token, BucketStates, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// A bucket of tokens for each slot.
struct TokenBuckets<C: Clock> {
    limiter: Limiter<C>,
    slots: BucketStates,
    start: C::Instant,
    /// How long the clock takes to bring one token.
    each: Nanos,
}

impl<C: Clock + Clone> TokenBuckets<C> {
    fn new((rate, per): (u32, fn(NonZeroU32) -> Quota), burst: u32, clock: &C) -> Option<Self> {
        let quota = per(NonZeroU32::new(rate)?).allow_burst(NonZeroU32::new(burst)?);
        let slots = BucketStates::default();
        Some(Self {
            // Not later than the limiter's, so that nothing is given back twice.
            start: clock.now(),
            limiter: RateLimiter::new(quota, slots.clone(), clock.clone()),
            slots,
            each: quota.replenish_interval().into(),
        })
    }

    fn charge(&self, slot: u16) -> Result<Token, Wait> {
        let (now, token) = (self.limiter.clock().now(), Token::of(slot));
        match self.limiter.check_key(&token) {
            Ok(()) => Ok(token),
            Err(not_until) => Err(Wait(not_until.wait_time_from(now))),
        }
    }

    /// Gives back of a token what the clock has not brought again by now: with all of it, a bucket that was full meanwhile
    /// would hold more than its burst.
    fn give_back(&self, token: &Token) {
        let now = self.limiter.clock().now().duration_since(self.start);
        let rest = token.until.get().saturating_sub(now).min(self.each);
        self.slots.lower(token.slot, rest);
    }
}

/// A token that was taken from the bucket in `slot`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    slot: u16,
    /// When the clock will have brought it again, behind those that were taken before.
    until: Cell<Nanos>,
}

impl Token {
    fn of(slot: u16) -> Self {
        let until = Cell::new(Nanos::new(0));
        Self { slot, until }
    }
}

impl Hash for Token {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.slot.hash(hasher);
    }
}

/// The states of all buckets: of each, when it will be full.
#[derive(Clone)]
struct BucketStates(Arc<[InMemoryState]>);

impl Default for BucketStates {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| InMemoryState::default()).collect())
    }
}

impl BucketStates {
    fn lower(&self, slot: u16, by: Nanos) {
        if let Some(state) = self.0.get(usize::from(slot)) {
            let lower = |until: Option<Nanos>| until.map(|until| ((), until.saturating_sub(by)));
            let lower = |until| lower(until).ok_or(());
            // One that says nothing is full.
            let _ = state.measure_and_replace(&NotKeyed::NonKey, lower);
        }
    }
}

impl StateStore for BucketStates {
    type Key = Token;

    fn measure_and_replace<T, F, E>(&self, token: &Token, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let measure = |until| {
            let (said, until) = measure(until)?;
            token.until.set(until);
            Ok((said, until))
        };
        match self.0.get(usize::from(token.slot)) {
            Some(state) => state.measure_and_replace(&NotKeyed::NonKey, measure),
            // There is a slot for each number.
            None => measure(None).map(|(said, _)| said),
        }
    }
}

/// How many requests each client has under way.
struct InFlightCounts {
    slots: Arc<[AtomicU32]>,
    most: u32,
}

impl InFlightCounts {
    fn new(most: u32) -> Option<Self> {
        let slots = || (0..SLOTS).map(|_| AtomicU32::new(0)).collect();
        (most > 0).then(|| Self {
            slots: slots(),
            most,
        })
    }

    fn begin(&self, slot: u16) -> Result<InFlightCount, Wait> {
        let more = |count| (count < self.most).then_some(count + 1);
        let taken = self
            .slots
            .get(usize::from(slot))
            .map(|count| count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more));
        match taken {
            // Nobody knows when one of them will be answered.
            Some(Err(_)) => Err(Wait(Duration::from_secs(1))),
            // There is a slot for each number.
            Some(Ok(_)) | None => Ok(InFlightCount {
                slots: Arc::clone(&self.slots),
                slot,
            }),
        }
    }
}

/// A request that is counted in `slot`.
struct InFlightCount {
    slots: Arc<[AtomicU32]>,
    slot: u16,
}

impl Drop for InFlightCount {
    fn drop(&mut self) {
        if let Some(count) = self.slots.get(usize::from(self.slot)) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
