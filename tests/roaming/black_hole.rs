//! The proxy's packets are dropped on the way, and nobody is told: no address, no route and no link has changed.

use crate::bounds::{CONNECT, FOUND_DEAD};
use crate::cost::{Cost, Meter};
use crate::scene::{Plan, Scene};
use crate::support::netns::isolated;
use crate::support::proxy::Maker;
use crate::support::realm::PASSWORD;

/// Ours serves HTTP/2, and the other one HTTP/1.1.
fn warm(maker: Maker) -> (Scene, Cost) {
    let plan = Plan {
        maker,
        ..Plan::default()
    };
    let scene = plan.open();
    let cold = scene.logs_in();
    (scene, cold)
}

fn kept_connection(maker: Maker, case: &str) {
    let (mut scene, cold) = warm(maker);
    let after = scene.logs_in_after(|scene| scene.drops_connections());
    after.is_told(case, cold);
    after.is_a_post_each();
    after.is_within(FOUND_DEAD + cold.took);
    let next = scene.logs_in();
    next.is_no_more_than(cold);
}

#[test]
fn of_a_kept_connection_of_http2() {
    isolated(|| kept_connection(Maker::Ours, "kept connection black-holed, HTTP/2"));
}

#[test]
fn of_a_kept_connection_of_http1() {
    isolated(|| kept_connection(Maker::Kdcproxy, "kept connection black-holed, HTTP/1.1"));
}

/// The connection has just been heard from, so the password goes over it, and is lost with it.
fn password(maker: Maker, case: &str) {
    let (mut scene, cold) = warm(maker);
    let mut kinit = scene.begins("kinit user@EXAMPLE.COM");
    kinit.asks("Password for");
    let meter = Meter::start(&scene);
    scene.drops_connections();
    kinit.is_told(&[PASSWORD]);
    kinit.ends().fails_with("Cannot contact any KDC");
    let lost = meter.read(&scene);
    lost.is_within(FOUND_DEAD);
    assert_eq!(lost.posts, 0, "it is not sent again");
    let after = scene.logs_in_after(|_| {});
    after.is_told(case, cold);
    after.is_no_more_than(cold);
}

#[test]
fn with_a_password_of_http2() {
    isolated(|| {
        password(
            Maker::Ours,
            "password lost in a black-holed connection, HTTP/2",
        )
    });
}

#[test]
fn with_a_password_of_http1() {
    isolated(|| {
        password(
            Maker::Kdcproxy,
            "password lost in a black-holed connection, HTTP/1.1",
        )
    });
}

fn everything(maker: Maker, case: &str) {
    let (mut scene, cold) = warm(maker);
    scene.drops_everything();
    scene.fails_to_log_in(FOUND_DEAD + CONNECT);
    let after = scene.logs_in_after(|scene| scene.drops_nothing());
    after.is_told(case, cold);
    after.is_no_more_than(cold);
}

#[test]
fn of_everything_over_http2() {
    isolated(|| everything(Maker::Ours, "proxy black-holed and back, HTTP/2"));
}

#[test]
fn of_everything_over_http1() {
    isolated(|| everything(Maker::Kdcproxy, "proxy black-holed and back, HTTP/1.1"));
}
