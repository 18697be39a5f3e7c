//! Values that are kept for a while, bounded in octets, oldest out first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What an entry costs beside its octets.
const ENTRY_BYTES: usize = 256;

/// All are kept for the same while, so that what is oldest is also the first to expire: nothing that still stands is pushed out
/// while something expired takes its room.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    keep: Duration,
    most_bytes: usize,
    kept: HashMap<K, Kept<V>>,
    oldest_first: VecDeque<Place<K>>,
    /// What stands in `oldest_first`, replaced values included: their keys still take room.
    bytes: usize,
    serial: u64,
}

#[derive(Debug)]
struct Kept<V> {
    value: V,
    until: Instant,
    serial: u64,
}

#[derive(Debug)]
struct Place<K> {
    key: K,
    until: Instant,
    serial: u64,
    cost: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Recent<K, V> {
    pub(super) fn new(keep: Duration, most_bytes: usize) -> Self {
        Self {
            keep,
            most_bytes,
            kept: HashMap::new(),
            oldest_first: VecDeque::new(),
            bytes: 0,
            serial: 0,
        }
    }

    pub(super) fn get(&self, key: &K, now: Instant) -> Option<V> {
        let kept = self.kept.get(key).filter(|kept| now < kept.until)?;
        Some(kept.value.clone())
    }

    /// Keeps `value`, in place of what stood under `key` before; key and value have `octets` together. Says how many values
    /// were dropped for it that still stood.
    pub(super) fn insert(&mut self, key: K, value: V, octets: usize, now: Instant) -> u64 {
        let (until, cost) = (now + self.keep, octets + ENTRY_BYTES);
        self.serial += 1;
        let serial = self.serial;
        self.bytes += cost;
        self.oldest_first.push_back(Place {
            key: key.clone(),
            until,
            serial,
            cost,
        });
        self.kept.insert(
            key,
            Kept {
                value,
                until,
                serial,
            },
        );
        self.prune(now)
    }

    /// Drops from the old end what has expired, and what exceeds the bound; says how much of it had not expired.
    fn prune(&mut self, now: Instant) -> u64 {
        let mut forgotten = 0;
        while let Some(place) = self.oldest_first.front() {
            if now < place.until && self.bytes <= self.most_bytes {
                break;
            }
            let kept = self.kept.get(&place.key);
            if kept.is_some_and(|kept| kept.serial == place.serial) {
                self.kept.remove(&place.key);
                forgotten += u64::from(now < place.until);
            }
            self.bytes -= place.cost;
            self.oldest_first.pop_front();
        }
        forgotten
    }
}

#[cfg(test)]
mod tests;
