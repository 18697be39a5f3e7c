//! The default route goes, and comes back.

use crate::bounds::FOUND_DEAD;
use crate::scene::Plan;
use crate::support::netns::isolated;

#[test]
fn is_gone_and_back() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        scene.loses_route();
        // Nobody has to be waited for where there is no way.
        scene.fails_to_log_in(FOUND_DEAD);
        let after = scene.logs_in_after(|scene| scene.gets_route_back());
        after.is_told("route gone and back", cold);
        after.is_no_more_than(cold);
        scene.loopkdc.process.wait_for("network changed");
    });
}
