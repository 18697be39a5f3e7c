//! The resend rule, with two upstreams: which request reaches the second one after which fault of the first.

use futures_util::future::join_all;

use crate::certificates::Leaf;
use crate::clients::Heard;
use crate::daemon::Daemon;
use crate::messages::{Kind, REALM, krb_error, said};
use crate::relay::{Reached, Running, Setup, Transport};
use crate::upstream::{Act, Door, Gate, Http, Page, Plan, Upstream};

/// A fault of the first upstream, and who reaches the second one.
struct Row {
    fault: &'static str,
    first: fn() -> Plan,
    /// Of [`Kind::ALL`]: AS-REQ without and with preauthentication, TGS-REQ, change of a password.
    reaches_second: [bool; 4],
}

const ANY: [bool; 4] = [true; 4];
/// Only what may be sent twice.
const HARMLESS: [bool; 4] = [true, false, true, false];

fn door(door: Door) -> Plan {
    Plan::granting().behind(move |_| door.clone())
}

fn status(status: u16) -> Plan {
    Plan::always(Act::status(status))
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { fault: REFUSED, first: Plan::granting, reaches_second: ANY },
    Row { fault: "reset at once", first: || door(Door::ResetAtOnce), reaches_second: ANY },
    Row { fault: "reset in the handshake", first: || door(Door::ResetInHandshake), reaches_second: ANY },
    Row { fault: "silent before TLS", first: || door(Door::Silent), reaches_second: ANY },
    Row { fault: "wrong name", first: || Plan::granting().showing(Leaf::WrongName), reaches_second: ANY },
    Row { fault: "400", first: || status(400), reaches_second: ANY },
    Row { fault: "403", first: || status(403), reaches_second: ANY },
    Row { fault: "404", first: || status(404), reaches_second: ANY },
    Row { fault: "413", first: || status(413), reaches_second: ANY },
    Row { fault: "500", first: || status(500), reaches_second: HARMLESS },
    Row { fault: "502", first: || status(502), reaches_second: HARMLESS },
    Row { fault: "503", first: || status(503), reaches_second: HARMLESS },
    Row { fault: "511", first: || status(511), reaches_second: HARMLESS },
    Row { fault: "HTML", first: || status(200), reaches_second: HARMLESS },
    Row { fault: "302", first: || status(302), reaches_second: HARMLESS },
    Row { fault: "reset after the request", first: || Plan::always(Act::Reset), reaches_second: HARMLESS },
    Row { fault: "closed after the request", first: || Plan::always(Act::Close), reaches_second: HARMLESS },
    Row { fault: "silent", first: || Plan::always(Act::Silence), reaches_second: HARMLESS },
];
const REFUSED: &str = "refused";

/// One request that meets one fault, in a realm of its own.
struct Cell {
    name: String,
    realm: String,
    kind: Kind,
    reaches: bool,
    reply: Vec<u8>,
    first: Upstream,
    second: Upstream,
}

impl Cell {
    fn new(row: &Row, http: Http, kind: Kind, reaches: bool) -> Self {
        let (plan, reply) = ((row.first)().speaking(http), kind.reply());
        let name = format!("{} ({http:?}): {kind:?}", row.fault);
        Self {
            realm: name
                .to_uppercase()
                .replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
            name,
            kind,
            reaches,
            second: Plan::always(Act::Reply(reply.clone())).start(),
            reply,
            first: if row.fault == REFUSED {
                plan.start_down()
            } else {
                plan.start()
            },
        }
    }

    fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for (row, http) in TABLE
            .iter()
            .flat_map(|row| Http::BOTH.map(|http| (row, http)))
        {
            for (kind, reaches) in Kind::ALL.into_iter().zip(row.reaches_second) {
                cells.push(Self::new(row, http, kind, reaches));
            }
        }
        cells
    }

    fn join(&self, setup: Setup) -> Setup {
        // Where nobody comes to help, silence lasts until the deadline.
        let deadline = if self.reaches { 12 } else { 1 };
        let upstreams = [&self.first, &self.second];
        setup.realm(
            &self.realm,
            &upstreams,
            &format!("deadline-seconds = {deadline}"),
        )
    }

    async fn check(&self, relay: &Running) {
        let (name, request) = (&self.name, self.kind.request(&self.realm));
        let answer = relay.ask(Transport::Tcp, &request).await;
        let is_reply = answer == Heard::Message(self.reply.clone());
        assert_eq!(is_reply, self.reaches, "{name} heard {answer:?}");
        assert_eq!(
            self.second.posts(),
            usize::from(self.reaches),
            "{name} at the second"
        );
        assert!(self.first.posts() <= 1, "{name} twice at the first");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_upstream_is_reached_by_what_may_reach_it() {
    let cells = Cell::all();
    let setup = cells
        .iter()
        .fold(Setup::new(), |setup, cell| cell.join(setup));
    let relay = setup.start();
    join_all(cells.iter().map(|cell| cell.check(&relay))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn krb_error_29_goes_to_the_next_whatever_the_request_is() {
    for kind in [Kind::Plain, Kind::Preauth, Kind::Tgs] {
        let first = Plan::always(Act::Reply(krb_error(29, None))).start();
        let second = Plan::granting().start();
        let relay = Setup::by(&[&first, &second]).start();
        let answer = relay
            .ask(Transport::Udp, &kind.request(REALM))
            .await
            .message();
        assert_eq!(answer[0], kind.reply()[0], "{kind:?}");
        assert_eq!((first.posts(), second.posts()), (1, 1), "{kind:?}");
    }
}

/// 34 says that the KDC has seen the request before: from the second one asked, that is about the first one's copy.
#[tokio::test(flavor = "multi_thread")]
async fn krb_error_34_to_the_second_copy_is_no_answer() {
    let gate = Gate::shut();
    let first = {
        let gate = gate.clone();
        Plan::new(move |post| post.granted().after(&gate)).start()
    };
    let second = {
        // The first copy's answer comes after the 34.
        let gate = gate.clone();
        Plan::new(move |_| {
            gate.open();
            Act::Reply(krb_error(34, None))
        })
        .start()
    };
    let relay = Setup::by(&[&first, &second]).start();
    let answer = relay
        .ask(Transport::Udp, &Kind::Tgs.request(REALM))
        .await
        .message();
    assert_eq!(answer[0], 0x6d, "the first copy's TGS-REP");
    assert_eq!((first.posts(), second.posts()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn krb_error_34_is_a_verdict_when_no_other_copy_is_left() {
    let first = Plan::always(Act::Reset).start();
    let second = Plan::always(Act::Reply(krb_error(34, None))).start();
    let third = Plan::granting().start();
    let relay = Setup::by(&[&first, &second, &third]).start();
    let answer = relay.ask(Transport::Tcp, &Kind::Plain.request(REALM)).await;
    assert_eq!(answer, Heard::Reset);
    assert_eq!((first.posts(), second.posts(), third.posts()), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn krb_error_34_is_relayed_when_the_first_copy_reached_no_kdc() {
    let first = Plan::always(Act::status(403)).start();
    let second = Plan::always(Act::Reply(krb_error(34, None))).start();
    let relay = Setup::by(&[&first, &second]).start();
    let answer = relay
        .ask(Transport::Tcp, &Kind::Preauth.request(REALM))
        .await;
    assert_eq!(said(&answer.message()).code, 34);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_requests_stay_with_the_upstream_that_works() {
    let mut first = Plan::granting().start_down();
    let second = Plan::granting().start();
    let relay = Setup::by(&[&first, &second]).start();
    for kind in Kind::ALL {
        relay
            .ask(Transport::Tcp, &kind.request(REALM))
            .await
            .message();
    }
    first.open();
    for kind in Kind::ALL {
        relay
            .ask(Transport::Udp, &kind.request(REALM))
            .await
            .message();
    }
    assert_eq!((first.posts(), second.posts()), (0, 8));
}

/// What several rounds have to say to each other may live at the KDC that answered last, also where the other is well.
#[tokio::test(flavor = "multi_thread")]
async fn all_requests_stay_with_the_upstream_that_answered_last() {
    let first = Plan::new(|post| match post.number {
        1 => Act::status(400),
        _ => post.granted(),
    })
    .start();
    let second = Plan::granting().start();
    let relay = Setup::by(&[&first, &second]).start();
    for kind in Kind::ALL {
        relay
            .ask(Transport::Tcp, &kind.request(REALM))
            .await
            .message();
    }
    assert_eq!((first.posts(), second.posts()), (1, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_is_asked_again_when_the_second_fails() {
    let mut first = Plan::granting().start_down();
    let second = Plan::new(|post| match post.number {
        1 => post.granted(),
        _ => Act::status(503),
    })
    .start();
    let relay = Setup::by(&[&first, &second]).start();
    relay
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await
        .message();
    first.open();
    relay
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await
        .message();
    assert_eq!((first.posts(), second.posts()), (1, 2));
}

/// The second upstream refuses the request for its form, which says nothing of the upstream: it is the one that is well
/// when the next request comes, and the first is not.
#[tokio::test(flavor = "multi_thread")]
async fn http_400_and_413_mark_no_upstream_as_ill() {
    for (status, well) in [(400, true), (413, true), (403, false), (404, false)] {
        let first = Plan::always(Act::status(503)).start();
        let second = Plan::always(Act::status(status)).start();
        let relay = Setup::by(&[&first, &second]).start();
        for kind in [Kind::Plain, Kind::Preauth] {
            relay.ask(Transport::Tcp, &kind.request(REALM)).await;
        }
        // The password goes to the best one, and no further than the 503 or the end of the list.
        let best_is_second = second.posts() == 2;
        assert_eq!(best_is_second, well, "HTTP {status}");
    }
}

/// A realm that the first upstream refuses goes to the second; another realm's requests still go to the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_concerns_its_realm_alone() {
    let first = Plan::new(|post| match post.target_domain().as_deref() {
        Some(REALM) => Act::status(403),
        _ => post.granted(),
    })
    .start();
    let second = Plan::granting().start();
    let both = [&first, &second];
    let relay = Setup::by(&both).realm("OTHER.EXAMPLE", &both, "").start();
    for realm in [REALM, "OTHER.EXAMPLE", REALM, "OTHER.EXAMPLE"] {
        relay
            .ask(Transport::Udp, &Kind::Preauth.request(realm))
            .await;
    }
    assert_eq!((first.posts(), second.posts()), (3, 2));
}

/// A load balancer says 502 for a gateway that went away with the request, and has another one for the next.
#[tokio::test(flavor = "multi_thread")]
async fn http_502_from_the_only_upstream_is_asked_once_more() {
    for (kind, posts) in Kind::ALL
        .into_iter()
        .zip(HARMLESS.map(|harmless| 1 + usize::from(harmless)))
    {
        let gone = Plan::always(Act::status(502)).start();
        let relay = Setup::by(&[&gone]).start();
        relay.ask(Transport::Tcp, &kind.request(REALM)).await;
        assert_eq!(gone.posts(), posts, "{kind:?}");

        let back = Plan::new(|post| match post.number {
            1 => Act::status(502),
            _ => post.granted(),
        })
        .start();
        let relay = Setup::by(&[&back]).start();
        let answer = relay.ask(Transport::Tcp, &kind.request(REALM)).await;
        assert_eq!(back.posts(), posts, "{kind:?}");
        if posts == 2 {
            assert_eq!(answer.message()[0], kind.reply()[0], "{kind:?}");
        }
    }
}

/// 503 is waited for where that is harmless: it may be said of what has been passed on.
#[tokio::test(flavor = "multi_thread")]
async fn http_503_is_waited_for_if_it_says_how_long() {
    let busy = Page::html(503).with("retry-after", "1");
    for (kind, is_granted) in [
        (Kind::Plain, true),
        (Kind::Tgs, true),
        (Kind::Preauth, false),
    ] {
        let busy = busy.clone();
        let plan = Plan::new(move |post| match post.number {
            1 => Act::Respond(busy.clone()),
            _ => post.granted(),
        });
        let upstream = plan.start();
        let relay = Setup::by(&[&upstream]).start();
        let answer = relay.ask(Transport::Tcp, &kind.request(REALM)).await;
        assert_eq!(answer != Heard::Reset, is_granted, "{kind:?}");
        assert_eq!(upstream.posts() > 1, is_granted, "{kind:?}");
    }
}

/// A gateway that has had too much says when there is room again; where another proxy is there, that one is asked.
#[tokio::test(flavor = "multi_thread")]
async fn http_429_is_waited_for_where_nobody_else_can_be_asked() {
    let busy = |seconds: &'static str| {
        let wait = Page::html(429).with("retry-after", seconds);
        Plan::new(move |post| match post.number {
            1 => Act::Respond(wait.clone()),
            _ => post.granted(),
        })
    };
    for kind in Kind::ALL {
        let only = busy("1").start();
        let relay = Setup::by(&[&only]).start();
        let answer = relay.ask(Transport::Tcp, &kind.request(REALM)).await;
        assert_eq!(answer.message()[0], kind.reply()[0], "{kind:?}");
        // What is harmless may have gone another way as well.
        assert!(only.posts() >= 2, "{kind:?}");
        let (first, second) = (busy("1").start(), Plan::granting().start());
        let relay = Setup::by(&[&first, &second]).start();
        relay
            .ask(Transport::Tcp, &kind.request(REALM))
            .await
            .message();
        assert_eq!((first.posts(), second.posts()), (1, 1), "{kind:?}");
    }
    // How long is not always said, and once may not be enough.
    let untold = Plan::new(|post| match post.number {
        1 => Act::Respond(Page::html(429).with("retry-after", "0")),
        2 | 3 => Act::status(429),
        _ => post.granted(),
    });
    let untold = untold.start();
    let relay = Setup::by(&[&untold]).start();
    let login = Kind::Preauth.request(REALM);
    let answer = relay.ask(Transport::Tcp, &login).await;
    assert_eq!(answer.message()[0], Kind::Preauth.reply()[0]);
    assert_eq!(untold.posts(), 4);
    // No client waits for a minute.
    let locked = busy("60").start();
    let relay = Setup::by(&[&locked]).start();
    relay
        .ask(Transport::Tcp, &Kind::Preauth.request(REALM))
        .await;
    assert_eq!(locked.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realm_that_loses_its_last_proxy_is_told_once_and_so_is_its_return() {
    let [mut first, second] = [(); 2].map(|()| Plan::granting().start_down());
    let relay = Daemon::start(Setup::by(&[&first, &second]));
    let request = Kind::Plain.request(REALM);
    for _ in 0..3 {
        relay.ask(Transport::Tcp, &request).await;
    }
    first.open();
    for kind in Kind::ALL {
        let answer = relay.ask(Transport::Tcp, &kind.request(REALM)).await;
        drop(answer);
    }
    let (_, log) = relay.terminate();
    for line in [
        "WARN no KDC of the realm can be reached any more realm=EXAMPLE.COM",
        "INFO a KDC of the realm can be reached again realm=EXAMPLE.COM",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}: {log}");
    }
}
