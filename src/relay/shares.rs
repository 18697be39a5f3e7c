//! What all clients share, and nobody may hold alone: places, connections, octets.
//!
//! A holder may have four times what is still free (after the dynamic thresholds of Choudhury and Hahne, 1998): one alone gets
//! four fifths, two get four ninths each, and something stays free for who comes next. Who waits for his turn gets it
//! before those that hold more. What its owner [can spare](Share::give_way) gives way to others: of the largest holder first, and
//! of that one what could be spared for longest.
//!
//! Pure but for the waiting: it reads no clock.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::relay::sync::lock;

/// How many times what is free one holder may have.
const OF_FREE: usize = 4;
/// The networks that one host may have in IPv6: of a link, and what providers give to a home and to a site (RFC 6177).
const IPV6_PREFIXES: [u8; 3] = [64, 56, 48];

/// Who holds a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// All who can't be told apart.
    Unknown,
    /// A client on the network.
    Address(IpAddr),
    /// A user of this machine, by uid.
    User(u32),
    /// A client that has proved its name, by a number for that.
    Named(u64),
}

/// What is counted together: a holder, or an IPv6 network as far as its prefix goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Group {
    Holder(Holder),
    Network(u8, u128),
}

impl Holder {
    fn groups(self) -> impl Iterator<Item = Group> {
        let holder = match self {
            Self::Address(address) => Self::Address(address.to_canonical()),
            other => other,
        };
        let (single, networks) = match holder {
            Self::Address(IpAddr::V6(address)) => (None, Some(address.to_bits())),
            holder => (Some(Group::Holder(holder)), None),
        };
        let network = |prefix, bits: u128| Group::Network(prefix, bits >> (128 - prefix));
        let networks = networks.into_iter();
        let networks =
            networks.flat_map(move |bits| IPV6_PREFIXES.map(|prefix| network(prefix, bits)));
        single.into_iter().chain(networks)
    }
}

/// So much of something, and who holds it.
#[derive(Debug)]
pub struct Shares(Mutex<Held>);

#[derive(Debug)]
struct Held {
    free: usize,
    next_id: u64,
    shares: HashMap<u64, HeldShare>,
    groups: HashMap<Group, HeldByGroup>,
    waiting: HashMap<Holder, VecDeque<Waiting>>,
}

#[derive(Debug)]
struct HeldShare {
    holder: Holder,
    amount: usize,
    /// Its key in `giving_way`, and what is cancelled when it has.
    gives_way: Option<(u64, CancellationToken)>,
}

#[derive(Debug, Default)]
struct HeldByGroup {
    amount: usize,
    /// The ids of those that give way, in the order in which they began to.
    giving_way: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Waiting {
    /// Its place in the order in which they came.
    since: u64,
    turn: oneshot::Sender<Share>,
}

/// A part that is held, until this is dropped or gives way.
#[derive(Debug)]
#[must_use = "dropped, it is given back"]
pub struct Share {
    shares: Arc<Shares>,
    id: u64,
}

impl Shares {
    /// `all` that there is, in octets or in places; nobody holds any of it.
    #[must_use]
    pub fn new(all: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Held {
            free: all,
            next_id: 0,
            shares: HashMap::new(),
            groups: HashMap::new(),
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
    #[must_use]
    pub fn held(&self) -> usize {
        lock(&self.0).shares.len()
    }

    /// Has the share give way that is the first to; false if none can be spared.
    pub fn evict(&self) -> bool {
        lock(&self.0).evict(|_, _| true).is_some()
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
            let is_own = |group| holder.groups().any(|own| own == group);
            self.evict(|group, has| has >= would_have || is_own(group))?;
        }
        Some(())
    }

    fn take(&mut self, shares: &Arc<Shares>, holder: Holder, amount: usize) -> Share {
        let id = self.next_id();
        let share = HeldShare {
            holder,
            amount: 0,
            gives_way: None,
        };
        self.shares.insert(id, share);
        self.add(id, amount);
        Share {
            shares: Arc::clone(shares),
            id,
        }
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn add(&mut self, id: u64, amount: usize) {
        let Some(share) = self.shares.get_mut(&id) else {
            return;
        };
        share.amount += amount;
        self.free -= amount;
        for group in share.holder.groups() {
            self.groups.entry(group).or_default().amount += amount;
        }
    }

    /// Has share `id` give way from now on, or hold what it has.
    fn set_gives_way(&mut self, id: u64, evicted: Option<CancellationToken>) {
        let since = self.next_id();
        let Some(share) = self.shares.get_mut(&id) else {
            return;
        };
        let evicted = evicted.map(|evicted| (since, evicted));
        let gives_way = evicted.is_some();
        let before = std::mem::replace(&mut share.gives_way, evicted);
        for group in share.holder.groups() {
            let giving_way = &mut self.groups.entry(group).or_default().giving_way;
            if let Some((since, _)) = &before {
                giving_way.remove(since);
            }
            if gives_way {
                giving_way.insert(since, id);
            }
        }
    }

    /// Takes back what share `id` holds, unless it has given way.
    fn end(&mut self, id: u64) -> Option<HeldShare> {
        self.set_gives_way(id, None);
        let share = self.shares.remove(&id)?;
        self.free += share.amount;
        for group in share.holder.groups() {
            if let Entry::Occupied(mut held) = self.groups.entry(group) {
                held.get_mut().amount -= share.amount;
                if held.get().amount == 0 {
                    held.remove();
                }
            }
        }
        Some(share)
    }

    /// Ends the share that is the first to give way, in the largest of those groups that with what they have are `fit`.
    fn evict(&mut self, fit: impl Fn(Group, usize) -> bool) -> Option<()> {
        let candidates = self.groups.iter().filter_map(|(group, held)| {
            let (since, id) = held.giving_way.first_key_value()?;
            fit(*group, held.amount).then_some((Reverse(held.amount), *since, *id))
        });
        let (_, _, id) = candidates.min()?;
        let evicted = self.shares.get_mut(&id)?.gives_way.clone();
        self.end(id)?;
        evicted?.1.cancel();
        Some(())
    }

    fn wait(&mut self, holder: Holder) -> oneshot::Receiver<Share> {
        self.forget_those_gone();
        let since = self.next_id();
        let (turn, waiting) = oneshot::channel();
        let of_holder = self.waiting.entry(holder).or_default();
        of_holder.push_back(Waiting { since, turn });
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
        let waiting = self.waiting.iter().filter_map(|(holder, waiting)| {
            let since = waiting.front()?.since;
            Some((self.of_largest(*holder), since, *holder))
        });
        let (_, _, holder) = waiting.min_by_key(|(has, since, _)| (*has, *since))?;
        if !self.may_take(holder, 1) {
            return None;
        }
        let of_holder = self.waiting.get_mut(&holder)?;
        let Waiting { turn, .. } = of_holder.pop_front()?;
        if of_holder.is_empty() {
            self.waiting.remove(&holder);
        }
        Some((turn, self.take(shares, holder, 1)))
    }
}

impl Share {
    /// Takes `amount` more; false if it would be more than its part, or it has given way itself.
    #[must_use]
    pub fn grow(&self, amount: usize) -> bool {
        let mut held = lock(&self.shares.0);
        let holder = held.shares.get(&self.id).map(|share| share.holder);
        let has_room = holder.and_then(|holder| held.make_room(holder, amount));
        // It may have been the first to give way.
        let may = has_room.is_some() && held.shares.contains_key(&self.id);
        if may {
            held.add(self.id, amount);
        }
        may
    }

    /// From now on it gives way to others; `evicted` is cancelled when it has.
    pub fn give_way(&self, evicted: CancellationToken) {
        lock(&self.shares.0).set_gives_way(self.id, Some(evicted));
    }

    /// From now on it gives way to nobody.
    pub fn hold(&self) {
        lock(&self.shares.0).set_gives_way(self.id, None);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        drop(lock(&self.shares.0).end(self.id));
        // Not under the lock: a share that nobody waits for any more is dropped here, too.
        loop {
            let next = lock(&self.shares.0).next_turn(&self.shares);
            let Some((turn, share)) = next else { return };
            drop(turn.send(share));
        }
    }
}

#[cfg(test)]
mod tests;
