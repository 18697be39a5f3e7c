//! What both daemons do with what DNS says: it is kept, requests are led where it says, and who runs the daemon is told.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::relay::exchange::{Exchange, Routing};
use crate::relay::sync::lock;
use crate::relay::text::{Quoted, listed};
use crate::relay::upstream::dns::{Found, LookUpError};
use crate::wire::{Realm, RealmKey};

/// What is configured and what is known, and the ways out that follow from both.
pub(crate) trait Directory: Sized {
    /// Why there may be no routes.
    type Error: Display;

    /// The routes to all that is known. `own` is where others find this directory.
    fn routing(&mut self, own: &Arc<Mutex<Self>>) -> Result<Routing, Self::Error>;
}

/// A directory, and who is told of a change.
#[derive(Debug)]
pub(crate) struct Known<D> {
    directory: Arc<Mutex<D>>,
    pub(crate) exchange: Arc<Exchange>,
}

impl<D> Clone for Known<D> {
    fn clone(&self) -> Self {
        Self {
            directory: Arc::clone(&self.directory),
            exchange: Arc::clone(&self.exchange),
        }
    }
}

impl<D: Directory> Known<D> {
    /// A relay that goes where `directory` says, with at most so many exchanges at once.
    pub(crate) fn new(directory: D, max_in_flight: usize) -> Result<Self, D::Error> {
        let directory = Arc::new(Mutex::new(directory));
        let routing = lock(&directory).routing(&directory)?;
        let exchange = Exchange::new(routing, max_in_flight);
        Ok(Self {
            directory,
            exchange,
        })
    }

    /// The same directory, for somebody else.
    pub(crate) fn of(directory: &Arc<Mutex<D>>, exchange: &Arc<Exchange>) -> Self {
        Self {
            directory: Arc::clone(directory),
            exchange: Arc::clone(exchange),
        }
    }

    pub(crate) fn directory(&self) -> MutexGuard<'_, D> {
        lock(&self.directory)
    }

    /// Has requests go where the directory says.
    pub(crate) fn reroute(&self) {
        // Under its lock: of two changes the later one must stay.
        let mut directory = self.directory();
        match directory.routing(&self.directory) {
            Ok(routing) => self.exchange.reroute(routing),
            Err(error) => tracing::error!("requests go where they went before: {error}"),
        }
    }
}

/// What DNS said last of realms.
#[derive(Debug)]
pub(crate) struct Said<T>(HashMap<RealmKey, Found<T>>);

impl<T> Default for Said<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone + Ord> Said<T> {
    /// Takes what DNS says of a realm; says whether that is other than before.
    pub(crate) fn learn(&mut self, realm: RealmKey, found: Found<T>) -> bool {
        let before = self.0.get(&realm);
        let news = before.is_none_or(|before| !before.has_same_targets(&found));
        if news {
            self.0.insert(realm, found);
        }
        news
    }

    pub(crate) fn of(&self, realm: &RealmKey) -> Option<&Found<T>> {
        self.0.get(realm)
    }

    /// Whether there is something to go by.
    pub(crate) fn knows(&self, realm: &RealmKey) -> bool {
        self.of(realm).is_some_and(|found| !found.is_empty())
    }

    /// Forgets the realms that are not to be kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(&RealmKey) -> bool) {
        self.0.retain(|realm, _| keep(realm));
    }
}

/// Tells of the look-ups for one realm: each change once.
#[derive(Debug)]
pub(crate) struct Teller {
    realm: Realm,
    /// What is looked up, in the plural.
    what: &'static str,
    /// What the configuration can say instead.
    instead: &'static str,
    /// What may have those asked that are refused.
    otherwise: &'static str,
    /// Whether a failure was told that has not ended since.
    fails: bool,
}

impl Teller {
    /// For KDCs.
    pub(crate) fn of_kdcs(realm: Realm) -> Self {
        Self {
            realm,
            what: "KDCs",
            instead: "kdcs lists them instead",
            otherwise: "; discover-ports says which ports may be",
            fails: false,
        }
    }

    /// For KDC proxies.
    pub(crate) fn of_proxies(realm: Realm) -> Self {
        Self {
            realm,
            what: "KDC proxies",
            instead: "proxies lists them instead",
            otherwise: "",
            fails: false,
        }
    }

    /// DNS answered; `news` if other than before. What it found is called by `name`.
    pub(crate) fn found<T>(&mut self, found: &Found<T>, news: bool, name: impl Fn(&T) -> String) {
        let Self { realm, what, .. } = self;
        if std::mem::take(&mut self.fails) {
            tracing::info!(%realm, "its {what} can be looked up again");
        }
        if !news {
            return;
        }
        let names = |all: &[T]| listed(&all.iter().map(&name).collect::<Vec<_>>());
        let (kdc, kpasswd) = (names(&found.kdc), names(&found.kpasswd));
        tracing::info!(%realm, %kdc, %kpasswd, "{what} found in DNS");
        for refused in &found.refused {
            let (name, why) = (Quoted(&refused.name), refused.why);
            tracing::warn!(%realm, %name, %why, "found in DNS and not asked{}", self.otherwise);
        }
    }

    /// DNS did not answer; what was found before still holds.
    pub(crate) fn failed(&mut self, error: &LookUpError) {
        if std::mem::replace(&mut self.fails, true) {
            return;
        }
        let Self {
            realm,
            what,
            instead,
            ..
        } = self;
        tracing::warn!(%realm, %error, "its {what} can't be looked up: what is known of them still holds; {instead}");
    }
}
