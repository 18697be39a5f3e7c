//! What all clients share, and nobody may hold alone: places, connections, octets.
//!
//! A holder may have four times what is still free (after the dynamic thresholds of Choudhury and Hahne, 1998): one alone gets
//! four fifths, two get four ninths each, and something stays free for who comes next. Who waits for his turn gets it
//! before those that hold more. What its owner [can spare](Share::give_way) gives way to others: of the largest holder first, and
//! of that one what could be spared for longest. [Strangers](Share::give_way_first) count as one holder there, however many
//! addresses they come from: a flood of them is at the cost of strangers, and not of those that are known. Of one holder, too,
//! they go first.
//!
//! Pure but for the waiting.

mod share;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::share::Group;
pub(crate) use self::share::when_silent;
pub use self::share::{Holder, Share, accounted};
use crate::relay::sync::lock;

/// How many times what is free one holder may have.
const OF_FREE: usize = 4;

/// So much of something, and who holds it.
#[derive(Debug)]
pub struct Shares(Mutex<Held>);

#[derive(Debug)]
struct Held {
    free: usize,
    next_id: u64,
    shares: BTreeMap<u64, HeldShare>,
    groups: HashMap<Group, HeldByGroup>,
    /// Those of them that have something to give way: with most strangers first, and those that have most first.
    orders: [BTreeSet<(EvictionRank, Group)>; 2],
    /// How many shares are strangers'.
    strangers: usize,
    waiting: HashMap<Holder, VecDeque<Waiter>>,
}

#[derive(Debug)]
struct HeldShare {
    holder: Holder,
    amount: usize,
    gives_way: Option<GivesWay>,
}

#[derive(Debug)]
struct GivesWay {
    /// Its place in the order in which they began to.
    since: u64,
    is_stranger: bool,
    /// Cancelled when it has.
    evicted: CancellationToken,
}

#[derive(Debug, Default)]
struct HeldByGroup {
    amount: usize,
    /// The ids of those that give way, in the order in which they began to.
    giving_way: BTreeMap<u64, u64>,
    /// And of those that are strangers.
    strangers: BTreeMap<u64, u64>,
}

/// How much a group has, and since when the first of it gives way.
type EvictionRank = (Reverse<usize>, u64);

impl HeldByGroup {
    fn order(&mut self, of_strangers: bool) -> &mut BTreeMap<u64, u64> {
        if of_strangers {
            &mut self.strangers
        } else {
            &mut self.giving_way
        }
    }

    /// The first stranger, and the first of all, by when they began to give way.
    fn first(&self) -> [Option<(&u64, &u64)>; 2] {
        let stranger = self.strangers.first_key_value();
        [stranger, stranger.or(self.giving_way.first_key_value())]
    }

    /// How many strangers it has, and how much of all.
    fn amounts(&self) -> [usize; 2] {
        [self.strangers.len(), self.amount]
    }

    fn ranks(&self) -> [Option<EvictionRank>; 2] {
        let [strangers, all] = self.amounts();
        let [stranger, first] = self.first();
        let rank = |amount, since: (&u64, _)| (Reverse(amount), *since.0);
        [
            stranger.map(|since| rank(strangers, since)),
            first.map(|since| rank(all, since)),
        ]
    }
}

#[derive(Debug)]
struct Waiter {
    /// Its place in the order in which they came.
    since: u64,
    turn: oneshot::Sender<Share>,
}

impl Shares {
    /// `all` that there is, in octets or in places; nobody holds any of it.
    pub fn new(all: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Held {
            free: all,
            next_id: 0,
            shares: BTreeMap::new(),
            groups: HashMap::new(),
            orders: Default::default(),
            strangers: 0,
            waiting: HashMap::new(),
        })))
    }

    /// Takes `amount` for `holder` at once, perhaps at the cost of others. Nothing if it would be more than its part, or there is
    /// no more.
    pub fn take(self: &Arc<Self>, holder: Holder, amount: usize) -> Option<Share> {
        let mut held = lock(&self.0);
        held.make_room(holder, amount)?;
        Some(held.take(self, holder, amount))
    }

    /// Takes one for `holder` when it is its turn. Dropped before, it has taken nothing.
    pub async fn turn(self: &Arc<Self>, holder: Holder) -> Share {
        loop {
            let turn = {
                let mut held = lock(&self.0);
                if held.make_room(holder, 1).is_some() {
                    return held.take(self, holder, 1);
                }
                held.wait(holder)
            };
            if let Ok(share) = turn.await {
                return share;
            }
        }
    }

    /// How many shares are held.
    pub fn held(&self) -> usize {
        lock(&self.0).shares.len()
    }

    /// Gives those their turn that wait for what has come free.
    fn serve_waiting(self: &Arc<Self>) {
        loop {
            let next = lock(&self.0).next_turn(self);
            let Some((turn, share)) = next else { return };
            // Not under the lock: if nobody waits any more, the share ends here.
            drop(turn.send(share));
        }
    }

    /// Has the share give way that is the first to; false if none can be spared.
    pub fn evict(&self) -> bool {
        lock(&self.0).evict(0, None).is_some()
    }
}

impl Held {
    fn of_group(&self, group: Group) -> usize {
        self.groups.get(&group).map_or(0, |group| group.amount)
    }

    /// What the group of `holder` has that has most.
    fn of_largest(&self, holder: Holder) -> usize {
        let held = holder.groups().map(|group| self.of_group(group));
        held.max().unwrap_or(0)
    }

    fn may_take(&self, holder: Holder, amount: usize) -> bool {
        // Of the last one, too, somebody may have four times as much.
        let left = (self.free + 1).checked_sub(amount);
        left.is_some_and(|left| {
            amount <= self.free && self.of_largest(holder) + amount <= OF_FREE.saturating_mul(left)
        })
    }

    /// Sees that `holder` may take `amount`, if others can spare it: those with no less than it would have, or it itself.
    fn make_room(&mut self, holder: Holder, amount: usize) -> Option<()> {
        while !self.may_take(holder, amount) {
            let would_have = self.of_largest(holder) + amount;
            self.evict(would_have, Some(holder))?;
        }
        Some(())
    }

    fn take(&mut self, shares: &Arc<Shares>, holder: Holder, amount: usize) -> Share {
        let id = self.next_id();
        self.begin(id, holder, amount);
        Share {
            shares: Arc::clone(shares),
            id,
        }
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn begin(&mut self, id: u64, holder: Holder, amount: usize) {
        let share = HeldShare {
            holder,
            amount,
            gives_way: None,
        };
        self.shares.insert(id, share);
        self.spend(holder, amount);
    }

    fn add(&mut self, id: u64, amount: usize) {
        let Some(share) = self.shares.get_mut(&id) else {
            return;
        };
        share.amount += amount;
        let holder = share.holder;
        self.spend(holder, amount);
    }

    fn spend(&mut self, holder: Holder, amount: usize) {
        self.free -= amount;
        self.change(holder, |held| held.amount += amount);
    }

    /// Changes what the groups of `holder` have, and their places in the orders.
    fn change(&mut self, holder: Holder, change: impl Fn(&mut HeldByGroup)) {
        for group in holder.groups() {
            let held = self.groups.entry(group).or_default();
            let before = held.ranks();
            change(held);
            let after = held.ranks();
            if held.amount == 0 {
                self.groups.remove(&group);
            }
            let changed = before.into_iter().zip(after).zip(&mut self.orders);
            for ((before, after), order) in changed.filter(|((before, after), _)| before != after) {
                if let Some(before) = before {
                    order.remove(&(before, group));
                }
                order.extend(after.map(|after| (after, group)));
            }
        }
    }

    /// Has share `id` give way from now on, or hold what it has; returns what it did before.
    fn set_gives_way(&mut self, id: u64, gives_way: Option<GivesWay>) -> Option<GivesWay> {
        let share = self.shares.get_mut(&id)?;
        let after = gives_way.as_ref().map(|way| (way.is_stranger, way.since));
        let gave_way = std::mem::replace(&mut share.gives_way, gives_way);
        let before = gave_way.as_ref().map(|way| (way.is_stranger, way.since));
        if (before, after) == (None, None) {
            return None;
        }
        let holder = share.holder;
        self.change(holder, |held| {
            if let Some((is_stranger, since)) = before {
                held.order(is_stranger).remove(&since);
            }
            if let Some((is_stranger, since)) = after {
                held.order(is_stranger).insert(since, id);
            }
        });
        let is_stranger = |way: Option<(bool, _)>| usize::from(way.is_some_and(|(is, _)| is));
        self.strangers += is_stranger(after);
        self.strangers -= is_stranger(before);
        gave_way
    }

    /// Takes back what share `id` holds, unless it has given way. Returns how it would have.
    fn end(&mut self, id: u64) -> Option<GivesWay> {
        let HeldShare {
            holder,
            amount,
            gives_way,
        } = self.shares.remove(&id)?;
        let gave_way = gives_way.as_ref().map(|way| (way.is_stranger, way.since));
        self.free += amount;
        self.strangers -= usize::from(gave_way.is_some_and(|(is_stranger, _)| is_stranger));
        self.change(holder, |held| {
            held.amount -= amount;
            if let Some((is_stranger, since)) = gave_way {
                held.order(is_stranger).remove(&since);
            }
        });
        gives_way
    }

    /// Ends the share that is the first to give way, of those groups that have at least so much, or of `own`.
    fn evict(&mut self, least: usize, own: Option<Holder>) -> Option<()> {
        let first = |order: &BTreeSet<(EvictionRank, Group)>| Some((order.first()?.1, least));
        let largest = self.orders.iter().filter_map(first);
        let own = own.into_iter().flat_map(Holder::groups);
        let candidates = largest.chain(own.map(|group| (group, 0)));
        let candidates = candidates.filter_map(|(group, least)| {
            let held = self.groups.get(&group)?;
            let [strangers, all] = held.amounts();
            let counted = [(self.strangers, strangers), (all, all)];
            let of_group = counted.into_iter().zip(held.first());
            let of_group = of_group.filter_map(|(amount, first)| Some((Reverse(amount), first?)));
            of_group
                .filter(|(Reverse((counted, _)), _)| *counted >= least)
                .min()
        });
        let (_, (_, id)) = candidates.min()?;
        let id = *id;
        self.end(id)?.evicted.cancel();
        Some(())
    }

    fn wait(&mut self, holder: Holder) -> oneshot::Receiver<Share> {
        self.forget_those_gone();
        let since = self.next_id();
        let (turn, waiting) = oneshot::channel();
        let of_holder = self.waiting.entry(holder).or_default();
        of_holder.push_back(Waiter { since, turn });
        waiting
    }

    fn forget_those_gone(&mut self) {
        self.waiting.retain(|_, waiting| {
            waiting.retain(|waiting| !waiting.turn.is_closed());
            !waiting.is_empty()
        });
    }

    /// The next one whose turn it is, with its share: of the holder that has least, and of several of these the first.
    fn next_turn(&mut self, shares: &Arc<Shares>) -> Option<(oneshot::Sender<Share>, Share)> {
        if self.waiting.is_empty() {
            return None;
        }
        self.forget_those_gone();
        let waiting = self.waiting.iter().filter_map(|(holder, waiting)| {
            let since = waiting.front()?.since;
            Some((self.of_largest(*holder), since, *holder))
        });
        let (_, _, holder) = waiting.min_by_key(|(has, since, _)| (*has, *since))?;
        self.make_room(holder, 1)?;
        let of_holder = self.waiting.get_mut(&holder)?;
        let Waiter { turn, .. } = of_holder.pop_front()?;
        if of_holder.is_empty() {
            self.waiting.remove(&holder);
        }
        Some((turn, self.take(shares, holder, 1)))
    }
}

#[cfg(test)]
mod tests;
