use std::sync::Mutex;

use futures_util::future::join;
use tempfile::TempDir;
use tokio::time::Instant as Clock;

use super::*;
use crate::relay::answer::OnFailure;
use crate::relay::exchange::Routing;
use crate::relay::routes::tests::route_to;
use crate::relay::routes::{RealmPattern, Routes, UpstreamId};
use crate::relay::upstream::tests::scripted::{Act, End, Journal, Scripted};
use crate::relay::upstream::{ConnectError, Unsent, Upstream};
use crate::wire::{Reply, krb_error};

/// A relay of one realm by an upstream that does this, and its file.
struct Scene {
    exchange: Arc<Exchange>,
    journal: Journal,
    tasks: Tasks,
    folder: TempDir,
}

fn reply() -> End {
    End::Error(6)
}

fn refused() -> End {
    End::Unsent(Unsent::Connect(ConnectError::Refused))
}

/// `names`: a realm, and an alias if it has one.
fn routing(names: &str, ends: Vec<End>, journal: &Journal) -> Routing {
    let act = |end| Act {
        kept: false,
        connect: Duration::ZERO,
        then: Duration::from_millis(1),
        end,
    };
    let upstream = Upstream::Scripted(Scripted {
        place: 0,
        acts: Arc::new(Mutex::new(ends.into_iter().map(act).collect())),
        journal: Arc::clone(journal),
        answers: |message, code| {
            let (service, now) = (message.service(), std::time::SystemTime::UNIX_EPOCH);
            let error = krb_error::encode(code.unwrap(), None, service, None, now);
            Reply::parse(service, error.into()).unwrap()
        },
    });
    let mut routes = Routes::default();
    let names = names
        .split(' ')
        .map(|name| Realm::parse(name.as_bytes()).unwrap());
    let [realm, aliases @ ..] = &*names.collect::<Vec<_>>() else {
        unreachable!()
    };
    routes.add(
        &RealmPattern::Exact(realm.clone()),
        aliases,
        route_to(vec![UpstreamId(0)]),
    );
    Routing::new(routes, vec![Arc::new(upstream)], OnFailure::Unreachable)
}

impl Scene {
    fn new(ends: Vec<End>) -> Self {
        let journal = Journal::default();
        let scene = Self {
            exchange: Exchange::new(routing("EXAMPLE.COM", ends, &journal), 8),
            journal,
            tasks: Tasks::default(),
            folder: tempfile::tempdir().unwrap(),
        };
        keep(&scene.file(), &scene.exchange, &scene.tasks);
        scene
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("reachable")
    }

    fn sign(&self) -> PathBuf {
        self.folder.path().join("reachable.changed")
    }

    /// As who has acted on the file does.
    async fn takes_the_sign(&self) {
        while !self.sign().exists() {
            sleep(Duration::from_millis(5)).await;
        }
        fs::remove_file(self.sign()).unwrap();
    }

    fn says(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// Waits until the file says this; how long that took.
    async fn until_it_says(&self, text: &str) -> Duration {
        let began = Clock::now();
        while self.says() != text {
            // The clock stands still while a thread writes.
            sleep(Duration::from_millis(5)).await;
            assert!(
                began.elapsed() < Duration::from_secs(600),
                "{}",
                self.says()
            );
        }
        began.elapsed()
    }

    /// A client asks; how long that took.
    async fn asks(&self) -> Duration {
        let began = Clock::now();
        let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
        let question = question("client", &realm, Service::Kdc, random()).unwrap();
        self.exchange.answer(question, Arrival::now("tcp")).await;
        began.elapsed()
    }

    fn attempts(&self) -> u64 {
        self.exchange.counters().attempts.get()
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn it_is_there_at_once_for_all_to_read_and_goes_at_the_end() {
    let scene = Scene::new(vec![reply()]);
    assert_eq!(scene.says(), "");
    let mode = fs::metadata(scene.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    scene.until_it_says("EXAMPLE.COM\n").await;
    assert_eq!(fs::read_dir(scene.folder.path()).unwrap().count(), 2);
    scene.tasks.clone().end(&scene.exchange).await;
    assert_eq!(fs::read_dir(scene.folder.path()).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_change_has_its_sign() {
    let scene = Scene::new(vec![reply(), refused()]);
    scene.until_it_says("EXAMPLE.COM\n").await;
    scene.takes_the_sign().await;
    scene.asks().await;
    scene.until_it_says("").await;
    scene.takes_the_sign().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_hears_of_a_loss_when_it_has_been_acted_on() {
    let scene = Scene::new(vec![reply(), refused(), reply()]);
    scene.until_it_says("EXAMPLE.COM\n").await;
    scene.takes_the_sign().await;
    let began = Clock::now();
    let acts = async {
        scene.until_it_says("").await;
        sleep(Duration::from_millis(100)).await;
        assert!(seconds(scene.asks().await) < 0.05, "a reply has waited");
        scene.takes_the_sign().await;
        began.elapsed()
    };
    let (heard, acted) = join(scene.asks(), acts).await;
    let after = seconds(heard) - seconds(acted);
    assert!((0.0..0.02).contains(&after), "{after}");
}

/// SSSD begins a login again that a KDC by another clock has turned away, while it may.
#[tokio::test(start_paused = true)]
async fn a_realm_that_turns_logins_away_goes_first_and_comes_back_after_a_minute() {
    let scene = Scene::new(vec![reply(), End::Error(37), reply()]);
    scene.until_it_says("EXAMPLE.COM\n").await;
    scene.takes_the_sign().await;
    let began = Clock::now();
    let acts = async {
        scene.until_it_says("").await;
        sleep(Duration::from_millis(100)).await;
        scene.takes_the_sign().await;
        began.elapsed()
    };
    let (heard, acted) = join(scene.asks(), acts).await;
    let after = seconds(heard) - seconds(acted);
    assert!((0.0..0.02).contains(&after), "{after}");
    scene.exchange.network_changed();
    scene.until_it_says("EXAMPLE.COM\n").await;
    let shut = seconds(began.elapsed());
    assert!((60.0..60.1).contains(&shut), "{shut}");
    assert_eq!(scene.attempts(), 3, "the network was asked about");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_acts_any_more_one_client_waits() {
    let scene = Scene::new(vec![reply(), refused(), reply(), refused()]);
    scene.until_it_says("EXAMPLE.COM\n").await;
    scene.takes_the_sign().await;
    let took = seconds(scene.asks().await);
    assert!((0.5..0.55).contains(&took), "{took}");
    scene.until_it_says("EXAMPLE.COM\n").await;
    let took = seconds(scene.asks().await);
    assert!(took < 0.05, "{took}");
    scene.until_it_says("").await;
}

#[tokio::test(start_paused = true)]
async fn the_end_keeps_no_client_waiting() {
    let scene = Scene::new(vec![reply(), refused()]);
    scene.until_it_says("EXAMPLE.COM\n").await;
    scene.takes_the_sign().await;
    let ends = async {
        scene.until_it_says("").await;
        scene.tasks.clone().end(&scene.exchange).await;
    };
    let (heard, ()) = join(scene.asks(), ends).await;
    assert!(seconds(heard) < 0.05, "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_realm_that_cannot_be_reached_is_asked_about_ever_more_seldom() {
    let mut ends = vec![refused(); 3];
    ends.push(reply());
    let scene = Scene::new(ends);
    // At once, and after 5, 10 and 20 seconds, of which chance takes off a quarter.
    let after = seconds(scene.until_it_says("EXAMPLE.COM\n").await);
    assert!((26.0..36.0).contains(&after), "{after}");
    assert_eq!(scene.exchange.counters().asked.get(), 4);
    // And then no more.
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(scene.attempts(), 4);
    let harmless =
        |message: &crate::wire::KerberosMessage| message.client_name().as_deref() == Some(NOBODY);
    assert!(
        scene
            .journal
            .lock()
            .unwrap()
            .iter()
            .all(|post| harmless(&post.message))
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_of_a_client_is_told_and_asked_about_five_seconds_later() {
    let scene = Scene::new(vec![reply(), refused(), reply()]);
    scene.until_it_says("EXAMPLE.COM\n").await;
    scene.asks().await;
    assert!(seconds(scene.until_it_says("").await) < 0.05);
    let after = seconds(scene.until_it_says("EXAMPLE.COM\n").await);
    assert!((3.7..5.1).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn a_clients_success_is_told_and_ends_the_questions() {
    let scene = Scene::new(vec![refused(), reply()]);
    while scene.attempts() == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    scene.asks().await;
    assert!(seconds(scene.until_it_says("EXAMPLE.COM\n").await) < 0.05);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(scene.attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn each_network_is_asked_on_at_once_whatever_was_known() {
    let scene = Scene::new(vec![reply(), refused(), reply()]);
    scene.until_it_says("EXAMPLE.COM\n").await;
    for expected in ["", "EXAMPLE.COM\n"] {
        scene.exchange.network_changed();
        assert!(seconds(scene.until_it_says(expected).await) < 0.05);
    }
    assert_eq!(scene.attempts(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_doubt_is_asked_about_at_once() {
    let odd = End::Fault(crate::relay::upstream::Fault::status(400));
    let scene = Scene::new(vec![reply(), odd.clone(), reply(), odd.clone(), odd]);
    scene.until_it_says("EXAMPLE.COM\n").await;
    scene.asks().await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!((scene.attempts(), &*scene.says()), (3, "EXAMPLE.COM\n"));
    scene.asks().await;
    scene.until_it_says("").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        scene.attempts(),
        5,
        "asked once more and not again and again"
    );
}

#[tokio::test(start_paused = true)]
async fn another_configurations_realms_are_asked_about() {
    let scene = Scene::new(vec![reply()]);
    scene.until_it_says("EXAMPLE.COM\n").await;
    let other = routing("Example.ORG", vec![reply()], &scene.journal);
    scene.exchange.reconfigure(other);
    assert!(seconds(scene.until_it_says("Example.ORG\n").await) < 0.1);
    // SSSD may call it by either name.
    let named = routing("Example.ORG ORG", vec![reply()], &scene.journal);
    scene.exchange.reconfigure(named);
    scene.until_it_says("Example.ORG\nORG\n").await;
}

/// An administrator who mends it need not wait until the next question is due.
#[tokio::test(start_paused = true)]
async fn by_another_configuration_the_same_realm_is_asked_about_at_once() {
    let scene = Scene::new(vec![refused(); 3]);
    while scene.attempts() < 3 {
        sleep(Duration::from_millis(10)).await;
    }
    let mended = routing("EXAMPLE.COM", vec![reply()], &scene.journal);
    scene.exchange.reconfigure(mended);
    assert!(seconds(scene.until_it_says("EXAMPLE.COM\n").await) < 0.1);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(scene.attempts(), 4);
}

/// Kerberos goes on without it.
#[tokio::test(start_paused = true)]
async fn where_it_cannot_be_written_nothing_else_fails() {
    let scene = Scene::new(vec![reply(), refused(), reply()]);
    scene.until_it_says("EXAMPLE.COM\n").await;
    fs::remove_file(scene.file()).unwrap();
    fs::create_dir(scene.file()).unwrap();
    scene.asks().await;
    scene.asks().await;
    assert_eq!(scene.attempts(), 3);
    scene.tasks.clone().end(&scene.exchange).await;
    assert!(scene.file().is_dir());
}

/// It may be taken away when it can't be replaced: what it said stands nowhere then.
#[tokio::test(start_paused = true)]
async fn a_write_that_failed_is_made_up_for_soon() {
    let scene = Scene::new(vec![reply(), refused(), reply()]);
    scene.until_it_says("EXAMPLE.COM\n").await;
    let aside = scene.folder.path().with_extension("aside");
    fs::rename(scene.folder.path(), &aside).unwrap();
    scene.asks().await;
    scene.asks().await;
    // It can be reached again, as it said before.
    sleep(Duration::from_secs(1)).await;
    fs::rename(&aside, scene.folder.path()).unwrap();
    fs::remove_file(scene.file()).unwrap();
    sleep(FIRST).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(scene.says(), "EXAMPLE.COM\n");
    assert_eq!(scene.attempts(), 3);
}
