//! Each fault of a lone upstream, seen by every kind of client: over UDP and over TCP, told in words and told as
//! silence is told, over HTTP/1.1 and HTTP/2.

use futures_util::future::{BoxFuture, FutureExt, join_all};
use loopkdc::wire::MAX_REPLY;

use crate::certificates::Leaf;
use crate::clients::Heard;
use crate::messages::{
    Kind, REALM, as_rep, changed, envelope, framed, kpasswd_error, krb_error, krb_error_of, said,
    set_version, tgs_rep, told,
};
use crate::relay::{Reached, Running, Setup, Transport};
use crate::upstream::{Act, Door, Http, Page, Plan, Upstream};

/// A realm that wants its failures told in words.
const EXPLAINED: &str = "EXPLAINED.EXAMPLE";

const UNREACHABLE: &str = "can be reached";
const UNTRUSTED: &str = "certificate not trusted, perhaps a captive portal's: ";
const PORTAL: &str = "what answered is no KDC proxy";
const UNANSWERED: &str = "did not answer in time";
const CLOSED: &str = "closed the connection without an answer";

/// What a KDC may have seen of a request that met the fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Left {
    /// Surely nothing.
    Nothing,
    /// Nobody knows.
    Perhaps,
    /// The client can't tell, and it depends on chance what it may say.
    ByChance,
}
use Left::{ByChance, Nothing, Perhaps};

/// Shows that the fault is told as it should be: `code` and `words` in a KRB-ERROR where words are wanted.
async fn shown(plan: impl Fn() -> Plan, code: i64, words: &str, left: Left) {
    let upstreams = Http::BOTH.map(|http| plan().speaking(http).start());
    let shown = upstreams.map(|upstream| Shown::start(upstream, code, words, left).run());
    join_all(shown).await;
}

struct Shown<'a> {
    upstream: Upstream,
    relay: Running,
    code: i64,
    words: &'a str,
    left: Left,
}

impl<'a> Shown<'a> {
    fn start(upstream: Upstream, code: i64, words: &'a str, left: Left) -> Self {
        let relay = Setup::by(&[&upstream])
            .realm(EXPLAINED, &[&upstream], "on-failure = \"explain\"")
            .deadline(1)
            .start();
        Self {
            upstream,
            relay,
            code,
            words,
            left,
        }
    }

    /// One after the other, since the end of a connection is the end of all requests on it.
    async fn run(self) {
        for check in self.checks() {
            check.await;
        }
    }

    /// All at once: for faults that take the whole deadline.
    async fn run_at_once(self) {
        join_all(self.checks()).await;
    }

    fn checks(&self) -> Vec<BoxFuture<'_, ()>> {
        vec![
            self.looks_unreachable_over_udp_and_then_tcp().boxed(),
            self.looks_unreachable_over_tcp().boxed(),
            self.is_explained(Transport::Udp).boxed(),
            self.is_explained(Transport::Tcp).boxed(),
            self.is_told_to_kpasswd(Transport::Udp, 1).boxed(),
            self.is_told_to_kpasswd(Transport::Tcp, 0xff80).boxed(),
        ]
    }

    async fn looks_unreachable_over_udp_and_then_tcp(&self) {
        let request = Kind::Plain.request(REALM);
        let answer = self.relay.ask(Transport::Udp, &request).await.message();
        assert_eq!(said(&answer).code, 52);
        assert_eq!(self.relay.ask(Transport::Tcp, &request).await, Heard::Reset);
        let seen = self.upstream.seen().posts;
        let copies = seen.iter().filter(|post| post.message() == request.bytes);
        assert!(copies.count() <= 1, "the same octets made a second POST");
    }

    async fn looks_unreachable_over_tcp(&self) {
        let request = Kind::Preauth.request(REALM);
        assert_eq!(self.relay.ask(Transport::Tcp, &request).await, Heard::Reset);
    }

    async fn is_explained(&self, transport: Transport) {
        // MIT's library shows the text of 60 alone, and of that in the answer to a TGS-REQ.
        for (kind, code) in [(Kind::Plain, self.code), (Kind::Tgs, 60)] {
            let answer = self.relay.ask(transport, &kind.request(EXPLAINED)).await;
            let said = said(&answer.message());
            assert_eq!(said.code, code, "{said:?}");
            assert!(said.words.contains(self.words), "{said:?}");
        }
    }

    async fn is_told_to_kpasswd(&self, transport: Transport, version: u16) {
        let request = set_version(&Kind::Change.request(REALM), version);
        let told = told(&self.relay.ask(transport, &request).await.message());
        assert_eq!(
            (told.version, told.result, told.code),
            (1, 2, self.code),
            "{told:?}"
        );
        assert!(told.words.contains(self.words), "{told:?}");
        let unchanged = told.words.contains("Your password was not changed");
        let unknown = told
            .words
            .contains("It is not known whether your password was changed");
        assert!(unchanged != unknown, "{told:?}");
        assert!(
            self.left == ByChance || unchanged == (self.left == Nothing),
            "{told:?}"
        );
    }
}

/// What a script makes of each request, whatever it is.
fn page(page: Page) -> impl Fn() -> Plan {
    move || Plan::always(Act::Respond(page.clone()))
}

fn status(status: u16) -> impl Fn() -> Plan {
    page(Page::html(status))
}

fn door(door: Door) -> impl Fn() -> Plan {
    move || {
        let door = door.clone();
        Plan::granting().behind(move |_| door.clone())
    }
}

fn leaf(leaf: Leaf) -> impl Fn() -> Plan {
    move || Plan::granting().showing(leaf)
}

/// A body under Kerberos's name.
fn body(body: Vec<u8>) -> impl Fn() -> Plan {
    page(Page::kerberos(body))
}

macro_rules! faults {
    ($($name:ident: $plan:expr => $code:literal $words:expr, $left:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                shown($plan, $code, &$words, $left).await;
            }
        )*
    };
}

faults! {
    reset_at_once: door(Door::ResetAtOnce) => 86 UNREACHABLE, Nothing;
    reset_in_the_handshake: door(Door::ResetInHandshake) => 86 UNREACHABLE, Nothing;
    a_wrong_name: leaf(Leaf::WrongName) => 86 UNTRUSTED, Nothing;
    an_expired_certificate: leaf(Leaf::Expired) => 86 UNTRUSTED, Nothing;
    an_untrusted_certificate: leaf(Leaf::Untrusted) => 86 UNTRUSTED, Nothing;
    // Whether the request was written before the reset arrived is chance.
    reset_before_the_request: door(Door::ResetAfterHandshake) => 86 "", ByChance;
    reset_after_the_request: || Plan::always(Act::Reset) => 86 CLOSED, Perhaps;
    closed_after_the_request: || Plan::always(Act::Close) => 86 CLOSED, Perhaps;
    http_400: status(400) => 86 "HTTP 400", Nothing;
    http_401: status(401) => 86 "HTTP 401", Nothing;
    http_403: status(403) => 12 "HTTP 403", Nothing;
    http_404: status(404) => 86 "HTTP 404", Nothing;
    http_413: status(413) => 86 "HTTP 413", Nothing;
    http_500: status(500) => 86 "HTTP 500", Perhaps;
    http_503: status(503) => 86 "HTTP 503", Perhaps;
    http_511: status(511) => 86 PORTAL, Perhaps;
    html: status(200) => 86 PORTAL, Perhaps;
    html_under_kerberos_name: body(Page::html(200).body) => 86 PORTAL, Perhaps;
    nothing_inside: body(Vec::new()) => 86 PORTAL, Perhaps;
    http_204: page(Page { status: 204, headers: Vec::new(), body: Vec::new() }) => 86 PORTAL, Perhaps;
    a_bare_message: body(framed(&as_rep())) => 86 PORTAL, Perhaps;
    a_wrong_length: body(envelope(&[&[0, 0, 0, 9][..], &as_rep()].concat(), None)) => 86 PORTAL, Perhaps;
    two_messages: body(envelope(&framed(&[as_rep(), as_rep()].concat()), None)) => 86 PORTAL, Perhaps;
    octets_after_the_envelope: body([envelope(&framed(&as_rep()), None), vec![0]].concat()) => 86 PORTAL, Perhaps;
    a_cut_envelope: body(envelope(&framed(&as_rep()), None)[..40].to_vec()) => 86 PORTAL, Perhaps;
    an_oversize_body: body(vec![0x30; MAX_REPLY + 4096]) => 86 PORTAL, Perhaps;
    an_endless_body: || Plan::always(Act::Endless) => 86 PORTAL, Perhaps;
    an_oversize_declared: page(Page::kerberos(vec![0x30]).with("content-length", "9999999")) => 86 PORTAL, Perhaps;
    a_reply_that_says_it_is_too_long: || Plan::always(Act::Reply(krb_error(52, None))) => 86 "what answered is no KDC", Perhaps;
    another_realm_s_krb_error: || Plan::always(Act::Reply(krb_error_of("OTHER.EXAMPLE", 25))) => 86 "what answered is no KDC", Perhaps;
    the_reply_to_another_kind_of_request: || Plan::new(|post| Act::Reply(match post.message()[0] {
        0x6c => as_rep(),
        _ => tgs_rep(),
    })) => 86 "what answered is no KDC", Perhaps;
    the_other_service_s_reply: || Plan::new(|post| Act::Reply(match post.message()[0] {
        0x6a | 0x6c => changed(),
        _ => as_rep(),
    })) => 86 PORTAL, Perhaps;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_refused() {
    let upstream = Plan::granting().start_down();
    Shown::start(upstream, 86, UNREACHABLE, Nothing).run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence() {
    let shown = Http::BOTH.map(|http| {
        let upstream = Plan::always(Act::Silence).speaking(http).start();
        Shown::start(upstream, 86, UNANSWERED, Perhaps).run_at_once()
    });
    join_all(shown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_before_tls() {
    let upstream = Plan::granting().behind(|_| Door::Silent).start();
    Shown::start(upstream, 86, UNREACHABLE, Nothing)
        .run_at_once()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_halfway() {
    let page = Page::kerberos(vec![0x30; 10]).with("content-length", "20");
    let shown = Http::BOTH.map(|http| {
        // HTTP/2 ends the body where it is, which is an error by itself.
        let words = if http == Http::One { UNANSWERED } else { "" };
        let upstream = Plan::always(Act::Respond(page.clone()))
            .speaking(http)
            .start();
        Shown::start(upstream, 86, words, Perhaps).run_at_once()
    });
    join_all(shown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let elsewhere = Plan::granting().start();
    let page = Page::html(302).with("location", elsewhere.url());
    shown(
        || Plan::always(Act::Respond(page.clone())),
        86,
        PORTAL,
        Perhaps,
    )
    .await;
    let page = Page::html(307).with("location", elsewhere.url());
    shown(
        || Plan::always(Act::Respond(page.clone())),
        86,
        PORTAL,
        Perhaps,
    )
    .await;
    assert_eq!(elsewhere.seen().connections, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_nothing_authenticates_is_refused() {
    for forged in [kpasswd_error(0, "done"), krb_error(60, Some(&[0, 0]))] {
        let upstream = Plan::always(Act::Reply(forged)).start();
        let relay = Setup::by(&[&upstream]).start();
        for transport in Transport::BOTH {
            let answer = relay.ask(transport, &Kind::Change.request(REALM)).await;
            let told = told(&answer.message());
            assert_eq!(told.result, 2, "{told:?}");
            assert!(told.words.contains("It is not known"), "{told:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn krb_error_29_alone_is_a_verdict() {
    let plan = || {
        Plan::new(|post| match post.message()[0] {
            0x6a | 0x6c => Act::Reply(krb_error(29, None)),
            _ => Act::status(404),
        })
    };
    for http in Http::BOTH {
        let shown = Shown::start(plan().speaking(http).start(), 86, "", Nothing);
        shown.run().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_may_have_been_a_kdc_s_all_the_same() {
    let plan = Plan::always(Act::Octets(b"SSH-2.0-elsewhere\r\n".to_vec()));
    let upstream = plan.speaking(Http::One).start();
    Shown::start(upstream, 86, CLOSED, Perhaps).run().await;
}
