//! Unmodified clients, the program, a KDC proxy, and a real MIT realm.
//!
//! Each test stands in a network of its own and makes the realm anew. What all can do is done six ways: through `loopkdc run`
//! by UDP, by TCP, and by libkrb5's own MS-KKDCP client, which talks to the same proxy without it; and with two proxies, `loopkdc
//! gateway` and one of another maker. A difference is a finding.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may end its own process"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../walk/der.rs"]
#[allow(dead_code, reason = "each test binary uses its own share of this")]
mod der;

#[path = "../walk/messages.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own share of this"
)]
mod messages;

#[macro_use]
mod office;
mod addresses;
mod clients;
mod differences;
mod discovery;
mod exchanges;
mod explained;
mod gateway;
mod heimdal;
mod indicators;
mod kdcs;
mod kinit;
mod kpasswd;
mod login;
mod off_network;
mod out;
mod passwords;
mod realms;
mod recorded;
mod replicas;
mod reuse;
mod servers;
mod table;
mod trust;
mod units;
mod web;
