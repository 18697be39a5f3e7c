//! When something is to be looked up, and who has to wait for it. Pure: the clock is an argument.

use std::time::{Duration, Instant};

use crate::relay::upstream::dns::RETRY;

/// How long it is believed that a zone names no KDC: a captive portal's name server says so as well.
const NO_KDC: Duration = Duration::from_secs(300);

/// How long what is found is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// On the network that it was found on: each has its own answer, if only that there is nothing.
    OneNetwork,
    /// Everywhere, until something else is found.
    Everywhere,
}

/// What is known of look-ups of one kind.
#[derive(Debug)]
pub(super) struct Due {
    scope: Scope,
    /// When the next one is due. At once if there was none on this network.
    next: Option<Instant>,
    /// Whether requests can do without the one that is under way.
    enough: bool,
    /// Whether there is something to go by.
    found: bool,
    network: Network,
}

/// How often the network has become another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Network(u64);

impl Due {
    /// Nothing was looked up yet; `found` says that something is known all the same.
    pub(super) fn new(scope: Scope, found: bool) -> Self {
        Self {
            scope,
            next: None,
            enough: found && scope == Scope::Everywhere,
            found,
            network: Network::default(),
        }
    }

    /// Whether a request that comes now is to bring about a look-up.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// When the next one is due, if that is not at once.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// The network that a look-up which begins now belongs to.
    pub(super) fn network(&self) -> Network {
        self.network
    }

    pub(super) fn is_enough(&self) -> bool {
        self.enough
    }

    pub(super) fn has_found(&self) -> bool {
        self.found
    }

    /// A look-up that began on `network` was answered, for `good_for`; `found` says whether with something to go by. Says
    /// whether the answer counts.
    pub(super) fn answer(
        &mut self,
        network: Network,
        found: bool,
        good_for: Duration,
        now: Instant,
    ) -> bool {
        if network != self.network {
            return false;
        }
        match self.scope {
            Scope::OneNetwork => (self.found, self.enough) = (found, true),
            Scope::Everywhere => {
                self.found |= found;
                self.enough = self.found;
            }
        }
        let most = match (found, self.scope) {
            (true, _) => good_for,
            (false, Scope::OneNetwork) => NO_KDC,
            (false, Scope::Everywhere) if self.found => good_for,
            (false, Scope::Everywhere) => RETRY,
        };
        self.next = Some(now + good_for.min(most));
        true
    }

    /// It was not answered; says whether that counts.
    pub(super) fn fail(&mut self, network: Network, now: Instant) -> bool {
        if network != self.network {
            return false;
        }
        self.enough |= self.scope == Scope::OneNetwork;
        self.next = Some(now + RETRY);
        true
    }

    /// A request has waited as long as it may. For what another network may have, one wait on each is enough.
    pub(super) fn wait_is_over(&mut self) {
        self.enough |= self.scope == Scope::OneNetwork;
    }

    /// The network is another one.
    pub(super) fn expire(&mut self) {
        self.network.0 += 1;
        self.next = None;
        self.enough &= self.scope == Scope::Everywhere;
    }
}

#[cfg(test)]
mod tests;
