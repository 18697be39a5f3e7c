//! Asking by itself where `/healthz` is asked and no KDC has replied yet: a load balancer sends nobody else before that says that all
//! is well.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::sleep;

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

/// Asks the KDCs of all realms when the health is `asked` for, ever more seldom, until one of any realm has replied, to whomever.
pub(super) async fn until_reached(exchange: Arc<Exchange>, asked: Arc<Notify>) {
    let mut pause = FIRST;
    loop {
        asked.notified().await;
        if exchange.was_reached() {
            return;
        }
        let realms = stream::iter(exchange.shared_realms());
        let ask = |realm| ask(&exchange, realm);
        realms.for_each_concurrent(AT_ONCE, ask).await;
        sleep(pause).await;
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
