//! Whether anybody is being served, for a daemon that may end when nobody is.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The ways in at work: who listens, who is being served, and how they are told to take nobody new.
#[derive(Clone, Debug)]
pub struct Activity {
    now: watch::Sender<Now>,
    /// Whether requests are taken. Apart from the rest, of which listeners do not have to hear.
    taking: watch::Sender<bool>,
    /// Cancelled when the daemon stops.
    stop: CancellationToken,
}

#[derive(Clone, Copy, Debug)]
struct Now {
    /// Listeners that take requests.
    listening: usize,
    /// Datagrams that wait for their answers, and connections.
    busy: usize,
    /// When the last of them ended.
    since: Instant,
}

impl Activity {
    /// Nobody listens yet. Listeners end once `stop` is cancelled.
    pub(crate) fn until(stop: &CancellationToken) -> Self {
        let now = Now {
            listening: 0,
            busy: 0,
            since: Instant::now(),
        };
        Self {
            now: watch::Sender::new(now),
            taking: watch::Sender::new(true),
            stop: stop.clone(),
        }
    }

    /// Has what `listen` makes run while requests are taken, and drops it while they are not, until the daemon stops.
    /// Whom it takes it has to count ([`Activity::begin`]) before it waits for anything else.
    pub(crate) async fn listen<F: Future<Output = ()>>(&self, listen: impl Fn() -> F) {
        let mut taking = self.taking.subscribe();
        loop {
            let listens = Listens::new(self);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = becomes(&mut taking, false) => {}
                () = listen() => return,
            }
            drop(listens);
            let again = becomes(&mut taking, true);
            if self.stop.run_until_cancelled(again).await.is_none() {
                return;
            }
        }
    }

    /// Somebody is being served until what is returned is dropped.
    pub(crate) fn begin(&self) -> Busy {
        self.now.send_modify(|now| now.busy += 1);
        Busy(self.clone())
    }

    /// Ends when nobody has been served for `long`, and nobody new is taken any more: who comes then waits in the sockets, for
    /// whoever holds them. Not before the end of what `kept` says: until then whoever comes after this daemon would know less.
    pub async fn end(&self, long: Duration, kept: impl Fn() -> Option<std::time::Instant>) {
        loop {
            self.idle(long, &kept).await;
            if self.close(long, &kept).await {
                return;
            }
        }
    }

    async fn idle(&self, long: Duration, kept: impl Fn() -> Option<std::time::Instant>) {
        let mut changes = self.now.subscribe();
        let mut not_before = Instant::now();
        loop {
            let now = *changes.borrow_and_update();
            let over = not_before.max(now.since + long);
            tokio::select! {
                biased;
                // What is asked holds the other end.
                _ = changes.changed() => {}
                () = sleep_until(over), if now.busy == 0 => match still(&kept) {
                    Some(until) => not_before = until,
                    None => return,
                },
            }
        }
    }

    /// Takes nobody new, and says whether that is how it stays. Somebody may have come after it was seen that nobody does:
    /// then requests are taken again as if nothing had been.
    async fn close(&self, long: Duration, kept: impl Fn() -> Option<std::time::Instant>) -> bool {
        self.taking.send_replace(false);
        let now = self.when_nobody_listens().await;
        // Nobody can come any more.
        let is_idle = now.busy == 0 && now.since + long <= Instant::now();
        let ends = is_idle && still(&kept).is_none();
        if !ends {
            self.taking.send_replace(true);
        }
        ends
    }

    async fn when_nobody_listens(&self) -> Now {
        let mut changes = self.now.subscribe();
        let now = changes.wait_for(|now| now.listening == 0).await;
        // What is asked holds the other end.
        now.map_or_else(|_| *self.now.borrow(), |now| *now)
    }
}

/// What `kept` says, unless that is over.
fn still(kept: impl Fn() -> Option<std::time::Instant>) -> Option<Instant> {
    let until = kept().map(Instant::from_std);
    until.filter(|until| Instant::now() < *until)
}

async fn becomes(what: &mut watch::Receiver<bool>, wanted: bool) {
    drop(what.wait_for(|is| *is == wanted).await);
}

/// Somebody at work. When the last has gone, it is idle.
#[derive(Debug)]
pub(crate) struct Busy(Activity);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.now.send_modify(|now| {
            now.busy -= 1;
            now.since = Instant::now();
        });
    }
}

/// A listener that takes requests.
struct Listens<'a>(&'a Activity);

impl<'a> Listens<'a> {
    fn new(activity: &'a Activity) -> Self {
        activity.now.send_modify(|now| now.listening += 1);
        Self(activity)
    }
}

impl Drop for Listens<'_> {
    fn drop(&mut self) {
        self.0.now.send_modify(|now| now.listening -= 1);
    }
}

#[cfg(test)]
mod tests;
