//! A path that takes smaller packets than its ends do, and drops the word about it.

use crate::bounds::CONNECT;
use crate::scene::Plan;
use crate::support::netns::isolated;

#[test]
fn what_is_small_goes_over_a_kept_connection() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        let after = scene.logs_in_after(|scene| scene.shrinks_mtu());
        after.is_told("path MTU of 1280 under a kept connection", cold);
        after.is_no_more_than(cold);
        assert_eq!(after.connects, 0);
    });
}

/// The first message of TLS is longer than that if it offers a post-quantum key exchange.
#[test]
fn no_handshake_goes_through() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        scene.shrinks_mtu();
        scene.forgets();
        scene.fails_to_log_in(CONNECT);
        let after = scene.logs_in_after(|scene| scene.restores_mtu());
        after.is_told("path MTU of 1280 at the start, and 1500 again", cold);
        after.is_no_more_than(cold);
    });
}

/// Linux begins with small packets if it is told to (RFC 4821). With 1 it does so after three seconds, which is too late.
#[test]
fn a_kernel_that_probes_gets_through() {
    isolated(|| {
        let mut scene = Plan::default().open();
        let cold = scene.logs_in();
        scene.shrinks_mtu();
        scene.hosts.laptop.sets("ipv4/tcp_mtu_probing", "2");
        let after = scene.logs_in_after(|scene| scene.forgets());
        after.is_told("path MTU of 1280 at the start, tcp_mtu_probing = 2", cold);
        after.is_a_post_each();
        after.is_within(cold.took);
    });
}
