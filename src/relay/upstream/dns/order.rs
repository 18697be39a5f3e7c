//! The order in which equals are asked: by priority, and within one by chance in proportion to the weights, as RFC 2782 has
//! it for SRV and RFC 7553 5.3 for URI records. Pure: the random numbers are an argument.

use std::cmp::Reverse;

/// As many of one service as are kept: the best by priority, then by weight.
pub(super) const MOST: usize = 16;

/// What has a place in the order.
pub(super) trait Ranked {
    /// The lowest comes first.
    fn priority(&self) -> u16;
    /// Its share of the requests among those of the same priority.
    fn weight(&self) -> u16;
    /// What it is called.
    fn name(&self) -> String;
}

/// The best [`MOST`] in the order to ask them, and the others.
pub(super) fn ordered<T: Ranked>(
    records: Vec<T>,
    random: &mut impl FnMut(u32) -> u32,
) -> (Vec<T>, Vec<T>) {
    let mut best = best(records);
    let surplus = best.split_off(best.len().min(MOST));
    (in_order(best, random), surplus)
}

/// By priority, then by weight, then by name, so that the same records always leave the same ones.
fn best<T: Ranked>(mut records: Vec<T>) -> Vec<T> {
    let rank = |record: &T| (record.priority(), Reverse(record.weight()), record.name());
    records.sort_by_cached_key(rank);
    records
}

/// `random(n)` is one of the numbers from 0 to n.
fn in_order<T: Ranked>(mut records: Vec<T>, random: &mut impl FnMut(u32) -> u32) -> Vec<T> {
    // Those without weight stand first, so that they have a very small chance and not none.
    records.sort_by_key(|record| (record.priority(), record.weight() != 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(Ranked::priority) {
        let same = records
            .iter()
            .filter(|record| record.priority() == priority);
        let mut sum = 0;
        let sums = same.map(|record| {
            sum += u32::from(record.weight());
            sum
        });
        let sums: Vec<_> = sums.collect();
        let drawn = random(sum);
        let next = sums.iter().position(|sum| *sum >= drawn).unwrap_or(0);
        ordered.push(records.remove(next));
    }
    ordered
}
