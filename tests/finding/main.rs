//! Where requests go that no configuration says the way of: to the KDC itself on its own network, and to proxies that DNS names.
//!
//! Real clients, a real realm, a real proxy, and a name server that says what a test wants.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may end its own process"
)]

#[path = "../support/mod.rs"]
mod support;

mod direct;
mod kdcs;
mod memory;
mod proxies;
mod scene;
mod zones;
