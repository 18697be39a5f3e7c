//! The names on the way to a proxy, looked up for reqwest: its own, or that of an HTTP proxy before it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::addresses::Addresses;
use super::kdc::{Permitted, Reach};

use crate::relay::sync::lock;

/// The names so far: as many as one configured way has. What they stand for outlasts a name server that is silent.
#[derive(Debug, Default)]
pub(super) struct Names {
    so_far: Mutex<HashMap<String, Arc<Addresses>>>,
    /// The KDC proxy's own name.
    own: String,
    /// Which addresses that may lead to. An HTTP proxy on the way was named by an administrator.
    permitted: Permitted,
}

impl Names {
    /// Those on the way to the KDC proxy that is called `own`.
    pub(super) fn to(own: &str, permitted: Permitted) -> Self {
        Self {
            so_far: Mutex::default(),
            own: own.to_owned(),
            permitted,
        }
    }

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
            let address = format!("{name}:0");
            let permitted = match name == self.own {
                true => self.permitted.clone(),
                false => Permitted::Any,
            };
            Arc::new(Addresses::new(address, permitted, Reach::Always))
        });
        Arc::clone(known)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Addresses>>> {
        lock(&self.so_far)
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
