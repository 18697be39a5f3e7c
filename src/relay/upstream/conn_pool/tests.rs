use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The longest idleness after which a connection counts as alive, in tenths of a second.
fn alive_until(timeout: &IdleTimeout) -> u32 {
    let tenths = 0..10_000;
    let alive = |tenth: &u32| timeout.known_alive(*tenth * SECOND / 10);
    let longest = tenths.clone().take_while(alive).count();
    assert!(!tenths.skip(longest).any(|tenth| alive(&tenth)));
    u32::try_from(longest).unwrap() - 1
}

#[test]
fn of_an_unknown_server_only_what_was_just_heard_is_alive() {
    assert_eq!(alive_until(&IdleTimeout::default()), 10);
}

#[test]
fn a_connection_is_alive_for_less_than_half_of_what_the_server_advertises() {
    let mut timeout = IdleTimeout {
        advertised: Some(60 * SECOND),
        ..IdleTimeout::default()
    };
    assert_eq!(alive_until(&timeout), 299);
    timeout.outlasted(300 * SECOND);
    assert_eq!(alive_until(&timeout), 299);
    timeout.advertised = Some(SECOND);
    assert_eq!(alive_until(&timeout), 10);
}

#[test]
fn a_connection_is_alive_for_less_than_half_of_what_others_outlasted() {
    let mut timeout = IdleTimeout::default();
    timeout.outlasted(8 * SECOND);
    timeout.outlasted(3 * SECOND);
    assert_eq!(alive_until(&timeout), 39);
}

#[test]
fn a_connection_that_was_closed_sooner_counts_for_more_than_words() {
    let mut timeout = IdleTimeout {
        advertised: Some(60 * SECOND),
        ..IdleTimeout::default()
    };
    timeout.found_closed(10 * SECOND, Resend::Once);
    timeout.found_closed(20 * SECOND, Resend::Once);
    assert_eq!(alive_until(&timeout), 49);
    timeout.outlasted(9 * SECOND);
    assert_eq!(alive_until(&timeout), 49);
    // It was closed for another reason: a restart, perhaps.
    timeout.outlasted(10 * SECOND);
    assert_eq!(alive_until(&timeout), 299);
}

#[test]
fn where_a_password_was_lost_at_once_no_connection_is_alive_for_being_just_heard() {
    let mut timeout = IdleTimeout {
        advertised: Some(60 * SECOND),
        ..IdleTimeout::default()
    };
    timeout.found_closed(SECOND * 6 / 10, Resend::Harmless);
    assert!(timeout.known_alive(SECOND), "the network's doing, perhaps");
    timeout.found_closed(SECOND * 6 / 10, Resend::Once);
    assert!(!timeout.known_alive(Duration::ZERO));
    timeout.outlasted(SECOND);
    assert!(!timeout.known_alive(Duration::ZERO), "by chance");
    timeout.outlasted(SECOND * 11 / 10);
    assert_eq!(alive_until(&timeout), 299);
}

#[test]
fn a_connection_that_was_closed_counts_for_more_than_older_experience() {
    let mut timeout = IdleTimeout::default();
    timeout.outlasted(60 * SECOND);
    timeout.found_closed(10 * SECOND, Resend::Once);
    assert_eq!(alive_until(&timeout), 49);
    timeout.outlasted(12 * SECOND);
    assert_eq!(alive_until(&timeout), 59);
}

fn pool() -> ConnPool {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    ConnPool::new(tls, ForwardProxy::None, Names::default(), false)
}

/// Keeps connections last heard that long ago.
fn keep(pool: &ConnPool, now: Instant, idle: &[Duration]) {
    for idle in idle {
        let conn = pool.connection(now - *idle).unwrap();
        lock(&lock(&pool.kept)).put(Arc::new(conn));
    }
}

fn idle_now(pool: &ConnPool, now: Instant) -> Vec<Duration> {
    let kept = Arc::clone(&lock(&pool.kept));
    let kept = lock(&kept);
    kept.idle.iter().map(|conn| conn.idle(now)).collect()
}

#[test]
fn the_connection_heard_last_is_taken_and_only_if_it_fits() {
    let (pool, now) = (pool(), Instant::now() + 100 * SECOND);
    keep(&pool, now, &[30 * SECOND, 20 * SECOND]);
    let fresh = [ConnReuse::Never, ConnReuse::KnownAlive];
    for reuse in fresh {
        assert_eq!(pool.checkout(reuse, now).unwrap().idle, Duration::ZERO);
    }
    assert_eq!(
        pool.checkout(ConnReuse::Any, now).unwrap().idle,
        20 * SECOND
    );
    assert_eq!(idle_now(&pool, now), [30 * SECOND], "not given back");
    keep(&pool, now, &[SECOND]);
    assert_eq!(
        pool.checkout(ConnReuse::KnownAlive, now).unwrap().idle,
        SECOND
    );
}

#[test]
fn what_was_idle_for_longer_than_a_closed_connection_is_given_up() {
    let (pool, now) = (pool(), Instant::now() + 100 * SECOND);
    keep(&pool, now, &[50 * SECOND, 40 * SECOND, 30 * SECOND]);
    let conn = pool.checkout(ConnReuse::Any, now).unwrap();
    keep(&pool, now, &[2 * SECOND]);
    conn.found_closed(Resend::Harmless);
    assert_eq!(idle_now(&pool, now), [2 * SECOND]);
}

#[test]
fn idle_connections_are_bounded_and_the_oldest_goes_first() {
    let (pool, now) = (pool(), Instant::now() + 100 * SECOND);
    let idle: Vec<_> = (0..=64).rev().map(|idle| idle * SECOND).collect();
    keep(&pool, now, &idle);
    assert_eq!(idle_now(&pool, now), idle[1..]);
}

/// True if a shared connection is still offered after a request that brought no answer, if in the meantime another
/// brought one.
fn is_offered_after_silence(meanwhile: bool, own_head: bool) -> bool {
    let (pool, now) = (pool(), Instant::now());
    let mut first = pool.checkout(ConnReuse::Any, now).unwrap();
    first.saw_response(Version::HTTP_2, None);
    first.give_back(true);
    let mut silent = pool.checkout(ConnReuse::Any, Instant::now()).unwrap();
    let mut other = pool.checkout(ConnReuse::Any, Instant::now()).unwrap();
    assert!(Arc::ptr_eq(&silent.conn, &other.conn));
    if meanwhile {
        other.saw_response(Version::HTTP_2, None);
    }
    if own_head {
        silent.saw_response(Version::HTTP_2, None);
    }
    other.give_back(true);
    drop(silent);
    lock(&lock(&pool.kept)).shared.is_some()
}

#[test]
fn a_shared_connection_is_given_up_for_a_silence_only_if_nobody_was_answered_over_it() {
    assert!(!is_offered_after_silence(false, false));
    assert!(is_offered_after_silence(true, false));
    assert!(
        !is_offered_after_silence(true, true),
        "an answer without an end"
    );
}

#[test]
fn on_another_network_no_connection_of_before_is_used_again() {
    for version in [Version::HTTP_2, Version::HTTP_11] {
        let (pool, now) = (pool(), Instant::now());
        let mut lent = pool.checkout(ConnReuse::Any, now).unwrap();
        keep(&pool, now, &[SECOND]);
        pool.forget();
        lent.saw_response(version, Some(60 * SECOND));
        lent.give_back(true);
        let kept = Arc::clone(&lock(&pool.kept));
        let kept = lock(&kept);
        assert!(kept.idle.is_empty() && kept.shared.is_none(), "{version:?}");
    }
}
