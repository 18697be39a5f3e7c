//! Looking up the KDCs of the realms that ask for it, again and again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::kdcs::Directory;
use crate::config::gateway::KdcRealm;
use crate::config::{Discover, Kdcs};
use crate::exchange::Exchange;
use crate::logging::{Quoted, listed};
use crate::upstream::dns::{self, Found, Target};
use crate::wire::Realm;

/// How long readiness waits for name servers: realms that are not looked up must not wait for those that are.
const FIRST: Duration = Duration::from_secs(3);

/// What is known of KDCs, and who is told of a change.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) directory: Arc<Mutex<Directory>>,
    pub(super) exchange: Arc<Exchange>,
}

impl Known {
    pub(super) fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Has requests go where the directory says.
    pub(super) fn reroute(&self) {
        // Under its lock: of two changes the later one must stay.
        let mut directory = self.directory();
        self.exchange.reroute(directory.routing());
    }

    /// Looks up what the configuration says is to be looked up, in tasks of `tasks` until `stop`; returns when everything
    /// was looked up once, or soon.
    pub(super) async fn discover(&self, stop: &CancellationToken, tasks: &TaskTracker) {
        let realms = self.directory().config().realms.clone();
        let first = TaskTracker::new();
        for KdcRealm { realm, kdcs, .. } in realms {
            let Kdcs::Discovered(discover) = kdcs else {
                continue;
            };
            let watch = Watch {
                known: self.clone(),
                realm,
                discover,
                told: false,
            };
            let stop = stop.clone();
            let looked_up = first.token();
            tasks.spawn(async move {
                stop.run_until_cancelled(watch.keep(looked_up)).await;
            });
        }
        first.close();
        // Who has to wait longer is told so by `Watch`.
        drop(timeout(FIRST, first.wait()).await);
    }
}

/// One realm that is looked up.
struct Watch {
    known: Known,
    realm: Realm,
    discover: Discover,
    /// Whether a failure was told that has not ended since.
    told: bool,
}

impl Watch {
    async fn keep(mut self, looked_up: impl Send) {
        let mut looked_up = Some(looked_up);
        loop {
            let pause = match self.discover.discovery.look_up().await {
                Ok(found) => self.found(found),
                Err(error) => self.failed(&error),
            };
            looked_up.take();
            sleep(pause).await;
        }
    }

    fn found(&mut self, found: Found) -> Duration {
        let good_for = found.good_for;
        let realm = &self.realm;
        if std::mem::take(&mut self.told) {
            tracing::info!(%realm, "its KDCs can be looked up again");
        }
        if self.known.directory().learn(realm.key(), found.clone()) {
            self.known.reroute();
            let (kdc, kpasswd) = (names(&found.kdc), names(&found.kpasswd));
            tracing::info!(%realm, %kdc, %kpasswd, "found in DNS");
            for refused in &found.refused {
                let (name, why) = (Quoted(&refused.name), refused.why);
                tracing::warn!(%realm, %name, %why, "found in DNS and not asked; discover-ports says which ports may be");
            }
        }
        good_for
    }

    /// What was found before still holds.
    fn failed(&mut self, error: &dns::LookUpError) -> Duration {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(realm = %self.realm, %error, "its KDCs can't be looked up: what is known of them still holds; kdcs lists them instead");
        }
        dns::RETRY
    }
}

fn names(targets: &[Target]) -> String {
    let names: Vec<_> = targets.iter().map(|target| target.name.clone()).collect();
    listed(&names)
}
