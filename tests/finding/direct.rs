//! KDCs that the configuration lists, and that are asked themselves where they can be reached.

use std::time::{Duration, Instant};

use loopkdc::relay::upstream::kdc::LOCAL_KDC_TIMEOUT;

use crate::scene::{HalfUp, LONG, LOST, Scene, at, change_network, slow};
use crate::support::nameserver::Record;
use crate::support::netns::isolated;

/// As soon as a loaded machine does what nothing holds up.
const SOON: Duration = Duration::from_secs(2);

const PREFER: &str =
    "proxies = [\"https://proxy.test\"]\ndirect = \"prefer\"\nkdcs = [\"dc1.test\"]\n";
const FALLBACK: &str =
    "proxies = [\"https://proxy.test\"]\ndirect = \"fallback\"\nkdcs = [\"dc1.test\"]\n";

#[test]
fn on_its_network_the_kdc_is_preferred() {
    isolated(|| {
        let scene = Scene::new();
        let proxy = scene.proxy("proxy.test", 2);
        let _loopkdc = scene.loopkdc(PREFER);
        scene.uses_all();
        proxy.was_asked(0);
    });
}

/// Where another host has the KDC's address it refuses, and the first request finds out.
#[test]
fn on_another_network_the_proxy_is_asked_at_once() {
    isolated(|| {
        let scene = Scene::new();
        scene.names.says("dc1.test", LONG, &[at(99)]);
        let proxy = scene.proxy("proxy.test", 2);
        let _loopkdc = scene.loopkdc(PREFER);
        scene.uses_all();
        // An AS-REQ and another with the password, TGS-REQ, the same two for kpasswd, and the change.
        proxy.was_asked(6);
    });
}

/// It costs one moment, whatever follows, and is tried again on the next network.
#[test]
fn a_vpn_that_is_half_up_costs_a_moment_once() {
    isolated(|| {
        let scene = Scene::new();
        let vpn = HalfUp::start();
        scene.names.says("dc1.test", 1, &[Record::A(LOST)]);
        let proxy = scene.proxy("proxy.test", 2);
        let loopkdc = scene.loopkdc(PREFER);
        let first = scene.kinit().succeeds().took;
        let swallowed = vpn.swallowed();
        assert!(swallowed > 0);
        assert!(
            (LOCAL_KDC_TIMEOUT..LOCAL_KDC_TIMEOUT + SOON).contains(&first),
            "{first:?}"
        );
        let second = scene.kinit().succeeds().took;
        assert_eq!(vpn.swallowed(), swallowed, "asked again");
        assert_eq!(slow(&loopkdc), 1);
        eprintln!("the first kinit took {first:?}, the second {second:?}");
        proxy.was_asked(4);

        scene.names.says("dc1.test", LONG, &[at(88)]);
        change_network(&loopkdc);
        scene.kinit().succeeds();
        proxy.was_asked(4);
    });
}

#[test]
fn where_no_proxy_can_be_reached_the_kdc_is_asked() {
    isolated(|| {
        let scene = Scene::new();
        let mut proxy = scene.proxy("proxy.test", 2);
        let _loopkdc = scene.loopkdc(FALLBACK);
        scene.kinit().succeeds();
        proxy.was_asked(2);
        proxy.process.terminate();
        let began = Instant::now();
        scene.uses_all();
        assert!(began.elapsed() < 2 * SOON, "{:?}", began.elapsed());
    });
}

/// A proxy that swallows everything costs the time of a connect, and then the KDC is known.
#[test]
fn where_the_proxy_is_lost_the_kdc_is_asked() {
    isolated(|| {
        let scene = Scene::new();
        let vpn = HalfUp::start();
        scene.names.says("proxy.test", LONG, &[Record::A(LOST)]);
        let _loopkdc = scene.loopkdc(FALLBACK);
        let first = scene.kinit().succeeds().took;
        assert!(vpn.swallowed() > 0);
        let second = scene.kinit().succeeds().took;
        eprintln!("the first kinit took {first:?}, the second {second:?}");
        assert!(second < SOON, "{second:?}");
    });
}
