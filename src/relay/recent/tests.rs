use super::*;

const SECOND: Duration = Duration::from_secs(1);

impl<K, V> Recent<K, V> {
    /// The octets that are really held, and how many entries hold them.
    pub(in crate::relay) fn held(&self) -> (usize, usize) {
        let costs = self.entries.values().map(|entry| entry.cost);
        (costs.sum(), self.oldest_first.len())
    }
}

#[test]
fn the_oldest_is_out_first() {
    let mut recent = Recent::new(SECOND, 3 * (ENTRY_BYTES + 10));
    let now = Instant::now();
    for key in 0..3 {
        recent.insert(key, key, 10, now);
    }
    assert_eq!(
        [0, 1, 2].map(|key| recent.get(&key, now)),
        [Some(0), Some(1), Some(2)]
    );
    recent.insert(3, 3, 10, now);
    assert_eq!(
        [0, 1, 2, 3].map(|key| recent.get(&key, now)),
        [None, Some(1), Some(2), Some(3)]
    );
    // One octet more than the room that a single one would make.
    recent.insert(4, 4, 11, now);
    assert_eq!(
        [2, 3, 4].map(|key| recent.get(&key, now)),
        [None, Some(3), Some(4)]
    );
}

#[test]
fn a_replaced_value_leaves_nothing_behind() {
    let mut recent = Recent::new(SECOND, 10 * (ENTRY_BYTES + 100));
    let now = Instant::now();
    for value in 0..1000 {
        assert_eq!(recent.insert("key", value, 100, now), 0);
        assert_eq!(recent.get(&"key", now), Some(value));
    }
    assert_eq!(recent.oldest_first.len(), 1);
    assert_eq!(recent.bytes, ENTRY_BYTES + 100);
}

#[test]
fn the_place_of_a_replaced_value_does_not_take_the_new_one_along() {
    let mut recent = Recent::new(2 * SECOND, 10_000);
    let now = Instant::now();
    recent.insert("key", 1, 0, now);
    recent.insert("key", 2, 0, now + SECOND);
    recent.insert("other", 3, 0, now + 2 * SECOND);
    assert_eq!(recent.get(&"key", now + 2 * SECOND), Some(2));
}

#[test]
fn what_has_expired_makes_room() {
    let mut recent = Recent::new(SECOND, 10_000);
    let now = Instant::now();
    for key in 0..20 {
        recent.insert(key, key, 100, now);
    }
    recent.insert(20, 20, 100, now + SECOND);
    assert_eq!(recent.bytes, ENTRY_BYTES + 100);
    assert_eq!(recent.entries.len(), 1);
    assert_eq!(recent.oldest_first.len(), 1);
}
