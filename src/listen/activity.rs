//! Whether anybody is being served, for a daemon that may end when nobody is.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::lookaside::REPLY_KEPT;

/// The ways in at work: who listens, who is being served, and how they are told to take nobody new.
#[derive(Clone, Debug)]
pub struct Activity {
    now: watch::Sender<Now>,
    /// Cancelled when nobody new is taken.
    accepting: CancellationToken,
}

#[derive(Clone, Copy, Debug)]
struct Now {
    /// Listeners that take requests.
    listening: usize,
    /// Datagrams that wait for their answers, and connections.
    busy: usize,
    /// When the last of them ended.
    since: Instant,
    /// Somebody was answered.
    answered: bool,
}

impl Activity {
    /// Nobody listens yet. Nobody new is taken once `stop` is cancelled.
    pub(super) fn until(stop: &CancellationToken) -> Self {
        let now = Now {
            listening: 0,
            busy: 0,
            since: Instant::now(),
            answered: false,
        };
        Self {
            now: watch::Sender::new(now),
            accepting: stop.child_token(),
        }
    }

    /// What says that nobody new is taken.
    pub(super) fn accepting(&self) -> &CancellationToken {
        &self.accepting
    }

    /// A listener takes requests until what is returned is dropped.
    pub(super) fn listen(&self) -> Guard {
        Guard::new(self, |now| &mut now.listening)
    }

    /// Somebody is being served until what is returned is dropped.
    pub(super) fn begin(&self) -> Guard {
        Guard::new(self, |now| &mut now.busy)
    }

    /// Ends when nobody has been served for `long`. Not before copies of what was answered can no longer come: they have to
    /// meet the answer, and whoever comes after this daemon has not got it.
    pub async fn idle(&self, long: Duration) {
        let mut changes = self.now.subscribe();
        loop {
            let now = *changes.borrow_and_update();
            let long = match now.answered {
                true => long.max(REPLY_KEPT),
                false => long,
            };
            tokio::select! {
                biased;
                // What is asked holds the other end.
                _ = changes.changed() => {}
                () = sleep_until(now.since + long), if now.busy == 0 => return,
            }
        }
    }

    /// Takes nobody new, and ends when all who came before have been served. Who comes later waits in the sockets, for
    /// whoever holds them.
    pub async fn close(&self) {
        self.accepting.cancel();
        let mut changes = self.now.subscribe();
        let over = changes.wait_for(|now| now.listening == 0 && now.busy == 0);
        drop(over.await);
    }
}

/// Somebody at work.
#[derive(Debug)]
pub(super) struct Guard {
    activity: Activity,
    count: fn(&mut Now) -> &mut usize,
}

impl Guard {
    fn new(activity: &Activity, count: fn(&mut Now) -> &mut usize) -> Self {
        activity.now.send_modify(|now| *count(now) += 1);
        Self {
            activity: activity.clone(),
            count,
        }
    }

    /// Says that somebody was answered.
    pub(super) fn answered(&self) {
        self.activity.now.send_modify(|now| now.answered = true);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.activity.now.send_modify(|now| {
            *(self.count)(now) -= 1;
            now.since = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(5);

    async fn idle_after(activity: &Activity) -> Duration {
        let begun = Instant::now();
        activity.idle(LONG).await;
        begun.elapsed()
    }

    /// As timers count: in milliseconds, rounded up.
    fn assert_near(measured: Duration, expected: Duration) {
        let slack = Duration::from_millis(2);
        assert!(
            measured >= expected && measured < expected + slack,
            "{measured:?}, not {expected:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn idle_counts_from_the_end_of_the_last_who_was_served() {
        let activity = Activity::until(&CancellationToken::new());
        assert_near(idle_after(&activity).await, LONG);
        let (one, two) = (activity.begin(), activity.begin());
        let served = async {
            tokio::time::sleep(LONG * 2).await;
            drop(one);
            tokio::time::sleep(LONG * 3).await;
            drop(two);
        };
        let (_, after) = tokio::join!(served, idle_after(&activity));
        assert_near(after, LONG * 6);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_those_who_may_ask_again() {
        let activity = Activity::until(&CancellationToken::new());
        activity.begin().answered();
        assert_near(idle_after(&activity).await, REPLY_KEPT);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_came_are_served_before_it_is_closed() {
        let activity = Activity::until(&CancellationToken::new());
        let listens = activity.listen();
        let listener = async {
            activity.accepting().cancelled().await;
            // Who came at that very moment.
            let busy = activity.begin();
            drop(listens);
            tokio::time::sleep(LONG).await;
            drop(busy);
        };
        let begun = Instant::now();
        let close = async {
            activity.close().await;
            begun.elapsed()
        };
        let ((), closed) = tokio::join!(listener, close);
        assert_near(closed, LONG);
    }
}
