//! A laptop that roams: hosts and cables of a test's own, and every fault that networks have.
//!
//! Everything is real: the KDCs and their password servers, `loopkdc gateway` or another proxy in front of them, `loopkdc run`
//! on the laptop, and MIT's clients. What a fault may cost is said in terms of what the program promises ([`bounds`]).
//! Each case writes a line of figures to standard error.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may end its own process"
)]

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod busy;
mod cost;
mod faults;
mod network;
mod portal;
mod scene;
mod topology;

mod address;
mod black_hole;
mod cable;
mod captive;
mod mtu;
mod names;
mod proofs;
mod proxies;
mod route;
mod suspend;
mod vpn;
mod wait;
