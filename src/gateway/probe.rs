//! Asking by itself where `/healthz` is asked and no KDC has replied yet: a load balancer sends nobody else before that says that all
//! is well.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::relay::asking::{OWN, question};
use crate::relay::exchange::{Arrival, Exchange};
use crate::relay::routes::random;
use crate::wire::{Realm, Service};

/// In whose name is asked.
const NOBODY: &str = "loopkdc-gateway";
/// Between the first two rounds, doubled from then on; and at most.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);
/// So many realms are asked at once.
const AT_ONCE: usize = 8;

/// Most time that who asks for the health waits for what comes of that.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether a KDC can be reached, for who asks for the health.
#[derive(Default)]
pub struct Probe {
    wanted: Notify,
    ended: Notify,
    /// The next round is not yet due.
    pauses: AtomicBool,
}

impl Probe {
    /// Has KDCs asked, at once or when it is time again, and waits for a reply, but not for long.
    pub(super) async fn ask(&self) {
        let mut ended = pin!(self.ended.notified());
        ended.as_mut().enable();
        self.wanted.notify_one();
        if !self.pauses.load(Ordering::Relaxed) {
            drop(timeout(PATIENCE, ended).await);
        }
    }
}

/// Asks the KDCs of all realms when `probe` is asked, ever more seldom, until one of any realm has replied, to whomever.
pub(super) async fn until_reached(exchange: Arc<Exchange>, probe: Arc<Probe>) {
    let mut pause = FIRST;
    loop {
        probe.wanted.notified().await;
        if exchange.was_reached() {
            return probe.ended.notify_waiters();
        }
        let realms = stream::iter(exchange.shared_realms());
        let ask = |realm| ask(&exchange, realm);
        realms.for_each_concurrent(AT_ONCE, ask).await;
        probe.pauses.store(true, Ordering::Relaxed);
        probe.ended.notify_waiters();
        sleep(pause).await;
        probe.pauses.store(false, Ordering::Relaxed);
        pause = LONGEST.min(pause * 2);
    }
}

async fn ask(exchange: &Arc<Exchange>, realm: Realm) {
    if let Ok(question) = question(NOBODY, &realm, Service::Kdc, random())
        && !exchange.was_reached()
    {
        exchange.counters().asked.add();
        exchange.answer(question, Arrival::now(OWN)).await;
    }
}
