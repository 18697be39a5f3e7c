//! The upstreams in use: one that several realms have in common is one, and new routes keep what is known of those that stay,
//! their connections above all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::relay::routes::UpstreamId;
use crate::relay::upstream::Upstream;

/// The upstreams in use, by all that makes two of them one.
#[derive(Debug)]
pub(crate) struct InUse<K>(HashMap<K, Arc<Upstream>>);

impl<K> Default for InUse<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> InUse<K> {
    /// Has `build` say which upstreams are in use from now on. If it fails, those of before still are.
    pub(crate) fn renew<T, E>(
        &mut self,
        build: impl FnOnce(&mut Gathering<'_, K>) -> Result<T, E>,
    ) -> Result<(T, Vec<Arc<Upstream>>), E> {
        let mut gathering = Gathering {
            before: &self.0,
            ids: HashMap::new(),
            list: Vec::new(),
        };
        let built = build(&mut gathering)?;
        let Gathering { ids, list, .. } = gathering;
        let known = |(key, id): (K, UpstreamId)| Some((key, Arc::clone(list.get(id.0)?)));
        self.0 = ids.into_iter().filter_map(known).collect();
        Ok((built, list))
    }
}

/// The upstreams so far.
pub(crate) struct Gathering<'a, K> {
    before: &'a HashMap<K, Arc<Upstream>>,
    ids: HashMap<K, UpstreamId>,
    list: Vec<Arc<Upstream>>,
}

impl<K: Clone + Eq + Hash> Gathering<'_, K> {
    /// The place of the upstream with this key, which `make` makes if it is not in use yet.
    pub(crate) fn id<E>(
        &mut self,
        key: K,
        make: impl FnOnce(&K) -> Result<Upstream, E>,
    ) -> Result<UpstreamId, E> {
        if let Some(id) = self.ids.get(&key) {
            return Ok(*id);
        }
        let upstream = match self.before.get(&key) {
            Some(known) => Arc::clone(known),
            None => Arc::new(make(&key)?),
        };
        let id = UpstreamId(self.list.len());
        self.list.push(upstream);
        self.ids.insert(key, id);
        Ok(id)
    }
}
