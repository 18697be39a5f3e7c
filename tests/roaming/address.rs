//! The laptop gets another address from the same network, as by DHCP.

use crate::bounds::FOUND_DEAD;
use crate::scene::Plan;
use crate::support::netns::isolated;

#[test]
fn changes_between_logins() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        let after = scene.logs_in_after(|scene| scene.changes_address());
        after.is_told("address changed", cold);
        after.is_no_more_than(cold);
        scene.loopkdc.process.wait_for("network changed");
    });
}

/// The answer goes to where the laptop was.
#[test]
fn changes_during_an_exchange() {
    isolated(|| {
        let scene = Plan::default().open();
        let cold = scene.logs_in();
        let after = scene.logs_in_across(|scene| {
            scene.changes_address();
            scene.recorder.release();
        });
        after.is_told("address changed during an exchange", cold);
        after.is_within(FOUND_DEAD + cold.took);
        assert!(after.posts > after.requests, "the lost one goes again");
        scene.sent_nothing_twice();
    });
}
