//! What is known of a realm by DNS, when it is to be looked up again, and who has to wait for it. Pure: the clock is an
//! argument.

use std::time::{Duration, Instant};

use crate::relay::explain::UpstreamKind;
use crate::relay::upstream::dns::{DnsResults, LookUpError, RETRY};

/// How long it is believed that a zone names no KDC: a captive portal's name server says so as well.
const NO_KDC: Duration = Duration::from_secs(300);

/// What is known by look-ups of one kind for one realm.
#[derive(Debug)]
pub(super) struct LookupState {
    /// What is known of KDCs is of use on the network that it was found on: each has its own answer, if only that there is nothing.
    /// What is known of KDC proxies is everywhere, until something else is found: many zones are known to their own networks only.
    kind: UpstreamKind,
    /// What DNS said last.
    pub(super) results: Option<DnsResults>,
    /// Why the last one failed, if it did.
    pub(super) failed: Option<LookUpError>,
    /// When the next one is due. At once if there was none on this network.
    pub(super) next: Option<Instant>,
    /// Requests can do without the one that is under way.
    pub(super) is_enough: bool,
    /// How often the network has become another one: what was asked on the one before no longer counts.
    pub(super) network: u64,
}

/// What the end of a look-up changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Learned {
    /// What DNS says is other than before.
    pub(super) is_news: bool,
    /// The look-up before it had failed.
    pub(super) had_failed: bool,
}

impl LookupState {
    /// Nothing was looked up yet; `known` is what is known all the same.
    pub(super) fn new(kind: UpstreamKind, known: Option<DnsResults>) -> Self {
        let mut state = Self {
            kind,
            results: known,
            failed: None,
            next: None,
            is_enough: false,
            network: 0,
        };
        state.is_enough = kind == UpstreamKind::Proxy && state.has_found();
        state
    }

    /// A request that comes now is to bring about a look-up.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// There is something to go by.
    pub(super) fn has_found(&self) -> bool {
        let results = self.results.as_ref();
        results.is_some_and(|results| !results.is_empty())
    }

    /// A look-up that began on `network` has ended; if it was not answered, what was found before still holds. Says what that
    /// changed, if it counts. Requests wait until the routes have it too: see [`Self::enter_routes`].
    pub(super) fn learn(
        &mut self,
        network: u64,
        answer: Result<DnsResults, LookUpError>,
        now: Instant,
    ) -> Option<Learned> {
        if network != self.network {
            return None;
        }
        let had_failed = self.failed.is_some();
        self.failed = answer.as_ref().err().cloned();
        let (is_news, good_for) = answer.map_or((false, RETRY), |results| self.take(results));
        self.next = Some(now + good_for);
        Some(Learned {
            is_news,
            had_failed,
        })
    }

    /// The routes have what was learnt on `network` from now on.
    pub(super) fn enter_routes(&mut self, network: u64) {
        let is_enough = self.kind == UpstreamKind::Kdc || self.has_found();
        self.is_enough |= network == self.network && is_enough;
    }

    /// Says whether these are other results than before, and how long they are believed.
    fn take(&mut self, results: DnsResults) -> (bool, Duration) {
        let keeps = self.kind == UpstreamKind::Proxy && results.is_empty() && self.has_found();
        let good_for = match self.kind {
            _ if keeps || !results.is_empty() => results.good_for,
            UpstreamKind::Kdc => results.good_for.min(NO_KDC),
            UpstreamKind::Proxy => RETRY,
        };
        let before = self.results.as_ref();
        let is_same = before.is_some_and(|before| before.has_same_targets(&results));
        let is_news = !keeps && !is_same;
        if is_news {
            self.results = Some(results);
        }
        (is_news, good_for)
    }

    /// A request has waited as long as it may. For what another network may have, one wait on each is enough.
    pub(super) fn wait_is_over(&mut self) {
        self.is_enough |= self.kind == UpstreamKind::Kdc;
    }

    /// The network is another one.
    pub(super) fn expire(&mut self) {
        self.network += 1;
        self.next = None;
        self.is_enough &= self.kind == UpstreamKind::Proxy;
    }
}

#[cfg(test)]
mod tests;
