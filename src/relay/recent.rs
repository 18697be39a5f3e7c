//! Values that are kept for a while, bounded in octets, oldest out first.
//!
//! Pure: the clock is an argument.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What an entry costs beside its octets.
pub(super) const ENTRY_BYTES: usize = 256;

/// All entries are kept for the same time, so the oldest one expires first: dropping from the old end never drops a live entry
/// while an expired one takes up room.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    keep: Duration,
    most_bytes: usize,
    entries: HashMap<K, Entry<V>>,
    /// The keys by the numbers of their entries.
    oldest_first: BTreeMap<u64, K>,
    bytes: usize,
    inserted: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    until: Instant,
    number: u64,
    cost: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Recent<K, V> {
    pub(super) fn new(keep: Duration, most_bytes: usize) -> Self {
        Self {
            keep,
            most_bytes,
            entries: HashMap::new(),
            oldest_first: BTreeMap::new(),
            bytes: 0,
            inserted: 0,
        }
    }

    pub(super) fn get(&self, key: &K, now: Instant) -> Option<V> {
        let entry = self.entries.get(key).filter(|entry| now < entry.until)?;
        Some(entry.value.clone())
    }

    /// The entries that have not expired.
    pub(super) fn iter(&self, now: Instant) -> impl Iterator<Item = (&K, &V)> {
        let entries = self.entries.iter();
        let entries = entries.filter(move |(_, entry)| now < entry.until);
        entries.map(|(key, entry)| (key, &entry.value))
    }

    /// Keeps `value`, which has so many `octets`, in place of an older one under `key`. Says how many live entries were dropped to
    /// make room.
    pub(super) fn insert(&mut self, key: K, value: V, octets: usize, now: Instant) -> u64 {
        self.remove(&key);
        self.inserted += 1;
        let entry = Entry {
            value,
            until: now + self.keep,
            number: self.inserted,
            cost: octets + ENTRY_BYTES,
        };
        self.bytes += entry.cost;
        self.oldest_first.insert(entry.number, key.clone());
        self.entries.insert(key, entry);
        self.prune(now)
    }

    fn remove(&mut self, key: &K) -> Option<Entry<V>> {
        let entry = self.entries.remove(key)?;
        self.oldest_first.remove(&entry.number);
        self.bytes -= entry.cost;
        Some(entry)
    }

    /// Drops the oldest entries: those that have expired, and as many more as exceed the bound. Says how many of them were live.
    fn prune(&mut self, now: Instant) -> u64 {
        let mut forgotten = 0;
        while let Some((_, key)) = self.oldest_first.first_key_value() {
            let has_expired = |entry: &Entry<V>| entry.until <= now;
            let expired = self.entries.get(key).is_none_or(has_expired);
            if !expired && self.bytes <= self.most_bytes {
                break;
            }
            forgotten += u64::from(!expired);
            let key = key.clone();
            self.remove(&key);
        }
        forgotten
    }
}

#[cfg(test)]
mod tests;
