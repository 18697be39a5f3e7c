//! The cable is pulled while a request is on its way, and put back.

use crate::bounds::{CONNECT, FOUND_DEAD};
use crate::cost::Meter;
use crate::scene::Plan;
use crate::support::netns::isolated;

#[test]
fn stays_out_for_longer_than_the_user_waits() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        scene.recorder.hold_answers(|_| true);
        let kinit = scene.begins_to_log_in();
        scene.recorder.holds(1);
        let meter = Meter::start(&scene);
        scene.pulls_cable();
        scene.recorder.release();
        let kinit = kinit.ends();
        meter.read(&scene).is_within(FOUND_DEAD + CONNECT);
        kinit.fails_with("Cannot contact any KDC");

        let after = scene.logs_in_after(|scene| {
            scene.puts_cable_back();
            scene.waits_for_carrier();
        });
        after.is_told(
            "cable pulled during an exchange, put back after the login had failed",
            cold,
        );
        after.is_no_more_than(cold);
        scene.loopkdc.process.wait_for("network changed");
    });
}

#[test]
fn is_put_back_before_the_user_notices() {
    isolated(|| {
        let scene = Plan::default().open();
        let cold = scene.logs_in();
        let after = scene.logs_in_across(|scene| {
            scene.pulls_cable();
            scene.recorder.release();
            scene.puts_cable_back();
        });
        after.is_told("cable pulled during an exchange, put back at once", cold);
        after.is_within(FOUND_DEAD + cold.took);
        scene.sent_nothing_twice();
    });
}
