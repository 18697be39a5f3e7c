//! "Why did this request go to the second proxy?" is answered by the log and by the status.

use h2::Reason;
use serde_json::Value;

use crate::daemon::Daemon;
use crate::messages::{Kind, REALM, USER};
use crate::relay::{Reached, Setup, Transport};
use crate::status::document;
use crate::upstream::{Act, Http, Plan, Upstream};

/// A relay by a proxy that is busy and one that serves, and what it says of one request of each of `kinds`.
async fn said(first: Plan, second: Plan, kinds: &[Kind]) -> (String, Value, [Upstream; 2]) {
    let upstreams = [first.start(), second.start()];
    let [first, second] = &upstreams;
    let daemon = Daemon::start(Setup::by(&[first, second]).deadline(3));
    for kind in kinds {
        daemon.ask(Transport::Tcp, &kind.request(REALM)).await;
    }
    let document = document(&daemon);
    let (_, log) = daemon.terminate();
    assert!(!log.contains(USER), "{log}");
    (log, document, upstreams)
}

/// Its name in the log and the status.
fn origin(upstream: &Upstream) -> String {
    format!("https://{}", upstream.address())
}

/// How often the log has a line with all of these words.
fn count(log: &str, words: &[&str]) -> usize {
    let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
    log.lines().filter(has_all).count()
}

/// Name, reason and fault of each attempt at the youngest request.
fn attempts(document: &Value) -> Vec<[&str; 3]> {
    let attempts = document["exchanges"][0]["attempts"].as_array().unwrap();
    let keys = ["upstream", "why", "fault"];
    let attempts = attempts.iter();
    attempts
        .map(|attempt| keys.map(|key| attempt[key].as_str().unwrap_or("null")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_told_with_the_fault_before_it_and_then_with_why_the_first_is_passed_over() {
    let kinds = [Kind::Plain, Kind::Plain];
    let (log, document, upstreams) =
        said(Plan::always(Act::status(503)), Plan::granting(), &kinds).await;
    let [first, second] = upstreams.each_ref().map(origin);
    let attempt = |name: &str, words: &[&str]| {
        let name = format!("upstream=\"{name}\"");
        count(&log, &[&["DEBUG attempt", &name], words].concat())
    };
    assert_eq!(
        attempt(&first, &["why=first", "HTTP 503", " ms="]),
        1,
        "{log}"
    );
    let replied = "outcome=\"replied\"";
    assert_eq!(attempt(&second, &["why=failover", replied]), 1, "{log}");
    // The second request has no reason to go to the first.
    assert_eq!(attempt(&second, &["why=first", replied]), 1, "{log}");
    let passed_over = format!("DEBUG proxy passed over upstream=\"{first}\"");
    let why_not = "why_not=\"refuses this realm\" retry_ms=";
    assert_eq!(count(&log, &[&passed_over, why_not]), 1, "{log}");

    let exchanges = &document["exchanges"];
    assert_eq!(exchanges[0]["attempts"], Value::Array(Vec::new()));
    let fault = "a web page came instead of an answer (HTTP 503), perhaps a captive portal's";
    let mut before = document.clone();
    before["exchanges"][0] = exchanges[1].clone();
    assert_eq!(
        attempts(&before),
        [[&*first, "first", fault], [&*second, "failover", "null"]]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hedge_is_told_beside_what_is_late() {
    let (log, document, upstreams) =
        said(Plan::always(Act::Silence), Plan::granting(), &[Kind::Plain]).await;
    let [first, second] = upstreams.each_ref().map(origin);
    assert_eq!(
        attempts(&document),
        [[&*first, "first", "null"], [&*second, "hedge", "null"]]
    );
    assert_eq!(
        count(&log, &["why=hedge", "outcome=\"replied\""]),
        1,
        "{log}"
    );
    assert_eq!(
        count(&log, &["why=first", "outcome=\"superseded\""]),
        1,
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_sent_twice_is_said_not_to_go_on() {
    let (log, document, upstreams) =
        said(Plan::always(Act::Close), Plan::granting(), &[Kind::Preauth]).await;
    let second = origin(&upstreams[1]);
    let passed_over = format!("DEBUG proxy passed over upstream=\"{second}\"");
    let why_not = "why_not=\"what may have been sent must not be sent twice\"";
    assert_eq!(count(&log, &[&passed_over, why_not]), 1, "{log}");
    assert_eq!(attempts(&document), Vec::<[&str; 3]>::new());
}

/// Nobody looked at the first of the two.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_back_unprocessed_and_goes_again_is_one_attempt() {
    let plan = Plan::new(|post| match post.number {
        1 => Act::GoAwayBefore(Reason::NO_ERROR),
        _ => post.granted(),
    });
    let kinds = [Kind::Preauth];
    let (log, _, [first, second]) = said(plan.speaking(Http::Two), Plan::granting(), &kinds).await;
    assert_eq!((first.posts(), second.posts()), (2, 0));
    let attempt = format!("upstream=\"{}\"", origin(&first));
    assert_eq!(
        count(&log, &["DEBUG attempt", &attempt, "why=first"]),
        1,
        "{log}"
    );
    assert_eq!(count(&log, &["DEBUG attempt"]), 1, "{log}");
}
