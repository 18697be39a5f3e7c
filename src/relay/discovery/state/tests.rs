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
    leading_to(found.then_some("dc1.example.com:88"))
}

/// The same to this place.
fn leading_to(name: Option<&str>) -> DnsResults {
    let transport = Transport::TcpFirst;
    let target = name.map(|name| UpstreamTarget::Kdc {
        name: name.to_owned(),
        transport,
    });
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
    for answer in [Ok(results(false)), Err(LookUpError::TimedOut)] {
        assert_eq!(next(&due, now), 0);
        assert!(!due.is_enough, "this network is asked first");
        looked_up(&mut due, answer, now);
        assert!(due.is_enough && due.has_found());
        due.expire();
    }
    due.wait_is_over();
    assert!(due.is_enough, "and not waited for long");
}

/// The place of what requests try first, and of what they try where that leads nowhere.
fn choices(due: &LookupState) -> [Option<String>; 2] {
    [&due.results, &due.proven].map(|results| Some(results.as_ref()?.kdc.first()?.to_string()))
}

#[test]
fn what_a_network_says_of_proxies_counts_elsewhere_only_once_one_has_replied() {
    let (now, [home, stranger]) = (Instant::now(), ["home:443", "stranger:443"]);
    let mut due = LookupState::new(UpstreamKind::Proxy, None);
    looked_up(&mut due, Ok(leading_to(Some(home))), now);
    assert_eq!(choices(&due), [Some(home.to_owned()), None]);
    assert!(!due.prove("another:443") && due.prove(home));
    assert!(!due.prove(home), "that is no news");

    due.expire();
    assert!(!due.take_rerouting());
    looked_up(&mut due, Ok(leading_to(Some(stranger))), now);
    let both = [stranger, home].map(|name| Some(name.to_owned()));
    assert_eq!(choices(&due), both);
    assert!(!due.prove(home), "it is the stranger's list that is new");
    let again = due.clone().inherited();
    assert_eq!(choices(&again), both, "another configuration");
    due.expire();
    assert!(due.take_rerouting() && !due.take_rerouting());
    let of_home = [home, home].map(|name| Some(name.to_owned()));
    assert_eq!(choices(&due), of_home);
    looked_up(&mut due, Ok(results(false)), now);
    assert_eq!(choices(&due), of_home);

    looked_up(&mut due, Ok(leading_to(Some(stranger))), now);
    assert!(due.prove(stranger));
    due.expire();
    let of_stranger = [stranger, stranger].map(|name| Some(name.to_owned()));
    assert_eq!(choices(&due), of_stranger);
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
