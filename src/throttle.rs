//! How much one client may ask for ([MS-KKDCP] 5.1): requests, and logins with a wrong password.
//!
//! Clients are hashed into a fixed number of slots, so that memory is bounded whatever comes and nothing needs sweeping.
//! Two of them share a slot now and then; who they are can't be aimed at, since the hash is keyed anew in each process.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use crate::wire::RealmKey;

/// Slots of eight octets for each kind of bound.
const SLOTS: usize = 1 << 16;

/// How much each client may; 0 is as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Requests a second for long.
    pub requests_per_second: u32,
    /// Requests at once after a pause.
    pub burst: u32,
    /// Failed logins a minute in one realm for long.
    pub failures_per_minute: u32,
    /// And at once after a pause.
    pub failure_burst: u32,
}

/// Who asks, as far as it can be told.
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

/// The bounds of a gateway's clients.
pub struct Throttle<C: Clock = MonotonicClock> {
    requests: Option<Bound<C>>,
    failures: Option<Bound<C>>,
    random: RandomState,
}

/// What is hashed: by its kind first, so that no client is another kind's namesake.
#[derive(Hash)]
enum Subject<'a> {
    V4(u32),
    /// The network: one host has a whole /64, and changes its address in it as it likes.
    V6(u64),
    Local,
    Certificate(&'a [u8]),
}

impl From<Option<IpAddr>> for Subject<'_> {
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
            requests: Bound::new(per_second, quotas.burst, clock),
            failures: Bound::new(per_minute, quotas.failure_burst, clock),
            random: RandomState::new(),
        }
    }

    fn slot(&self, key: impl Hash) -> u16 {
        self.random.hash_one(key) as u16
    }

    /// The place of a certificate in DER.
    pub fn certificate(&self, der: &[u8]) -> CertificateSlot {
        CertificateSlot(self.slot(Subject::Certificate(der)))
    }

    /// Takes what one request costs, from its address first and then from its certificate.
    ///
    /// # Errors
    /// One of the two has nothing left; the other may have paid.
    pub fn admit(&self, client: &Client) -> Result<(), Wait> {
        let Some(requests) = &self.requests else {
            return Ok(());
        };
        requests.spend(self.slot(Subject::from(client.address)))?;
        match client.certificate {
            Some(CertificateSlot(slot)) => requests.spend(slot),
            None => Ok(()),
        }
    }

    /// Whether `client` may try a password in `realm`. As many as are under way at once may fail before that is known:
    /// the bound on requests is theirs.
    ///
    /// # Errors
    /// Too many have failed.
    pub fn admit_login(&self, client: &Client, realm: &RealmKey) -> Result<(), Wait> {
        let failures = self.failures.as_ref();
        failures.map_or(Ok(()), |bound| bound.look(self.login(client, realm)))
    }

    /// Counts a login of `client` in `realm` that failed.
    pub fn count_failure(&self, client: &Client, realm: &RealmKey) {
        if let Some(failures) = &self.failures {
            // What fails while nothing is left costs nothing more: it was under way already.
            let _ = failures.spend(self.login(client, realm));
        }
    }

    fn login(&self, client: &Client, realm: &RealmKey) -> u16 {
        self.slot((Subject::from(client.address), realm))
    }
}

impl<C: Clock> fmt::Debug for Throttle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("requests", &self.requests.is_some())
            .field("failures", &self.failures.is_some())
            .finish_non_exhaustive()
    }
}

type Limiter<S, C> = RateLimiter<u16, S, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// A bucket of tokens for each slot.
struct Bound<C: Clock> {
    spending: Limiter<Slots, C>,
    looking: Limiter<Looked, C>,
}

impl<C: Clock + Clone> Bound<C> {
    fn new((rate, per): (u32, fn(NonZeroU32) -> Quota), burst: u32, clock: &C) -> Option<Self> {
        let quota = per(NonZeroU32::new(rate)?).allow_burst(NonZeroU32::new(burst)?);
        let slots = Slots::default();
        Some(Self {
            looking: RateLimiter::new(quota, Looked(slots.clone()), clock.clone()),
            spending: RateLimiter::new(quota, slots, clock.clone()),
        })
    }

    fn spend(&self, slot: u16) -> Result<(), Wait> {
        let now = self.spending.clock().now();
        let spent = self.spending.check_key(&slot);
        spent.map_err(|not_until| Wait(not_until.wait_time_from(now)))
    }

    /// What spending would say.
    fn look(&self, slot: u16) -> Result<(), Wait> {
        let now = self.looking.clock().now();
        let looked = self.looking.check_key(&slot);
        looked.map_err(|not_until| Wait(not_until.wait_time_from(now)))
    }
}

/// The states of all buckets.
#[derive(Clone)]
struct Slots(Arc<[InMemoryState]>);

impl Default for Slots {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| InMemoryState::default()).collect())
    }
}

impl StateStore for Slots {
    type Key = u16;

    fn measure_and_replace<T, F, E>(&self, slot: &u16, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        match self.0.get(usize::from(*slot)) {
            Some(state) => state.measure_and_replace(&NotKeyed::NonKey, measure),
            // There is a slot for each number.
            None => measure(None).map(|(said, _)| said),
        }
    }
}

/// The same states, measured and left as they are: governor itself tells what is left only to those who spend.
struct Looked(Slots);

impl StateStore for Looked {
    type Key = u16;

    fn measure_and_replace<T, F, E>(&self, slot: &u16, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // An error is what leaves a state alone.
        let look = |state| Err::<(T, Nanos), _>(measure(state).map(|(said, _)| said));
        match self.0.measure_and_replace(slot, look) {
            Ok(said) => Ok(said),
            Err(said) => said,
        }
    }
}

#[cfg(test)]
mod tests;
