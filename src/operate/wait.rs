//! `loopkdc wait`: ends when a realm can be reached.
//!
//! The daemon is asked as any client asks it, so that it need not be told to look by itself, and neither the daemon nor who waits
//! polls anything beyond this machine: questions come at each change of the network, and else ever more seldom, as many laptops may
//! wait for one proxy. What the daemon brings others meanwhile, its status says, which is read each second.

mod served;

use std::cell::Cell;
use std::io::ErrorKind;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{self, FuturesUnordered, Stream, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until, timeout};

use crate::config::endpoint::EndpointAddr;
use crate::daemon::in_runtime;
use crate::operate::kdc_client::{connect, exchange};
use crate::operate::status::to_be_started;
use crate::operate::terminal;
use crate::relay::asking::{AskSchedule, question};
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::Finding;
use crate::relay::routes::random;
use crate::relay::status::DaemonKind;
use crate::wire::{Realm, Service};
use served::{Served, has_replied, listeners};

/// In whose name is asked.
const NOBODY: &str = "loopkdc-wait";
/// Between the first question on a network and the second. What is sent in the moment in which a network comes up is often lost.
const FIRST: Duration = Duration::from_millis(200);
/// Questions under way at once: one that hangs must not hold up the next, and a daemon that is stopped must not gather them.
const MAX_ASKED: usize = 8;
/// How often it is looked whether a daemon is there, and then what it says, which costs nobody but this machine: at first, and at
/// last.
const SOONEST: Duration = Duration::from_millis(100);
const LATEST: Duration = Duration::from_secs(1);

/// Returns when the daemon has brought a KDC's answer for each realm that is waited for.
///
/// | argument | if it is none |
/// |---|---|
/// | `realm` | the default realm of krb5.conf, or all of the configuration |
/// | `limit` | for ever |
/// | `file`, the configuration | what the daemon that runs goes by, else the usual places |
///
/// # Errors
/// The time is up ([`Exit::TimedOut`]), or it is not known which realm is meant.
pub fn wait(
    realm: Option<&str>,
    limit: Option<Duration>,
    file: Option<&Path>,
) -> Result<(), Failure> {
    in_runtime(1, async {
        let served = Served::find(file).await?;
        let realms = served.choose(realm)?;
        if let Some(mistake) = served.mistake() {
            terminal::print_warning(mistake);
        }
        let waits = realms
            .into_iter()
            .map(|realm| RealmWait::new(realm, &served));
        let waits: Vec<_> = waits.collect();
        let all = async {
            tokio::select! {
                _ = join_all(waits.iter().map(RealmWait::run)) => {}
                () = hear_of_others(&waits, &served) => {}
            }
        };
        let Some(limit) = limit else {
            all.await;
            return Ok(());
        };
        if timeout(limit, all).await.is_ok() {
            return Ok(());
        }
        Err(timed_out(&waits, limit))
    })
}

fn timed_out(waits: &[RealmWait], limit: Duration) -> Failure {
    let limit = limit.as_secs();
    let left: Vec<_> = waits.iter().filter(|wait| !wait.is_over.get()).collect();
    let names = terminal::joined(left.iter().map(|wait| &wait.realm));
    if left.iter().all(|wait| wait.has_daemon.get()) {
        let realm = left.first().map_or("REALM", |wait| wait.realm.as_str());
        let what = format!("{names}: no KDC could be reached within {limit} s");
        let fault = Finding::fault(what).command("see why", ["loopkdc", "doctor", realm]);
        return Failure::of(Exit::TimedOut, fault);
    }
    let what = format!("{names}: no daemon answered within {limit} s");
    let fault = to_be_started(Finding::fault(what), DaemonKind::Run);
    Failure::of(Exit::TimedOut, fault)
}

/// Wakes those whose realm somebody else has had a reply of. Never ends.
async fn hear_of_others(waits: &[RealmWait<'_>], served: &Served) {
    let began = Instant::now();
    loop {
        sleep(LATEST).await;
        let lately = began.elapsed();
        let Some(document) = served.status().await else {
            continue;
        };
        for wait in waits {
            if has_replied(&document, &wait.realm, lately) {
                wait.others_replied.notify_one();
            }
        }
    }
}

/// Waiting for one realm.
struct RealmWait<'a> {
    realm: Realm,
    served: &'a Served,
    others_replied: Notify,
    /// A daemon was there when it was asked last.
    has_daemon: Cell<bool>,
    is_over: Cell<bool>,
}

/// What comes of a question.
enum Asked {
    Reachable,
    Unreachable,
    /// Nobody listens.
    NoDaemon,
}

impl<'a> RealmWait<'a> {
    fn new(realm: Realm, served: &'a Served) -> Self {
        Self {
            realm,
            served,
            others_replied: Notify::new(),
            has_daemon: Cell::new(false),
            is_over: Cell::new(false),
        }
    }

    async fn run(&self) {
        tokio::select! {
            () = self.reach() => {}
            () = self.others_replied.notified() => {}
        }
        self.is_over.set(true);
    }

    /// Returns when the realm can be reached.
    async fn reach(&self) {
        loop {
            let listener = self.daemon().await;
            self.has_daemon.set(true);
            if self.ask_until_it_answers(&listener).await {
                return;
            }
            self.has_daemon.set(false);
        }
    }

    /// Waits until somebody takes connections; brings where. Where the service manager does, that starts the daemon.
    async fn daemon(&self) -> EndpointAddr {
        let mut pause = SOONEST;
        loop {
            // It may listen elsewhere than its configuration says: where its sockets were handed over.
            let told = self.served.status().await;
            let told = told.as_ref().map_or_else(Vec::new, listeners);
            for listener in self.served.listeners.iter().chain(&told) {
                if connect(listener).await.is_ok() {
                    return listener.clone();
                }
            }
            sleep(pause).await;
            pause = LATEST.min(2 * pause);
        }
    }

    /// True when the realm can be reached; false if nobody listens any more.
    async fn ask_until_it_answers(&self, listener: &EndpointAddr) -> bool {
        let mut network = pin!(network_changes().fuse());
        let mut schedule = AskSchedule::new(FIRST, Instant::now());
        let mut asked = FuturesUnordered::new();
        loop {
            let due = schedule.due().unwrap_or_else(Instant::now);
            let asks = tokio::select! {
                Some(answer) = asked.next() => match answer {
                    Asked::Reachable => return true,
                    Asked::NoDaemon => return false,
                    Asked::Unreachable => false,
                },
                Some(()) = network.next() => schedule.network_changed(Instant::now()),
                () = sleep_until(due.into()) => true,
            };
            if asks {
                schedule.asked(Instant::now(), random());
                if asked.len() < MAX_ASKED {
                    asked.push(self.ask(listener));
                }
            }
        }
    }

    async fn ask(&self, listener: &EndpointAddr) -> Asked {
        let Ok(question) = question(NOBODY, &self.realm, Service::Kdc, random()) else {
            return Asked::Unreachable;
        };
        let nobody = [ErrorKind::ConnectionRefused, ErrorKind::NotFound];
        match exchange(listener, &question).await {
            Ok(reply) if !reply.is_of_loopkdc() => Asked::Reachable,
            Err(error) if nobody.contains(&error.kind()) => Asked::NoDaemon,
            Ok(_) | Err(_) => Asked::Unreachable,
        }
    }
}

/// The changes of the network, where they can be heard of.
#[cfg(target_os = "linux")]
fn network_changes() -> impl Stream<Item = ()> {
    let changes = crate::relay::network::Changes::open().ok();
    stream::unfold(changes, |changes| async {
        let mut changes = changes?;
        let changed = changes.next().await;
        changed.is_ok().then_some(((), Some(changes)))
    })
}

#[cfg(not(target_os = "linux"))]
fn network_changes() -> impl Stream<Item = ()> {
    stream::empty()
}
