use super::*;
use crate::relay::upstream::dns::UpstreamTarget;
use crate::relay::upstream::kdc::Transport;

const HOUR: Duration = Duration::from_secs(3600);

/// From when on the next look-up is due, in seconds from `now`.
fn next(due: &LookupState, now: Instant) -> u64 {
    let at = |seconds: &u64| due.is_due(now + Duration::from_secs(*seconds));
    (0..10_000).find(at).unwrap()
}

/// What is good for an hour.
fn results(found: bool) -> DnsResults {
    let name = "dc1.example.com:88".to_owned();
    let transport = Transport::TcpFirst;
    let target = found.then_some(UpstreamTarget::Kdc { name, transport });
    DnsResults {
        kdc: target.into_iter().collect(),
        kpasswd: Vec::new(),
        primary: Vec::new(),
        refused: Vec::new(),
        good_for: HOUR,
    }
}

fn known(found: bool) -> Option<DnsResults> {
    found.then(|| results(found))
}

/// A look-up has ended, and the routes have what came of it.
fn looked_up(due: &mut LookupState, answer: Result<DnsResults, LookUpError>, now: Instant) {
    let network = due.network;
    assert!(due.learn(network, answer, now).is_some());
    due.enter_routes(network);
}

#[test]
fn requests_wait_until_the_routes_have_what_was_found() {
    let now = Instant::now();
    for kind in [UpstreamKind::Kdc, UpstreamKind::Proxy] {
        let mut due = LookupState::new(kind, known(false));
        let before = due.network;
        due.learn(before, Ok(results(true)), now);
        assert!(!due.is_enough, "{kind:?}");
        due.enter_routes(before);
        assert!(due.is_enough, "{kind:?}");
    }
}

#[test]
fn what_was_found_is_looked_up_again_when_it_has_run_out() {
    let now = Instant::now();
    for kind in [UpstreamKind::Kdc, UpstreamKind::Proxy] {
        let mut due = LookupState::new(kind, known(false));
        assert_eq!(next(&due, now), 0);
        assert!(!due.is_enough && !due.has_found());
        looked_up(&mut due, Ok(results(true)), now);
        assert_eq!(next(&due, now), 3600);
        assert!(due.is_enough && due.has_found());
        // Nobody waits for the next one, and its failure takes nothing away.
        let failed = due.learn(due.network, Err(LookUpError::TimedOut), now);
        let news = |had_failed| {
            Some(Learned {
                is_news: false,
                had_failed,
            })
        };
        assert_eq!(failed, news(false));
        assert!(due.failed.is_some());
        assert_eq!(next(&due, now), 30);
        assert!(due.is_enough && due.has_found(), "{kind:?}");
    }
}

#[test]
fn that_there_is_nothing_is_not_believed_for_long() {
    let now = Instant::now();
    let mut kdcs = LookupState::new(UpstreamKind::Kdc, known(false));
    looked_up(&mut kdcs, Ok(results(false)), now);
    assert_eq!(next(&kdcs, now), 300);
    assert!(kdcs.is_enough, "there is no KDC here");
    let mut proxies = LookupState::new(UpstreamKind::Proxy, known(false));
    looked_up(&mut proxies, Ok(results(false)), now);
    assert_eq!(next(&proxies, now), 30);
    assert!(!proxies.is_enough, "no request has a way");
}

#[test]
fn what_holds_everywhere_outlasts_a_network_that_does_not_know_it() {
    let now = Instant::now();
    let mut due = LookupState::new(UpstreamKind::Proxy, known(true));
    assert!(due.is_enough);
    due.expire();
    assert_eq!(next(&due, now), 0);
    assert!(due.is_enough && due.has_found());
    looked_up(&mut due, Ok(results(false)), now);
    assert_eq!(next(&due, now), 3600);
    assert!(due.is_enough && due.has_found());
}

#[test]
fn each_network_has_its_own_answer_and_is_waited_for_once() {
    let now = Instant::now();
    let mut due = LookupState::new(UpstreamKind::Kdc, known(true));
    assert!(!due.is_enough, "found elsewhere, perhaps");
    due.wait_is_over();
    assert!(due.is_enough);
    due.expire();
    assert_eq!(next(&due, now), 0);
    assert!(!due.is_enough);
    looked_up(&mut due, Err(LookUpError::TimedOut), now);
    assert!(due.is_enough);
    due.expire();
    looked_up(&mut due, Ok(results(false)), now);
    assert!(due.is_enough && !due.has_found());
    let mut proxies = LookupState::new(UpstreamKind::Proxy, known(false));
    proxies.wait_is_over();
    looked_up(&mut proxies, Err(LookUpError::TimedOut), now);
    assert!(!proxies.is_enough, "there is no other way");
}

#[test]
fn an_answer_to_a_question_on_another_network_does_not_count() {
    let now = Instant::now();
    let mut due = LookupState::new(UpstreamKind::Kdc, known(false));
    let before = due.network;
    due.expire();
    assert_eq!(due.learn(before, Ok(results(true)), now), None);
    assert_eq!(due.learn(before, Err(LookUpError::TimedOut), now), None);
    due.enter_routes(before);
    assert_eq!(next(&due, now), 0);
    assert!(!due.is_enough && !due.has_found());
}
