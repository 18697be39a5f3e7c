//! Captive portals: told from proxies, never followed, and over when they are.

use std::time::Duration;

use crate::bounds::FOUND_DEAD;
use crate::portal::{LOGIN_FIRST, PAGE, REDIRECT, Voucher};
use crate::scene::Plan;
use crate::support::netns::isolated;

fn case(voucher: Voucher, answer: &str, case: &str) {
    let mut scene = Plan::default().open();
    let cold = scene.logs_in();
    scene.meets_portal(voucher, answer);
    for limit in [FOUND_DEAD, Duration::ZERO] {
        let cost = scene.fails_to_log_in(limit);
        assert_eq!(cost.posts, 0);
    }
    let after = scene.logs_in_after(|scene| scene.passes_portal());
    after.is_told(case, cold);
    after.is_no_more_than(cold);
    let portal = scene.portal.as_ref().unwrap();
    assert_eq!(portal.count("GET"), 0, "nobody goes there");
    let queries = scene.names.queries();
    let followed = queries.iter().any(|name| name.contains("portal"));
    assert!(!followed, "{queries:?}");
    scene.loopkdc.process.wait_for("captive portal");
}

#[test]
fn that_redirects() {
    isolated(|| case(Voucher::Trusted, REDIRECT, "captive portal that redirects"));
}

#[test]
fn that_shows_its_page() {
    isolated(|| case(Voucher::Trusted, PAGE, "captive portal that shows its page"));
}

#[test]
fn that_says_511() {
    isolated(|| {
        case(
            Voucher::Trusted,
            LOGIN_FIRST,
            "captive portal that says 511",
        )
    });
}

#[test]
fn that_has_its_own_certificate() {
    isolated(|| {
        case(
            Voucher::Nobody,
            PAGE,
            "captive portal with its own certificate",
        )
    });
}
