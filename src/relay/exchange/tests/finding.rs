//! Which request looks something up, when, and how long a request waits for it.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};

use super::*;

/// Looks nothing up; what it does, it does once.
#[derive(Default)]
struct Scripted {
    asked: Mutex<Vec<String>>,
    expired: Mutex<usize>,
    then: Mutex<Option<Then>>,
}

enum Then {
    Reroute(Routes),
    Hang,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl RealmResolver for Scripted {
    fn resolve(&self, realm: &Realm, exchange: &Arc<Exchange>) -> Option<BoxFuture<'static, ()>> {
        lock(&self.asked).push(realm.to_string());
        let exchange = Arc::clone(exchange);
        match lock(&self.then).take()? {
            Then::Hang => Some(pending().boxed()),
            Then::Reroute(routes) => Some(
                async move {
                    exchange.reroute(Routing::new(routes, Vec::new(), OnFailure::Unreachable));
                }
                .boxed(),
            ),
        }
    }

    fn replied(&self, _: &Realm, _: &str, _: &Arc<Exchange>) {}

    fn network_changed(&self) {
        *lock(&self.expired) += 1;
    }
}

fn realm(name: &str) -> Realm {
    Realm::parse(name.as_bytes()).unwrap()
}

fn exact(name: &str) -> RealmPattern {
    RealmPattern::Exact(realm(name))
}

/// A relay that knows Example.COM, also as CORP, and every realm below it, and no way to any of them.
fn scene(then: Option<Then>) -> (Arc<Exchange>, Arc<Scripted>) {
    let finder = Arc::new(Scripted {
        then: Mutex::new(then),
        ..Scripted::default()
    });
    let mut routes = Routes::default();
    routes.add(
        &exact("Example.COM"),
        &[realm("CORP")],
        route_to(Vec::new()),
    );
    let below = RealmPattern::Suffix(realm(".EXAMPLE.COM"));
    routes.add(&below, &[], route_to(Vec::new()));
    let routing = Routing::new(routes, Vec::new(), OnFailure::Unreachable);
    let routing = routing.resolved_by(Arc::<Scripted>::clone(&finder));
    (Exchange::new(routing, 1), finder)
}

async fn cause(exchange: &Arc<Exchange>, realm: &str) -> Cause {
    let octets = kdc_req(10, &[pa_data(2, b"")], realm);
    let message = KerberosMessage::parse(Service::Kdc, octets.into()).unwrap();
    match exchange.answer(message, arrival()).await.answer {
        Answer::Verdict(verdict) => verdict.cause,
        Answer::Reply(reply) => panic!("{reply:?}"),
    }
}

#[tokio::test]
async fn only_realms_of_the_configuration_are_looked_up_and_as_it_spells_them() {
    let (exchange, finder) = scene(None);
    for name in [
        "EXAMPLE.COM",
        "evil.test",
        "corp",
        "EVIL.EXAMPLE.COM",
        "example.com.",
    ] {
        cause(&exchange, name).await;
    }
    assert_eq!(*lock(&finder.asked), ["Example.COM", "Example.COM"]);
}

#[tokio::test]
async fn a_request_goes_where_it_was_found_to_go() {
    let mut found = Routes::default();
    let nowhere = Route {
        upstreams: ByService::default(),
        ..route_to(Vec::new())
    };
    found.add(&exact("EXAMPLE.COM"), &[], nowhere);
    let (exchange, _) = scene(Some(Then::Reroute(found)));
    assert_eq!(cause(&exchange, "EXAMPLE.COM").await, Cause::NotOffered);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_hangs_holds_a_request_up_until_its_deadline() {
    let (exchange, _) = scene(Some(Then::Hang));
    let began = now();
    assert_eq!(cause(&exchange, "EXAMPLE.COM").await, Cause::Unreachable);
    let nine = Duration::from_secs(9);
    assert!((nine..nine + Duration::from_millis(10)).contains(&(now() - began)));
}

#[tokio::test]
async fn what_was_looked_up_belongs_to_its_network() {
    let (exchange, finder) = scene(None);
    exchange.network_changed();
    assert_eq!(*lock(&finder.expired), 1);
}
