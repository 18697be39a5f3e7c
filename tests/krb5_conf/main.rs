//! `loopkdc krb5-conf` on an /etc of its own, and what real clients then do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may end its own process"
)]

#[path = "../support/patience.rs"]
mod patience;
#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod crash;
mod distributions;
mod doctor;
mod errors;
mod etc;
mod mounted;
mod printed;
mod sssd;
mod tickets;
mod unfinished;

/// A configuration of one realm.
const CONFIG: &str = "[realms.\"EXAMPLE.COM\"]\nproxies = [\"https://kdcproxy.example.com\"]\n";
