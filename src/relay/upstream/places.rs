//! How many requests are under way at one KDC proxy: what would be one too many waits for a place here. A proxy refuses what it could
//! have served a moment later (RFC 6585 4).

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::relay::sync::lock;

/// More than a burst of one laptop needs; over HTTP/1.1 each has a connection of its own.
const PLACES: usize = 64;
/// What is silent for longer goes on to wait without a place: it may be for this request alone that its KDC is silent.
const HELD: Duration = Duration::from_secs(1);
/// For so long after a refusal no more are under way than the proxy took beside what it refused.
const CAUTION: Duration = Duration::from_secs(10);

/// The places at one KDC proxy.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    under_way: usize,
    /// What the proxy takes, and until when that is believed.
    limit: Option<(usize, Instant)>,
}

/// One request's place.
#[derive(Debug)]
pub(super) struct Place<'a> {
    places: &'a Places,
    is_held: bool,
}

impl Places {
    /// Waits for a place.
    pub(super) async fn take(&self) -> Place<'_> {
        loop {
            let freed = self.freed.notified();
            if let Some(place) = self.take_free(Instant::now()) {
                return place;
            }
            freed.await;
        }
    }

    fn take_free(&self, now: Instant) -> Option<Place<'_>> {
        let mut taken = lock(&self.taken);
        taken.limit = taken.limit.filter(|(_, until)| now < *until);
        let limit = taken.limit.map_or(PLACES, |(limit, _)| limit);
        let free = limit.checked_sub(taken.under_way + 1)?;
        taken.under_way += 1;
        if free > 0 {
            // A caution that has ended frees more than the place of the one that woke this one.
            self.freed.notify_one();
        }
        Some(Place {
            places: self,
            is_held: true,
        })
    }
}

impl Place<'_> {
    /// Does `work` and holds the place for it, but not for longer than a second.
    pub(super) async fn hold_for<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = timeout(HELD, &mut work).await {
            return done;
        }
        self.give_back();
        work.await
    }

    /// The proxy has refused the request, as there were too many.
    pub(super) fn was_refused(self, now: Instant) {
        let mut taken = lock(&self.places.taken);
        let others = taken.under_way - usize::from(self.is_held);
        let limit = taken.limit.map_or(PLACES, |(limit, _)| limit);
        taken.limit = Some((others.clamp(1, limit), now + CAUTION));
    }

    fn give_back(&mut self) {
        if std::mem::take(&mut self.is_held) {
            lock(&self.places.taken).under_way -= 1;
            self.places.freed.notify_one();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(places: &Places, now: Instant) -> Vec<Place<'_>> {
        std::iter::from_fn(|| places.take_free(now)).collect()
    }

    #[test]
    fn after_a_refusal_no_more_are_under_way_than_the_proxy_took_until_some_time_later() {
        let (places, now) = (Places::default(), Instant::now());
        let mut taken = take_all(&places, now);
        assert_eq!(taken.len(), PLACES);
        let served = taken.split_off(PLACES - 8);
        for refused in taken {
            refused.was_refused(now);
        }
        assert!(places.take_free(now).is_none());
        drop(served);
        assert_eq!(take_all(&places, now).len(), 8);
        assert_eq!(take_all(&places, now + CAUTION).len(), PLACES);
    }

    #[test]
    fn one_place_is_left_however_much_is_refused() {
        let (places, now) = (Places::default(), Instant::now());
        for _ in 0..2 {
            places.take_free(now).unwrap().was_refused(now);
        }
        assert_eq!(take_all(&places, now).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_place_of_what_is_silent() {
        let (places, now) = (Places::default(), Instant::now());
        let mut taken = take_all(&places, now);
        let mut silent = taken.pop().unwrap();
        tokio::select! {
            () = silent.hold_for(std::future::pending()) => unreachable!(),
            _ = places.take() => {}
        }
        drop(silent);
        drop(taken);
        assert_eq!(take_all(&places, now).len(), PLACES);
    }
}
