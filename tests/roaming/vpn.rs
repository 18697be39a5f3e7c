//! A VPN whose interface is up and whose packets go nowhere.

use crate::bounds::{CONNECT, DIRECT, OTHER_PROXY};
use crate::scene::Plan;
use crate::support::netns::isolated;

/// The office's proxy is in it; the branch is reached without the VPN.
pub(crate) const TO_THE_PROXY: &str = "192.0.2.0/24";
/// The office's KDC is in it, and reached by no other way.
const TO_THE_KDC: &str = "172.16.0.0/24";

#[test]
fn leads_to_the_only_proxy() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        scene.raises_vpn(TO_THE_PROXY);
        scene.fails_to_log_in(CONNECT);
        let after = scene.logs_in_after(|scene| scene.lowers_vpn());
        after.is_told("VPN half-up and down again", cold);
        after.is_no_more_than(cold);
        scene.loopkdc.process.wait_for("network changed");
    });
}

#[test]
fn leads_to_one_of_two_proxies() {
    isolated(|| {
        let mut scene = Plan::with_a_branch().open();
        let cold = scene.logs_in();
        let after = scene.logs_in_after(|scene| scene.raises_vpn(TO_THE_PROXY));
        after.is_told("VPN half-up, and another proxy beside it", cold);
        after.is_a_post_each();
        after.is_within(OTHER_PROXY + cold.took);
        let next = scene.logs_in();
        next.is_no_more_than(cold);
    });
}

#[test]
fn leads_to_the_kdc() {
    isolated(|| {
        let plan = Plan {
            lines: "direct = \"prefer\"\nkdcs = [\"172.16.0.88\"]\n",
            ..Plan::default()
        };
        let mut scene = plan.open();
        // At home there is no way to the KDC at all.
        let cold = scene.logs_in();
        let after = scene.logs_in_after(|scene| scene.raises_vpn(TO_THE_KDC));
        after.is_told("VPN half-up, and the KDC preferred to the proxy", cold);
        after.is_a_post_each();
        after.is_within(DIRECT + cold.took);
        let next = scene.logs_in();
        next.is_no_more_than(cold);

        scene.lowers_vpn();
        scene.hosts.concentrator.forwards();
        let posts = scene.posts();
        let after = scene.logs_in_after(|scene| scene.raises_vpn(TO_THE_KDC));
        assert_eq!((after.requests, after.connects), (2, 0), "asked directly");
        assert_eq!(scene.posts(), posts);
    });
}
