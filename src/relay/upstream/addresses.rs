//! The addresses of a name, looked up now and then and never twice at once.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::kdc::{Permitted, Reach};

use crate::relay::sync::lock;

/// How long addresses are used before the name is looked up again.
const KNOWN: Duration = Duration::from_secs(30);
/// A look-up that takes longer may hang at name servers that are gone by now, and is no longer joined.
const HUNG: Duration = Duration::from_secs(3);
/// As many look-ups of one name are begun while they hang: each holds a thread.
const AT_ONCE: usize = 2;

impl Reach {
    /// A name server that does not answer within this time holds up nobody who knows an address.
    fn name_patience(self) -> Duration {
        Duration::from_millis(match self {
            Self::Always => 300,
            Self::OnSomeNetworks => 100,
        })
    }
}

/// Ends in text, because an [`io::Error`] can't be shared.
type Lookup = Shared<BoxFuture<'static, Result<Arc<[SocketAddr]>, (io::ErrorKind, String)>>>;

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
    lookup: Option<(Lookup, Instant)>,
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
        let (lookup, known) = self.lookup(Instant::now());
        let found = match &known {
            Some(_) => {
                let patience = self.reach.name_patience();
                timeout(patience, lookup.clone()).await.ok()
            }
            None => Some(lookup.clone().await),
        };
        let found = match (found, known) {
            (Some(Ok(found)), _) => {
                self.lock().learn(&lookup, &found);
                found
            }
            (_, Some(known)) => known,
            (Some(Err((kind, text))), None) => return Err(io::Error::new(kind, text)),
            (None, None) => return Err(io::ErrorKind::TimedOut.into()),
        };
        let state = self.lock();
        let mut addresses = found.to_vec();
        addresses.sort_by_key(|address| state.preferred != Some(address.ip()));
        Ok(addresses)
    }

    /// `address` works, if it is one of these.
    pub(super) fn prefer(&self, address: IpAddr) {
        let mut state = self.lock();
        let known = state.known.as_deref().unwrap_or_default();
        if known.iter().any(|known| known.ip() == address) {
            state.preferred = Some(address);
            state.doubted = false;
        }
    }

    /// No address works: perhaps the name has others by now. A look-up that has not ended yet may tell.
    pub(super) fn doubt(&self) {
        let mut state = self.lock();
        let lookup = state.lookup.as_ref();
        state.doubted |= lookup.is_some_and(|(lookup, _)| lookup.peek().is_some());
    }

    /// The network is another one: its name servers are asked, and what those of before said is used if they are silent.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        *state = AddressState {
            known: state.known.take(),
            under_way: state.under_way,
            ..AddressState::default()
        };
    }

    fn lookup(&self, now: Instant) -> (Lookup, Option<Arc<[SocketAddr]>>) {
        let mut state = self.lock();
        let known = state.known.clone();
        let doubted = state.doubted;
        let last = state.lookup.as_ref().filter(|(lookup, since)| {
            let found = matches!(lookup.peek(), Some(Ok(_)));
            let is_joined = *since + HUNG > now || state.under_way >= AT_ONCE;
            let under_way = lookup.peek().is_none() && is_joined;
            under_way || found && !doubted && *since + KNOWN > now
        });
        if let Some((lookup, _)) = last {
            return (lookup.clone(), known);
        }
        let lookup = look_up(self.name.clone(), self.permitted.clone());
        let lookup = lookup.boxed().shared();
        state.under_way += 1;
        state.lookup = Some((lookup.clone(), now));
        tokio::spawn(learn(lookup.clone(), Arc::clone(&self.state)));
        state.doubted = false;
        (lookup, known)
    }

    fn lock(&self) -> MutexGuard<'_, AddressState> {
        lock(&self.state)
    }
}

/// Waits for the end of a look-up, whoever else does: else what it found would be lost when all have given up, and what it
/// failed with would be heard by the next to ask.
async fn learn(lookup: Lookup, state: Arc<Mutex<AddressState>>) {
    let found = lookup.clone().await;
    let mut state = lock(&state);
    state.under_way -= 1;
    if let Ok(found) = found {
        state.learn(&lookup, &found);
    }
}

impl AddressState {
    /// Takes what a look-up found, unless another one was begun since, perhaps on another network.
    fn learn(&mut self, lookup: &Lookup, found: &Arc<[SocketAddr]>) {
        let last = self.lookup.as_ref();
        if last.is_some_and(|(last, _)| last.ptr_eq(lookup)) {
            self.known = Some(Arc::clone(found));
        }
    }
}

/// The addresses of `name`, `host:port`, that are `permitted`; never none. Each look-up is judged anew: the same name may lead
/// elsewhere a moment later, which is what DNS rebinding does.
pub(crate) async fn look_up(
    name: String,
    permitted: Permitted,
) -> Result<Arc<[SocketAddr]>, (io::ErrorKind, String)> {
    let found = lookup_host(name).await;
    // The resolver's errors have no kind of their own.
    let found = found.map_err(|error| (io::ErrorKind::NotFound, error.to_string()))?;
    let mut refused = None;
    let found: Vec<_> = found
        .filter(|address| {
            let why = permitted.refuses(address.ip());
            refused = refused.or(why.map(|why| (address.ip(), why)));
            why.is_none()
        })
        .collect();
    match (found.is_empty(), refused) {
        (false, _) => Ok(found.into()),
        (true, None) => Err((
            io::ErrorKind::NotFound,
            "the name has no address".to_owned(),
        )),
        (true, Some((address, why))) => {
            let text = format!("its address {address} is refused: {why}");
            Err((io::ErrorKind::PermissionDenied, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_looked_up_again_after_a_while_and_in_doubt() {
        let addresses = Addresses::new("127.0.0.1:88".to_owned(), Permitted::Any, Reach::Always);
        let then = Instant::now();
        let is_new = async |after: Duration| {
            let before = addresses.lock().lookup.clone();
            let (lookup, _) = addresses.lookup(then + after);
            lookup.clone().await.unwrap();
            before.is_none_or(|(before, _)| !before.ptr_eq(&lookup))
        };
        let almost = KNOWN - Duration::from_millis(1);
        assert!(is_new(Duration::ZERO).await, "the first");
        assert!(!is_new(almost).await, "known");
        assert!(is_new(KNOWN).await, "old");
        assert!(!is_new(KNOWN).await, "known again");
        addresses.doubt();
        assert!(is_new(KNOWN).await, "doubted");
        assert!(!is_new(KNOWN + almost).await, "doubted once");
        addresses.forget();
        assert!(is_new(KNOWN + almost).await, "forgotten");
    }

    #[tokio::test]
    async fn a_look_up_that_hangs_is_joined_for_as_long_as_anybody_waits() {
        let addresses = Addresses::new("127.0.0.1:88".to_owned(), Permitted::Any, Reach::Always);
        let hanging: Lookup = std::future::pending().boxed().shared();
        let now = Instant::now();
        addresses.lock().lookup = Some((hanging.clone(), now));
        let almost = HUNG - Duration::from_millis(1);
        assert!(addresses.lookup(now + almost).0.ptr_eq(&hanging));
        assert!(!addresses.lookup(now + HUNG).0.ptr_eq(&hanging));
        let mut state = addresses.lock();
        state.lookup = Some((hanging.clone(), now));
        state.under_way = AT_ONCE;
        drop(state);
        assert!(addresses.lookup(now + HUNG).0.ptr_eq(&hanging), "enough");
    }

    #[tokio::test]
    async fn a_doubt_is_about_what_was_found_and_not_about_what_is_still_asked() {
        let addresses = Addresses::new("127.0.0.1:88".to_owned(), Permitted::Any, Reach::Always);
        let hanging: Lookup = std::future::pending().boxed().shared();
        addresses.lock().lookup = Some((hanging, Instant::now()));
        addresses.doubt();
        assert!(!addresses.lock().doubted);
    }

    #[tokio::test]
    async fn what_was_found_when_all_had_given_up_is_known() {
        let addresses = Addresses::new("127.0.0.1:88".to_owned(), Permitted::Any, Reach::Always);
        drop(addresses.lookup(Instant::now()));
        let known = async {
            while addresses.lock().known.is_none() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), known).await.unwrap();
        assert_eq!(addresses.lock().under_way, 0);
    }

    #[tokio::test]
    async fn on_another_network_a_look_up_begins_anew_and_what_is_known_still_serves() {
        let addresses = Addresses::new("127.0.0.1:88".to_owned(), Permitted::Any, Reach::Always);
        let now = Instant::now();
        let found = addresses.get().await.unwrap();
        let (before, _) = addresses.lookup(now);
        addresses.forget();
        let (after, known) = addresses.lookup(now);
        assert!(!before.ptr_eq(&after));
        assert_eq!(known.as_deref(), Some(&found[..]));
    }

    #[tokio::test]
    async fn the_address_that_works_comes_first() {
        let addresses = Addresses::new(
            "kdc.example.com:88".to_owned(),
            Permitted::Any,
            Reach::Always,
        );
        let found = ["192.0.2.1:88", "[2001:db8::1]:88"].map(|address| address.parse().unwrap());
        let lookup = async move { Ok(Arc::from(found)) }.boxed().shared();
        {
            let mut state = addresses.lock();
            state.lookup = Some((lookup, Instant::now()));
            state.known = Some(Arc::from(found));
        }
        assert_eq!(addresses.get().await.unwrap(), found);
        addresses.prefer("192.0.2.9".parse().unwrap());
        assert_eq!(addresses.get().await.unwrap(), found, "none of its own");
        addresses.prefer(found[1].ip());
        assert_eq!(addresses.get().await.unwrap(), [found[1], found[0]]);
    }

    #[tokio::test]
    async fn a_failure_is_looked_up_again_and_one_that_is_under_way_is_not() {
        let refusing = Permitted::OtherHosts(Vec::new());
        let addresses = Addresses::new("127.0.0.1:88".to_owned(), refusing, Reach::Always);
        let now = Instant::now();
        let (first, _) = addresses.lookup(now);
        let almost = HUNG - Duration::from_millis(1);
        let (copy, _) = addresses.lookup(now + almost);
        assert!(first.ptr_eq(&copy), "under way");
        assert_eq!(first.await.unwrap_err().0, io::ErrorKind::PermissionDenied);
        let (second, _) = addresses.lookup(now);
        assert!(!second.ptr_eq(&copy));
        addresses.forget();
        let (third, _) = addresses.lookup(now);
        assert!(!third.ptr_eq(&second), "it asks name servers of before");
    }
}
