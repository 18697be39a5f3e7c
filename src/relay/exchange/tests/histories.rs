//! Any order of arrivals, answers, faults and changes of the network, through the retransmit cache, the routes and the exchange between
//! them: what must not be sent twice is not, and every copy has its answer in time.

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::task::JoinSet;
use tokio::time::{Instant as Clock, sleep, sleep_until, timeout_at};

use super::*;
use crate::relay::upstream::tests::scripted::{Act, Answers, End, Journal, Scripted};
use crate::relay::upstream::{ConnectError, Fault, NotReply, Unsent};
use crate::wire::tests::handmade::{self, ap_req, kpasswd_frame, string};
use crate::wire::{Kind, Reply, Resend, kpasswd, krb_error};

const DEADLINE: Duration = Duration::from_secs(9);
/// Longer than anything here takes.
const FOR_EVER: Duration = Duration::from_secs(60);
/// A timer of the runtime rings up to a millisecond late.
const LATE: Duration = Duration::from_millis(5);

/// Something from outside, so many milliseconds after the start.
#[derive(Clone, Debug)]
enum Event {
    /// A copy of a message arrives, over UDP or not; its client may hang up after a while.
    Ask(usize, bool, Option<u64>),
    NetworkChange,
}

#[derive(Clone, Debug)]
struct History {
    events: Vec<(u64, Event)>,
    /// For each upstream, what its copies meet.
    acts: Vec<Vec<Act>>,
    /// Those that take writes.
    primary: Vec<UpstreamId>,
    /// How many exchanges may be under way.
    places: usize,
}

fn event() -> impl Strategy<Value = Event> {
    let hangs_up = prop::option::weighted(0.2, 0..3000_u64);
    prop_oneof![
        8 => (0..MESSAGES, any::<bool>(), hangs_up).prop_map(|(message, udp, hangs_up)| Event::Ask(message, udp, hangs_up)),
        1 => Just(Event::NetworkChange),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        2 => Just(End::Unsent(Unsent::Connect(ConnectError::Refused))),
        1 => Just(End::Unsent(Unsent::HandedBack)),
        1 => Just(End::Unsent(Unsent::Ended)),
        2 => Just(End::Silence),
        1 => Just(End::Fault(Fault::ReusedConnectionClosed)),
        1 => Just(End::Fault(Fault::Unanswered)),
        1 => Just(End::Fault(Fault::ClosedWithoutReply)),
        1 => Just(End::Fault(Fault::NotKerberos(NotReply::Redirect))),
        2 => prop::sample::select(vec![400, 403, 500, 502, 503]).prop_map(|status| End::Fault(Fault::status(status))),
        6 => prop::sample::select(vec![25, 25, 25, 29, 34]).prop_map(End::Error),
        2 => Just(End::Success),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let connect = prop_oneof![3 => 0..300_u64, 1 => 0..4000_u64];
    let then = prop_oneof![3 => 0..300_u64, 1 => 0..12_000_u64];
    (any::<bool>(), connect, then, end()).prop_map(|(kept, connect, then, end)| Act {
        kept,
        connect: Duration::from_millis(connect),
        then: Duration::from_millis(then),
        end,
    })
}

fn history() -> impl Strategy<Value = History> {
    let when = prop_oneof![3 => 0..4000_u64, 1 => 0..30_000_u64];
    let events = vec((when, event()), 1..12);
    let acts = vec(vec(act(), 0..12), 1..4);
    let primary = vec((0..4_usize).prop_map(UpstreamId), 0..2);
    let places = prop::sample::select(vec![1, 2, 64]);
    let parts = (events, acts, primary, places);
    parts.prop_map(|(events, acts, primary, places)| History {
        events,
        acts,
        primary,
        places,
    })
}

const MESSAGES: usize = 4;

/// One of each kind: harmless, and not to be sent twice.
pub(super) fn messages() -> [KerberosMessage; MESSAGES] {
    let kdc = |octets: Vec<u8>| KerberosMessage::parse(Service::Kdc, octets.into()).unwrap();
    let ap_req = ap_req("EXAMPLE.COM", &["kadmin", "changepw"]);
    let change = kpasswd_frame(1, &ap_req, &handmade::message(21, &[]));
    let all = [
        kdc(kdc_req(10, &[], "EXAMPLE.COM")),
        as_req_with_timestamp(),
        kdc(kdc_req(12, &[pa_data(1, &ap_req)], "EXAMPLE.COM")),
        KerberosMessage::parse(Service::Kpasswd, change.into()).unwrap(),
    ];
    let resend = all.each_ref().map(KerberosMessage::resend);
    assert_eq!(
        resend,
        [
            Resend::Harmless,
            Resend::Once,
            Resend::Harmless,
            Resend::Once
        ]
    );
    all
}

/// A reply that says which message it answers.
fn answer(message: &KerberosMessage, error: Option<i32>) -> Reply {
    let (service, now) = (message.service(), std::time::SystemTime::UNIX_EPOCH);
    let text = format!("{:?} {:?}", message.kind(), message.bytes().len());
    let octets = match (message.kind(), error) {
        (Kind::Kpasswd, Some(code)) => kpasswd::error_reply(None, code, &text, now),
        (_, Some(code)) => krb_error::encode(code, None, service, Some(&text), now),
        (Kind::AsReq, None) => handmade::message(11, &[&string(&text)]),
        (Kind::TgsReq, None) => handmade::message(13, &[&string(&text)]),
        (Kind::Kpasswd, None) => {
            let [ap_rep, krb_priv] = [15, 21].map(|number| handmade::message(number, &[]));
            kpasswd_frame(1, &ap_rep, &krb_priv)
        }
    };
    Reply::parse(service, octets.into()).unwrap()
}

/// A relay whose upstreams do this, one attempt after the other.
pub(super) fn exchange_of(acts: Vec<Vec<Act>>, journal: &Journal) -> Arc<Exchange> {
    let upstreams = upstreams(acts, journal);
    let route = route_to((0..upstreams.len()).map(UpstreamId).collect());
    Exchange::new(routing(route, upstreams), 64)
}

/// Upstreams that do this.
pub(super) fn upstreams(acts: Vec<Vec<Act>>, journal: &Journal) -> Vec<Arc<Upstream>> {
    let upstreams = acts.into_iter().enumerate().map(|(place, acts)| {
        Arc::new(Upstream::Scripted(Scripted {
            place,
            acts: Arc::new(Mutex::new(acts.into())),
            journal: Arc::clone(journal),
            answers: answer as Answers,
        }))
    });
    upstreams.collect()
}

/// The way for all realms.
pub(super) fn routing(route: Route, upstreams: Vec<Arc<Upstream>>) -> Routing {
    let mut routes = Routes::default();
    routes.add(&RealmPattern::Any, &[], route);
    Routing::new(routes, upstreams, OnFailure::Unreachable)
}

/// What a client asked, when, and what it heard, unless it hung up.
struct Client {
    message: usize,
    asked: Clock,
    heard: Option<(Answer, Clock)>,
}

/// Lets everything happen, and says what became of the clients.
async fn play(history: History, messages: &[KerberosMessage], journal: &Journal) -> Vec<Client> {
    let upstreams = upstreams(history.acts, journal);
    let route = Route {
        primary: history.primary,
        ..route_to((0..upstreams.len()).map(UpstreamId).collect())
    };
    let exchange = Exchange::new(routing(route, upstreams), history.places);
    let (start, mut clients) = (Clock::now(), JoinSet::new());
    for (number, (at, event)) in history.events.into_iter().enumerate() {
        let (exchange, messages) = (Arc::clone(&exchange), messages.to_vec());
        clients.spawn(async move {
            sleep_until(start + Duration::from_millis(at)).await;
            let Event::Ask(message, udp, hangs_up) = event else {
                exchange.network_changed();
                return None;
            };
            let port = 1000 + u16::try_from(number).unwrap();
            let arrival = Arrival {
                udp_peer: udp.then(|| SocketAddr::from(([127, 0, 0, 1], port))),
                ..Arrival::now("test")
            };
            let asked = Clock::now();
            let patience = hangs_up.map_or(FOR_EVER, Duration::from_millis);
            let answered = exchange.answer(messages[message].clone(), arrival);
            let answered = timeout_at(asked + patience, answered).await;
            assert!(
                answered.is_ok() || hangs_up.is_some(),
                "left without an answer"
            );
            let heard = answered
                .ok()
                .map(|answered| (answered.answer, Clock::now()));
            Some(Client {
                message,
                asked,
                heard,
            })
        });
    }
    let clients = clients.join_all().await.into_iter().flatten().collect();
    // What was said not to have been sent must not be sent later.
    sleep(FOR_EVER).await;
    clients
}

/// What left of one message, and who asked for it.
struct Story<'a> {
    message: &'a KerberosMessage,
    seen: Vec<Clock>,
    clients: Vec<&'a Client>,
}

impl Story<'_> {
    fn check(&self) {
        let once = self.message.resend() == Resend::Once;
        assert!(!once || self.seen.len() <= 1, "seen at {:?}", self.seen);
        for client in &self.clients {
            let Some((answer, at)) = &client.heard else {
                continue;
            };
            let took = *at - client.asked;
            assert!(took <= DEADLINE + LATE, "took {took:?}");
            match answer {
                Answer::Reply(reply) => self.check_reply(reply),
                Answer::Verdict(verdict) if once && !verdict.may_have_been_sent => {
                    self.check_unsent(*at);
                }
                Answer::Verdict(_) => {}
            }
        }
    }

    fn check_reply(&self, reply: &Reply) {
        let code = reply.error_code();
        assert_eq!(
            reply.bytes(),
            answer(self.message, code).bytes(),
            "another's"
        );
        let served = code != Some(krb_error::KDC_ERR_SVC_UNAVAILABLE);
        assert!(served || self.message.service() == Service::Kpasswd);
    }

    /// A client that was told that nothing was sent was told the truth, unless somebody has asked again since.
    fn check_unsent(&self, told: Clock) {
        for seen in &self.seen {
            let again = |client: &&Client| told <= client.asked && client.asked <= *seen;
            assert!(self.clients.iter().any(again), "left all the same");
        }
    }
}

fn check(history: History) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let (messages, journal) = (messages(), Journal::default());
    let clients = runtime.block_on(play(history, &messages, &journal));
    let posts = journal.lock().unwrap();
    for (number, message) in messages.iter().enumerate() {
        let same = posts
            .iter()
            .filter(|post| post.message.bytes() == message.bytes());
        let seen = same.filter(|post| post.seen).map(|post| post.at);
        let asked = clients.iter().filter(|client| client.message == number);
        let story = Story {
            message,
            seen: seen.collect(),
            clients: asked.collect(),
        };
        story.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_must_not_be_sent_twice_is_not_and_all_are_answered(history in history()) {
        check(history);
    }
}
