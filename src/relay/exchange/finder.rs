//! Who looks up where a realm's requests go.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Exchange;
use crate::wire::Realm;

/// Looks up where the requests go of realms whose configuration says so.
pub trait Finder: fmt::Debug + Send + Sync {
    /// A request for `realm`, as it was configured, has come. Begins what look-up is due, which has [`Exchange::reroute`]
    /// called on `exchange` when it finds something else. What is returned is to be waited for before the request goes
    /// anywhere; there is nothing to wait for if enough is known.
    fn asked(&self, realm: &Realm, exchange: &Arc<Exchange>) -> Option<BoxFuture<'static, ()>>;

    /// The network is another one: the next request has everything looked up anew.
    fn expire(&self);
}
