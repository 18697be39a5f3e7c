//! The name server is black-holed, or one of the families of addresses that it says.

use crate::bounds::{CONNECT, FOUND_DEAD, OTHER_FAMILY};
use crate::scene::Plan;
use crate::support::netns::isolated;
use crate::topology::Site;

#[test]
fn nobody_answers_and_a_connection_is_kept() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        let after = scene.logs_in_after(|scene| scene.drops_dns());
        after.is_told("DNS black-holed beside a kept connection", cold);
        after.is_no_more_than(cold);
        assert_eq!(after.connects, 0);
    });
}

#[test]
fn nobody_answers_and_a_name_is_remembered() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        let after = scene.logs_in_after(|scene| {
            scene.drops_dns();
            scene.drops_connections();
        });
        after.is_told("DNS and the kept connection black-holed", cold);
        after.is_a_post_each();
        after.is_within(FOUND_DEAD + cold.took);
    });
}

#[test]
fn nobody_answers_and_a_name_is_needed() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        scene.drops_dns();
        scene.forgets();
        scene.fails_to_log_in(CONNECT);
        let after = scene.logs_in_after(|scene| scene.drops_nothing());
        after.is_told("DNS black-holed and back", cold);
        after.is_no_more_than(cold);
    });
}

#[test]
fn ipv6_leads_nowhere_at_the_start() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        scene.says_addresses(Site::both_families);
        scene.drops_ipv6();
        let after = scene.logs_in_after(|scene| scene.forgets());
        after.is_told("IPv6 black-holed at the start", cold);
        after.is_a_post_each();
        after.is_within(OTHER_FAMILY + cold.took);
        let next = scene.logs_in();
        next.is_no_more_than(cold);
    });
}

#[test]
fn ipv6_ends_under_a_kept_connection() {
    isolated(|| {
        let mut scene = Plan::default().open();
        scene.says_addresses(Site::both_families);
        scene.drops_ipv4();
        // The first packet of IPv6 waits for its neighbour.
        scene.logs_in();
        scene.forgets();
        let cold = scene.logs_in();
        scene.drops_nothing();
        let after = scene.logs_in_after(|scene| scene.drops_ipv6());
        after.is_told("IPv6 black-holed under a kept connection", cold);
        after.is_a_post_each();
        after.is_within(FOUND_DEAD + OTHER_FAMILY + cold.took);
        let next = scene.logs_in();
        next.is_no_more_than(cold);
    });
}
