//! Where logins go after a password was changed.

use std::net::IpAddr;

use tokio::time::advance;

use super::histories::{messages, routing, upstreams};
use super::*;
use crate::relay::upstream::tests::scripted::{Act, End, Journal};
use crate::relay::upstream::{ConnectError, Fault, Unsent};
use crate::wire::{Kind, RealmKey};

const REPLICA: UpstreamId = UpstreamId(0);
const PRIMARY: UpstreamId = UpstreamId(1);
const WRITABLE: Option<u32> = Some(0x1000);
const TEN_MINUTES: Duration = Duration::from_secs(600);

const fn act(end: End) -> Act {
    Act {
        kept: false,
        connect: Duration::ZERO,
        then: Duration::from_millis(5),
        end,
    }
}

/// A realm with a replica and a primary, each of which does its acts first and then answers.
struct Scene {
    exchange: Arc<Exchange>,
    upstreams: Vec<Arc<Upstream>>,
    journal: Journal,
    route: Route,
    /// Makes each login another one.
    logins: u8,
}

impl Scene {
    fn new(acts: [Vec<Act>; 2]) -> Self {
        Self::with(acts, |_| ())
    }

    fn with(acts: [Vec<Act>; 2], adapt: fn(&mut Route)) -> Self {
        let journal = Journal::default();
        let answers = || std::iter::repeat_n(act(End::Success), 20);
        let acts = acts.map(|acts| acts.into_iter().chain(answers()).collect());
        let upstreams = upstreams(acts.into(), &journal);
        let mut route = Route {
            primary: vec![PRIMARY],
            ..route_to(vec![REPLICA, PRIMARY])
        };
        adapt(&mut route);
        Self {
            exchange: Exchange::new(routing(route.clone(), upstreams.clone()), 64),
            upstreams,
            journal,
            route,
            logins: 0,
        }
    }

    async fn ask(&self, message: KerberosMessage, arrival: Arrival) -> Answer {
        self.exchange.answer(message, arrival).await.answer
    }

    /// A password is changed, as far as the upstreams let it.
    async fn change(&self) {
        let [.., change] = messages();
        self.ask(change, arrival()).await;
        lock(&self.journal).clear();
    }

    /// Where a login goes, and what is said there.
    async fn login(&mut self) -> Vec<(UpstreamId, Option<u32>)> {
        self.login_of(None).await
    }

    async fn login_of(&mut self, client: Option<IpAddr>) -> Vec<(UpstreamId, Option<u32>)> {
        self.logins += 1;
        let octets = kdc_req(10, &[pa_data(149, &[self.logins])], "EXAMPLE.COM");
        let message = KerberosMessage::parse(Service::Kdc, octets.into()).unwrap();
        let arrival = Arrival {
            client,
            ..arrival()
        };
        self.ask(message, arrival).await;
        self.went()
    }

    fn went(&self) -> Vec<(UpstreamId, Option<u32>)> {
        let posts = std::mem::take(&mut *lock(&self.journal));
        let posts = posts.iter();
        posts
            .map(|post| (UpstreamId(post.place), post.dclocator_hint))
            .collect()
    }
}

fn realm_key() -> RealmKey {
    Realm::parse(b"EXAMPLE.COM").unwrap().key()
}

#[tokio::test(start_paused = true)]
async fn for_ten_minutes_logins_go_to_the_primary() {
    let mut scene = Scene::new([vec![], vec![]]);
    assert_eq!(scene.login().await, [(REPLICA, None)]);
    scene.change().await;
    assert_eq!(scene.login().await, [(PRIMARY, WRITABLE)]);
    let [_, with_password, tgs_req, _] = messages();
    assert_eq!(tgs_req.kind(), Kind::TgsReq);
    scene.ask(tgs_req, arrival()).await;
    assert_eq!(scene.went(), [(REPLICA, None)]);
    scene.ask(with_password, arrival()).await;
    assert_eq!(scene.went(), [(PRIMARY, WRITABLE)]);

    scene.exchange.network_changed();
    assert_eq!(scene.login().await, [(PRIMARY, WRITABLE)], "a network");
    let same = routing(scene.route.clone(), scene.upstreams.clone());
    scene.exchange.reroute(same);
    assert_eq!(scene.login().await, [(PRIMARY, WRITABLE)], "a reload");
    advance(TEN_MINUTES).await;
    assert_eq!(scene.login().await, [(REPLICA, None)]);
}

#[tokio::test(start_paused = true)]
async fn an_alias_is_the_same_realm() {
    let scene = Scene::new([vec![], vec![]]);
    let realm = |name: &str| Realm::parse(name.as_bytes()).unwrap();
    let mut routes = Routes::default();
    let example = RealmPattern::Exact(realm("CORP"));
    routes.add(&example, &[realm("EXAMPLE.COM")], scene.route.clone());
    let routing = Routing::new(routes, scene.upstreams.clone(), OnFailure::Unreachable);
    scene.exchange.reroute(routing);
    scene.change().await;
    let login = kdc_req(10, &[], "corp");
    let login = KerberosMessage::parse(Service::Kdc, login.into()).unwrap();
    scene.ask(login, arrival()).await;
    assert_eq!(scene.went(), [(PRIMARY, WRITABLE)]);
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_clear_is_no_change() {
    let mut scene = Scene::new([vec![act(End::Error(60))], vec![]]);
    scene.change().await;
    assert_eq!(scene.login().await, [(REPLICA, None)]);
}

/// Its user is told to try the new password first.
#[tokio::test(start_paused = true)]
async fn a_change_without_a_result_may_be_one() {
    let unanswered = || [vec![act(End::Fault(Fault::Unanswered))], vec![]];
    let mut scene = Scene::new(unanswered());
    scene.change().await;
    assert_eq!(scene.login().await, [(PRIMARY, WRITABLE)]);
    let mut gateway = Scene::with(unanswered(), |route| route.shared = true);
    gateway.change().await;
    let (_, hint) = gateway.login().await.swap_remove(0);
    assert_eq!(hint, None, "anybody can bring that about");
    let unsent = End::Unsent(Unsent::Connect(ConnectError::Refused));
    let mut scene = Scene::new([vec![act(unsent.clone())], vec![act(unsent)]]);
    scene.change().await;
    let (_, hint) = scene.login().await.swap_remove(0);
    assert_eq!(hint, None, "nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn other_clients_go_where_they_went() {
    let mut scene = Scene::with([vec![], vec![]], |route| route.shared = true);
    let [one, other] = [1, 2].map(|host| Some(IpAddr::from([192, 0, 2, host])));
    let [.., change] = messages();
    let arrival = Arrival {
        client: one,
        ..arrival()
    };
    scene.ask(change, arrival).await;
    scene.went();
    assert_eq!(scene.login_of(other).await, [(REPLICA, None)]);
    assert_eq!(scene.login_of(one).await, [(PRIMARY, WRITABLE)]);
    assert_eq!(scene.login_of(None).await, [(REPLICA, None)]);
}

/// A replica would say that the old password has expired.
#[tokio::test(start_paused = true)]
async fn a_login_that_may_have_reached_the_primary_goes_nowhere_else() {
    for end in [
        End::Silence,
        End::Fault(Fault::Unanswered),
        End::Fault(Fault::status(503)),
    ] {
        let mut scene = Scene::new([vec![], vec![act(end.clone())]]);
        scene.change().await;
        let [went] = scene.login().await[..] else {
            panic!("{end:?}")
        };
        assert_eq!(went, (PRIMARY, WRITABLE), "{end:?}");
    }
    // Once more where it was.
    let bad_gateway = End::Fault(Fault::status(502));
    let mut scene = Scene::new([vec![], vec![act(bad_gateway)]]);
    scene.change().await;
    assert_eq!(scene.login().await, [(PRIMARY, WRITABLE); 2]);
    // Not once more if it is only late, over whatever connection.
    let kept = Act {
        kept: true,
        ..act(End::Silence)
    };
    let mut scene = Scene::new([vec![], vec![kept]]);
    scene.change().await;
    assert_eq!(scene.login().await, [(PRIMARY, WRITABLE)]);
}

/// It is asked alone until it was silent once. From then on it is tried again from time to time, and what is harmless does not
/// wait for it; so at a gateway and on one machine, wherever it stands among the others.
#[tokio::test(start_paused = true)]
async fn a_primary_that_was_silent_keeps_nobody_waiting() {
    let adapts: [fn(&mut Route); 3] = [
        |_| (),
        |route| route.shared = true,
        |route| {
            route.shared = true;
            route.upstreams = ByService::both(Some(vec![PRIMARY, REPLICA]));
        },
    ];
    for (case, adapt) in adapts.into_iter().enumerate() {
        let silence = vec![act(End::Silence), act(End::Silence)];
        let mut scene = Scene::with([vec![], silence], adapt);
        let client = Some(IpAddr::from([192, 0, 2, 1]));
        lock(&scene.exchange.password_changes).record(client, realm_key(), now());
        let (primary, replica) = ((PRIMARY, WRITABLE), (REPLICA, WRITABLE));
        assert_eq!(scene.login_of(client).await, [primary], "{case}");
        let began = now();
        assert_eq!(scene.login_of(client).await, [replica], "{case}");
        assert!(now() - began < Duration::from_millis(100), "{case}");

        advance(Duration::from_secs(1)).await;
        let began = now();
        assert_eq!(scene.login_of(client).await, [primary, replica], "{case}");
        assert!(now() - began < Duration::from_millis(2100), "{case}");
        assert_eq!(scene.login_of(client).await, [replica], "{case}");

        advance(Duration::from_secs(2)).await;
        for _ in 0..2 {
            assert_eq!(
                scene.login_of(client).await,
                [primary],
                "{case}: it is back"
            );
        }
    }
}

/// It was silent to somebody else after it was asked: what it has of this login may still be all that anybody may have.
#[tokio::test(start_paused = true)]
async fn a_login_that_was_under_way_stays_with_a_primary_that_is_silent_meanwhile() {
    let silence = vec![act(End::Silence), act(End::Silence)];
    let scene = Scene::with([vec![], silence], |route| route.shared = true);
    scene.change().await;
    let [harmless, with_password, ..] = messages();
    let second = async {
        tokio::time::sleep(Duration::from_millis(8500)).await;
        scene.ask(harmless, arrival()).await
    };
    tokio::join!(scene.ask(with_password, arrival()), second);
    assert_eq!(scene.went(), [(PRIMARY, WRITABLE); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_surely_did_not_reach_the_primary_goes_on() {
    for (end, posts) in [
        (End::Unsent(Unsent::Connect(ConnectError::Refused)), 1),
        (End::Unsent(Unsent::Busy), 1),
        (End::Fault(Fault::status(403)), 2),
        (End::Error(29), 2),
    ] {
        let mut scene = Scene::new([vec![], vec![act(end.clone())]]);
        scene.change().await;
        let went = scene.login().await;
        assert_eq!(went.len(), posts, "{end:?}");
        assert_eq!(went.last(), Some(&(REPLICA, WRITABLE)), "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_no_primary_is_known_the_proxies_are_told_all_the_same() {
    let silent = [vec![act(End::Success), act(End::Silence)], vec![]];
    let mut scene = Scene::with(silent, |route| route.primary.clear());
    scene.change().await;
    assert_eq!(
        scene.login().await,
        [(REPLICA, WRITABLE), (PRIMARY, WRITABLE)]
    );
}
