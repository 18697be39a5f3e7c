mod holders;

use super::*;
use crate::relay::clock::ClockReading;
use crate::relay::upstream::{
    CertificateFault, ConnectError, Credential, Fault, ForwardProxyFault, NotReply, TlsFault,
    Unsent,
};
use crate::wire::Resend;

const SECOND: Duration = Duration::from_secs(1);
const A: UpstreamId = UpstreamId(0);
const B: UpstreamId = UpstreamId(1);
const C: UpstreamId = UpstreamId(2);

const KDC: Wanted = Wanted::any(Service::Kdc);

fn realm(name: &str) -> Realm {
    Realm::parse(name.as_bytes()).unwrap()
}

/// To these upstreams for both services, by what is usual.
pub(crate) fn route_to(upstreams: Vec<UpstreamId>) -> Route {
    Route {
        upstreams: ByService::both(Some(upstreams)),
        deadline: 9 * SECOND,
        ..Route::default()
    }
}

/// Routes are told apart by their hint.
fn route(hint: u32, upstreams: &[UpstreamId]) -> Route {
    Route {
        dclocator_hint: Some(hint),
        ..route_to(upstreams.to_vec())
    }
}

fn exact(name: &str) -> RealmPattern {
    RealmPattern::Exact(realm(name))
}

fn suffix(name: &str) -> RealmPattern {
    RealmPattern::Suffix(realm(name))
}

/// Every kind of fault.
fn faults() -> Vec<Fault> {
    let all = vec![
        Fault::NotSent(Unsent::Connect(ConnectError::Refused)),
        Fault::NotSent(Unsent::ConnectTimeout),
        Fault::NotSent(Unsent::Untrusted(CertificateFault::UnknownIssuer)),
        Fault::NotSent(Unsent::ForwardProxy {
            proxy: "HTTP proxy".into(),
            fault: ForwardProxyFault::Refused,
            detail: "403".into(),
        }),
        Fault::NotSent(Unsent::NoCredential("no file".into())),
        Fault::NotSent(Unsent::TicketLoop),
        Fault::NotSent(Unsent::HandedBack),
        Fault::NotSent(Unsent::Unprocessed),
        Fault::NotSent(Unsent::Ended),
        Fault::NotSent(Unsent::TooLong),
        Fault::NotSent(Unsent::Busy),
        Fault::ReusedConnectionClosed,
        Fault::ClosedWithoutReply,
        Fault::Unanswered,
        Fault::Lifeless,
        Fault::StreamRefused,
        Fault::ClosedWanting(Credential::Certificate),
        Fault::Silent,
        Fault::Page(400),
        Fault::Page(403),
        Fault::Page(502),
        Fault::wants(Credential::Ticket),
        Fault::status(400),
        Fault::status(403),
        Fault::status(413),
        Fault::status(499),
        Fault::status(500),
        Fault::status(502),
        Fault::status(503),
        Fault::NotKerberos(NotReply::WebPage),
        Fault::NotServed,
        Fault::Repeat,
    ];
    for fault in &all {
        // A new kind belongs into the list above.
        match fault {
            Fault::NotSent(
                Unsent::Connect(_)
                | Unsent::ConnectTimeout
                | Unsent::Untrusted(_)
                | Unsent::ForwardProxy { .. }
                | Unsent::NoCredential(_)
                | Unsent::TicketLoop
                | Unsent::HandedBack
                | Unsent::Unprocessed
                | Unsent::Ended
                | Unsent::Busy
                | Unsent::TooLong,
            )
            | Fault::ReusedConnectionClosed
            | Fault::ClosedWithoutReply
            | Fault::Unanswered
            | Fault::Lifeless
            | Fault::StreamRefused
            | Fault::ClosedWanting(_)
            | Fault::Silent
            | Fault::Status(..)
            | Fault::Page(_)
            | Fault::AuthenticationRequired(..)
            | Fault::NotKerberos(_)
            | Fault::NotServed
            | Fault::Repeat => {}
        }
    }
    all
}

/// Routes for one realm with two upstreams, and a clock.
struct Desk {
    routes: Routes,
    now: Instant,
}

impl Desk {
    fn new() -> Self {
        let mut routes = Routes::default();
        routes.add(&exact("ONE"), &[], route(1, &[A, B]));
        routes.add(&exact("OTHER"), &[], route(2, &[A, B, C]));
        routes.add(&RealmPattern::Any, &[], route(3, &[A, B]));
        let now = Instant::now();
        Self { routes, now }
    }

    fn candidates(&self, name: &str) -> Candidates {
        self.routes.candidates(&realm(name), KDC, self.now).unwrap()
    }

    fn order(&self, name: &str) -> Vec<UpstreamId> {
        self.candidates(name).upstreams
    }

    fn reply(&mut self, name: &str, id: UpstreamId) -> bool {
        let candidates = self.candidates(name);
        self.now += SECOND;
        self.routes.record_reply(&candidates, id, self.now)
    }

    /// `id` is asked, and fails after a second.
    fn fault(&mut self, name: &str, id: UpstreamId, fault: &Fault) -> bool {
        let (candidates, asked) = (self.candidates(name), self.now);
        self.now += SECOND;
        self.routes
            .record_fault(&candidates, id, fault, asked, self.now)
    }

    fn is_silent(&self, id: UpstreamId) -> bool {
        self.routes
            .patience(id, Holder::Unknown, self.now)
            .is_some()
    }
}

#[test]
fn the_longest_match_wins() {
    let mut routes = Routes::default();
    routes.add(&RealmPattern::Any, &[], route(1, &[A]));
    routes.add(&suffix(".COM"), &[], route(2, &[A]));
    routes.add(&suffix(".EXAMPLE.COM"), &[], route(3, &[A]));
    routes.add(&suffix(".ORG"), &[], route(4, &[A]));
    routes.add(&exact("A.EXAMPLE.COM"), &[], route(5, &[A]));
    let aliases = [realm("CORP"), realm("OLD.EXAMPLE.COM")];
    routes.add(&exact("EXAMPLE.COM"), &aliases, route(6, &[A]));
    for (name, hint) in [
        ("A.EXAMPLE.COM", 5),
        ("a.example.com", 5),
        ("EXAMPLE.COM", 6),
        ("corp", 6),
        ("Old.Example.com", 6),
        ("B.EXAMPLE.COM", 3),
        ("C.B.example.com", 3),
        ("AEXAMPLE.COM", 2),
        ("SAMPLE.com", 2),
        ("COM", 1),
        ("CORP.LOCAL", 1),
    ] {
        let found = routes
            .candidates(&realm(name), KDC, Instant::now())
            .unwrap();
        assert_eq!(found.route.dclocator_hint, Some(hint), "{name}");
    }
}

#[test]
fn a_realm_that_nothing_matches_has_no_candidates() {
    let mut routes = Routes::default();
    routes.add(&suffix(".EXAMPLE.COM"), &[], route(1, &[A]));
    routes.add(&exact("ONE"), &[], route(2, &[A]));
    for name in ["EXAMPLE.COM", "ONE.", "A.ONE", "A.EXAMPLE.COM.EVIL"] {
        let found = routes.candidates(&realm(name), KDC, Instant::now());
        assert_eq!(found.unwrap_err(), Cause::NoUpstream, "{name}");
    }
}

#[test]
fn upstreams_are_tried_in_order_and_the_one_that_works_is_stayed_with() {
    let mut desk = Desk::new();
    assert_eq!(desk.order("OTHER"), [A, B, C]);
    desk.reply("OTHER", B);
    assert_eq!(desk.order("OTHER"), [B, A, C]);
    assert_eq!(desk.order("ONE"), [A, B], "each realm stays with its own");
    desk.fault("OTHER", B, &Fault::Unanswered);
    assert_eq!(desk.order("OTHER"), [A, C, B]);
    assert_eq!(desk.order("ONE"), [A, B]);
    desk.reply("OTHER", C);
    desk.reply("ONE", B);
    assert_eq!(
        desk.order("OTHER"),
        [C, A, B],
        "up again, and not stayed with"
    );
}

#[test]
fn the_second_choice_comes_after_the_others_even_if_it_serves() {
    let mut desk = Desk::new();
    let second = Route {
        second_choice: vec![A],
        ..route(1, &[A, B])
    };
    desk.routes.add(&exact("TWO"), &[], second);
    assert_eq!(desk.order("TWO"), [B, A]);
    desk.reply("TWO", A);
    assert_eq!(desk.order("TWO"), [B, A]);
    desk.fault("TWO", B, &Fault::Unanswered);
    assert_eq!(desk.order("TWO"), [A, B]);
}

#[test]
fn when_all_are_down_the_one_that_served_is_tried_first() {
    let mut desk = Desk::new();
    desk.reply("OTHER", B);
    for id in [A, B, C] {
        desk.fault("OTHER", id, &Fault::Unanswered);
    }
    assert_eq!(desk.order("OTHER"), [B, A, C]);
}

/// What a fault leaves behind.
#[derive(Debug, PartialEq)]
struct Marks {
    told: bool,
    /// The upstream is put behind others for this realm, and for others.
    behind_here: bool,
    behind_elsewhere: bool,
    silent: bool,
}

fn marks(name: &str, fault: &Fault) -> Marks {
    let mut desk = Desk::new();
    let told = desk.fault(name, A, fault);
    Marks {
        told,
        behind_here: desk.order(name) == [B, A],
        behind_elsewhere: desk.order("OTHER") == [B, C, A],
        silent: desk.is_silent(A),
    }
}

#[test]
fn a_fault_marks_what_it_says_something_about() {
    for fault in faults() {
        let [told, behind_here, behind_elsewhere, silent] = match &fault {
            // Of one request or one connection.
            Fault::ReusedConnectionClosed
            | Fault::ClosedWithoutReply
            | Fault::Repeat
            | Fault::Status(400 | 413, _)
            | Fault::Page(400 | 413)
            | Fault::NotSent(Unsent::HandedBack | Unsent::Ended | Unsent::Busy | Unsent::TooLong) => {
                [false; 4]
            }
            // Of this machine.
            Fault::NotSent(Unsent::TicketLoop) => [true, false, false, false],
            // Of one realm.
            Fault::Status(..)
            | Fault::Page(_)
            | Fault::AuthenticationRequired(..)
            | Fault::NotServed => [true, true, false, false],
            // Of the upstream.
            Fault::Silent | Fault::NotSent(Unsent::ConnectTimeout) => [true; 4],
            Fault::NotSent(_)
            | Fault::Unanswered
            | Fault::Lifeless
            | Fault::StreamRefused
            | Fault::ClosedWanting(_)
            | Fault::NotKerberos(_) => [true, true, true, false],
        };
        let expected = Marks {
            told,
            behind_here,
            behind_elsewhere,
            silent,
        };
        assert_eq!(marks("ONE", &fault), expected, "{fault:?}");
    }
}

#[test]
fn under_a_wildcard_a_refusal_says_nothing_about_other_realms() {
    for fault in [Fault::status(403), Fault::status(503), Fault::NotServed] {
        let nothing = Marks {
            told: false,
            behind_here: false,
            behind_elsewhere: false,
            silent: false,
        };
        assert_eq!(marks("ANY", &fault), nothing, "{fault:?}");
    }
}

#[test]
fn an_upstream_is_silent_until_it_is_heard() {
    for fault in faults() {
        let mut desk = Desk::new();
        desk.fault("ONE", A, &Fault::Silent);
        desk.fault("ONE", A, &fault);
        let heard = match fault {
            Fault::Status(..)
            | Fault::Page(_)
            | Fault::AuthenticationRequired(..)
            | Fault::NotKerberos(_)
            | Fault::NotServed
            | Fault::Repeat => true,
            Fault::NotSent(_)
            | Fault::ReusedConnectionClosed
            | Fault::ClosedWithoutReply
            | Fault::Unanswered
            | Fault::Lifeless
            | Fault::StreamRefused
            | Fault::ClosedWanting(_)
            | Fault::Silent => false,
        };
        assert_eq!(desk.is_silent(A), !heard, "{fault:?}");
    }
    let mut desk = Desk::new();
    desk.fault("ONE", A, &Fault::Silent);
    desk.reply("OTHER", A);
    assert!(!desk.is_silent(A));
}

#[test]
fn silence_counts_only_if_nothing_else_was_heard_meanwhile() {
    for fault in [Fault::Silent, Fault::NotSent(Unsent::ConnectTimeout)] {
        let mut desk = Desk::new();
        let (candidates, asked) = (desk.candidates("ONE"), desk.now);
        desk.reply("ONE", A);
        desk.now += 8 * SECOND;
        let told = desk
            .routes
            .record_fault(&candidates, A, &fault, asked, desk.now);
        assert!(!told, "{fault:?}");
        assert_eq!(desk.order("ONE"), [A, B], "{fault:?}");
        assert!(!desk.is_silent(A), "{fault:?}");
        // The next silence is its own.
        assert!(desk.fault("ONE", A, &fault), "{fault:?}");
    }
}

#[test]
fn a_copy_that_left_just_before_the_deadline_met_no_silence() {
    let mut desk = Desk::new();
    let candidates = desk.candidates("ONE");
    let mut record = |silence| {
        let now = desk.now + silence;
        desk.routes
            .record_fault(&candidates, A, &Fault::Silent, desk.now, now)
    };
    assert!(!record(Duration::from_millis(499)));
    assert!(record(Duration::from_millis(500)));
}

#[test]
fn who_was_silent_is_given_less_time() {
    let mut desk = Desk::new();
    desk.fault("ONE", B, &Fault::Silent);
    let patience = |id| desk.routes.patience(id, Holder::Unknown, desk.now);
    assert_eq!(patience(A), None, "the whole deadline");
    assert_eq!(patience(B), Some(desk.now + 2 * SECOND));
}

#[test]
fn an_answer_is_late_as_its_upstream_is_wont() {
    let mut desk = Desk::new();
    let late = |desk: &Desk, id, reused| {
        let candidates = desk.candidates("ONE");
        let late = desk.routes.late(&candidates, id, reused, desk.now);
        (late - desk.now).as_millis()
    };
    for _ in 0..50 {
        desk.routes.record_latency(A, SECOND, true);
    }
    assert!((1000..1002).contains(&late(&desk, A, true)));
    assert_eq!(late(&desk, A, false), 3000);
    assert_eq!(late(&desk, B, true), 1000, "unknown");
    desk.routes.forget(desk.now);
    assert_eq!(late(&desk, A, false), 1000, "unknown on this network");
}

#[test]
fn who_has_many_clients_gives_a_kdc_time() {
    let mut routes = Routes::default();
    let route = Route {
        shared: true,
        ..route(1, &[A, B])
    };
    routes.add(&exact("ONE"), &[], route);
    let now = Instant::now();
    let candidates = routes.candidates(&realm("ONE"), KDC, now).unwrap();
    for reused in [true, false] {
        assert_eq!(routes.late(&candidates, A, reused, now), now + 3 * SECOND);
    }
}

#[test]
fn the_resend_rule() {
    use Next::{FreshConnection, OtherOrSame, OtherUpstream, Stop};
    for fault in faults() {
        let [harmless, once] = match &fault {
            // Surely not sent, and nothing said of the upstream.
            Fault::NotSent(Unsent::Ended) => [FreshConnection; 2],
            // Surely not sent, refused before any KDC was asked, or not served by the KDC's own word.
            Fault::NotSent(_)
            | Fault::Status(400..=499, _)
            | Fault::Page(400..=499)
            | Fault::AuthenticationRequired(..)
            | Fault::NotServed => [OtherUpstream; 2],
            // A KDC may have seen it.
            Fault::Status(502, _) | Fault::Page(502) => [OtherOrSame, Stop],
            Fault::ClosedWithoutReply
            | Fault::Unanswered
            | Fault::Lifeless
            | Fault::StreamRefused
            | Fault::ClosedWanting(_)
            | Fault::Silent
            | Fault::Status(..)
            | Fault::Page(_)
            | Fault::NotKerberos(_) => [OtherUpstream, Stop],
            Fault::ReusedConnectionClosed => [FreshConnection, Stop],
            Fault::Repeat => [Stop; 2],
        };
        assert_eq!(after(&fault, Resend::Harmless), harmless, "{fault:?}");
        assert_eq!(after(&fault, Resend::Once), once, "{fault:?}");
    }
}

#[test]
fn a_change_is_told_once() {
    let mut desk = Desk::new();
    let refused = Fault::NotSent(Unsent::Connect(ConnectError::Refused));
    assert!(!desk.reply("ONE", A), "up from the start");
    assert!(desk.fault("ONE", A, &refused));
    assert!(!desk.fault("ONE", A, &refused));
    assert!(!desk.fault("OTHER", A, &Fault::Unanswered));
    assert!(desk.reply("OTHER", A));
    assert!(!desk.reply("ONE", A));
    assert!(desk.fault("ONE", A, &Fault::Silent));
}

#[test]
fn a_captive_portal_is_told_of_an_upstream_that_was_down_before() {
    let mut desk = Desk::new();
    let portal = Fault::NotKerberos(NotReply::Redirect);
    assert!(desk.fault("ONE", A, &Fault::Unanswered));
    assert!(desk.fault("ONE", A, &portal));
    assert!(!desk.fault("ONE", A, &portal));
    assert!(desk.reply("ONE", A));
}

#[test]
fn a_refusal_is_told_once_for_each_realm_and_reason() {
    let mut desk = Desk::new();
    let [forbidden, failing] = [403, 503].map(Fault::status);
    assert!(desk.fault("ONE", A, &forbidden));
    assert!(!desk.fault("ONE", A, &forbidden));
    assert!(desk.fault("OTHER", A, &forbidden));
    for _ in 0..2 {
        assert!(!desk.fault("OTHER", A, &forbidden));
    }
    assert!(desk.fault("ONE", A, &failing));
    assert!(desk.reply("ONE", A));
    assert_eq!(desk.order("OTHER"), [B, C, A], "still refused there");
}

#[test]
fn an_upstream_that_refuses_is_down_no_longer() {
    let mut desk = Desk::new();
    desk.fault("ONE", A, &Fault::Unanswered);
    desk.fault("ONE", A, &Fault::status(403));
    assert_eq!(desk.order("ONE"), [B, A]);
    assert_eq!(desk.order("OTHER"), [A, B, C]);
}

#[test]
fn who_makes_an_upstream_fail_and_serve_in_turn_does_not_fill_the_log() {
    let mut desk = Desk::new();
    let mut lines = 0;
    for _ in 0..1800 {
        lines += u64::from(desk.fault("ONE", A, &Fault::status(503)));
        lines += u64::from(desk.reply("ONE", A));
    }
    // An hour: ten at once, and then one a minute.
    assert_eq!(lines, 10 + 59);
    assert!(desk.fault("ONE", B, &Fault::Silent), "others are told");
}

/// A realm with two KDCs, of which the second takes writes, and perhaps a password service.
fn realm_with_primary(kpasswd: Option<&[UpstreamId]>) -> Routes {
    let mut routes = Routes::default();
    let upstreams = ByService {
        kdc: Some(vec![A, B]),
        kpasswd: kpasswd.map(<[UpstreamId]>::to_vec),
    };
    let route = Route {
        upstreams,
        primary: vec![B],
        ..route(1, &[])
    };
    routes.add(&exact("ONE"), &[realm("ALIAS")], route);
    routes
}

fn order(routes: &Routes, service: Service, primary: bool) -> Result<Vec<UpstreamId>, Cause> {
    let wanted = Wanted {
        primary,
        ..Wanted::any(service)
    };
    let found = routes.candidates(&realm("ONE"), wanted, Instant::now());
    found.map(|candidates| candidates.upstreams)
}

#[test]
fn each_service_has_its_own_ways_out_and_stays_with_its_own() {
    let mut routes = realm_with_primary(Some(&[UpstreamId(3), C]));
    let kpasswd = [UpstreamId(3), C];
    assert_eq!(order(&routes, Service::Kpasswd, false).unwrap(), kpasswd);
    let wanted = Wanted::any(Service::Kpasswd);
    let candidates = routes
        .candidates(&realm("ONE"), wanted, Instant::now())
        .unwrap();
    routes.record_reply(&candidates, C, Instant::now());
    let kpasswd = [C, UpstreamId(3)];
    assert_eq!(order(&routes, Service::Kpasswd, false).unwrap(), kpasswd);
    assert_eq!(order(&routes, Service::Kdc, false).unwrap(), [A, B]);
}

/// Else one login would take password changes away from the primary, or one change all logins there.
#[test]
fn services_with_ways_of_their_own_take_none_of_the_other() {
    let mut routes = realm_with_primary(Some(&[B, A]));
    let mut reply = |service, id| {
        let wanted = Wanted::any(service);
        let now = Instant::now();
        let candidates = routes.candidates(&realm("ONE"), wanted, now).unwrap();
        routes.record_reply(&candidates, id, now);
        let services = [Service::Kdc, Service::Kpasswd];
        services.map(|service| order(&routes, service, false).unwrap())
    };
    let own = [vec![A, B], vec![B, A]];
    assert_eq!(reply(Service::Kdc, A), own);
    assert_eq!(reply(Service::Kpasswd, B), own);
    let mut routes = realm_with_primary(Some(&[B, A]));
    let wanted = Wanted::any(Service::Kpasswd);
    let now = Instant::now();
    let candidates = routes.candidates(&realm("ONE"), wanted, now).unwrap();
    routes.record_reply(&candidates, B, now);
    assert_eq!(order(&routes, Service::Kdc, false).unwrap(), [A, B]);
}

#[test]
fn a_service_that_is_not_offered_is_told_from_a_realm_that_is_unknown() {
    let routes = realm_with_primary(None);
    let none = order(&routes, Service::Kpasswd, false);
    assert_eq!(none.unwrap_err(), Cause::NotOffered);
    let unknown = order(&realm_with_primary(Some(&[])), Service::Kpasswd, false);
    assert_eq!(unknown.unwrap_err(), Cause::Unreachable);
    assert!(order(&routes, Service::Kdc, false).is_ok());
}

#[test]
fn who_asks_for_the_primary_gets_it_and_moves_nobody_else_there() {
    let mut routes = realm_with_primary(None);
    assert_eq!(order(&routes, Service::Kdc, true).unwrap(), [B, A]);
    let wanted = Wanted {
        primary: true,
        ..KDC
    };
    let candidates = routes
        .candidates(&realm("ONE"), wanted, Instant::now())
        .unwrap();
    routes.record_reply(&candidates, B, Instant::now());
    assert_eq!(order(&routes, Service::Kdc, false).unwrap(), [A, B]);
    let refused = Fault::NotSent(Unsent::Connect(ConnectError::Refused));
    let now = Instant::now();
    routes.record_fault(&candidates, B, &refused, now, now);
    assert_eq!(order(&routes, Service::Kdc, true).unwrap(), [A, B]);
}

/// Of a gateway's KDC, which is not down for it.
#[test]
fn a_primary_that_was_silent_is_passed_over_for_a_while_and_told() {
    let mut routes = Routes::default();
    let route = Route {
        primary: vec![A],
        shared: true,
        ..route(1, &[A, B])
    };
    routes.add(&exact("ONE"), &[], route);
    let wanted = Wanted {
        primary: true,
        ..KDC
    };
    let ask = |routes: &Routes, wanted, now| routes.candidates(&realm("ONE"), wanted, now).unwrap();
    let start = Instant::now();
    let candidates = ask(&routes, wanted, start);
    let now = start + 9 * SECOND;
    routes.record_fault(&candidates, A, &Fault::Silent, start, now);
    let candidates = ask(&routes, wanted, now);
    assert_eq!(candidates.upstreams, [B, A]);
    assert_eq!(ask(&routes, KDC, now).upstreams, [A, B], "others ask it");
    let context = StatusContext {
        upstreams: &[],
        now: ClockReading {
            instant: now,
            ..ClockReading::now()
        },
    };
    let [put_back] = &routes.put_back(&candidates, context)[..] else {
        panic!("it is not told")
    };
    let told = (put_back.upstream, put_back.state.to_string());
    assert_eq!(told, (0, "down".to_owned()));
    let retry = context.now.unix_ms_of(now + SECOND);
    assert_eq!(put_back.retry_at, Some(retry));
    routes.record_reply(&candidates, A, now);
    assert_eq!(ask(&routes, wanted, now).upstreams, [A, B]);
    assert!(ask(&routes, wanted, now).is_live_primary(A));
}

#[test]
fn a_request_for_the_primary_says_so_to_proxies() {
    let routes = realm_with_primary(None);
    let hint = |primary| {
        let wanted = Wanted { primary, ..KDC };
        let candidates = routes.candidates(&realm("ONE"), wanted, Instant::now());
        candidates.unwrap().dclocator_hint()
    };
    assert_eq!(hint(false), Some(1));
    assert_eq!(hint(true), Some(0x1001));
    let mut without = Routes::default();
    let route = Route {
        dclocator_hint: None,
        ..route(0, &[A])
    };
    without.add(&exact("ONE"), &[], route);
    let wanted = Wanted {
        primary: true,
        ..KDC
    };
    let candidates = without.candidates(&realm("ONE"), wanted, Instant::now());
    let candidates = candidates.unwrap();
    assert_eq!(candidates.dclocator_hint(), Some(0x1000));
    assert!(!candidates.is_live_primary(A), "none is known");
}

#[test]
fn who_asks_for_another_gets_another_and_moves_nobody_else_there() {
    let mut desk = Desk::new();
    let order = |desk: &Desk, wanted| {
        let candidates = desk.routes.candidates(&realm("ONE"), wanted, desk.now);
        candidates.unwrap()
    };
    let another = Wanted {
        rediscover: true,
        ..KDC
    };
    assert_eq!(order(&desk, another).upstreams, [A, B], "none served yet");
    desk.reply("ONE", A);
    let candidates = order(&desk, another);
    assert_eq!(candidates.upstreams, [B, A]);
    desk.routes.record_reply(&candidates, B, desk.now);
    assert_eq!(order(&desk, KDC).upstreams, [A, B]);
    let primary = Wanted {
        primary: true,
        ..another
    };
    let mut routes = realm_with_primary(None);
    let candidates = routes.candidates(&realm("ONE"), KDC, desk.now).unwrap();
    routes.record_reply(&candidates, B, desk.now);
    let candidates = routes.candidates(&realm("ONE"), primary, desk.now);
    assert_eq!(
        candidates.unwrap().upstreams,
        [B, A],
        "no other takes writes"
    );
}

#[test]
fn an_alias_is_the_same_realm() {
    let routes = realm_with_primary(None);
    assert!(routes.is_same(&realm("alias"), &realm("ONE")));
    assert!(routes.is_same(&realm("TWO"), &realm("two")));
    assert!(!routes.is_same(&realm("ONE"), &realm("TWO")));
    assert!(!routes.is_same(&realm("TWO"), &realm("THREE")));
}

/// Two realms with an upstream each, and what asks the one.
fn two_realms() -> (Routes, [Candidates; 2]) {
    let mut routes = Routes::default();
    routes.add(&exact("R"), &[], route(1, &[A]));
    routes.add(&exact("S"), &[], route(2, &[B]));
    let candidates = ["R", "S"].map(|name| {
        routes
            .candidates(&realm(name), KDC, Instant::now())
            .unwrap()
    });
    (routes, candidates)
}

#[test]
fn cut_off_is_who_reaches_no_upstream_of_any_realm() {
    let start = Instant::now();
    let (mut routes, [r, s]) = two_realms();
    let refused = Fault::NotSent(Unsent::Connect(ConnectError::Refused));
    let slow = Fault::NotSent(Unsent::ConnectTimeout);
    assert!(!routes.is_cut_off(start));
    routes.record_fault(&r, A, &refused, start, start);
    assert!(!routes.is_cut_off(start));
    routes.record_fault(&s, B, &slow, start, start + SECOND);
    let at = |millis| start + Duration::from_millis(millis);
    assert!(routes.is_cut_off(at(1000)));
    // What was seen too long ago says nothing.
    assert!(routes.is_cut_off(at(9_999)));
    assert!(!routes.is_cut_off(at(10_000)));
    routes.record_fault(&r, A, &refused, at(10_000), at(10_000));
    assert!(routes.is_cut_off(at(10_000)));
    routes.record_reply(&s, B, at(10_001));
    assert!(!routes.is_cut_off(at(10_001)));
    assert!(!Routes::default().is_cut_off(start));
}

#[test]
fn only_failed_connects_cut_off() {
    let start = Instant::now();
    for fault in faults() {
        let (mut routes, [r, s]) = two_realms();
        for (candidates, id) in [(&r, A), (&s, B)] {
            routes.record_fault(candidates, id, &fault, start, start + SECOND);
        }
        let connects = matches!(
            fault,
            Fault::NotSent(Unsent::Connect(_) | Unsent::ConnectTimeout)
        );
        assert_eq!(routes.is_cut_off(start + SECOND), connects, "{fault:?}");
    }
}

#[test]
fn a_realm_of_which_no_kdc_is_known_is_cut_off() {
    let start = Instant::now();
    let mut routes = Routes::default();
    routes.add(&exact("UNKNOWN"), &[], route(1, &[]));
    assert!(routes.is_cut_off(start));
    routes.add(&exact("ONE"), &[], route(2, &[A]));
    assert!(!routes.is_cut_off(start));
    let candidates = routes
        .candidates(&realm("ONE"), KDC, Instant::now())
        .unwrap();
    let refused = Fault::NotSent(Unsent::Connect(ConnectError::Refused));
    routes.record_fault(&candidates, A, &refused, start, start);
    assert!(routes.is_cut_off(start));
}

#[test]
fn a_realm_that_loses_its_last_upstream_is_told_once_and_so_is_its_return() {
    let (mut routes, now) = (Routes::default(), Instant::now());
    routes.add(&exact("ONE"), &[], route(1, &[A, B]));
    let one = routes.candidates(&realm("ONE"), KDC, now).unwrap();
    let refused = Fault::NotSent(Unsent::Connect(ConnectError::Refused));
    routes.record_fault(&one, A, &refused, now, now);
    assert!(routes.kdc_news(&one, false, now).is_none());
    let mut told = 0;
    for _ in 0..20 {
        routes.record_fault(&one, A, &refused, now, now);
        routes.record_fault(&one, B, &refused, now, now);
        let news = routes.kdc_news(&one, false, now);
        assert!(
            routes.kdc_news(&one, false, now).is_none(),
            "it is told once"
        );
        routes.record_reply(&one, B, now);
        let back = routes.kdc_news(&one, true, now);
        assert_eq!(back.is_some(), news.is_some());
        if let (Some((lost, true)), Some((back, false))) = (news, back) {
            assert_eq!(
                [lost, back].map(|realm| realm.key()),
                [realm("ONE").key(), realm("ONE").key()]
            );
            told += 1;
        }
    }
    assert_eq!(told, 10, "and not without end");
}

#[test]
fn another_network_alone_brings_no_realm_back() {
    let (mut routes, now) = (Routes::default(), Instant::now());
    routes.add(&exact("ONE"), &[], route(1, &[A, B]));
    let one = routes.candidates(&realm("ONE"), KDC, now).unwrap();
    let refused = Fault::NotSent(Unsent::Connect(ConnectError::Refused));
    for id in [A, B] {
        routes.record_fault(&one, id, &refused, now, now);
    }
    assert!(matches!(routes.kdc_news(&one, false, now), Some((_, true))));
    routes.forget(now);
    routes.record_fault(&one, A, &refused, now, now);
    assert!(routes.kdc_news(&one, false, now).is_none());
    routes.record_reply(&one, B, now);
    assert!(matches!(routes.kdc_news(&one, true, now), Some((_, false))));
}

/// New routes, on which B and C stand in each other's places and A is gone.
#[test]
fn what_is_known_of_an_upstream_is_known_on_new_routes() {
    let now = Instant::now();
    let mut before = Routes::default();
    before.add(&exact("ONE"), &[], route(1, &[A, B, C]));
    before.add(&exact("OTHER"), &[], route(2, &[A, B]));
    let of = |routes: &Routes, name| {
        routes
            .candidates(&realm(name), KDC, Instant::now())
            .unwrap()
    };
    before.record_reply(&of(&before, "ONE"), C, now);
    before.record_reply(&of(&before, "OTHER"), A, now);
    let refused = Fault::NotSent(Unsent::Connect(ConnectError::Refused));
    before.record_fault(&of(&before, "ONE"), B, &refused, now, now);

    let mut after = Routes::default();
    after.add(&exact("OTHER"), &[], route(2, &[C, B]));
    after.add(&exact("one"), &[], route(1, &[A, B, C]));
    after.add(&exact("NEW"), &[], route(3, &[B, C]));
    let place = |id| match id {
        B => Some(C),
        C => Some(B),
        _ => None,
    };
    after.inherit(&mut before, place);
    assert_eq!(
        of(&after, "ONE").upstreams,
        [B, A, C],
        "one to stay with, one down"
    );
    assert_eq!(
        of(&after, "OTHER").upstreams,
        [B, C],
        "the one to stay with is gone"
    );
    assert_eq!(of(&after, "NEW").upstreams, [B, C]);
}

#[test]
fn silence_marks_no_upstream_as_down_that_many_clients_share() {
    for shared in [true, false] {
        let mut routes = Routes::default();
        let route = Route {
            shared,
            ..route(1, &[A, B])
        };
        routes.add(&exact("ONE"), &[], route);
        let (candidates, start) = (
            routes
                .candidates(&realm("ONE"), KDC, Instant::now())
                .unwrap(),
            Instant::now(),
        );
        routes.record_fault(&candidates, A, &Fault::Silent, start, start + SECOND);
        assert_eq!(routes.is_down(A), !shared);
        assert!(
            routes.patience(A, Holder::Unknown, start).is_some(),
            "either way"
        );
        // The one that answers instead is the one to stay with, until the other fails in its turn.
        routes.record_reply(&candidates, B, start + SECOND);
        assert_eq!(order(&routes, Service::Kdc, false).unwrap(), [B, A]);
    }
}

#[test]
fn one_request_that_went_elsewhere_takes_no_others_along() {
    let mut desk = Desk::new();
    desk.reply("OTHER", A);
    desk.reply("OTHER", B);
    assert_eq!(desk.order("OTHER"), [A, B, C]);
    desk.fault("OTHER", A, &Fault::status(403));
    desk.reply("OTHER", B);
    desk.reply("OTHER", A);
    assert_eq!(desk.order("OTHER"), [B, A, C], "until it failed");
}

#[test]
fn who_failed_is_put_behind_the_others_for_a_while() {
    let mut desk = Desk::new();
    let refused = Fault::NotSent(Unsent::Connect(ConnectError::Refused));
    desk.fault("ONE", A, &refused);
    assert_eq!(desk.order("ONE"), [B, A]);
    desk.now += SECOND;
    assert_eq!(desk.order("ONE"), [A, B], "one failure is a second");
    assert!(desk.routes.is_down(A), "and not up for that");
    for _ in 0..6 {
        desk.fault("ONE", A, &refused);
    }
    desk.now += 40 * SECOND;
    assert_eq!(desk.order("ONE"), [B, A], "seven are most of a minute");
    desk.now += 20 * SECOND;
    assert_eq!(desk.order("ONE"), [A, B]);
}

#[test]
fn if_all_are_down_the_one_that_failed_least_is_tried_first() {
    let mut desk = Desk::new();
    for _ in 0..3 {
        desk.fault("ONE", A, &Fault::Unanswered);
    }
    desk.fault("ONE", B, &Fault::Unanswered);
    assert_eq!(desk.order("ONE"), [B, A]);
}

#[test]
fn a_realm_that_is_refused_again_and_again_is_put_behind_for_longer() {
    let mut desk = Desk::new();
    for _ in 0..3 {
        desk.fault("ONE", A, &Fault::status(503));
    }
    desk.now += 2 * SECOND;
    assert_eq!(desk.order("ONE"), [B, A]);
    assert_eq!(desk.order("OTHER"), [A, B, C], "that realm alone");
    desk.now += 2 * SECOND;
    assert_eq!(desk.order("ONE"), [A, B]);
}

#[test]
fn on_another_network_nothing_is_known_of_anybody() {
    let mut desk = Desk::new();
    desk.reply("ONE", B);
    desk.fault("ONE", A, &Fault::Silent);
    desk.fault("OTHER", A, &Fault::status(503));
    desk.routes.forget(desk.now);
    assert_eq!(desk.order("ONE"), [A, B]);
    assert_eq!(desk.order("OTHER"), [A, B, C]);
    assert!(!desk.is_silent(A) && !desk.routes.is_down(A));
}

/// A realm whose KDC A is on this network, or not, with B as the proxy.
fn office(upstreams: &[UpstreamId]) -> Desk {
    let mut routes = Routes::default();
    let route = Route {
        local_kdcs: vec![A],
        ..route(1, upstreams)
    };
    routes.add(&exact("ONE"), &[], route);
    let now = Instant::now();
    Desk { routes, now }
}

#[test]
fn a_kdc_of_this_network_keeps_its_place_whoever_served_last() {
    let mut preferred = office(&[A, B]);
    preferred.fault("ONE", A, &Fault::Unanswered);
    preferred.reply("ONE", B);
    assert_eq!(preferred.order("ONE"), [A, B]);
    let mut last = office(&[B, A]);
    last.fault("ONE", B, &Fault::Unanswered);
    last.reply("ONE", A);
    assert_eq!(last.order("ONE"), [B, A]);
}

#[test]
fn a_kdc_that_does_not_answer_is_asked_last_on_this_network() {
    for fault in [Fault::Silent, Fault::NotSent(Unsent::ConnectTimeout)] {
        for upstreams in [[A, B], [B, A]] {
            let mut desk = office(&upstreams);
            desk.fault("ONE", A, &fault);
            desk.now += 3600 * SECOND;
            assert_eq!(desk.order("ONE"), [B, A], "{fault:?}");
            desk.routes.forget(desk.now);
            assert_eq!(desk.order("ONE"), upstreams, "{fault:?}");
        }
        let mut alone = office(&[A]);
        alone.fault("ONE", A, &fault);
        assert_eq!(alone.order("ONE"), [A], "there is no other");
    }
    let mut back = office(&[A, B]);
    back.fault("ONE", A, &Fault::Silent);
    back.reply("ONE", A);
    assert_eq!(back.order("ONE"), [A, B], "it is here after all");
    back.now += SECOND;
    back.fault("ONE", A, &Fault::Silent);
    back.now += 60 * SECOND;
    assert_eq!(back.order("ONE"), [A, B], "slow for once");
    let mut refusing = office(&[A, B]);
    let refused = Fault::NotSent(Unsent::Connect(ConnectError::Refused));
    refusing.fault("ONE", A, &refused);
    assert_eq!(refusing.order("ONE"), [B, A], "it is there");
    let late = refusing.candidates("ONE");
    let late = refusing.routes.late(&late, A, false, refusing.now);
    assert_eq!(late - refusing.now, LOCAL_KDC_TIMEOUT);
}

#[test]
fn kdcs_that_are_found_on_this_network_are_asked_though_others_did_not_answer() {
    let mut before = office(&[A, B]);
    before.fault("ONE", A, &Fault::Silent);
    let mut same = office(&[A, B]);
    same.routes.inherit(&mut before.routes, Some);
    assert_eq!(same.order("ONE"), [B, A], "it was asked already");
    let mut routes = Routes::default();
    let route = Route {
        local_kdcs: vec![C],
        ..route(1, &[C, B])
    };
    routes.add(&exact("ONE"), &[], route);
    let mut other = Desk {
        routes,
        now: same.now,
    };
    other.routes.inherit(&mut same.routes, Some);
    assert_eq!(other.order("ONE"), [C, B]);
}

#[test]
fn what_was_asked_from_another_network_says_nothing_here() {
    for fault in faults() {
        let mut desk = office(&[A, B]);
        let (candidates, asked) = (desk.candidates("ONE"), desk.now);
        desk.now += 2 * SECOND;
        desk.routes.forget(desk.now);
        desk.now += SECOND;
        let told = desk
            .routes
            .record_fault(&candidates, A, &fault, asked, desk.now);
        assert!(!told, "{fault:?}");
        assert_eq!(desk.order("ONE"), [A, B], "{fault:?}");
    }
}

#[test]
fn who_refuses_one_service_serves_the_other() {
    let mut desk = Desk::new();
    let kpasswd = Wanted::any(Service::Kpasswd);
    let change = desk.routes.candidates(&realm("ONE"), kpasswd, desk.now);
    let (change, asked) = (change.unwrap(), desk.now);
    desk.now += SECOND;
    let refused = Fault::status(503);
    desk.routes
        .record_fault(&change, A, &refused, asked, desk.now);
    assert_eq!(desk.order("ONE"), [A, B]);
    let again = desk.routes.candidates(&realm("ONE"), kpasswd, desk.now);
    assert_eq!(again.unwrap().upstreams, [B, A]);
}
