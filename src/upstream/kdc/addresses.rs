//! The addresses of a KDC's name, looked up now and then and never twice at once.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::net::lookup_host;
use tokio::time::timeout;

/// How long addresses are used before the name is looked up again.
const KNOWN: Duration = Duration::from_secs(30);
/// A name server that does not answer within this time holds up nobody who knows an address.
const NAME_PATIENCE: Duration = Duration::from_millis(300);

/// Ends in text, because an [`io::Error`] can't be shared.
type Lookup = Shared<BoxFuture<'static, Result<Arc<[SocketAddr]>, (io::ErrorKind, String)>>>;

/// A name and its addresses.
#[derive(Debug)]
pub(super) struct Addresses {
    name: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The look-up of last, and when it began. Those who wait for it may all give up and it still is the only one: each
    /// holds a thread until the name server's time is up.
    lookup: Option<(Lookup, Instant)>,
    /// What the last good one found.
    known: Option<Arc<[SocketAddr]>>,
    /// The address that worked last: FAST cookies, SPAKE and one-time-password state may live there.
    preferred: Option<SocketAddr>,
    /// No address took the last connection.
    doubted: bool,
}

impl Addresses {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            state: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// All addresses, the one that worked last first; never none.
    pub(super) async fn get(&self) -> io::Result<Vec<SocketAddr>> {
        let (lookup, known) = self.lookup(Instant::now());
        let found = match &known {
            Some(_) => timeout(NAME_PATIENCE, lookup).await.ok(),
            None => Some(lookup.await),
        };
        let found = match (found, known) {
            (Some(Ok(found)), _) => found,
            (_, Some(known)) => known,
            (Some(Err((kind, text))), None) => return Err(io::Error::new(kind, text)),
            (None, None) => return Err(io::ErrorKind::TimedOut.into()),
        };
        let mut state = self.lock();
        state.known = Some(Arc::clone(&found));
        let mut addresses = found.to_vec();
        addresses.sort_by_key(|address| state.preferred != Some(*address));
        Ok(addresses)
    }

    /// `address` works.
    pub(super) fn prefer(&self, address: SocketAddr) {
        let mut state = self.lock();
        state.preferred = Some(address);
        state.doubted = false;
    }

    /// No address works: perhaps the name has others by now.
    pub(super) fn doubt(&self) {
        self.lock().doubted = true;
    }

    fn lookup(&self, now: Instant) -> (Lookup, Option<Arc<[SocketAddr]>>) {
        let mut state = self.lock();
        let known = state.known.clone();
        let doubted = state.doubted;
        let last = state.lookup.as_ref().filter(|(lookup, since)| {
            let failed = matches!(lookup.peek(), Some(Err(_)));
            let under_way = lookup.peek().is_none();
            under_way || !failed && !doubted && *since + KNOWN > now
        });
        if let Some((lookup, _)) = last {
            return (lookup.clone(), known);
        }
        let lookup = look_up(self.name.clone()).boxed().shared();
        state.lookup = Some((lookup.clone(), now));
        state.doubted = false;
        (lookup, known)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look_up(name: String) -> Result<Arc<[SocketAddr]>, (io::ErrorKind, String)> {
    let found = lookup_host(name).await;
    let found: Vec<_> = found
        .map_err(|error| (error.kind(), error.to_string()))?
        .collect();
    match found.is_empty() {
        true => Err((io::ErrorKind::NotFound, String::new())),
        false => Ok(found.into()),
    }
}
