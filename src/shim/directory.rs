//! What is configured and what DNS said, and the routes that follow from both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::finder::{Finder, Searches};
use super::memory::{self, Memory};
use super::search::{self, Answer, Search, Wanted};
use super::ways::{InDns, Key, Ways};
use crate::config::{Config, OnFailure, ProxyUrl, RealmEntry};
use crate::relay::discovery::{self, Known, Said};
use crate::relay::exchange::Routing;
use crate::relay::failure::Failure;
use crate::relay::routes::Routes;
use crate::relay::upstream::dns::{Found, Refused, Target};
use crate::relay::upstream::tls::SystemRoots;
use crate::relay::upstreams::InUse;
use crate::wire::{Realm, RealmKey};

/// Every upstream in use stands here, so that new routes keep the connections to those that stay.
#[derive(Debug)]
pub(super) struct Directory {
    realms: Vec<RealmEntry>,
    default_on_failure: OnFailure,
    roots: Option<SystemRoots>,
    in_use: InUse<Key>,
    kdcs: Said<Target>,
    proxies: Said<ProxyUrl>,
    searches: HashMap<RealmKey, Searches>,
    memory: Arc<Memory>,
}

/// What was looked up for a realm, for those who show it.
#[derive(Debug)]
pub(super) struct LookedUp {
    pub(super) realm: RealmKey,
    /// As the configuration calls it.
    pub(super) what: &'static str,
    /// To be asked how it stands when nobody holds the directory any more.
    pub(super) search: Arc<Search>,
    pub(super) kdc: Vec<String>,
    pub(super) kpasswd: Vec<String>,
    pub(super) refused: Vec<Refused>,
}

impl LookedUp {
    fn new<T>(
        (realm, what): (&RealmKey, &'static str),
        search: &Arc<Search>,
        found: Option<&Found<T>>,
        name: impl Fn(&T) -> String,
    ) -> Self {
        let names = |all: fn(&Found<T>) -> &Vec<T>| {
            let all = found.into_iter().flat_map(all);
            all.map(&name).collect()
        };
        Self {
            realm: realm.clone(),
            what,
            search: Arc::clone(search),
            kdc: names(|found| &found.kdc),
            kpasswd: names(|found| &found.kpasswd),
            refused: found.map_or_else(Vec::new, |found| found.refused.clone()),
        }
    }
}

impl Directory {
    /// What `config` asks for, and what is remembered of what DNS said before this start.
    ///
    /// # Errors
    /// Certificates that TLS cannot use.
    pub(super) fn new(config: &Config) -> Result<Self, Failure> {
        let mut directory = Self {
            realms: Vec::new(),
            default_on_failure: OnFailure::default(),
            roots: None,
            in_use: InUse::default(),
            kdcs: Said::default(),
            proxies: Said::default(),
            searches: HashMap::new(),
            memory: Arc::default(),
        };
        directory.configure(config)?;
        Ok(directory)
    }

    /// Takes another configuration. What DNS said still holds, and is looked up anew when a request comes.
    ///
    /// # Errors
    /// Certificates that TLS cannot use; the configuration of before holds then.
    pub(super) fn configure(&mut self, config: &Config) -> Result<(), Failure> {
        let before = std::mem::replace(&mut self.realms, config.realms.clone());
        // They are read once for each configuration.
        let roots = self.roots.take();
        if let Err(failure) = self.routes() {
            (self.realms, self.roots) = (before, roots);
            return Err(failure);
        }
        self.default_on_failure = config.default_on_failure;
        self.recall();
        self.search_anew();
        Ok(())
    }

    /// Forgets what is not looked up any more, and remembers what was found before this start.
    fn recall(&mut self) {
        let realms = &self.realms;
        let entry = |key: &RealmKey| {
            let is = |entry: &&RealmEntry| entry.realm().is_some_and(|realm| realm.key() == *key);
            realms.iter().find(is)
        };
        self.kdcs
            .retain(|key| entry(key).is_some_and(|entry| entry.looks_up_kdcs().is_some()));
        self.proxies
            .retain(|key| entry(key).is_some_and(|entry| entry.looks_up_proxies().is_some()));
        let lacking = realms.iter().filter_map(|entry| {
            let (realm, discovery) = (entry.realm()?, entry.looks_up_proxies()?);
            let is_lacking = self.proxies.of(&realm.key()).is_none();
            is_lacking.then(|| (realm.clone(), discovery.allowed().clone()))
        });
        let lacking: Vec<_> = lacking.collect();
        if lacking.is_empty() {
            return;
        }
        for (realm, found) in self.memory.recall(&lacking) {
            self.proxies.learn(realm, found);
        }
    }

    fn search_anew(&mut self) {
        let searches = self.realms.iter().filter_map(|entry| {
            let key = entry.realm()?.key();
            Some((key.clone(), self.searches_for(entry)?))
        });
        self.searches = searches.collect();
    }

    fn searches_for(&self, entry: &RealmEntry) -> Option<Searches> {
        let realm = entry.realm()?;
        let search = |wanted, found| Arc::new(Search::new(realm.clone(), wanted, found));
        let kdcs = entry.looks_up_kdcs().map(|discover| {
            let found = self.kdcs.knows(&realm.key());
            search(Wanted::Kdcs(discover.discovery.clone()), found)
        });
        let proxies = entry.looks_up_proxies().map(|discovery| {
            let found = self.proxies.knows(&realm.key());
            search(Wanted::Proxies(Arc::clone(discovery)), found)
        });
        let lists_kdcs = entry.direct.is_some() && kdcs.is_none();
        (kdcs.is_some() || proxies.is_some()).then_some(Searches {
            kdcs,
            proxies,
            lists_kdcs,
        })
    }

    /// Takes what DNS says; says whether that is other than before. That it names no proxy is no reason to forget those that
    /// it named elsewhere: many zones are known to their own networks only.
    pub(super) fn learn(&mut self, search: &Arc<Search>, answer: &Answer) -> bool {
        let realm = search.realm().key();
        let current = self.searches.get(&realm).is_some_and(|searches| {
            let both = [&searches.kdcs, &searches.proxies];
            let mut both = both.into_iter().flatten();
            both.any(|current| Arc::ptr_eq(current, search))
        });
        match answer {
            // The configuration is another one by now.
            _ if !current => false,
            Answer::Kdcs(found) => self.kdcs.learn(realm, found.clone()),
            Answer::Proxies(found) if found.is_empty() && self.proxies.knows(&realm) => false,
            Answer::Proxies(found) => self.proxies.learn(realm, found.clone()),
        }
    }

    /// Has the proxies that are known written down for the next start, away from those who wait.
    pub(super) fn remember(known: &Known<Self>) {
        let (known, memory) = (known.clone(), Arc::clone(&known.directory().memory));
        let written = move || memory.write(|| known.directory().found_proxies());
        drop(tokio::task::spawn_blocking(written));
    }

    fn found_proxies(&self) -> Vec<memory::Proxies> {
        let realms = self.realms.iter().filter_map(RealmEntry::realm);
        let known = realms.filter_map(|realm| {
            let found = self.proxies.of(&realm.key())?;
            Some((realm.clone(), [found.kdc.clone(), found.kpasswd.clone()]))
        });
        known.collect()
    }

    /// What is looked up, and what was found.
    pub(super) fn looked_up(&self) -> Vec<LookedUp> {
        let both = self.searches.iter().flat_map(|(realm, searches)| {
            let kdcs = searches.kdcs.as_ref().map(|search| {
                let found = self.kdcs.of(realm);
                LookedUp::new((realm, "kdcs"), search, found, search::kdc)
            });
            let proxies = searches.proxies.as_ref().map(|search| {
                let found = self.proxies.of(realm);
                LookedUp::new((realm, "proxies"), search, found, search::proxy)
            });
            proxies.into_iter().chain(kdcs)
        });
        both.collect()
    }

    fn routes(&mut self) -> Result<Routing, Failure> {
        let Self {
            realms,
            roots,
            kdcs,
            proxies,
            ..
        } = self;
        let (routes, upstreams) = self.in_use.renew(|upstreams| {
            let mut ways = Ways { upstreams, roots };
            let mut routes = Routes::default();
            for entry in realms.iter() {
                let key = entry.realm().map(Realm::key);
                let dns = key.map_or(InDns::default(), |key| InDns {
                    kdcs: kdcs.of(&key),
                    proxies: proxies.of(&key),
                });
                routes.add(&entry.pattern, &entry.aliases, ways.route(entry, dns)?);
            }
            Ok::<_, Failure>(routes)
        })?;
        Ok(Routing::new(routes, upstreams, self.default_on_failure))
    }
}

impl discovery::Directory for Directory {
    type Error = Failure;

    fn routing(&mut self, own: &Arc<Mutex<Self>>) -> Result<Routing, Failure> {
        let routing = self.routes()?;
        if self.searches.is_empty() {
            return Ok(routing);
        }
        let finder = Finder {
            directory: Arc::clone(own),
            searches: self.searches.clone(),
        };
        Ok(routing.found_by(Arc::new(finder)))
    }
}
