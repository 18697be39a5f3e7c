//! What is known of a realm by DNS, when it is to be looked up again, and who has to wait for it. Pure: the clock is an
//! argument.

use std::time::{Duration, Instant};

use crate::relay::explain::UpstreamKind;
use crate::relay::upstream::dns::{DnsResults, LookUpError, RETRY};

/// How long it is believed that a zone names no KDC: a captive portal's name server says so as well.
const NO_KDC: Duration = Duration::from_secs(300);

/// What is known by look-ups of one kind for one realm.
#[derive(Clone, Debug)]
pub(super) struct LookupState {
    /// What is known of KDCs is of use on the network that it was found on: each has its own answer, if only that there is nothing.
    /// What is known of KDC proxies is everywhere, once one of them has replied for the realm: many zones are known to their own
    /// networks only, and a network that lies about one is to lead nobody astray on the next.
    kind: UpstreamKind,
    /// What DNS said last.
    pub(super) results: Option<DnsResults>,
    /// What it said last of KDC proxies of which one has replied: where the others lead nowhere, requests go there.
    pub(super) proven: Option<DnsResults>,
    /// The routes still lead where DNS said on another network.
    is_rerouting_due: bool,
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
    /// Nothing was looked up yet; `known` is what is known all the same, if on another network.
    pub(super) fn new(kind: UpstreamKind, known: Option<DnsResults>) -> Self {
        Self {
            kind,
            proven: known.clone().filter(|_| kind == UpstreamKind::Proxy),
            results: known,
            is_rerouting_due: false,
            failed: None,
            next: None,
            is_enough: false,
            network: 0,
        }
    }

    /// Another configuration asks the same: what is known still holds, and is looked up anew.
    pub(super) fn inherited(self) -> Self {
        Self {
            is_enough: self.kind == UpstreamKind::Proxy && self.has_found(),
            failed: None,
            next: None,
            network: 0,
            ..self
        }
    }

    /// What DNS said last is of KDC proxies, none of which has replied yet.
    pub(super) fn is_unproven(&self) -> bool {
        let is_other = |results: &DnsResults| {
            let proven = self.proven.as_ref();
            proven.is_none_or(|proven| !proven.has_same_targets(results))
        };
        let results = self.results.as_ref().filter(|found| !found.is_empty());
        self.kind == UpstreamKind::Proxy && results.is_some_and(is_other)
    }

    /// The upstream of this name has replied for the realm. Says whether what DNS said last is proven by that, and takes the place
    /// of what was before.
    pub(super) fn prove(&mut self, upstream: &str) -> bool {
        let results = self.results.as_ref().filter(|_| self.is_unproven());
        let is_named = results.is_some_and(|found| {
            let mut names = found.kdc.iter().chain(&found.kpasswd);
            names.any(|target| target.to_string() == upstream)
        });
        if is_named {
            self.proven = self.results.clone();
        }
        is_named
    }

    /// The routes are to be made anew before the next request.
    pub(super) fn take_rerouting(&mut self) -> bool {
        std::mem::take(&mut self.is_rerouting_due)
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
        if network == self.network {
            self.wait_is_over();
        }
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

    /// A request has waited as long as it may. One wait on each network is enough, but where no request has a way without it.
    pub(super) fn wait_is_over(&mut self) {
        self.is_enough |= self.kind == UpstreamKind::Kdc || self.has_found();
    }

    /// The network is another one. What was found on the last one alone goes with it.
    pub(super) fn expire(&mut self) {
        self.network += 1;
        self.next = None;
        self.is_enough = false;
        if self.is_unproven() {
            self.results = self.proven.clone();
            self.is_rerouting_due = true;
        }
    }
}

#[cfg(test)]
mod tests;
