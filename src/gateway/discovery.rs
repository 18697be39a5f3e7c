//! Looking up the KDCs of the realms that ask for it, again and again.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::kdcs::Directory;
use crate::config::gateway::KdcRealm;
use crate::config::{Discover, Kdcs};
use crate::relay::discovery::{Known, Teller};
use crate::relay::upstream::dns::{self, Found, Target};
use crate::wire::Realm;

/// How long readiness waits for name servers: realms that are not looked up must not wait for those that are.
const FIRST: Duration = Duration::from_secs(3);

impl Known<Directory> {
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
                teller: Teller::of_kdcs(realm.clone()),
                realm,
                discover,
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
    known: Known<Directory>,
    realm: Realm,
    discover: Discover,
    teller: Teller,
}

impl Watch {
    async fn keep(mut self, looked_up: impl Send) {
        let mut looked_up = Some(looked_up);
        loop {
            let pause = match self.discover.discovery.look_up().await {
                Ok(found) => self.found(found),
                Err(error) => {
                    self.teller.failed(&error);
                    dns::RETRY
                }
            };
            looked_up.take();
            sleep(pause).await;
        }
    }

    fn found(&mut self, found: Found) -> Duration {
        let (realm, good_for) = (self.realm.key(), found.good_for);
        let news = self.known.directory().learn(realm, found.clone());
        if news {
            self.known.reroute();
        }
        self.teller
            .found(&found, news, |target: &Target| target.name.clone());
        good_for
    }
}
