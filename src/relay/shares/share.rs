//! A part of what is shared, whose it is, and what is counted together.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{GivesWay, Shares};
use crate::relay::sync::lock;

/// Nearly all answers take less: who has none by then makes room for others.
const SILENT: Duration = Duration::from_secs(1);

/// Waits for `answer`; what is to be done once there is none for a second is `then`. It stays where it is pinned: each function
/// that took it by value would hold it twice.
pub(crate) async fn when_silent<F: Future>(
    mut answer: Pin<&mut F>,
    then: impl FnOnce(),
) -> F::Output {
    if let Ok(answer) = timeout(SILENT, &mut answer).await {
        return answer;
    }
    then();
    answer.await
}

/// A part that is held, until this is dropped or gives way.
#[derive(Debug)]
#[must_use = "dropped, it is given back"]
pub struct Share {
    pub(super) shares: Arc<Shares>,
    pub(super) id: u64,
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
        self.set_gives_way(evicted, false);
    }

    /// The same for a stranger: somebody who has shown nothing yet.
    pub fn give_way_first(&self, evicted: CancellationToken) {
        self.set_gives_way(evicted, true);
    }

    fn set_gives_way(&self, evicted: CancellationToken, is_stranger: bool) {
        let mut held = lock(&self.shares.0);
        let gives_way = GivesWay {
            since: held.next_id(),
            is_stranger,
            evicted,
        };
        drop(held.set_gives_way(self.id, Some(gives_way)));
        drop(held);
        self.shares.serve_waiting();
    }

    /// Waits for `answer`. One that takes longer than a second holds this no more: it gives way to others, and what `evicted` makes is
    /// cancelled when it has.
    pub async fn hold_for<F: Future>(
        &self,
        answer: Pin<&mut F>,
        evicted: impl FnOnce() -> CancellationToken,
    ) -> F::Output {
        when_silent(answer, || self.give_way(evicted())).await
    }

    /// From now on it is another's; false if it would be more than his part: then it has ended.
    #[must_use]
    pub fn pass_to(&self, holder: Holder) -> bool {
        let mut held = lock(&self.shares.0);
        let Some(amount) = held.shares.get(&self.id).map(|share| share.amount) else {
            return false;
        };
        let gives_way = held.end(self.id);
        if held.make_room(holder, amount).is_none() {
            return false;
        }
        held.begin(self.id, holder, amount);
        held.set_gives_way(self.id, gives_way);
        true
    }

    /// From now on it gives way to nobody; false if it has before.
    pub fn hold(&self) -> bool {
        let mut held = lock(&self.shares.0);
        drop(held.set_gives_way(self.id, None));
        held.shares.contains_key(&self.id)
    }

    /// Whose it is; unknown once it has given way.
    pub fn holder(&self) -> Holder {
        let held = lock(&self.shares.0);
        let share = held.shares.get(&self.id);
        share.map_or(Holder::Unknown, |share| share.holder)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = lock(&self.shares.0);
        let ended = held.end(self.id);
        let is_awaited = !held.waiting.is_empty();
        drop(held);
        drop(ended);
        if is_awaited {
            self.shares.serve_waiting();
        }
    }
}

/// `octets` that are held, and `held` with them, until the last who needs them lets go.
pub fn accounted<T, H>(octets: T, held: H) -> Bytes
where
    T: AsRef<[u8]> + Send + 'static,
    H: Send + 'static,
{
    Bytes::from_owner(Accounted {
        octets,
        _held: held,
    })
}

struct Accounted<T, H> {
    octets: T,
    _held: H,
}

impl<T: AsRef<[u8]>, H> AsRef<[u8]> for Accounted<T, H> {
    fn as_ref(&self) -> &[u8] {
        self.octets.as_ref()
    }
}

/// The networks that one host may have in IPv6: of a link, and what providers give to a home and to a site (RFC 6177).
const IPV6_PREFIXES: [u8; 3] = [64, 56, 48];

/// Who holds a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// All who can't be told apart.
    Unknown,
    /// A client on the network.
    Address(IpAddr),
    /// A connection that is many clients': its other end stands before them.
    Connection(SocketAddr),
    /// A user of this machine, by uid.
    User(u32),
    /// A client that has proved its name, by a number for that.
    Named(u64),
}

/// What is counted together: a holder, or an IPv6 network as far as its prefix goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Group {
    Holder(Holder),
    Network(u8, u128),
}

impl Holder {
    pub(super) fn groups(self) -> impl Iterator<Item = Group> {
        let holder = match self {
            Self::Address(address) => Self::Address(address.to_canonical()),
            other => other,
        };
        let groups = match holder {
            Self::Address(IpAddr::V6(address)) => IPV6_PREFIXES
                .map(|prefix| Some(Group::Network(prefix, address.to_bits() >> (128 - prefix)))),
            holder => [Some(Group::Holder(holder)), None, None],
        };
        groups.into_iter().flatten()
    }
}
