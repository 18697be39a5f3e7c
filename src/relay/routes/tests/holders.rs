//! What one holder meets moves nobody else, until another meets it too.

use super::*;

const USER: Holder = Holder::User(1000);
const OTHER: Holder = Holder::User(1001);
const THIRD: Holder = Holder::User(1002);

/// What the one realm's requests meet, by who asks.
struct Scene {
    routes: Routes,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        let mut routes = Routes::default();
        routes.add(&exact("ONE"), &[], route(1, &[A, B]));
        let now = Instant::now();
        Self { routes, now }
    }

    fn candidates(&self, holder: Holder) -> Candidates {
        let wanted = Wanted { holder, ..KDC };
        let candidates = self.routes.candidates(&realm("ONE"), wanted, self.now);
        candidates.unwrap()
    }

    fn first(&self, holder: Holder) -> UpstreamId {
        self.candidates(holder).upstreams[0]
    }

    /// A is asked, and fails after a second.
    fn fault(&mut self, holder: Holder, fault: &Fault) {
        let (candidates, asked) = (self.candidates(holder), self.now);
        self.now += SECOND;
        self.routes
            .record_fault(&candidates, A, fault, asked, self.now);
    }

    fn reply(&mut self, holder: Holder, id: UpstreamId) {
        let candidates = self.candidates(holder);
        self.routes.record_reply(&candidates, id, self.now);
    }

    fn is_patient(&self, holder: Holder) -> bool {
        self.routes.patience(A, holder, self.now).is_none()
    }
}

/// What an odd request can bring about.
const ODD: [Fault; 5] = [
    Fault::status(504),
    Fault::Page(502),
    Fault::Unanswered,
    Fault::Silent,
    Fault::NotKerberos(NotReply::NoReplyInside),
];

#[test]
fn an_odd_request_moves_its_own_user_until_another_meets_the_same() {
    for fault in ODD {
        let mut scene = Scene::new();
        scene.fault(USER, &fault);
        assert_eq!(scene.first(USER), B, "{fault:?}");
        assert_eq!(scene.first(OTHER), A, "{fault:?}");
        scene.fault(USER, &fault);
        assert_eq!(scene.first(OTHER), A, "{fault:?}");
        scene.fault(OTHER, &fault);
        assert_eq!(scene.first(THIRD), B, "{fault:?}");
    }
}

#[test]
fn what_no_request_can_cause_moves_all_at_once() {
    let connect = |why| Fault::NotSent(Unsent::Connect(why));
    for fault in [
        connect(ConnectError::Refused),
        connect(ConnectError::Tls(TlsFault::NotTls)),
        Fault::NotSent(Unsent::ConnectTimeout),
        Fault::Lifeless,
        Fault::wants(Credential::Token),
        Fault::NotKerberos(NotReply::WebPage),
    ] {
        let mut scene = Scene::new();
        scene.fault(USER, &fault);
        assert_eq!(scene.first(OTHER), B, "{fault:?}");
    }
}

#[test]
fn those_that_cannot_be_told_apart_are_one() {
    for (met, asks) in [
        (Holder::Unknown, USER),
        (USER, Holder::Unknown),
        (Holder::Unknown, Holder::Unknown),
    ] {
        let mut scene = Scene::new();
        scene.fault(met, &Fault::Silent);
        assert_eq!((scene.first(asks), scene.is_patient(asks)), (B, false));
    }
}

#[test]
fn silence_that_one_has_met_cuts_nobody_elses_login() {
    let mut scene = Scene::new();
    scene.fault(USER, &Fault::Silent);
    assert!(!scene.is_patient(USER) && scene.is_patient(OTHER));
    scene.fault(OTHER, &Fault::Silent);
    assert!(!scene.is_patient(THIRD));
}

/// A password must not go to the one that failed at the request before it.
#[test]
fn who_was_served_elsewhere_stays_there_and_nobody_with_him() {
    let mut scene = Scene::new();
    scene.reply(OTHER, A);
    scene.fault(USER, &Fault::Silent);
    scene.reply(USER, B);
    scene.now += 100 * SECOND;
    assert_eq!((scene.first(USER), scene.first(OTHER)), (B, A));
    scene.reply(OTHER, A);
    assert_eq!((scene.first(USER), scene.first(OTHER)), (B, A));
    for holder in [USER, OTHER] {
        scene.fault(holder, &Fault::status(504));
    }
    scene.reply(OTHER, B);
    scene.now += 100 * SECOND;
    assert_eq!(scene.first(THIRD), B);
}
