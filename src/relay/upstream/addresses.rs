//! The addresses of a name, looked up now and then and never twice at once.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::timeout;

use super::kdc::{Permitted, Reach};

use crate::relay::sync::lock;

/// How long addresses are used before the name is looked up again.
const ADDRESSES_FRESH: Duration = Duration::from_secs(30);
/// A look-up that takes longer may hang at name servers that are gone by now, and is no longer joined.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(3);
/// As many look-ups of one name are begun while they hang: each holds a thread.
const AT_ONCE: usize = 2;

/// Ends in text, because an [`io::Error`] can't be shared.
type Found = Result<Arc<[SocketAddr]>, (io::ErrorKind, String)>;
/// What a look-up found, when it has ended.
type AddressLookup = watch::Receiver<Option<Found>>;

/// A name and its addresses.
#[derive(Debug)]
pub(super) struct Addresses {
    name: String,
    permitted: Permitted,
    reach: Reach,
    state: Arc<Mutex<AddressState>>,
}

#[derive(Debug, Default)]
struct AddressState {
    /// The look-up of last, and when it began. Those who wait for it may all give up and it still is the only one for a
    /// while: each holds a thread until the name server's time is up.
    lookup: Option<(AddressLookup, Instant)>,
    /// What the last good one found.
    known: Option<Arc<[SocketAddr]>>,
    /// The address that worked last: FAST cookies, SPAKE and one-time-password state may live there.
    preferred: Option<IpAddr>,
    /// No address took the last connection.
    doubted: bool,
    /// Look-ups that have not ended, each of which holds a thread.
    under_way: usize,
}

impl Addresses {
    pub(super) fn new(name: String, permitted: Permitted, reach: Reach) -> Self {
        Self {
            name,
            permitted,
            reach,
            state: Arc::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// All addresses, the one that worked last first; never none.
    pub(super) async fn get(&self) -> io::Result<Vec<SocketAddr>> {
        let (mut lookup, known) = self.lookup(Instant::now());
        // A name server that is slow holds up nobody who knows an address.
        let patience = known
            .as_ref()
            .map_or(Duration::MAX, |_| self.reach.patience());
        let found = match timeout(patience, lookup.wait_for(Option::is_some)).await {
            Ok(Ok(found)) => found.clone(),
            _ => None,
        };
        let found = match (found, known) {
            (Some(Ok(found)), _) | (_, Some(found)) => found,
            (Some(Err((kind, text))), None) => return Err(io::Error::new(kind, text)),
            (None, None) => return Err(io::ErrorKind::TimedOut.into()),
        };
        let preferred = lock(&self.state).preferred;
        let mut addresses = found.to_vec();
        addresses.sort_by_key(|address| preferred != Some(address.ip()));
        Ok(addresses)
    }

    /// `address` works, if it is one of these.
    pub(super) fn prefer(&self, address: IpAddr) {
        let mut state = lock(&self.state);
        let known = state.known.as_deref().unwrap_or_default();
        if known.iter().any(|known| known.ip() == address) {
            state.preferred = Some(address);
            state.doubted = false;
        }
    }

    /// No address works: perhaps the name has others by now. A look-up that has not ended yet may tell.
    pub(super) fn doubt(&self) {
        let mut state = lock(&self.state);
        let lookup = state.lookup.as_ref();
        state.doubted |= lookup.is_some_and(|(lookup, _)| lookup.borrow().is_some());
    }

    /// The network is another one: its name servers are asked, and what those of before said is used if they are silent.
    pub(super) fn forget(&self) {
        let mut state = lock(&self.state);
        *state = AddressState {
            known: state.known.take(),
            under_way: state.under_way,
            ..AddressState::default()
        };
    }

    /// The look-up under way or that of last, or one that begins now; and what is known meanwhile.
    fn lookup(&self, now: Instant) -> (AddressLookup, Option<Arc<[SocketAddr]>>) {
        let mut state = lock(&self.state);
        let known = state.known.clone();
        let last = state.lookup.as_ref();
        let last = last.filter(|(lookup, since)| match &*lookup.borrow() {
            None => *since + LOOK_UP_TIMEOUT > now || state.under_way >= AT_ONCE,
            Some(Ok(_)) => *since + ADDRESSES_FRESH > now && !state.doubted,
            Some(Err(_)) => false,
        });
        if let Some((lookup, _)) = last {
            return (lookup.clone(), known);
        }
        let (ends, lookup) = watch::channel(None);
        state.lookup = Some((lookup.clone(), now));
        state.doubted = false;
        state.under_way += 1;
        let (name, permitted) = (self.name.clone(), self.permitted.clone());
        tokio::spawn(run(name, permitted, Arc::clone(&self.state), ends));
        (lookup, known)
    }
}

/// Looks up `name` in a task of its own, whoever waits for it: else what is found would be lost when all have given up.
async fn run(
    name: String,
    permitted: Permitted,
    state: Arc<Mutex<AddressState>>,
    ends: watch::Sender<Option<Found>>,
) {
    let found = look_up(name, permitted).await;
    let mut state = lock(&state);
    state.under_way -= 1;
    // Another one may have been begun since, perhaps on another network.
    let last = state.lookup.as_ref();
    let is_last = last.is_some_and(|(last, _)| last.same_channel(&ends.subscribe()));
    if let (true, Ok(found)) = (is_last, &found) {
        state.known = Some(Arc::clone(found));
    }
    ends.send_replace(Some(found));
}

/// The addresses of `name`, `host:port`, that are `permitted`; never none. Each look-up is judged anew: the same name may lead
/// elsewhere a moment later, which is what DNS rebinding does.
pub(crate) async fn look_up(name: String, permitted: Permitted) -> Found {
    let not_found = |text: String| (io::ErrorKind::NotFound, text);
    // The resolver's errors have no kind of their own.
    let found = lookup_host(name).await;
    let found = found.map_err(|error| not_found(error.to_string()))?;
    let (mut good, mut refused) = (Vec::new(), None);
    for address in found {
        match permitted.refuses(address.ip()) {
            None => good.push(address),
            why => refused = refused.or(why.map(|why| (address.ip(), why))),
        }
    }
    match refused {
        _ if !good.is_empty() => Ok(good.into()),
        None => Err(not_found("the name has no address".to_owned())),
        Some((address, why)) => {
            let text = format!("its address {address} is refused: {why}");
            Err((io::ErrorKind::PermissionDenied, text))
        }
    }
}

/// The names on the way to a KDC proxy, looked up for reqwest: its own, and that of an HTTP proxy before it. What they stand
/// for outlasts a name server that is silent.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HashMap<String, Arc<Addresses>>>);

impl Names {
    /// Those on the way to the KDC proxy that is called `own`, which may lead to the addresses that are `permitted`.
    pub(super) fn to(own: &str, permitted: Permitted) -> Self {
        let names = Self::default();
        names.add(own, permitted);
        names
    }

    pub(super) fn each(&self, what: impl Fn(&Addresses)) {
        lock(&self.0).values().for_each(|addresses| what(addresses));
    }

    /// `name`, which is added if it is new.
    fn add(&self, name: &str, permitted: Permitted) -> Arc<Addresses> {
        let mut names = lock(&self.0);
        let addresses = names.entry(name.to_owned()).or_insert_with(|| {
            // The port is reqwest's to add.
            let address = format!("{name}:0");
            Arc::new(Addresses::new(address, permitted, Reach::Always))
        });
        Arc::clone(addresses)
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        // An HTTP proxy on the way was named by an administrator.
        let addresses = self.add(name.as_str(), Permitted::Any);
        Box::pin(async move {
            let found: Addrs = Box::new(addresses.get().await?.into_iter());
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests;
