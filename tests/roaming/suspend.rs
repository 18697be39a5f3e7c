//! The lid is closed, the proxy starts anew meanwhile, and the lid is opened.

use crate::cost::Meter;
use crate::scene::Plan;
use crate::support::netns::isolated;

#[test]
fn between_logins() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        scene.closes_lid();
        let after = scene.logs_in_after(|scene| scene.opens_lid());
        after.is_told("suspended, and the proxy started anew", cold);
        after.is_no_more_than(cold);
    });
}

#[test]
fn during_an_exchange() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        scene.recorder.hold_answers(|_| true);
        let mut meter = Meter::start(&scene);
        let kinit = scene.begins_to_log_in();
        scene.recorder.holds(1);
        scene.closes_lid();
        scene.recorder.release();
        meter.sees_change();
        scene.opens_lid();
        kinit.ends().succeeds();
        let after = meter.read(&scene);
        after.is_told(
            "suspended during an exchange, and the proxy started anew",
            cold,
        );
        after.is_within(cold.took);
        assert!(after.posts > after.requests, "the lost one goes again");
        scene.sent_nothing_twice();
    });
}
