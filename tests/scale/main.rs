//! Two gateways behind HAProxy as it is shipped, a real KDC behind them, and `loopkdc run` in front, under load: what is lost
//! when one of them is killed, stops, or hangs, and who is told of the client's address; by balancers of layer 4 too. And logins
//! through attacks on either end.
//!
//! What counts the requests stands between the gateways and the KDC, whose own memory of what it has answered hides copies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may end its own process"
)]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "nothing is exported from here, and the messages are made for the walk's tests too"
)]

#[path = "../walk/der.rs"]
mod der;
#[path = "../walk/messages.rs"]
mod messages;
#[path = "../support/mod.rs"]
mod support;

mod abuse;
mod balancer;
mod load;
mod office;

mod forwarded;
mod hung;
mod killed;
mod layer4;
mod stopped;
