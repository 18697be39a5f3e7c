//! Proxies that are down, one or all of them.

use std::time::Duration;

use crate::bounds::{FOUND_DEAD, OTHER_PROXY};
use crate::scene::Plan;
use crate::support::netns::isolated;

#[test]
fn one_refuses_and_the_other_serves() {
    isolated(|| {
        let mut scene = Plan::with_a_branch().open();
        let cold = scene.logs_in();
        let after = scene.logs_in_after(|scene| scene.kills_proxy(0));
        after.is_told("proxy down, and another one listed", cold);
        after.is_a_post_each();
        after.is_within(cold.took);
        let next = scene.logs_in();
        next.is_no_more_than(cold);
    });
}

/// Its host, that is, and nobody says so.
#[test]
fn one_is_gone_and_the_other_serves() {
    isolated(|| {
        let mut scene = Plan::with_a_branch().open();
        let cold = scene.logs_in();
        let after = scene.logs_in_after(|scene| scene.drops_office());
        after.is_told(
            "proxy gone under a kept connection, and another one listed",
            cold,
        );
        after.is_a_post_each();
        after.is_within(FOUND_DEAD + OTHER_PROXY + cold.took);
        let next = scene.logs_in();
        next.is_no_more_than(cold);

        scene.forgets();
        let after = scene.logs_in();
        after.is_told("proxy gone at the start, and another one listed", cold);
        after.is_a_post_each();
        after.is_within(OTHER_PROXY + cold.took);
        let next = scene.logs_in();
        next.is_no_more_than(cold);
    });
}

#[test]
fn both_are_down_and_back() {
    isolated(|| {
        let mut scene = Plan::with_a_branch().open();
        let cold = scene.logs_in();
        scene.kills_proxy(0);
        scene.kills_proxy(1);
        for _ in 0..3 {
            scene.fails_to_log_in(Duration::ZERO);
        }
        for back in [1, 0] {
            scene.starts_proxy(back);
            let after = scene.logs_in();
            let which = ["first", "second"][back];
            let case = format!("both proxies down, and the {which} one back");
            after.is_told(&case, cold);
            after.is_a_post_each();
            after.is_within(cold.took);
            scene.kills_proxy(back);
        }
    });
}
