//! The names on the way to a proxy, looked up for reqwest: its own, or that of an HTTP proxy before it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::addresses::Addresses;
use super::kdc::{Permitted, Reach};

/// The names so far: as many as one configured way has. What they stand for outlasts a name server that is silent.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HashMap<String, Arc<Addresses>>>);

impl Names {
    /// This address was reached: among the others of its name it comes first.
    pub(super) fn prefer(&self, address: IpAddr) {
        self.each(|addresses| addresses.prefer(address));
    }

    /// No address could be reached: perhaps the names have others by now.
    pub(super) fn doubt(&self) {
        self.each(Addresses::doubt);
    }

    /// The network is another one, with other name servers.
    pub(super) fn forget(&self) {
        self.each(Addresses::forget);
    }

    fn each(&self, what: impl Fn(&Addresses)) {
        self.lock().values().for_each(|addresses| what(addresses));
    }

    fn of(&self, name: &str) -> Arc<Addresses> {
        let mut names = self.lock();
        let known = names.entry(name.to_owned()).or_insert_with(|| {
            // The port is reqwest's to add.
            let name = format!("{name}:0");
            Arc::new(Addresses::new(name, Permitted::Any, Reach::Always))
        });
        Arc::clone(known)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Addresses>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.of(name.as_str());
        Box::pin(async move {
            let found: Addrs = Box::new(addresses.get().await?.into_iter());
            Ok(found)
        })
    }
}
