//! What a login cost, in time and in messages.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use loopkdc::wire::{KerberosMessage, Resend, Service};

use crate::bounds::SLACK;
use crate::busy::Waits;
use crate::scene::Scene;
use crate::support::client::Running;
use crate::support::realm::PASSWORD;

/// What stood on the counters when it began.
pub(crate) struct Meter {
    began: Instant,
    waits: Waits,
    requests: HashMap<Vec<u8>, usize>,
    posts: usize,
    connects: u64,
}

/// How long a proxy may take to log what it has answered. One that was killed never does.
const LOGGED: Duration = Duration::from_millis(300);

/// What a login, or a try at one, cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// From its start, or the change before it, to its end, but for what daemons waited for a processor.
    pub(crate) took: Duration,
    /// Requests that reached the office.
    pub(crate) requests: usize,
    /// POSTs that brought them there.
    pub(crate) posts: usize,
    /// Connections to the proxies.
    pub(crate) connects: u64,
}

impl Meter {
    /// Starts to count.
    pub(crate) fn start(scene: &Scene) -> Meter {
        Meter {
            requests: scene.recorder.seen(),
            posts: posts(scene),
            connects: scene.connects(),
            waits: Waits::now(),
            began: Instant::now(),
        }
    }

    /// Starts the clock anew: the time counts from a change, and the messages from before.
    pub(crate) fn sees_change(&mut self) {
        self.waits = Waits::now();
        self.began = Instant::now();
    }

    /// What was spent since then.
    pub(crate) fn read(&self, scene: &Scene) -> Cost {
        let took = self.began.elapsed();
        let took = took.saturating_sub(self.waits.since());
        let before = |request| self.requests.get(request).copied().unwrap_or(0);
        let seen = scene.recorder.seen();
        let more = seen.iter().map(|(request, count)| count - before(request));
        let more: Vec<usize> = more.filter(|more| *more > 0).collect();
        let passed_on: usize = more.iter().sum();
        Cost {
            took,
            requests: more.len(),
            posts: passed_on.max(posts(scene) - self.posts),
            connects: scene.connects() - self.connects,
        }
    }
}

/// POSTs so far. The recorder hears at once of what a proxy passes on; of what a proxy knows the answer to already, only its
/// log tells, and that a moment later.
fn posts(scene: &Scene) -> usize {
    let passed_on: usize = scene.recorder.seen().values().sum();
    let until = Instant::now() + LOGGED;
    while scene.posts() < passed_on && Instant::now() < until {
        thread::sleep(Duration::from_millis(2));
    }
    scene.posts()
}

impl Cost {
    /// Fails the test if this is more than a login that finds nothing prepared costs.
    #[track_caller]
    pub(crate) fn is_no_more_than(self, cold: Cost) {
        assert_eq!(self.posts, cold.posts, "POSTs: {self:?}, cold {cold:?}");
        assert!(self.connects <= cold.connects, "{self:?}, cold {cold:?}");
        self.is_within(cold.took);
    }

    /// Fails the test if this took longer.
    #[track_caller]
    pub(crate) fn is_within(self, limit: Duration) {
        assert!(self.took < limit + SLACK, "{self:?}, bound {limit:?}");
    }

    /// Fails the test unless each request was brought once.
    #[track_caller]
    pub(crate) fn is_a_post_each(self) {
        assert_eq!(self.posts, self.requests, "{self:?}");
    }

    /// Writes the line of a case.
    pub(crate) fn is_told(self, case: &str, cold: Cost) {
        let Cost {
            requests, posts, ..
        } = self;
        let (took, connects) = (self.took.as_millis(), self.connects);
        let (cold_took, cold_connects) = (cold.took.as_millis(), cold.connects);
        eprintln!(
            "roaming | {case} | {took} ms to the first ticket | {cold_took} ms cold | {posts} POSTs of {requests} requests | \
             {connects} connects | {cold_connects} cold"
        );
    }
}

impl Scene {
    /// A user logs in.
    #[track_caller]
    pub(crate) fn logs_in(&self) -> Cost {
        let meter = Meter::start(self);
        self.begins_to_log_in().ends().succeeds();
        meter.read(self)
    }

    /// A user logs in after this change, from which on the time counts.
    #[track_caller]
    pub(crate) fn logs_in_after(&mut self, change: impl FnOnce(&mut Scene)) -> Cost {
        let mut meter = Meter::start(self);
        change(self);
        meter.sees_change();
        self.begins_to_log_in().ends().succeeds();
        meter.read(self)
    }

    /// The same while the first answer to the login is on its way, which leaves when the change releases it.
    #[track_caller]
    pub(crate) fn logs_in_across(&self, change: impl FnOnce(&Scene)) -> Cost {
        self.recorder.hold_answers(|_| true);
        let mut meter = Meter::start(self);
        let kinit = self.begins_to_log_in();
        self.recorder.holds(1);
        meter.sees_change();
        change(self);
        kinit.ends().succeeds();
        meter.read(self)
    }

    /// A user tries to log in, in vain, and is told so within this time.
    #[track_caller]
    pub(crate) fn fails_to_log_in(&self, limit: Duration) -> Cost {
        let meter = Meter::start(self);
        let kinit = self.begins_to_log_in().ends();
        let cost = meter.read(self);
        kinit.fails_with("Cannot contact any KDC");
        cost.is_within(limit);
        cost
    }

    /// Fails the test if a request that must not be sent twice was: to the servers, or to a proxy that hid it from them, as
    /// not all proxies do.
    #[track_caller]
    pub(crate) fn sent_nothing_twice(&self) {
        for (request, count) in self.recorder.seen() {
            assert!(count == 1 || !must_go_once(&request), "sent {count} times");
        }
        for proxy in &self.proxies {
            let log = proxy.process.log();
            let tries = [" kind=kpasswd ", " error=24 ", " error=- "];
            let of_once = |line: &&str| tries.iter().any(|part| line.contains(part));
            let mut copies = log.lines().filter(|line| line.contains(" kdc=cache "));
            assert_eq!(copies.find(of_once), None);
        }
    }

    /// A user has typed his password.
    pub(crate) fn begins_to_log_in(&self) -> Running {
        let mut kinit = self.begins("kinit user@EXAMPLE.COM");
        kinit.is_told(&[PASSWORD]);
        kinit
    }
}

/// Whether a second copy of this could do harm.
pub(crate) fn must_go_once(request: &[u8]) -> bool {
    [Service::Kdc, Service::Kpasswd].into_iter().any(|service| {
        let message = KerberosMessage::parse(service, request.to_vec().into());
        message.is_ok_and(|message| message.resend() == Resend::Once)
    })
}
